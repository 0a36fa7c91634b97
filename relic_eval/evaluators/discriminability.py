"""Ratio of inter- to intra-class distances over the test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from relic_eval.evaluators.shared import predictions
from relic_eval.records import Cell, Embeddings, Measurement

if TYPE_CHECKING:
    from relic_eval.metrics.discriminability import Discriminability as Distances

BINS = 60


@dataclass(frozen=True)
class Discriminability:
    """A reading by a metric (keys of metrics.readings.READINGS and METRICS), over all, per class and per image.

    Intervals of "mean" resample images within classes, both ends of each pair. A sum over pairs changes with the counts c of
    a sample by 2 * sum (c_i - 1) s_i to first order, where s_i is the sum of the distances of image i: resampling one end
    only would make the interval half as wide as it is. Resamples of n images vary by n - 1 of n and know nothing of the
    t distribution: intervals are as much wider, on the scale of the logarithm. Other readings have that of the median alone.
    """

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 3  # raise it when the same settings give other numbers
    reading: str = "mean"
    metric: str = ""  # empty: the reading's own
    draws: int = 2000
    seed: int = 0

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is the ratio over all; then the median per image, then the ratios of the classes."""
        from relic_eval.metrics.discriminability import discriminability, histogram, nearest_class
        from relic_eval.metrics.statistics import interval

        d = discriminability(
            split.x_ND, split.y_N, reading=self.reading, metric=self.metric or None, classes=len(split.classes)
        )
        assert d.mean_NC is not None
        ratio_N = d.ratio_N[np.isfinite(d.ratio_N)]
        n, params = len(ratio_N), {"singletons": d.singletons, "empty": d.empty}
        lows, highs = np.full(1 + len(split.classes), np.nan), np.full(1 + len(split.classes), np.nan)
        if n and self.reading == "mean":
            ratio_KB = self._resampled(d, split.y_N)
            sure_K = np.isfinite(ratio_KB).all(1) & (ratio_KB.min(1) > 0)
            wide_K, ratio_K = _widening(d.count_C)[sure_K], np.append(d.ratio, d.ratio_C)[sure_K]
            ends = interval(np.log(ratio_KB[sure_K]) - np.log(ratio_K)[:, None])
            lows[sure_K], highs[sure_K] = (ratio_K * np.exp(wide_K * end) for end in ends)
        if n == 0 or not np.isfinite(d.ratio) or (self.reading == "mean" and np.isnan(lows[0])):
            # all images of a class coincide, or there is none to compare
            rows = [
                Measurement("distance_ratio", None, n=n, params=params),
                Measurement("distance_ratio_median", None, n=n),
            ]
        else:
            rows = [
                Measurement("distance_ratio", d.ratio, _known(lows[0]), _known(highs[0]), n, params),
                Measurement("distance_ratio_median", float(np.median(ratio_N)), *_median_interval(ratio_N), n),
            ]
        for number, name in enumerate(split.classes):
            if np.isfinite(d.ratio_C[number]):
                value, low, high = float(d.ratio_C[number]), _known(lows[1 + number]), _known(highs[1 + number])
                count = int(d.count_C[number])
                rows.append(Measurement("distance_ratio", value, low, high, count, {"class": name}))
        nearest_N = nearest_class(d.mean_NC)[0]
        curves = None
        if n:
            h = histogram(ratio_N, bins=BINS)
            # x: where each bin begins, and where the last one ends
            curves = {
                "name": np.full(BINS + 1, "histogram"),
                "x": h.edges_E,
                "y": np.append(h.count_B, 0).astype(float),
            }
        return Cell(tuple(rows), predictions(split, nearest_N, nearest_N == split.y_N, d.ratio_N), curves)

    def _resampled(self, d: Distances, y_N: np.ndarray) -> np.ndarray:
        """The ratios over all and of each class, (1 + C, draws); NaN where the distances within classes are 0 or below.

        Of the pairs between a class and the others, an image of the class holds those with the others, and another image
        those with the class: the sums of both, each with its count, less the sum of all pairs.
        """
        from scipy.sparse import csr_array

        from relic_eval.metrics.bootstrap import resampled

        assert d.mean_NC is not None
        n, count_C, rows = len(y_N), d.count_C.astype(float), np.arange(len(y_N))
        others_N, own_N = n - count_C[y_N], count_C[y_N] - 1
        inter_N, intra_N = np.nan_to_num(d.inter_N) * others_N, np.nan_to_num(d.intra_N) * own_N
        held_NC = np.nan_to_num(d.mean_NC) * count_C
        held_NC[rows, y_N] = inter_N
        is_CN = csr_array((np.ones(n), (y_N, rows)), shape=(len(count_C), n))
        inter_C, intra_C = is_CN @ inter_N, is_CN @ intra_N
        both_4N = np.stack([inter_N, intra_N, others_N, own_N])

        def ratios(count_BN: np.ndarray) -> np.ndarray:
            inter, intra, others, own = 2 * both_4N @ count_BN.T - both_4N.sum(1, keepdims=True)
            seen_CB = is_CN @ count_BN.T
            within_CB = 2 * (is_CN @ (count_BN * intra_N).T) - intra_C[:, None]
            between_CB = (count_BN @ held_NC).T - inter_C[:, None]
            # pairs: n_k of another image, n - n_k of one of the class, less all of them once
            size_C1 = count_C[:, None]
            others_CB = size_C1 * (n - seen_CB) + (n - size_C1) * seen_CB - size_C1 * (n - size_C1)
            own_CB = (size_C1 - 1) * (2 * seen_CB - size_C1)
            top = np.vstack([inter * own, between_CB * own_CB])
            bottom = np.vstack([intra * others, within_CB * others_CB])
            return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)

        return resampled(ratios, y_N, draws=self.draws, seed=self.seed)


def _widening(count_C: np.ndarray) -> np.ndarray:
    """By what intervals over all and of each class are wider than the percentiles of resamples."""
    from scipy.stats import t

    from relic_eval.metrics.statistics import Z95

    n_K = np.append(count_C.sum(), count_C).astype(float)
    free_K = np.maximum(np.append(np.maximum(count_C - 1, 0).sum(), count_C - 1), 1)
    return np.sqrt(n_K / free_K) * t.ppf(0.975, free_K) / Z95


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _median_interval(value_N: np.ndarray) -> tuple[float, float]:
    """95% interval of a median from the binomial ranks around the middle (distribution-free)."""
    ordered, half = np.sort(value_N), 0.98 * len(value_N) ** 0.5
    low = max(0, int(np.floor(len(ordered) / 2 - half)))
    high = min(len(ordered) - 1, int(np.ceil(len(ordered) / 2 + half)))
    return float(ordered[low]), float(ordered[high])
