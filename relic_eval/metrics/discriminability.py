"""How far other classes are, compared with one's own: the inter/intra ratio of Euclidean distances, exact, in tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from relic_eval.arrays import labels, matrix, paired

BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Discriminability:
    """Ratios of mean distances, inter over intra. Missing (NaN) where there is no second image or no other class."""

    ratio: float  # mean of all inter-class distances / mean of all intra-class distances
    ratio_C: np.ndarray
    ratio_N: np.ndarray
    inter_N: np.ndarray  # mean distance of each image to those of other classes
    intra_N: np.ndarray  # to the other images of its class
    mean_NC: np.ndarray  # mean distance of each image to each class (its own: without itself)


def discriminability(x_ND: Float[np.ndarray, "N D"], y_N: Int[np.ndarray, " N"]) -> Discriminability:
    """Ratio of inter- to intra-class Euclidean distance per image, per class and over all; never an N x N array.

    The default reading of RELICv2's figure: the mean of all inter-class over the mean of all intra-class distances.

    >>> d = discriminability(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1]))
    >>> d.ratio, d.ratio_N.tolist()
    (5.0, [5.5, 4.5, 4.5, 5.5])
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    sum_NC, count_C = class_distance_sums(x_ND, y_N), np.bincount(y_N)
    own_N = count_C[y_N] - 1
    rows = np.arange(len(y_N))
    intra_sum_N = sum_NC[rows, y_N]
    inter_sum_N = sum_NC.sum(1) - intra_sum_N
    other_N = len(y_N) - count_C[y_N]
    intra_N, inter_N = _divide(intra_sum_N, own_N), _divide(inter_sum_N, other_N)
    per_class = [
        np.bincount(y_N, weights=w, minlength=len(count_C)) for w in (inter_sum_N, other_N, intra_sum_N, own_N)
    ]
    ratio_C = _divide(_divide(per_class[0], per_class[1]), _divide(per_class[2], per_class[3]))
    ratio = _divide(_divide(inter_sum_N.sum(), other_N.sum()), _divide(intra_sum_N.sum(), own_N.sum()))
    mean_NC = _divide(sum_NC, count_C[None])
    mean_NC[rows, y_N] = intra_N
    return Discriminability(float(ratio), ratio_C, _divide(inter_N, intra_N), inter_N, intra_N, mean_NC)


def class_distance_sums(x_ND: Float[np.ndarray, "N D"], y_N: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N C"]:
    """Sum of the Euclidean distances of each row to the rows of each class, in blocks of rows.

    >>> class_distance_sums(np.array([[0.0], [2.0], [7.0]]), np.array([0, 0, 1]))
    array([[ 2.,  7.],
           [ 2.,  5.],
           [12.,  0.]])
    """
    import torch

    classes = int(y_N.max()) + 1
    order = np.argsort(y_N, kind="stable")
    ends = np.searchsorted(y_N[order], np.arange(classes), side="right")
    # about the mean and in float64: |a|^2 + |b|^2 - 2ab loses what is small beside the distance from the origin
    x = torch.from_numpy(np.ascontiguousarray(x_ND[order], np.float64))
    x -= x.mean(0)
    norm = (x * x).sum(1)
    sums = np.zeros((len(x), classes))
    rows = max(1, BLOCK_BYTES // (8 * len(x)))
    for start in range(0, len(x), rows):
        block = slice(start, start + rows)
        square = torch.addmm(norm[block, None] + norm[None], x[block], x.T, alpha=-2)
        here = torch.arange(start, start + len(square))
        square[here - start, here] = 0.0
        running = torch.nn.functional.pad(square.clamp_min_(0).sqrt_().cumsum(1), (1, 0)).numpy()
        edges = running[:, np.concatenate([[0], ends])]
        sums[order[block]] = np.diff(edges, axis=1)
    return sums


def _divide(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 0)
