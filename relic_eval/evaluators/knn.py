"""Vote among the k most similar training rows, for every k from one search."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.arrays import digest_array
from relic_eval.errors import ArgumentError
from relic_eval.evaluators.shared import chosen_by, class_interval, predictions
from relic_eval.files import digest_json
from relic_eval.records import Cell, Embeddings, Measurement

_found: OrderedDict[str, tuple] = OrderedDict()
REMEMBERED = 4
SHOWN = 5  # neighbours of each test image that are kept


@dataclass(frozen=True)
class Knn:
    """k is chosen on validation rows searched in train, by the metric of the task; test rows are searched in train and valid.

    A single k is not chosen: test rows are searched in all training rows at once.
    """

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    ks: tuple[int, ...] = (1, 5, 10, 20, 50, 100, 200)
    similarity: str = "cosine"
    vote: str = "majority"  # "distance" weighs by 1 / distance, "softmax" by exp(similarity / temperature)
    temperature: float = 0.07

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is the metric of the task at the chosen k, then top-1 at every k of at most the training rows."""
        from relic_eval.metrics.scores import mean_per_class
        from relic_eval.metrics.statistics import wilson

        if len(np.unique(train.y_N)) < 2:
            raise ArgumentError(
                "y_N", "at least two classes among the training rows", "one", "Any vote would be right."
            )
        ks = [k for k in self.ks if k <= len(train)]
        if not ks:
            raise ArgumentError("ks", f"one of at most {len(train)}, the training rows", f"{self.ks}")
        classes, both_x = len(train.classes), np.concatenate([train.x_ND, valid.x_ND])
        both_y = np.concatenate([train.y_N, valid.y_N])
        valid_K: list[float] = []
        if len(self.ks) > 1:  # of one k there is none to choose, and the search in train is the longer one
            valid_KQ = self._votes(*self._nearest(train.x_ND, valid.x_ND, max(ks)), train.y_N, ks, classes)
            valid_K = chosen_by(valid, valid_KQ).tolist()
        best = int(np.argmax(valid_K)) if valid_K else 0
        index_QK, score_QK = self._nearest(both_x, test.x_ND, max(ks))
        votes = self._votes(index_QK, score_QK, both_y, ks, classes)
        rows = []
        for place in [best, *(i for i in range(len(ks)) if i != best)]:
            right = int((votes[place] == test.y_N).sum())
            params = {"k": ks[place], "chosen": int(place == best), "left_out": len(self.ks) - len(ks)}
            rows.append(Measurement("top1", right / len(test), *wilson(right, len(test)), len(test), params))
        if test.metric == "mean_per_class":
            value, ends = mean_per_class(test.y_N, votes[best]), class_interval(test.y_N, votes[best])
            rows.insert(0, Measurement("mean_per_class", value, *ends, len(test), rows[0].params))
        share_N = (both_y[index_QK[:, : ks[best]]] == votes[best][:, None]).mean(1)
        table = predictions(test, votes[best], votes[best] == test.y_N, share_N)
        curves = {
            "name": np.repeat([f"validation {valid.metric}", "top1"], [len(valid_K), len(ks)]),
            "x": np.array([*ks[: len(valid_K)], *ks], float),
            "y": np.array(valid_K + [float((v == test.y_N).mean()) for v in votes]),
        }
        return Cell(tuple(rows), table, curves, self._shown(table["item"], train, valid, index_QK, score_QK))

    def _votes(
        self, index_QK: np.ndarray, score_QK: np.ndarray, y_N: np.ndarray, ks: list[int], classes: int
    ) -> np.ndarray:
        from relic_eval.metrics.votes import vote

        how, tau = self.vote, self.temperature
        return vote(y_N[index_QK], score_QK, ks, classes, how=how, similarity=self.similarity, temperature=tau)

    def _nearest(self, base_ND: np.ndarray, query_QD: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """One search for all tasks that differ only in their labels, or in other rows."""
        from relic_eval.metrics.neighbours import nearest

        contents = [digest_array(x) for x in (base_ND, query_QD)]
        key = digest_json([*contents, base_ND.shape, query_QD.shape, k, self.similarity])
        if key not in _found:
            _found[key] = nearest(base_ND, query_QD, k, similarity=self.similarity)
            while len(_found) > REMEMBERED:
                _found.popitem(last=False)
        return _found[key]

    def _shown(self, items, train, valid, index_QK, score_QK):
        if train.ids is None or valid.ids is None:
            return None
        kept = min(SHOWN, index_QK.shape[1])
        ids = np.concatenate([train.ids, valid.ids])
        return {
            "query": np.repeat(items, kept),
            "item": ids[index_QK[:, :kept]].ravel(),
            "rank": np.tile(np.arange(kept), len(items)),
            "distance": (score_QK if self.similarity == "euclid" else 1 - score_QK)[:, :kept]
            .ravel()
            .astype(np.float32),
        }
