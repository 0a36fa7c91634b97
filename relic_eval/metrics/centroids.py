"""Classes by their centroids: squared distances in closed form, O(N D C), each as accurate as float64 differences allow.

The mean of |x - a|^2 over the images a of a class is |x - m|^2 + V, with m their mean and V their mean squared distance to
it; the cosine distance of two rows is half the squared distance of the two at unit length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from relic_eval.errors import ArgumentError
from relic_eval.metrics.distances import Points, points, prepared, squares

TILE_BYTES = 2 << 20  # of distances that are worked on together


@dataclass(frozen=True)
class Moments:
    """Rows (as given, at unit length, or multiplied by a power of two) and the means of their classes.

    Only classes with images are here, numbered anew in order: `class_K` says which they are.
    """

    given: Points
    own_N: np.ndarray  # number of each image's class among those that are here
    class_K: np.ndarray
    count_K: np.ndarray
    mean_KD: Any  # float64, a tensor

    @property
    def middle_D(self) -> Any:
        """Mean of all rows."""
        import torch

        return torch.from_numpy(self.count_K.astype(float)) @ self.mean_KD / len(self.own_N)


def unit(x_ND: Float[np.ndarray, "N D"]) -> Points:
    """Rows at unit length. Raises ArgumentError for rows of zeros: how many, and which first.

    >>> unit(np.array([[3.0, 4.0]])).take(np.array([0])).numpy().round(6).tolist()
    [[0.6, 0.8]]
    """
    import torch

    given, factor = points(x_ND)
    length_N = np.empty(len(x_ND))
    for start, stop in given.blocks():
        length_N[start:stop] = torch.linalg.vector_norm(given.take(slice(start, stop)), dim=1)
    none = np.flatnonzero(length_N == 0)
    if len(none):
        raise ArgumentError(
            "x_ND",
            "no row of zeros with cosine",
            f"{len(none)} (the first is row {none[0]})",
            "Leave these rows out or use metric='euclid'.",
        )
    return Points(x_ND, (factor / length_N)[:, None])


def moments(given: Points, y_N: Int[np.ndarray, " N"]) -> Moments:
    """Mean of each class, by sums in float64.

    >>> m = moments(Points(np.array([[0.0], [2.0], [7.0]])), np.array([0, 0, 4]))
    >>> m.class_K.tolist(), m.mean_KD.tolist()
    ([0, 4], [[1.0], [7.0]])
    """
    import torch

    class_K, own_N, count_K = np.unique(y_N, return_inverse=True, return_counts=True)
    order = np.argsort(own_N, kind="stable")
    mean_KD = torch.zeros(len(class_K), given.x_ND.shape[1], dtype=torch.float64)
    for start, stop in given.blocks():
        rows = order[start:stop]
        k = own_N[rows]
        among = torch.zeros(int(k[-1] - k[0]) + 1, len(rows), dtype=torch.float64)  # which row is of which class
        among[torch.from_numpy(k - k[0]), torch.arange(len(rows))] = 1
        mean_KD[k[0] : k[-1] + 1] += among @ given.take(rows)
    mean_KD /= torch.from_numpy(count_K)[:, None]
    return Moments(given, own_N, class_K, count_K, mean_KD)


def others(table_KD: Any, weight_K: Float[np.ndarray, " K"], middle_D: Any) -> Any:
    """For each row of a table, the weighted mean of all other rows, summed about `middle_D`; itself where none has weight.

    >>> import torch
    >>> others(torch.tensor([[0.0], [2.0], [8.0]]).double(), np.array([1.0, 1.0, 2.0]), 0.0).tolist()
    [[6.0], [5.333...], [1.0]]
    """
    import torch

    weight, off_KD = torch.from_numpy(weight_K), table_KD - middle_D
    rest = (weight.sum() - weight)[:, None]
    return torch.where(rest > 0, (weight @ off_KD - weight[:, None] * off_KD) / rest + middle_D, table_KD)


def squares_to(given: Points, tables: Sequence[Any], own_N: Int[np.ndarray, " N"]) -> list[Float[np.ndarray, " N"]]:
    """Squared distance of each row to its own row of each table, by float64 differences, in one pass.

    >>> import torch
    >>> squares_to(Points(np.array([[1.0], [5.0]])), [torch.tensor([[2.0]]).double()], np.array([0, 0]))
    [array([1., 9.])]
    """
    import torch

    square_2N = [np.empty(len(own_N)) for _ in tables]
    own = torch.from_numpy(own_N)
    for start, stop in given.blocks():
        rows = given.take(slice(start, stop))
        for table_KD, square_N in zip(tables, square_2N, strict=True):
            off = torch.index_select(table_KD, 0, own[start:stop])
            square_N[start:stop] = off.sub_(rows).square_().sum(1)
    return square_2N


def table_squares(a_KD: Any, b_KD: Any) -> Iterator[tuple[int, Float[np.ndarray, "R K"]]]:
    """Squared distances of the rows of a table to those of another, 0 at equal numbers: blocks of rows, and where each starts.

    >>> import torch
    >>> x = torch.tensor([[1.0], [7.0]]).double()
    >>> [(start, block.tolist()) for start, block in table_squares(x, x)]
    [(0, [[0.0, 36.0], [36.0, 0.0]])]
    """
    import torch

    middle_D = b_KD.mean(0)
    every = slice(0, len(a_KD))
    a, b = (prepared(Points(t.numpy()), every, middle_D) for t in (a_KD, b_KD))
    b = b.turned()
    step = max(16, TILE_BYTES // (2 * len(a_KD)))
    for start in range(0, len(a_KD), step):
        rows = a.part(start, start + step)
        itself = torch.from_numpy(rows.rows)
        yield start, squares(rows, b, itself).scatter_(1, itself[:, None], 0.0).numpy()


def to_classes(
    m: Moments,
    table_KD: Any,
    spread_K: Float[np.ndarray, " K"],
    scale: float,
    root: bool,
    own_value_N: Float[np.ndarray, " N"],
    weight_K: Float[np.ndarray, " K"],
) -> tuple[Float[np.ndarray, "N K"], Float[np.ndarray, " N"]]:
    """scale (|x - t|^2 + spread), or its root, of each row and each row t of a table; `own_value_N` at that of its class.

    Also the sum of these over the other classes, times their weights. Products and values are float32 where the rows are.

    >>> m = moments(Points(np.array([[0.0], [2.0], [7.0]])), np.array([0, 0, 1]))
    >>> to_classes(m, m.mean_KD, np.zeros(2), 1.0, False, np.array([1.0, 1.0, 0.0]), np.ones(2))
    (array([[ 1., 49.],
           [ 1., 25.],
           [36.,  0.]]), array([49., 25., 36.]))
    """
    import torch

    size = 4 if m.given.x_ND.dtype.itemsize == 4 else 8
    n, classes = len(m.own_N), len(table_KD)
    value_NK = np.empty((n, classes), f"f{size if scale in (0.5, 1) else 8}")  # float32 might not hold others
    other_N = np.empty(n)
    middle_D = m.middle_D
    centroids = prepared(Points(table_KD.numpy()), slice(0, classes), middle_D, size).turned()
    weight, spread, own = (torch.from_numpy(a) for a in (weight_K, spread_K, m.own_N[:, None]))
    own_value = torch.from_numpy(own_value_N[:, None])
    step = max(16, TILE_BYTES // (4 * classes))
    # the products go into memory that is in the cache: into new memory they would wait for its pages
    tile, exact = (torch.empty(step, classes, dtype=kind) for kind in (centroids.x.dtype, torch.float64))
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        near = prepared(m.given, part, middle_D, size)
        block = exact[: part.stop - start].copy_(squares(near, centroids, own[part, 0], tile.view(-1)))
        block.scatter_(1, own[part], 0.0).add_(spread)
        if scale != 1:
            block.mul_(scale)
        if root:
            block.sqrt_()
        block.scatter_(1, own[part], 0.0)
        torch.mv(block, weight, out=torch.from_numpy(other_N[part]))
        torch.from_numpy(value_NK[part]).copy_(block.scatter_(1, own[part], own_value[part]))
    return value_NK, other_N
