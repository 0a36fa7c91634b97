"""Ratio of inter- to intra-class distances over the test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from relic_eval.evaluators.logistic import predictions
from relic_eval.records import Cell, Embeddings, Measurement

if TYPE_CHECKING:
    from relic_eval.metrics.discriminability import Discriminability as Distances


@dataclass(frozen=True)
class Discriminability:
    """Euclidean distances; the interval of the ratio resamples images within classes, both ends of each pair.

    A sum over pairs changes with the counts c of a sample by 2 * sum (c_i - 1) s_i to first order, where s_i is the sum of
    the distances of image i: resampling one end only would make the interval half as wide as it is.
    """

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    draws: int = 2000
    seed: int = 0

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is the mean inter-class over the mean intra-class distance; then the median per image."""
        from relic_eval.metrics.discriminability import discriminability
        from relic_eval.metrics.statistics import interval

        d = discriminability(split.x_ND, split.y_N)
        ratio_N = d.ratio_N[np.isfinite(d.ratio_N)]
        n = len(ratio_N)
        ratio_B = self._resampled(d, split.y_N) if n else np.full(1, np.nan)
        if not np.isfinite(ratio_B).all():  # all images of a class coincide, or there is none to compare
            rows = [Measurement("distance_ratio", None, n=n), Measurement("distance_ratio_median", None, n=n)]
        else:
            low, high = interval(ratio_B)
            rows = [
                Measurement("distance_ratio", d.ratio, float(low), float(high), n),
                Measurement("distance_ratio_median", float(np.median(ratio_N)), *_median_interval(ratio_N), n),
            ]
        for number, name in enumerate(split.classes):
            if number < len(d.ratio_C) and np.isfinite(d.ratio_C[number]):
                count = int((split.y_N == number).sum())
                rows.append(Measurement("distance_ratio", float(d.ratio_C[number]), n=count, params={"class": name}))
        nearest_N = np.where(np.isfinite(d.mean_NC), d.mean_NC, np.inf).argmin(1)
        return Cell(tuple(rows), predictions(split, nearest_N, nearest_N == split.y_N, d.ratio_N))

    def _resampled(self, d: Distances, y_N: np.ndarray) -> np.ndarray:
        """The ratio of all distances in each bootstrap sample; NaN where the distances within classes are 0."""
        from relic_eval.metrics.statistics import resample_counts

        size_N = np.bincount(y_N)[y_N]
        pairs_2N = np.stack([len(y_N) - size_N, size_N - 1])  # other images, and others of its own class
        sum_2N = np.nan_to_num(np.stack([d.inter_N, d.intra_N])) * pairs_2N
        both_4N = np.concatenate([sum_2N, pairs_2N])
        blocks = [both_4N @ count_BN.T for count_BN in resample_counts(y_N, self.draws, self.seed)]
        inter, intra, others, own = 2 * np.concatenate(blocks, 1) - both_4N.sum(1, keepdims=True)
        bottom_B = intra * others
        return np.divide(inter * own, bottom_B, out=np.full(self.draws, np.nan), where=bottom_B > 0)


def _median_interval(value_N: np.ndarray) -> tuple[float, float]:
    """95% interval of a median from the binomial ranks around the middle (distribution-free)."""
    ordered, half = np.sort(value_N), 0.98 * len(value_N) ** 0.5
    low = max(0, int(np.floor(len(ordered) / 2 - half)))
    high = min(len(ordered) - 1, int(np.ceil(len(ordered) / 2 + half)))
    return float(ordered[low]), float(ordered[high])
