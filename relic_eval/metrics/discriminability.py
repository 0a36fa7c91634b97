"""How far other classes are, compared with one's own: the inter/intra ratio of Euclidean distances, exact, in tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from relic_eval.arrays import labels, matrix, paired
from relic_eval.metrics.pairwise import MAX_MEMORY, tiles


@dataclass(frozen=True)
class Discriminability:
    """Ratios of mean distances, inter over intra; larger is more separable.

    Missing (NaN) where there is no second image of the class or no other class; infinite where a class has collapsed to
    one point.
    """

    ratio: float  # mean of all inter-class distances / mean of all intra-class distances
    ratio_C: np.ndarray  # the same over the images of one class
    ratio_N: np.ndarray  # the same for one image
    inter_N: np.ndarray  # mean distance of each image to those of other classes
    intra_N: np.ndarray  # to the other images of its class
    mean_NC: np.ndarray  # mean distance of each image to each class (its own: without itself)


def discriminability(
    x_ND: Real[np.ndarray, "N D"], y_N: Int[np.ndarray, " N"], *, max_memory: int = MAX_MEMORY
) -> Discriminability:
    """Ratio of inter- to intra-class Euclidean distance per image, per class and over all; never an N x N array.

    Each image meets every other once; the ratio over all is the mean over all pairs of different classes divided by the
    mean over all pairs of one class, so classes count by their number of pairs.

    >>> d = discriminability(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1]))
    >>> d.ratio, d.ratio_N.tolist()
    (5.0, [5.5, 4.5, 4.5, 5.5])
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    sum_NC, count_C = class_distance_sums(x_ND, y_N, max_memory=max_memory), np.bincount(y_N)
    rows = np.arange(len(y_N))
    intra_sum_N, own_N = sum_NC[rows, y_N], count_C[y_N] - 1
    others_NC = sum_NC.copy()
    others_NC[rows, y_N] = 0  # left out, not subtracted: a distant class would drown the rest
    inter_sum_N, other_N = others_NC.sum(1), len(y_N) - count_C[y_N]
    inter_C, other_C, intra_C, own_C = (
        np.bincount(y_N, weights=w_N, minlength=len(count_C)) for w_N in (inter_sum_N, other_N, intra_sum_N, own_N)
    )
    inter_N, intra_N = _divide(inter_sum_N, other_N), _divide(intra_sum_N, own_N)
    size_NC = np.tile(count_C, (len(y_N), 1))
    size_NC[rows, y_N] -= 1
    return Discriminability(
        ratio=float(_ratio(_divide(inter_C.sum(), other_C.sum()), _divide(intra_C.sum(), own_C.sum()))),
        ratio_C=_ratio(_divide(inter_C, other_C), _divide(intra_C, own_C)),
        ratio_N=_ratio(inter_N, intra_N),
        inter_N=inter_N,
        intra_N=intra_N,
        mean_NC=_divide(sum_NC, size_NC),
    )


def class_distance_sums(
    x_ND: Real[np.ndarray, "N D"], y_N: Int[np.ndarray, " N"], *, max_memory: int = MAX_MEMORY
) -> Float[np.ndarray, "N C"]:
    """Sum of the Euclidean distances of each row to the rows of each class, a block of rows at a time.

    >>> class_distance_sums(np.array([[0.0], [2.0], [7.0]]), np.array([0, 0, 1]))
    array([[ 2.,  7.],
           [ 2.,  5.],
           [12.,  0.]])
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    order = np.argsort(y_N, kind="stable")
    present, first = np.unique(y_N[order], return_index=True)
    sum_NC = np.zeros((len(y_N), int(y_N.max()) + 1))
    for part, distance_BN in tiles(x_ND[order], x_ND[order], max_memory=max_memory):
        sum_NC[np.ix_(order[part], present)] = np.add.reduceat(distance_BN, first, axis=1)
    return sum_NC


def _divide(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Means; NaN where there is nothing to average."""
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=np.asarray(count) > 0)


def _ratio(inter: np.ndarray, intra: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):  # x / 0 is a collapsed class, 0 / 0 is missing: as documented
        return np.divide(inter, intra)
