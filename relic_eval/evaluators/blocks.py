"""Neighbour block matrix of a few classes: which images lie next to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.shared import predictions
from relic_eval.records import Cell, Embeddings, Measurement

MOST_PAIRS = 10_000  # of classes whose confusion is written in full; of more, those that are neighbours


@dataclass(frozen=True)
class Blocks:
    """The k nearest neighbours (Euclidean) of the first `per_class` images of each class of the split, among themselves.

    With a `preset` (a key of metrics.blocks.PRESETS) its classes and superclasses in its order, and its images a class.
    `permutations` of the labels say what the purity would be by chance.
    """

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 2  # raise it when the same settings give other numbers
    k: int = 5
    per_class: int = 50
    preset: str = ""
    permutations: int = 2000
    draws: int = 2000
    seed: int = 0

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is purity: the share of neighbours of the image's own class; `purity_null` is by chance."""
        from relic_eval.metrics.blocks import confusion, neighbour_blocks
        from relic_eval.metrics.votes import majority

        rows_R, number_C, superclasses = self._shown(split)
        shown, classes = split.take(rows_R), [split.classes[c] for c in number_C]
        if len(shown) <= self.k:
            raise ArgumentError(
                "blocks", f"more than {self.k} test images", f"{len(shown)}", "Give the classes more images."
            )
        place_C = np.zeros(len(split.classes), np.int64)
        place_C[number_C] = np.arange(len(number_C))
        y_N = place_C[shown.y_N]
        blocks = neighbour_blocks(shown.x_ND, y_N, k=self.k, classes=len(classes))
        found_NK = y_N[blocks.index_NK]
        rows = self._purity("purity", y_N, blocks.index_NK, y_N)
        if superclasses is not None:
            names = tuple(dict.fromkeys(superclasses))
            above_N = np.array([names.index(s) for s in superclasses])[y_N]
            rows += self._purity("superclass_purity", above_N, blocks.index_NK, y_N)
            share = confusion(above_N, above_N[blocks.index_NK], len(names))
            rows += _confusion_rows("superclass_confusion", names, share, len(shown))
        rows += _confusion_rows("confusion", classes, blocks.confusion_CC, len(shown))
        predicted_N = np.array(number_C)[majority(found_NK, len(classes))]
        table = predictions(shown, predicted_N, blocks.purity_N, blocks.distance_NK.mean(1))
        ids = table["item"]
        neighbours = {
            "query": np.repeat(ids, self.k),
            "item": ids[blocks.index_NK].ravel(),
            "rank": np.tile(np.arange(self.k), len(shown)),
            "distance": blocks.distance_NK.ravel().astype(np.float32),
        }
        return Cell(tuple(rows), table, None, neighbours)

    def _shown(self, split: Embeddings) -> tuple[np.ndarray, list[int], tuple[str, ...] | None]:
        """Rows that are looked at, and their classes in order: numbers and superclasses."""
        from relic_eval.metrics.blocks import PRESETS, chosen, class_numbers_of

        if self.preset:
            rows_R = chosen(split.classes, split.y_N, self.preset)
            return rows_R, class_numbers_of(split.classes, self.preset), PRESETS[self.preset].superclasses
        every = list(range(len(split.classes)))
        rows = [np.flatnonzero(split.y_N == c)[: self.per_class] for c in every]
        return np.concatenate(rows), every, split.superclasses

    def _purity(
        self, metric: str, label_N: np.ndarray, index_NK: np.ndarray, strata_N: np.ndarray
    ) -> list[Measurement]:
        from relic_eval.metrics.blocks import purity_null
        from relic_eval.metrics.bootstrap import paired_bootstrap
        from relic_eval.metrics.statistics import interval

        same_NK = label_N[index_NK] == label_N[:, None]
        samples = paired_bootstrap(same_NK.sum(1)[None, None], strata_N, draws=self.draws, seed=self.seed)[0]
        low, high = interval(samples / self.k)
        null = purity_null(label_N, index_NK, draws=self.permutations, seed=self.seed)
        params = {"k": self.k, "p": null.p, "permutations": self.permutations}
        return [
            Measurement(metric, float(same_NK.mean()), float(low), float(high), len(label_N), {"k": self.k}),
            Measurement(f"{metric}_null", null.mean, null.low, null.high, len(label_N), params),
        ]


def _confusion_rows(metric: str, names: tuple[str, ...] | list[str], share_CC: np.ndarray, n: int) -> list[Measurement]:
    """One row a pair of classes; with many classes no zeros, so that there are no more rows than neighbours."""
    written_CC = np.isfinite(share_CC) if share_CC.size <= MOST_PAIRS else share_CC > 0
    return [
        Measurement(metric, float(share_CC[i, j]), n=n, params={"query": names[i], "neighbour": names[j]})
        for i, j in np.argwhere(written_CC)
    ]
