"""By how much the distance ratios of images differ between encoders, with intervals that are paired by image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relic_eval.cells import Result
from relic_eval.metrics.bootstrap import paired_bootstrap
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

    A ratio stays what it was when other images leave the sample, as in the interval of a cell's median. Cells of other images
    than the baseline's are left out, and so is a baseline without a cell.

    >>> ratio_shifts([], ["pixels"])
    []
    """
    found: list[Shift] = []
    for name in baselines:
        base = next((r for r in results if r.encoder == name and np.isfinite(_ratios(r)).any()), None)
        here = [] if base is None else [r for r in results if _paired(r, base)]
        if base is not None and len(here) > 1:
            found += _against(base, here, draws)
    return found


def _against(base: Result, here: Sequence[Result], draws: int) -> list[Shift]:
    ratio_MN, own = np.stack([_ratios(r) for r in here]), [r.encoder for r in here].index(base.encoder)
    finite_MN, strata_N = np.isfinite(ratio_MN), strata_of(base)
    median_MB = resampled_medians(ratio_MN, strata_N, draws=draws, seed=SEED)
    median_M = [float(np.median(v[finite])) for v, finite in zip(ratio_MN, finite_MN, strict=True)]
    below_MN = (ratio_MN < BELOW) & finite_MN
    made = []
    for m, result in enumerate(here):
        if m == own:
            continue
        both_N = finite_MN[m] & finite_MN[own]
        change_N = (below_MN[m].astype(np.int64) - below_MN[own])[both_N]
        below_B = paired_bootstrap(change_N[None, None], strata_N[both_N], draws=draws, seed=SEED)[0]
        ends = (*interval(median_MB[m] - median_MB[own]), *interval(below_B))
        low, high, below_low, below_high = (float(v) for v in ends)
        names, n = (result.encoder, base.encoder), int(both_N.sum())
        shift = median_M[m] - median_M[own]
        made.append(Shift(*names, shift, low, high, float(change_N.mean()), below_low, below_high, n))
    return made


def _ratios(result: Result) -> np.ndarray:
    return np.asarray((result.cell.predictions or {}).get("score", np.array([])), np.float64)


def _paired(result: Result, base: Result) -> bool:
    """Whether a cell has ratios of the same images and labels, some of them that the other has too."""
    same = result.about["data"] == base.about["data"] and np.array_equal(test_items(result), test_items(base))
    return same and bool((np.isfinite(_ratios(result)) & np.isfinite(_ratios(base))).any())
