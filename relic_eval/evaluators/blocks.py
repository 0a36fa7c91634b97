"""Neighbour block matrix of a few classes: which images lie next to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.logistic import predictions
from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class Blocks:
    """The k nearest neighbours (Euclidean) of the first `per_class` images of each class of the split, among themselves."""

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    k: int = 5
    per_class: int = 50
    draws: int = 2000
    seed: int = 0

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is purity: the share of neighbours of the image's own class."""
        from relic_eval.metrics.blocks import confusion, neighbour_blocks
        from relic_eval.metrics.neighbours import majority

        chosen = [np.flatnonzero(split.y_N == c)[: self.per_class] for c in range(len(split.classes))]
        shown = split.take(np.concatenate(chosen))
        if len(shown) <= self.k:
            raise ArgumentError(
                "blocks", f"more than {self.k} test images", f"{len(shown)}", "Give the classes more images."
            )
        blocks = neighbour_blocks(shown.x_ND, shown.y_N, k=self.k, classes=len(split.classes))
        found_NK = shown.y_N[blocks.index_NK]
        rows = [self._purity("purity", found_NK == shown.y_N[:, None], shown.y_N)]
        if split.superclasses is not None:
            names = tuple(dict.fromkeys(split.superclasses))
            above_C = np.array([names.index(s) for s in split.superclasses])
            above_N, above_NK = above_C[shown.y_N], above_C[found_NK]
            rows.append(self._purity("superclass_purity", above_NK == above_N[:, None], shown.y_N))
            rows += _confusion_rows("superclass_confusion", names, confusion(above_N, above_NK, len(names)), len(shown))
        rows += _confusion_rows("confusion", split.classes, blocks.confusion_CC, len(shown))
        table = predictions(shown, majority(found_NK, len(split.classes)), blocks.purity_N, blocks.distance_NK.mean(1))
        ids = table["item"]
        neighbours = {
            "query": np.repeat(ids, self.k),
            "item": ids[blocks.index_NK].ravel(),
            "rank": np.tile(np.arange(self.k), len(shown)),
            "distance": blocks.distance_NK.ravel().astype(np.float32),
        }
        return Cell(tuple(rows), table, None, neighbours)

    def _purity(self, metric: str, same_NK: np.ndarray, y_N: np.ndarray) -> Measurement:
        from relic_eval.metrics.statistics import interval, paired_bootstrap

        samples = paired_bootstrap(same_NK.sum(1)[None, None], y_N, draws=self.draws, seed=self.seed)[0]
        low, high = interval(samples / self.k)
        return Measurement(metric, float(same_NK.mean()), float(low), float(high), len(y_N), {"k": self.k})


def _confusion_rows(metric: str, names: tuple[str, ...], share_CC: np.ndarray, n: int) -> list[Measurement]:
    return [
        Measurement(metric, float(share_CC[i, j]), n=n, params={"query": query, "neighbour": neighbour})
        for i, query in enumerate(names)
        for j, neighbour in enumerate(names)
        if np.isfinite(share_CC[i, j])
    ]
