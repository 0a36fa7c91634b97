"""RELIC's linear discriminability ratio, for each ordered pair of classes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

from relic_eval.metrics.centroids import Moments, table_squares
from relic_eval.metrics.readings import checked, divide, own_squares, scaled_moments


def fisher(
    x_ND: Shaped[np.ndarray, "N D"],
    y_N: Shaped[np.ndarray, " N"],
    *,
    normalised: bool = False,
    classes: int | None = None,
) -> Float[np.ndarray, "C C"]:
    """F(k, k') = |m_k - m_k'|^2 / sum over i, j in class k of |x_i - x_j|^2, with class means m.

    The sum is over all ordered pairs, so the scale depends on the size of the class and on that of the features;
    `normalised` takes the mean over pairs of two images instead. NaN on the diagonal, and where the sum is 0 or a class has
    no image. Mitrovic et al. 2021 (arXiv 2010.07922), section 5.

    >>> fisher(np.array([[0.0], [2.0], [10.0], [14.0]]), np.array([0, 0, 1, 1])).tolist()
    [[nan, 15.125], [3.78125, nan]]
    """
    x_ND, y_N, count_C, _ = checked(x_ND, y_N, "fisher", "squared", classes)
    m, _ = scaled_moments(x_ND, y_N, "squared")
    (square_N,) = own_squares(m)
    within_K = 2 * m.count_K * np.bincount(m.own_N, square_N)
    if normalised:
        within_K = divide(within_K, m.count_K * (m.count_K - 1.0))
    pair_CC = np.full((len(count_C), len(count_C)), np.nan)
    for start, block_RK in table_squares(m.mean_KD, m.mean_KD):
        rows = np.arange(start, start + len(block_RK))
        block_RK[rows - start, rows] = np.nan
        pair_CC[np.ix_(m.class_K[rows], m.class_K)] = divide(block_RK, within_K[rows, None])
    return pair_CC


def between(m: Moments) -> Float[np.ndarray, " K"]:
    """Mean squared distance of the mean of each class to those of the others.

    >>> between(scaled_moments(np.array([[0.0], [2.0], [8.0]]), np.array([0, 1, 2]), "squared")[0])
    array([34., 20., 50.])
    """
    sum_K = np.concatenate([block_RK.sum(1) for _, block_RK in table_squares(m.mean_KD, m.mean_KD)])
    return divide(sum_K, np.full(len(sum_K), len(sum_K) - 1))
