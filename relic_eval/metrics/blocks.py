"""Neighbour block matrix: the nearest neighbours of the images of a few classes among themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from relic_eval.arrays import labels, matrix, paired
from relic_eval.errors import ArgumentError
from relic_eval.metrics.neighbours import nearest


@dataclass(frozen=True)
class Blocks:
    """Neighbours of N images among themselves, in the order of the matrix; each row of a confusion sums to 1."""

    order_N: np.ndarray  # row of the input shown at each place: by superclass, then class, then as given
    y_N: np.ndarray  # class at each place
    index_NK: np.ndarray  # places of the k neighbours, nearest first
    distance_NK: np.ndarray  # Euclidean, in the units of the embedding
    purity_N: np.ndarray  # share of the k neighbours that are of the image's own class
    super_purity_N: np.ndarray | None  # of its own superclass
    confusion_CC: np.ndarray  # from the class of the image to the class of its neighbours
    super_confusion_SS: np.ndarray | None


def neighbour_blocks(
    x_ND: Real[np.ndarray, "N D"],
    y_N: Int[np.ndarray, " N"],
    *,
    k: int = 5,
    super_C: Int[np.ndarray, " C"] | None = None,
) -> Blocks:
    """The k nearest neighbours (Euclidean, self excluded) of each row, and where they fall (RELICv2's 5-NN figure).

    `super_C` is the number of the superclass of each class. Raises ArgumentError for k not below the number of rows.

    >>> b = neighbour_blocks(np.array([[0.0], [5.0], [1.0], [6.0]]), np.array([0, 1, 0, 1]), k=1)
    >>> b.order_N.tolist(), b.index_NK.ravel().tolist(), b.purity_N.tolist()
    ([0, 2, 1, 3], [1, 0, 3, 2], [1.0, 1.0, 1.0, 1.0])
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    classes = int(y_N.max()) + 1 if super_C is None else len(super_C)
    if y_N.max() >= classes:
        raise ArgumentError("super_C", f"a superclass for each of {int(y_N.max()) + 1} classes", f"{classes}")
    above_N = y_N if super_C is None else super_C[y_N]
    order_N = np.lexsort((y_N, above_N))
    shown_N, above_N = y_N[order_N], above_N[order_N]
    index_NK, distance_NK = nearest(x_ND[order_N], x_ND[order_N], k, similarity="euclid", exclude_self=True)
    found_NK, above_NK = shown_N[index_NK], above_N[index_NK]
    super_purity_N = super_confusion = None
    if super_C is not None:
        super_purity_N = (above_NK == above_N[:, None]).mean(1)
        super_confusion = confusion(above_N, above_NK, int(super_C.max()) + 1)
    purity_N = (found_NK == shown_N[:, None]).mean(1)
    confusion_CC = confusion(shown_N, found_NK, classes)
    return Blocks(order_N, shown_N, index_NK, distance_NK, purity_N, super_purity_N, confusion_CC, super_confusion)


def confusion(y_N: Int[np.ndarray, " N"], found_NK: Int[np.ndarray, "N K"], classes: int) -> Float[np.ndarray, "C C"]:
    """Share of the neighbours of each class that are of each class; NaN rows where a class has no image.

    >>> confusion(np.array([0, 1]), np.array([[0, 1], [1, 1]]), 2)
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    cell_NK = y_N[:, None] * classes + found_NK
    count_CC = np.bincount(cell_NK.ravel(), minlength=classes * classes).reshape(classes, classes).astype(np.float64)
    total_C = count_CC.sum(1, keepdims=True)
    return np.divide(count_CC, total_C, out=np.full_like(count_CC, np.nan), where=total_C > 0)
