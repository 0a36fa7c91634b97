"""Medians of several models on resamples of the same images, all with the same weights: their differences are paired."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Shaped

from relic_eval.arrays import asarray, numbers
from relic_eval.errors import ArgumentError
from relic_eval.metrics.bootstrap import resampled

DRAWS = 2000
REACH = (
    6  # times the root of n: ranks on either side of the middle that are looked at, 12 standard deviations of a sample
)


def resampled_medians(
    values_MN: Shaped[np.ndarray, "M N"], strata_N: Int[np.ndarray, " N"], *, draws: int = DRAWS, seed: int = 0
) -> Float[np.ndarray, "M B"]:
    """The median of each model's finite values on each bootstrap sample of images, drawn within strata as in `resampled`.

    Images are the same for all models; one whose value is not finite counts for the others alone. Exact: of an even count the
    mean of the middle two. NaN where a sample has no finite value. Raises ArgumentError for a model that has none at all.

    >>> resampled_medians(np.array([[3.0, 3.0], [1.0, np.nan]]), np.zeros(2, int), draws=4)[0].tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    values_MN = numbers("values", values_MN, 2)
    finite_MN = np.isfinite(values_MN)
    if not finite_MN.any(1).all():
        raise ArgumentError("values", "a finite value of every model", "a model with none")
    orders = [
        np.flatnonzero(finite_N)[np.argsort(v[finite_N])] for v, finite_N in zip(values_MN, finite_MN, strict=True)
    ]

    def medians(count_BN: np.ndarray) -> np.ndarray:
        pairs = zip(values_MN, orders, strict=True)
        return np.stack([_medians(count_BN, value_N, order) for value_N, order in pairs])

    return resampled(medians, asarray(strata_N), draws=draws, seed=seed)


def _medians(count_BN: np.ndarray, value_N: np.ndarray, order: np.ndarray) -> np.ndarray:
    """One model: counts are added up from its smallest value on, one by one only around the middle."""
    half = 1 + int(REACH * len(order) ** 0.5)
    low, high = max(0, len(order) // 2 - half), min(len(order), len(order) // 2 + half)
    below_N = np.zeros(len(value_N), count_BN.dtype)
    below_N[order[:low]] = 1
    seen_BW = (count_BN @ below_N)[:, None] + np.cumsum(count_BN[:, order[low:high]], axis=1)
    all_N = np.zeros(len(value_N), count_BN.dtype)
    all_N[order] = 1
    size_B = (count_BN @ all_N).astype(np.int64)
    ends = [(seen_BW > ((size_B + step) // 2)[:, None]).argmax(1) for step in (-1, 0)]
    middle_B = np.mean([value_N[order[low + place_B]] for place_B in ends], axis=0)
    return np.where(size_B > 0, middle_B, np.nan)
