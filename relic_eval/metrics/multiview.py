"""Measures that need several augmented views of each image: LiDAR and alignment."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Real

from relic_eval.arrays import asarray, matrix
from relic_eval.errors import ArgumentError
from relic_eval.metrics.spectrum import BLOCK_BYTES, EQUAL, column_means, lengths, smooth_rank, unit_rows

DELTA = 1e-4  # added to the diagonal of the covariance within images
EPS = 1e-7  # added to each share of the spectrum, as in RankMe
LEAST = 1e-9  # of the largest variance within images: below it, rounding would show in the sixth digit


def lidar(x_NVD: Real[np.ndarray, "N *V D"], *, delta: float = DELTA) -> float:
    """Smooth rank of the LDA matrix whose classes are the images and whose members are their V views (Thilak et al. 2023).

    With m_i the mean of image i's views and m that of all m_i: B = mean of (m_i - m)(m_i - m)', W = mean over images and
    views of (x_iv - m_i)(x_iv - m_i)' + delta I. With l the eigenvalues of W^-1/2 B W^-1/2 and p = l / sum l + 1e-7:
    exp(-sum p log p), 1 to D. The plain picture is none of the views. `delta` is in the units of x squared: where views
    hardly differ beside it, the scale of x counts. NaN where all images have the same mean.
    Raises ArgumentError without several views, and where delta is lost in rounding beside views that are far apart.

    >>> x = np.array([[[1.0, 0], [3, 0]], [[-1, 0], [-3, 0]], [[0, 1], [0, 3]], [[0, -1], [0, -3]]])
    >>> round(lidar(x), 4)
    2.0
    """
    from scipy.linalg import cholesky, solve_triangular

    x_NVD = _views("x_NVD", x_NVD)
    if not 0 < delta < np.inf:
        raise ArgumentError("delta", "a number above 0", repr(delta), "1e-4 is usual.")
    images, views, dims = x_NVD.shape
    largest = max(float(x_NVD.max()), -float(x_NVD.min()))
    unit = 2.0 ** math.floor(math.log2(largest or 1.0))  # a power of two: squares neither overflow nor round
    few = (
        images * (views + 1) < dims
    )  # outside of the rows' span is delta alone, and nothing between images: turned away
    mean_ND, within_DD, away_RD = np.empty((images, dims)), np.zeros((0 if few else dims,) * 2), []
    for rows in _blocks(x_NVD):
        block = np.divide(x_NVD[rows], unit, dtype=np.float64)
        mean_ND[rows] = block.mean(1)
        block -= mean_ND[rows, None]
        away = block.reshape(-1, dims)
        if few:
            away_RD.append(away)
        else:
            within_DD += away.T @ away
    mean_ND -= column_means(mean_ND)
    if np.abs(mean_ND).max() <= EQUAL:
        return np.nan
    if few:
        turned_DR = np.asarray(np.linalg.qr(np.concatenate([*away_RD, mean_ND]).T, mode="r"))
        away, mean_ND = turned_DR.T[: images * views], turned_DR.T[images * views :]
        within_DD = away.T @ away
    within_DD /= images * views
    _add_delta(within_DD, delta, unit)
    z_DN = solve_triangular(cholesky(within_DD, lower=True, check_finite=False), mean_ND.T, lower=True)
    value_K = np.linalg.eigvalsh(z_DN.T @ z_DN if images < len(z_DN) else z_DN @ z_DN.T)
    # a rank of at most N - 1: what rounding leaves of the others is 0
    value_D = np.zeros(dims)
    value_D[: len(value_K)] = np.where(value_K > dims * np.finfo(float).eps * value_K[-1], value_K, 0.0)
    return smooth_rank(value_D, EPS)


def _add_delta(within_DD: np.ndarray, delta: float, unit: float) -> None:
    """Add `delta` to the diagonal of a covariance of rows divided by `unit`, in place and up to a factor.

    Raises ArgumentError where its rounding would count beside delta in a direction that views do not move along.
    """
    share = delta / unit / unit  # infinite for very small rows: delta alone is left of the sum
    added = 1 / (1 + 1 / share) if share else 0.0
    within_DD /= 1 + share
    within_DD[np.diag_indices(len(within_DD))] += added
    if added >= LEAST * np.trace(within_DD):
        return
    value_D = np.linalg.eigvalsh(within_DD)
    if value_D[0] < LEAST * value_D[-1]:
        needed = LEAST * float(value_D[-1]) * unit * unit
        raise ArgumentError(
            "delta",
            f"at least {needed:.1g} for views this far apart",
            repr(delta),
            "Divide the embeddings by their size, or raise delta.",
        )


def alignment(x_NVD: Real[np.ndarray, "N *V D"]) -> float:
    """Mean of |a - b|^2 over all pairs of views of one image, at unit length (Wang and Isola 2020, alpha 2): 0 to 4, low is alike.

    Raises ArgumentError without several views, and for a row of zeros, which has no direction.

    >>> alignment(np.array([[[2.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [5.0, 0.0]]]))
    1.0
    """
    x_NVD = _views("x_NVD", x_NVD)
    views, total = x_NVD.shape[1], 0.0
    for rows in _blocks(x_NVD):
        block = x_NVD[rows].reshape(-1, x_NVD.shape[2]).astype(np.float64)
        length = lengths(block)
        if (length == 0).any():
            image, view = divmod(int(np.flatnonzero(length == 0)[0]), views)
            raise ArgumentError("x_NVD", "no row of zeros", f"one in view {view} of image {rows.start + image}")
        unit = unit_rows(block, length).reshape(-1, views, x_NVD.shape[2])
        unit -= unit.mean(1, keepdims=True)
        total += float(np.einsum("nvd,nvd->", unit, unit))
    # the squared distances of all pairs add up to V times those from the mean
    return 2 * total / (len(x_NVD) * (views - 1))


def needs_views(received: str) -> ArgumentError:
    """The error of a measure of views that was given none.

    >>> raise needs_views("one row an image")
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: views: expected several augmented views of each image, received one row an image.
    This measure needs views: make them with 'relic-eval embed ENCODER --data DATA --views 10'.
    """
    return ArgumentError(
        "views",
        "several augmented views of each image",
        received,
        "This measure needs views: make them with 'relic-eval embed ENCODER --data DATA --views 10'.",
    )


def _views(name: str, value: np.ndarray) -> np.ndarray:
    x_NVD = asarray(value)
    if x_NVD.ndim == 2 or (x_NVD.ndim == 3 and x_NVD.shape[1] < 2):
        raise needs_views(f"one row an image (shape {x_NVD.shape})")
    if x_NVD.ndim != 3:
        raise ArgumentError(name, "images, views and columns", f"shape {x_NVD.shape}")
    if 0 in x_NVD.shape:
        raise ArgumentError(name, "at least one image and one column", f"shape {x_NVD.shape}")
    return matrix(name, x_NVD.reshape(-1, x_NVD.shape[2])).reshape(x_NVD.shape)


def _blocks(x_NVD: np.ndarray) -> list[slice]:
    step = max(1, BLOCK_BYTES // (8 * x_NVD[0].size))
    return [slice(start, start + step) for start in range(0, len(x_NVD), step)]
