"""Intervals: Wilson for counts, and the paired, stratified bootstrap as matrix products."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int, Real, Shaped

from relic_eval.errors import ArgumentError

Z95 = 1.959963984540054
MAX_MEMORY = 64 << 20  # bytes of the weights of one block of draws and of the picks they are counted from, together


def wilson(correct: float, n: int) -> tuple[float, float]:
    """95% interval of the share `correct` / n (Wilson 1927); `correct` may be a fraction. Raises ArgumentError for n < 1.

    >>> tuple(round(v, 4) for v in wilson(8, 10))
    (0.4902, 0.9433)
    """
    if n < 1 or not 0 <= correct <= n:
        raise ArgumentError("correct", "0 to n of at least one image", f"{correct} of {n}")
    p, z2 = float(correct) / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap_weights(strata_N: Int[np.ndarray, " N"], draws: int, seed: int) -> Iterator[Float[np.ndarray, "B N"]]:
    """Weights (counts / N, float32) of `draws` bootstrap samples in blocks; each stratum keeps its size.

    The same seed and strata give the same weights whatever the blocks. A mean of a sample is values_N @ weight_N.

    >>> [w.shape for w in bootstrap_weights(np.array([0, 0, 1]), 5, seed=0)]
    [(5, 3)]
    """
    n = len(strata_N)
    if n < 1 or draws < 1:
        raise ArgumentError("strata_N and draws", "at least one image and one draw", f"{n} and {draws}")
    rng, members = np.random.default_rng(seed), [np.flatnonzero(strata_N == s) for s in np.unique(strata_N)]
    block = max(1, min(draws, MAX_MEMORY // (16 * n)))
    for start in range(0, draws, block):
        count = min(block, draws - start)
        pick_BN, column = rng.random((count, n), np.float32), 0  # draw by draw, so that blocks change nothing
        weight_BN = np.empty((count, n), np.float32)
        offset = np.arange(count)[:, None]
        for rows in members:
            size = len(rows)
            pick = (pick_BN[:, column : column + size] * size).astype(np.int64)
            np.minimum(pick, size - 1, out=pick)
            weight_BN[:, rows] = np.bincount((pick + offset * size).ravel(), minlength=count * size).reshape(count, -1)
            column += size
        weight_BN /= n
        yield weight_BN


def paired_bootstrap(
    values: Shaped[np.ndarray, M *TN], strata_N: Int[np.ndarray, " N"], draws: int = 10_000, seed: int = 0
) -> Float[np.ndarray, "M B"]:
    """Resampled means of M models on the same N images, with one set of weights for all models.

    `values` is (M, N), or (M, T, N) with T training draws, which are then resampled too, for all models alike: the mean is
    w_T' V w_N (both are samples: Owen 2007).

    >>> paired_bootstrap(np.ones((2, 4)), np.zeros(4, int), draws=3).tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    if values.ndim not in (2, 3) or values.shape[-1] != len(strata_N):
        expected = f"(M, {len(strata_N)}) or (M, T, {len(strata_N)})"
        raise ArgumentError(
            "values", expected, f"shape {values.shape}", "One value an image, in the order of the strata."
        )
    models, trains = len(values), values.shape[1] if values.ndim == 3 else 1
    flat_RN = np.ascontiguousarray(values, np.float64).reshape(models * trains, -1)
    middle_R = flat_RN.mean(1, keepdims=True)  # what is left is small: products in float32 lose nothing that matters
    rest_RN = (flat_RN - middle_R).astype(np.float32)
    rng, mean_MB, done = np.random.default_rng([seed, trains]), np.empty((models, draws)), 0
    for weight_BN in bootstrap_weights(strata_N, draws, seed):
        mean_MTB = ((rest_RN @ weight_BN.T) + middle_R).reshape(models, trains, -1)
        block = slice(done, done + len(weight_BN))
        if trains > 1:
            train_BT = rng.multinomial(trains, np.full(trains, 1 / trains), size=len(weight_BN)) / trains
            mean_MB[:, block] = np.einsum("mtb,bt->mb", mean_MTB, train_BT)
        else:
            mean_MB[:, block] = mean_MTB[:, 0]
        done += len(weight_BN)
    return mean_MB


def interval(samples: Real[np.ndarray, "*batch B"]) -> tuple[Float[np.ndarray, "*batch"], Float[np.ndarray, "*batch"]]:
    """2.5% and 97.5% percentiles along the last axis: the 95% interval of resampled means.

    >>> low, high = interval(np.arange(101.0))
    >>> float(low), float(high)
    (2.5, 97.5)
    """
    low, high = np.percentile(samples, [2.5, 97.5], axis=-1)
    return np.asarray(low), np.asarray(high)
