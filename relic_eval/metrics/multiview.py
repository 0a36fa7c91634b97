"""Measures that need several augmented views of each image: LiDAR and alignment."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Real, Shaped

from relic_eval.arrays import asarray, matrix
from relic_eval.errors import ArgumentError
from relic_eval.metrics.spectrum import BLOCK_BYTES, EQUAL, lengths, smooth_rank, unit_rows

DELTA = 1e-4  # added to the diagonal of the covariance within images
EPS = 1e-7  # added to each share of the spectrum, as in RankMe


def lidar(x_NVD: Real[np.ndarray, "N *V D"], *, delta: float = DELTA) -> float:
    """Smooth rank of the LDA matrix whose classes are the images and whose members are their V views (Thilak et al. 2023).

    With m_i the mean of image i's views and m that of all m_i: B = mean of (m_i - m)(m_i - m)', W = mean over images and
    views of (x_iv - m_i)(x_iv - m_i)' + delta I. With l the eigenvalues of W^-1/2 B W^-1/2 and p = l / sum l + 1e-7:
    exp(-sum p log p), 1 to D. The plain picture is none of the views. `delta` is in the units of x squared: where views
    hardly differ beside it, the scale of x counts. NaN where all images have the same mean.
    Raises ArgumentError without several views.

    >>> x = np.array([[[1.0, 0], [3, 0]], [[-1, 0], [-3, 0]], [[0, 1], [0, 3]], [[0, -1], [0, -3]]])
    >>> round(lidar(x), 4)
    2.0
    """
    from scipy.linalg import eigh

    x_NVD = _views("x_NVD", x_NVD)
    if not delta > 0:
        raise ArgumentError("delta", "a number above 0", repr(delta), "1e-4 is usual.")
    images, views, dims = x_NVD.shape
    mean_ND, within_DD = np.empty((images, dims)), np.zeros((dims, dims))
    for rows in _blocks(x_NVD):
        block = x_NVD[rows].astype(np.float64)
        mean_ND[rows] = block.mean(1)
        block -= mean_ND[rows, None]
        away = block.reshape(-1, dims)
        within_DD += away.T @ away
    within_DD /= images * views
    within_DD[np.diag_indices(dims)] += delta
    mean_ND -= mean_ND.mean(0)
    if np.abs(mean_ND).max() <= EQUAL * max(float(x_NVD.max()), -float(x_NVD.min())):
        return np.nan
    between_DD = mean_ND.T @ mean_ND / images
    value_D = eigh(between_DD, within_DD, eigvals_only=True, check_finite=False)
    # a rank of at most N - 1: what rounding leaves of the others is 0
    return smooth_rank(np.where(value_D > dims * np.finfo(float).eps * value_D[-1], value_D, 0.0), EPS)


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


def by_view(
    x_MD: Real[np.ndarray, "M D"], image_M: Shaped[np.ndarray, " _"], view_M: Shaped[np.ndarray, " _"]
) -> Float[np.ndarray, "N V D"]:
    """Rows with the image and the view that each is of, as (images, views, columns), both in ascending order.

    Raises ArgumentError where an image lacks a view or has one twice.

    >>> by_view(np.array([[3.0], [1.0], [2.0], [4.0]]), np.array(["b", "a", "a", "b"]), np.array([1, 1, 2, 2]))[:, :, 0]
    array([[1., 2.],
           [3., 4.]])
    """
    x_MD, image_M, view_M = matrix("x_MD", x_MD), asarray(image_M), asarray(view_M)
    for name, value_M in (("image_M", image_M), ("view_M", view_M)):
        if value_M.shape != (len(x_MD),):
            raise ArgumentError(name, f"one for each of {len(x_MD)} rows", f"shape {value_M.shape}")
    (images, place_M), (views, number_M) = (np.unique(v, return_inverse=True) for v in (image_M, view_M))
    count_NV = np.bincount(place_M * len(views) + number_M, minlength=len(images) * len(views))
    if (count_NV != 1).any():
        image, view = divmod(int(np.flatnonzero(count_NV != 1)[0]), len(views))
        times = count_NV[image * len(views) + view]
        raise ArgumentError(
            "view_M", "each view of each image once", f"view {views[view]} of image {images[image]} {times} times"
        )
    return x_MD[np.lexsort((number_M, place_M))].reshape(len(images), len(views), -1)


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
