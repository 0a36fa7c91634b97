"""By how much the distance ratios of images differ between encoders, with intervals that are paired by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relic_eval.cells import Result
from relic_eval.metrics.bootstrap import resampled
from relic_eval.metrics.medians import resampled_medians
from relic_eval.metrics.statistics import interval
from relic_eval.pairing import strata_of, test_items

BELOW = 1.0  # an image of a smaller ratio lies nearer to other classes than to its own
SEED = 0


@dataclass(frozen=True)
class Shift:
    """An encoder less a baseline: of the median ratio, and of the share of images whose ratio is below 1 (fractions)."""

    encoder: str
    baseline: str
    median: float
    median_low: float
    median_high: float
    below: float
    below_low: float
    below_high: float
    n: int  # images whose ratio both have

    @property
    def sure(self) -> bool:
        """Whether the paired 95% interval of the medians' difference excludes 0."""
        return self.median_low > 0 or self.median_high < 0


def shares_below(results: Sequence[Result]) -> dict[str, float]:
    """By encoder, the share of images with a ratio below 1.

    >>> shares_below([])
    {}
    """
    return {r.encoder: float((_ratios(r)[np.isfinite(_ratios(r))] < BELOW).mean()) for r in results}


def ratio_shifts(results: Sequence[Result], baselines: Sequence[str], *, draws: int = 2000) -> list[Shift]:
    """Each encoder against each of these baselines, of cells of one task; images are resampled within classes, the same for all.

    A ratio stays what it was when other images leave the sample, as in the interval of a cell's median; an image without a
    ratio counts for the other encoders alone. Cells of other images
    than the baseline's are left out, and so is a baseline without a cell.

    >>> ratio_shifts([], ["pixels"])
    []
    """
    found: list[Shift] = []
    drawn: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}  # most often all cells are of the same images
    for name in baselines:
        base = next((r for r in results if r.encoder == name and np.isfinite(_ratios(r)).any()), None)
        here = [] if base is None else [r for r in results if _paired(r, base)]
        if base is not None and len(here) > 1:
            names = tuple(r.encoder for r in here)
            if names not in drawn:
                drawn[names] = _samples(np.stack([_ratios(r) for r in here]), strata_of(base), draws)
            found += _against(names.index(name), here, *drawn[names])
    return found


def _samples(ratio_MN: np.ndarray, strata_N: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Medians and shares below 1 of each encoder on the same resamples, (M, draws) both."""
    finite_MN = np.isfinite(ratio_MN)
    below_MN = (ratio_MN < BELOW) & finite_MN
    parts_2MN = np.stack([below_MN, finite_MN]).astype(np.float32)  # sums of whole numbers are exact in it

    def shares(count_BN: np.ndarray) -> np.ndarray:
        below_MB, held_MB = parts_2MN @ count_BN.T
        return np.divide(below_MB, held_MB, out=np.full(held_MB.shape, np.nan), where=held_MB > 0)

    medians_MB = resampled_medians(ratio_MN, strata_N, draws=draws, seed=SEED)
    return medians_MB, resampled(shares, strata_N, draws=draws, seed=SEED).astype(np.float64)


def _against(own: int, here: Sequence[Result], median_MB: np.ndarray, below_MB: np.ndarray) -> list[Shift]:
    ratios_M = [_ratios(r) for r in here]
    finite_M = [np.isfinite(ratio_N) for ratio_N in ratios_M]
    median_M = [float(np.median(v[finite_N])) for v, finite_N in zip(ratios_M, finite_M, strict=True)]
    below_M, made = list(shares_below(here).values()), []
    for m, result in enumerate(here):
        if m != own:
            low, high = _ends(median_MB[m] - median_MB[own])
            ends = _ends(below_MB[m] - below_MB[own])
            shift, below = median_M[m] - median_M[own], below_M[m] - below_M[own]
            n = int((finite_M[m] & finite_M[own]).sum())
            made.append(Shift(result.encoder, here[own].encoder, shift, low, high, below, ends[0], ends[1], n))
    return made


def _ends(sample_B: np.ndarray) -> tuple[float, float]:
    """The interval, without samples in which one of the two has no image."""
    low, high = interval(sample_B[np.isfinite(sample_B)])
    return float(low), float(high)


def _ratios(result: Result) -> np.ndarray:
    return np.asarray((result.cell.predictions or {}).get("score", np.array([])), np.float64)


def _paired(result: Result, base: Result) -> bool:
    """Whether a cell has ratios of the same images and labels, some of them that the other has too."""
    same = result.about["data"] == base.about["data"] and np.array_equal(test_items(result), test_items(base))
    return same and bool((np.isfinite(_ratios(result)) & np.isfinite(_ratios(base))).any())
