"""Intervals: Wilson for counts, and the paired, stratified bootstrap as matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

Z95 = 1.959963984540054
BLOCK_BYTES = 64 << 20


def wilson(right: float | int | np.number, n: int) -> tuple[float, float]:
    """95% interval of a share: `right` of `n` (Wilson 1927); right may be fractional.

    >>> tuple(round(v, 4) for v in wilson(8, 10))
    (0.4902, 0.9433)
    """
    p, z2 = float(right) / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def resample_weights(strata_N: Int[np.ndarray, " N"], draws: int, seed: int) -> Iterator[Float[np.ndarray, "B N"]]:
    """Weights of `draws` bootstrap samples in blocks, each stratum keeping its size; each row of weights sums to 1.

    >>> [w.shape for w in resample_weights(np.array([0, 0, 1]), 5, seed=0)]
    [(5, 3)]
    """
    rng, n = np.random.default_rng(seed), len(strata_N)
    members = [np.flatnonzero(strata_N == s) for s in np.unique(strata_N)]
    block = max(1, min(draws, BLOCK_BYTES // (8 * n)))
    for start in range(0, draws, block):
        count = min(block, draws - start)
        weight_BN = np.empty((count, n), np.float32)
        for rows in members:
            picks = rng.integers(0, len(rows), (count, len(rows))) + np.arange(count)[:, None] * len(rows)
            weight_BN[:, rows] = np.bincount(picks.ravel(), minlength=count * len(rows)).reshape(count, -1)
        weight_BN /= n
        yield weight_BN


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
    values = np.ascontiguousarray(values_MTN, np.float32).reshape(models * trains, -1)
    for weight_BN in resample_weights(strata_N, draws, seed):
        mean_MTB = (values @ weight_BN.T).reshape(models, trains, -1)
        if trains > 1:
            train_TB = rng.multinomial(trains, np.full(trains, 1 / trains), len(weight_BN)).T / trains
            parts.append((mean_MTB * train_TB).sum(1))
        else:
            parts.append(mean_MTB[:, 0])
    return np.concatenate(parts, 1).astype(np.float64)


def interval(samples: Float[np.ndarray, "*batch B"]) -> tuple[Any, Any]:
    """2.5% and 97.5% percentiles along the last axis.

    >>> interval(np.arange(101.0))
    (np.float64(2.5), np.float64(97.5))
    """
    low, high = np.percentile(samples, [2.5, 97.5], axis=-1)
    return low, high
