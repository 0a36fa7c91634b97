"""Neighbour block matrix: the nearest neighbours of images of a few classes among themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from relic_eval.arrays import labels, matrix, paired
from relic_eval.metrics.neighbours import nearest


@dataclass(frozen=True)
class Blocks:
    """Neighbours of N images among themselves. Shares are of the k neighbours; each row of a confusion sums to 1."""

    index_NK: np.ndarray
    distance_NK: np.ndarray  # Euclidean, in the units of the embedding
    purity_N: np.ndarray  # share of the k neighbours that are of the image's own class
    confusion_CC: np.ndarray  # from the class of the image to the class of its neighbours


def neighbour_blocks(
    x_ND: Float[np.ndarray, "N D"], y_N: Int[np.ndarray, " N"], *, k: int = 5, classes: int | None = None
) -> Blocks:
    """The k nearest neighbours (Euclidean, self excluded) of each row, and where they fall (RELICv2, figure of 5-NN).

    >>> b = neighbour_blocks(np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1]), k=1)
    >>> b.purity_N, b.confusion_CC
    (array([1., 1., 1., 1.]), array([[1., 0.],
           [0., 1.]]))
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    classes = classes or int(y_N.max()) + 1
    index_NK, distance_NK = nearest(x_ND, x_ND, k, similarity="euclid", exclude_self=True)
    found_NK = y_N[index_NK]
    return Blocks(index_NK, distance_NK, (found_NK == y_N[:, None]).mean(1), confusion(y_N, found_NK, classes))


def confusion(y_N: Int[np.ndarray, " N"], found_NK: Int[np.ndarray, "N K"], classes: int) -> Float[np.ndarray, "C C"]:
    """Share of the neighbours of each class that are of each class; NaN rows where a class has no image.

    >>> confusion(np.array([0, 1]), np.array([[0, 1], [1, 1]]), 2)
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    count_CC = np.zeros((classes, classes))
    np.add.at(count_CC, (y_N[:, None], found_NK), 1)
    total_C = count_CC.sum(1, keepdims=True)
    return np.divide(count_CC, total_C, out=np.full_like(count_CC, np.nan), where=total_C > 0)
