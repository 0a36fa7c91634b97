"""How many directions an embedding uses: label-free measures of the spectrum of its rows, and how evenly they are spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from relic_eval.arrays import matrix
from relic_eval.errors import ArgumentError

BLOCK_BYTES = 64 << 20  # of any temporary array
TILE = 4096  # rows of a tile of pairs: 64 MiB of float32
RANKME_EPS = 1e-7  # added to each share, as published
FIRST, LAST = 4, 100  # ranks of the power law: those of alpha-ReQ's code, trange = arange(3, 100) from 0
EQUAL = 8 * float(np.finfo(np.float64).eps)  # of the largest entry: rows that differ by less are equal
DEAD = 1e-8  # of the mean variance of a column: at or below it a column says nothing


@dataclass(frozen=True)
class Spectrum:
    """Label-free measures of N rows of D columns. What is not defined (rows that are all equal) is NaN."""

    eigenvalue_R: np.ndarray  # of the covariance (over N - 1), largest first, R = min(N, D)
    rankme: float  # smooth rank of the singular values of the rows as they are, 1 to R
    effective_rank: float  # the same of the rows about their mean, without RankMe's epsilon
    participation_ratio: float  # (sum of eigenvalues)^2 / sum of their squares, 1 to R
    alpha_req: float  # exponent of the eigenvalues' decay over the ranks FIRST to LAST
    collapse: float  # share of the variance in the first direction, 1/R to 1
    dead: float  # share of columns that hardly vary


def spectrum(x_ND: Real[np.ndarray, "N D"]) -> Spectrum:
    """RankMe, effective rank, participation ratio, alpha-ReQ and collapse from one product of the rows in float64.

    The product has min(N, D) rows and columns. Singular values are square roots of its eigenvalues: those below about 1e-6
    of the largest are lost in rounding and count as 0. Sources: Garrido et al. 2023 (RankMe), Roy and Vetterli 2007
    (effective rank), Agrawal et al. 2022 (alpha-ReQ). Raises ArgumentError where float64 cannot hold the squares.

    >>> s = spectrum(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]]))
    >>> round(s.effective_rank, 6), round(s.participation_ratio, 6), s.collapse, s.dead
    (2.0, 2.0, 0.5, 0.0)
    """
    x_ND = matrix("x_ND", x_ND)
    largest = max(float(x_ND.max()), -float(x_ND.min()))
    if largest and not 1e-150 < largest < 1e150:
        raise ArgumentError(
            "x_ND", "a largest entry between 1e-150 and 1e150 in size", f"{largest:.3g}", "Scale the rows."
        )
    unit = 2.0 ** np.floor(np.log2(largest or 1.0))  # a power of two: squares neither overflow nor round
    about_RR, plain_RR, variance_D = _products(x_ND, unit)
    if variance_D.sum() <= x_ND.size * EQUAL**2:
        about_RR, variance_D = np.zeros_like(about_RR), np.zeros_like(variance_D)
    about_R, plain_R = _eigenvalues(about_RR), _eigenvalues(plain_RR)
    total, mean = about_R.sum(), variance_D.mean()
    return Spectrum(
        eigenvalue_R=about_R * unit**2 / max(len(x_ND) - 1, 1),
        rankme=smooth_rank(np.sqrt(plain_R), RANKME_EPS),
        effective_rank=smooth_rank(np.sqrt(about_R)),
        participation_ratio=float(total**2 / (about_R**2).sum()) if total else np.nan,
        alpha_req=power_law(about_R),
        collapse=float(about_R[0] / total) if total else np.nan,
        dead=float((variance_D <= DEAD * mean).mean()),
    )


def smooth_rank(value_R: Float[np.ndarray, " R"], eps: float = 0.0) -> float:
    """exp(-sum p log p) of the shares p = value / sum + eps: how many equal values would be as even. NaN where all are 0.

    >>> smooth_rank(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    total = value_R.sum()
    if not total > 0:
        return np.nan
    share_R = value_R / total + eps
    share_R = share_R[share_R > 0]
    return float(np.exp(-(share_R * np.log(share_R)).sum()))


def power_law(eigenvalue_R: Float[np.ndarray, " R"], first: int = FIRST, last: int = LAST) -> float:
    """The exponent a of eigenvalue ~ rank^-a, fitted over the ranks `first` to `last`, or to the last that is above 0.

    Least squares of log eigenvalue on log rank with weights 1 / rank, as in alpha-ReQ's code. NaN with fewer than three ranks.

    >>> round(power_law(np.arange(1.0, 201.0) ** -1.5), 6)
    1.5
    """
    last = min(last, int((eigenvalue_R > 0).sum()))
    if last - first < 2:
        return np.nan
    rank = np.arange(first, last + 1)
    # numpy.polyfit squares its weights
    return -float(np.polyfit(np.log(rank), np.log(eigenvalue_R[rank - 1]), 1, w=rank**-0.5)[0])


def uniformity(x_ND: Real[np.ndarray, "N D"]) -> float:
    """log of the mean of exp(-2 |a - b|^2) over all pairs of rows of unit length (Wang and Isola 2020): at most 0, low is even.

    Exact, in tiles. NaN for a single row.
    Raises ArgumentError for a row of zeros, which has no direction.

    >>> round(uniformity(np.array([[1.0, 0.0], [-3.0, 0.0]])), 6)
    -8.0
    """
    x_ND = matrix("x_ND", x_ND)
    n, length_N = len(x_ND), lengths(x_ND)
    if (length_N == 0).any():
        zeros = np.flatnonzero(length_N == 0)
        raise ArgumentError(
            "x_ND", "no row of zeros", f"{len(zeros)} (the first is row {zeros[0]})", "Leave these rows out."
        )
    if n < 2:
        return np.nan
    tiles, total = [slice(start, start + TILE) for start in range(0, n, TILE)], 0.0
    for number, rows in enumerate(tiles):
        a = unit_rows(x_ND[rows], length_N[rows])
        for columns in tiles[number:]:
            b = a if columns is rows else unit_rows(x_ND[columns], length_N[columns])
            tile = a @ b.T
            tile -= 1  # |a - b|^2 = 2 - 2ab
            tile *= 4
            if columns is rows:
                np.fill_diagonal(tile, -np.inf)
            total += float(np.exp(tile, out=tile).sum(dtype=np.float64)) * (1 if columns is rows else 2)
    return min(0.0, float(np.log(total / (n * (n - 1)))))


def lengths(x_ND: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " N"]:
    """Length of each row in float64.

    >>> lengths(np.array([[3.0, 4.0]]))
    array([5.])
    """
    out = np.empty(len(x_ND))
    for rows in blocks(*x_ND.shape):
        block = x_ND[rows].astype(np.float64)
        most = np.abs(block).max(1, keepdims=True)  # squares of very large or small entries have no place in float64
        most[most == 0] = 1
        block /= most
        out[rows] = np.sqrt(np.einsum("nd,nd->n", block, block)) * most[:, 0]
    return out


def unit_rows(x_ND: Float[np.ndarray, "N D"], length_N: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N D"]:
    """Rows divided by their lengths, in the rows' own precision.

    >>> unit_rows(np.array([[3.0, 4.0]]), np.array([5.0]))
    array([[0.6, 0.8]])
    """
    return np.divide(x_ND, length_N[:, None], dtype=np.float64).astype(x_ND.dtype, copy=False)


def column_means(x_ND: Float[np.ndarray, "N D"]) -> Float[np.ndarray, " D"]:
    """Mean of each column in float64, right to the last digit: a long sum rounds at every step, and what it missed is added.

    >>> float(column_means(np.full((1000, 1), 0.1))[0])
    0.1
    """
    mean_D = x_ND.mean(0, dtype=np.float64)
    rest_D = np.zeros_like(mean_D)
    for rows in blocks(*x_ND.shape):
        rest_D += np.subtract(x_ND[rows], mean_D, dtype=np.float64).sum(0)
    return mean_D + rest_D / len(x_ND)


def blocks(rows: int, columns: int) -> list[slice]:
    """Slices of rows that are worked on together.

    >>> blocks(3, 2)
    [slice(0, 4194304, None)]
    """
    step = max(1, BLOCK_BYTES // (8 * columns))
    return [slice(start, start + step) for start in range(0, rows, step)]


def _products(x_ND: np.ndarray, unit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products along the longer side of the rows about their mean, of the rows as they are, and each column's squares."""
    tall = x_ND.shape[0] >= x_ND.shape[1]
    long = x_ND if tall else x_ND.T
    mean_D = column_means(x_ND) / unit
    size = long.shape[1]
    about_RR, along_R, square_D = np.zeros((size, size)), np.zeros(size), np.empty(x_ND.shape[1])
    for part in blocks(*long.shape):
        block = np.divide(long[part], unit, dtype=np.float64, order="C")
        block -= mean_D if tall else mean_D[part, None]
        about_RR += block.T @ block
        if not tall:
            along_R += mean_D[part] @ block
            square_D[part] = np.einsum("dn,dn->d", block, block)
    if tall:
        return about_RR, about_RR + len(x_ND) * np.outer(mean_D, mean_D), np.diag(about_RR)
    return about_RR, about_RR + along_R + along_R[:, None] + mean_D @ mean_D, square_D


def _eigenvalues(product_RR: np.ndarray) -> np.ndarray:
    """Largest first; what rounding leaves of those that are 0 is 0."""
    value_R = np.linalg.eigvalsh(product_RR)[::-1]
    return np.where(value_R > len(value_R) * np.finfo(float).eps * value_R[0], value_R, 0.0)
