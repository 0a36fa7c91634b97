"""Retrieval: does the nearest image show the same class, and how much of a class do the first lists hold?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.shared import predictions
from relic_eval.records import Cell, Embeddings, Measurement

SHOWN = 5  # neighbours of each image that are kept


@dataclass(frozen=True)
class Retrieval:
    """Each image of the split searches all others; images that are the only one of their class are left out and counted."""

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    ks: tuple[int, ...] = (1, 5, 10)
    depth: int = 100  # of the lists that average precision is taken over
    similarity: str = "cosine"
    draws: int = 2000
    seed: int = 0

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is recall at the first k, then at the others, then mean average precision."""
        from relic_eval.metrics.neighbours import nearest
        from relic_eval.metrics.retrieval import retrieval

        others = len(split) - 1
        ks = [k for k in self.ks if k <= others]
        if not ks or np.bincount(split.y_N, minlength=1).max() < 2:
            expected = f"more than {min(self.ks)} images, and a class with two"
            raise ArgumentError("retrieval", expected, f"{len(split)} images", "Give the classes more images.")
        depth = min(max(self.depth, *ks), others)
        index_NK, score_NK = nearest(split.x_ND, split.x_ND, depth, similarity=self.similarity, exclude_self=True)
        found = retrieval(index_NK, split.y_N, split.y_N, ks=ks, leave_one_out=True)
        asked = split.take(found.query_Q)
        low, high = self._intervals(np.concatenate([found.hit_KQ, found.precision_Q[None]]), asked.y_N)
        about = {"left_out": found.left_out}
        rows = [
            Measurement("recall", float(v), float(low[i]), float(high[i]), len(asked), {"k": ks[i], **about})
            for i, v in enumerate(found.recall_K)
        ]
        ends = float(low[-1]), float(high[-1])
        value = found.mean_average_precision
        rows.append(Measurement("mean_average_precision", value, *ends, len(asked), {"k": depth, **about}))
        nearest_y = split.y_N[index_NK[found.query_Q, 0]]
        table = predictions(asked, nearest_y, found.hit_KQ[0], found.precision_Q)
        return Cell(tuple(rows), table, None, self._shown(split, found.query_Q, index_NK, score_NK))

    def _intervals(self, values_MQ: np.ndarray, y_Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """95% bootstrap intervals of the means, the same samples of images within classes for all of them."""
        from relic_eval.metrics.bootstrap import paired_bootstrap
        from relic_eval.metrics.statistics import interval

        samples_MB = paired_bootstrap(values_MQ[:, None].astype(np.float64), y_Q, draws=self.draws, seed=self.seed)
        return interval(samples_MB)

    def _shown(self, split: Embeddings, query_Q: np.ndarray, index_NK: np.ndarray, score_NK: np.ndarray) -> dict:
        ids = np.arange(len(split)).astype(str) if split.ids is None else split.ids
        kept = min(SHOWN, index_NK.shape[1])
        score_QK = score_NK[query_Q, :kept]
        return {
            "query": np.repeat(ids[query_Q], kept),
            "item": ids[index_NK[query_Q, :kept]].ravel(),
            "rank": np.tile(np.arange(kept), len(query_Q)),
            "distance": (score_QK if self.similarity == "euclid" else 1 - score_QK).ravel().astype(np.float32),
        }
