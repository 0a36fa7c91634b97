"""Intervals: Wilson for counts, and the paired, stratified bootstrap as matrix products."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

Z95 = 1.959963984540054
BLOCK_BYTES = 64 << 20
FEWEST = 5  # images a stratum: in smaller ones a resample hardly varies, and intervals come out far too narrow


def wilson(right: float | int | np.number, n: int) -> tuple[float, float]:
    """95% interval of a share: `right` of `n` (Wilson 1927); right may be fractional.

    >>> tuple(round(v, 4) for v in wilson(8, 10))
    (0.4902, 0.9433)
    """
    p, z2 = float(right) / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5
    # at no or all right the ends are 0 and 1 by the formula, and only rounding would say otherwise
    return (0.0 if p == 0 else max(0.0, middle - half)), (1.0 if p == 1 else min(1.0, middle + half))


def resample_counts(strata_N: Int[np.ndarray, " N"], draws: int, seed: int) -> Iterator[Float[np.ndarray, "B N"]]:
    """How often each row is in each of `draws` bootstrap samples, in blocks; each stratum keeps its size.

    Where a stratum has fewer than FEWEST rows all rows are resampled as one.
    float32, for matrix products: sums of whole numbers are exact in it, so that a perfect score stays one.

    >>> [float(c.sum()) for c in resample_counts(np.array([0, 0, 1]), 5, seed=0)]
    [15.0]
    """
    rng, n = np.random.default_rng(seed), len(strata_N)
    if np.unique(strata_N, return_counts=True)[1].min() < FEWEST:
        strata_N = np.zeros(n, int)
    members = [np.flatnonzero(strata_N == s) for s in np.unique(strata_N)]
    block = max(1, min(draws, BLOCK_BYTES // (8 * n)))
    for start in range(0, draws, block):
        count = min(block, draws - start)
        count_BN = np.empty((count, n), np.float32)
        for rows in members:
            picks = rng.integers(0, len(rows), (count, len(rows))) + np.arange(count)[:, None] * len(rows)
            count_BN[:, rows] = np.bincount(picks.ravel(), minlength=count * len(rows)).reshape(count, -1)
        yield count_BN


def paired_bootstrap(
    values_MTN: Shaped[np.ndarray, "M T N"], strata_N: Int[np.ndarray, " N"], *, draws: int = 10_000, seed: int = 0
) -> Float[np.ndarray, "M B"]:
    """Resampled means of M models on the same N images, with the same weights for all models.

    Where there are T > 1 training draws they are resampled too, together with the images (both are samples).

    >>> paired_bootstrap(np.ones((2, 1, 4)), np.zeros(4, int), draws=3).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    models, trains, _ = values_MTN.shape
    rng, parts = np.random.default_rng([seed, 1]), []
    values = values_MTN.reshape(models * trains, -1)
    whole = values.dtype == bool or np.array_equal(values, values.astype(np.int32))
    values = np.ascontiguousarray(values, np.float32 if whole else np.float64)
    for count_BN in resample_counts(strata_N, draws, seed):
        sum_MTB = (values @ count_BN.T.astype(values.dtype, copy=False)).reshape(models, trains, -1)
        if trains > 1:
            train_TB = rng.multinomial(trains, np.full(trains, 1 / trains), len(count_BN)).T
            parts.append((sum_MTB * train_TB).sum(1) / trains)
        else:
            parts.append(sum_MTB[:, 0].astype(np.float64))
    return np.concatenate(parts, 1) / len(strata_N)


def two_sided_p(value: float, samples_B: Float[np.ndarray, " B"]) -> float:
    """How likely a difference at least as large is by chance, from the spread of its resamples (normal approximation).

    >>> round(two_sided_p(1.96, np.array([-1.0, 1.0])), 3)
    0.05
    """
    spread = float(samples_B.std())
    if spread == 0:
        return 1.0 if value == 0 else 0.0
    return math.erfc(abs(value) / spread / 2**0.5)


def holm(p_M: Float[np.ndarray, " M"], level: float = 0.05) -> Shaped[np.ndarray, " M"]:
    """Which of M hypotheses are rejected so that one false rejection among all is no likelier than `level` (Holm 1979).

    >>> holm(np.array([0.04, 0.001, 0.02])).tolist()
    [True, True, True]
    >>> holm(np.array([0.04, 0.001, 0.03])).tolist()
    [False, True, False]
    """
    order = np.argsort(p_M, kind="stable")
    passed = p_M[order] <= level / np.arange(len(p_M), 0, -1)
    rejected = np.empty(len(p_M), bool)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected


def interval(samples: Float[np.ndarray, "*batch B"]) -> tuple[Any, Any]:
    """2.5% and 97.5% percentiles along the last axis.

    >>> interval(np.arange(101.0))
    (np.float64(2.5), np.float64(97.5))
    """
    low, high = np.percentile(samples, [2.5, 97.5], axis=-1)
    return low, high
