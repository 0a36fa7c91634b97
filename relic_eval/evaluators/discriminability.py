"""Ratio of inter- to intra-class distances over the test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.evaluators.logistic import predictions
from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class Discriminability:
    """Euclidean distances; intervals resample images within classes (their own mean distances are kept as they are)."""

    kind: ClassVar[str] = "measure"
    draws: int = 2000
    seed: int = 0

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is the mean inter-class over the mean intra-class distance; then the median per image."""
        from relic_eval.metrics.discriminability import discriminability
        from relic_eval.metrics.statistics import interval, resample_weights

        d = discriminability(split.x_ND, split.y_N)
        usable_N = np.isfinite(d.intra_N) & np.isfinite(d.inter_N)
        values_2N = np.stack([d.inter_N[usable_N], d.intra_N[usable_N]]).astype(np.float32)
        means_2B = np.concatenate(
            [values_2N @ w.T for w in resample_weights(split.y_N[usable_N], self.draws, self.seed)], 1
        )
        ratio_N = d.ratio_N[np.isfinite(d.ratio_N)]
        n = len(ratio_N)
        if not n or (means_2B[1] <= 0).any():  # all images of a class coincide: the ratio has no bound
            rows = [Measurement("distance_ratio", None, n=n), Measurement("distance_ratio_median", None, n=n)]
        else:
            low, high = interval(means_2B[0] / means_2B[1])
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


def _median_interval(value_N: np.ndarray) -> tuple[float, float]:
    """95% interval of a median from the binomial ranks around the middle (distribution-free)."""
    ordered, half = np.sort(value_N), 0.98 * len(value_N) ** 0.5
    low = max(0, int(np.floor(len(ordered) / 2 - half)))
    high = min(len(ordered) - 1, int(np.ceil(len(ordered) / 2 + half)))
    return float(ordered[low]), float(ordered[high])
