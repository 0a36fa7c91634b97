"""Squared distances in tiles, as products where these are accurate and by differences where they are not.

|a - b|^2 = |a|^2 + |b|^2 - 2ab is the product of (-2a, 1, |a|^2) and (b, |b|^2, 1): one product, and no pass over the tile after
it. It loses what is small beside |a|^2 + |b|^2. Rows are therefore taken about their mean, and pairs whose squared distance is
below a bound (`_bound`) of |a|^2 + |b|^2 are worked out again in float64: a tile with many of them as a product about one
of its own rows, and what is below the float64 bound then, or was rare, by differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from relic_eval.arrays import labels, matrix, paired
from relic_eval.errors import ArgumentError

SIDE = 512  # rows of a tile: its distances stay in the cache of a core
CACHE_BYTES = 4 << 20  # of rows in float64 that are worked on together
MANY = 1 / 64  # share of a tile from which on another product is faster than differences
ROUNDING = {4: 1e-7, 8: 2e-16}  # of a product over D columns, times sqrt(D), by bytes of a number
WANTED = {4: 1e-4, 8: 1e-8}  # relative error of a squared distance
MOST_WAITING = 1 << 16  # pairs that wait for their differences
FLOOR = 1e-24  # squares below it, of float32 rows with entries about 1, are close to what float32 cannot hold
MOST_CLASSES = 1_000_000


@dataclass(frozen=True)
class Points:
    """Rows as they were given and what each is multiplied by: nothing is copied until a block of them is taken."""

    x_ND: np.ndarray
    factor_N1: np.ndarray | None = None

    def take(self, rows: np.ndarray | slice) -> Any:
        """These rows in float64, a tensor of its own."""
        import torch

        if self.x_ND.flags.c_contiguous and self.x_ND.flags.writeable and self.x_ND.dtype.itemsize <= 8:
            some = torch.from_numpy(self.x_ND)
            x = (
                some[rows].to(torch.float64, copy=True)
                if isinstance(rows, slice)
                else some[torch.from_numpy(rows)].double()
            )
        else:  # torch warns of read-only memory, though nothing here writes to it, and knows no negative strides
            x = torch.from_numpy(self.x_ND[rows].astype(np.float64))
        return x if self.factor_N1 is None else x.mul_(torch.from_numpy(self.factor_N1[rows]))

    def blocks(self, n: int | None = None) -> Iterator[tuple[int, int]]:
        """Start and stop of rows that are worked on together, of `n` or of all."""
        n, step = len(self.x_ND) if n is None else n, max(1, CACHE_BYTES // (8 * self.x_ND.shape[1]))
        yield from ((start, min(start + step, n)) for start in range(0, n, step))


@dataclass(frozen=True)
class Block:
    """Some rows x about a common centre, in the dtype of the products: (x, |x|^2, 1), and turned (-2x, 1, |x|^2)."""

    x: Any
    norm: Any  # |x|^2
    points: Points
    rows: np.ndarray

    def turned(self) -> Block:
        """The other factor of `squares`; a copy."""
        import torch

        return Block(torch.cat([-2 * self.x[:, :-2], self.x[:, [-1, -2]]], 1), self.norm, self.points, self.rows)

    def part(self, start: int, stop: int) -> Block:
        """Rows from start to stop."""
        return Block(self.x[start:stop], self.norm[start:stop], self.points, self.rows[start:stop])

    @cached_property
    def largest(self) -> float:
        """The largest squared length."""
        return float(self.norm.max())


def points(x_ND: Float[np.ndarray, "N D"]) -> tuple[Points, float]:
    """Rows and the power of two that they are multiplied by, 1 unless squares of them could leave the range of float32.

    Raises ArgumentError where float64 could not hold the squares either.

    >>> points(np.array([[3.0, -5.0]]))[1], points(np.array([[1e30, 1.0]]))[1] < 1e-29
    (1.0, True)
    """
    largest = max(float(x_ND.max()), -float(x_ND.min()))
    if largest == 0 or 1e-3 < largest < 1e6:
        return Points(x_ND), 1.0
    if not 1e-150 < largest < 1e150:
        raise ArgumentError(
            "x_ND", "a largest entry between 1e-150 and 1e150 in size", f"{largest:.3g}", "Scale the rows."
        )
    factor = 2.0 ** -int(np.frexp(largest)[1])
    return Points(x_ND, np.full((len(x_ND), 1), factor)), float(factor)


def prepared(given: Points, rows: np.ndarray | slice, centre_D: Any, size: int | None = None) -> Block:
    """These rows about `centre_D`, in numbers of `size` bytes (4 or 8): by default float32 where they are, else float64.

    >>> prepared(Points(np.array([[1.0], [4.0]])), np.array([1]), 2.0).norm.tolist()
    [4.0]
    """
    import torch

    kind = "float32" if (size or given.x_ND.dtype.itemsize) == 4 else "float64"
    n, dims = rows.stop - rows.start if isinstance(rows, slice) else len(rows), given.x_ND.shape[1]
    # NumPy asks for large pages, without which a product over many rows takes a quarter longer
    x = torch.from_numpy(np.empty((n, dims + 2), kind))
    x[:, -1] = 1
    for start, stop in given.blocks(n):
        part = slice(rows.start + start, rows.start + stop) if isinstance(rows, slice) else rows[start:stop]
        x[start:stop, :-2] = given.take(part).sub_(centre_D)
        x[start:stop, -2] = x[start:stop, :-2].square().sum(1)
    return Block(x, x[:, -2].clone(), given, np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows)


def squares(a: Block, b: Block, skip: Any = None, out: Any = None) -> Any:
    """Squared distances of the rows of `a` to those of `b`, a tensor (A, B) of their dtype, float64 where it has to be.

    One of the two is `turned`. `skip`: a column for each row whose number is not wanted (the row itself): it comes out as
    infinity. `out`: a tensor of A x B numbers or more that is written over.

    >>> x = Points(np.array([[1000.0], [1000.001]]))
    >>> a = prepared(x, np.arange(2), 0.0)
    >>> round(float(squares(a, a.turned())[0, 1]), 9)
    1e-06
    """
    s, near_P2 = _products(a, b, skip, out)
    for start, stop in a.points.blocks(len(near_P2)):
        i, j = near_P2[start:stop].T
        off = _differences(a.points, a.rows[i.numpy()], b.points, b.rows[j.numpy()])
        if s.itemsize == 4 and bool(((off > 0) & (off < FLOOR)).any()):
            s = s.double()
        s[i, j] = off.to(s.dtype)
    return s


def class_distance_sums(
    x_ND: Shaped[np.ndarray, "N D"], y_N: Shaped[np.ndarray, " N"], classes: int | None = None
) -> Float[np.ndarray, "N C"]:
    """Sum of the Euclidean distances of each row to the rows of each class: each pair once, in tiles, never N x N.

    >>> class_distance_sums(np.array([[0.0], [2.0], [7.0]]), np.array([0, 0, 1]))
    array([[ 2.,  7.],
           [ 2.,  5.],
           [12.,  0.]])
    """
    import torch

    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    classes, n = class_count(y_N, classes), len(y_N)
    given, factor = points(x_ND)
    order = np.argsort(y_N, kind="stable")
    rows = prepared(given, order, mean(given))
    blocks = [(s, rows.part(s, s + SIDE), *_members(y_N[order[s : s + SIDE]])) for s in range(0, n, SIDE)]
    # class by class, images in order of class: what a tile adds is contiguous then, and all it costs is its products
    sums_CN, tile = torch.from_numpy(np.zeros((classes, n))), torch.empty(SIDE * SIDE, dtype=rows.x.dtype)
    near = _Near(given, order, torch.from_numpy(y_N[order]), sums_CN)
    for number, (at_a, a, first_a, in_a) in enumerate(blocks):
        turned = a.turned()
        for at_b, b, first_b, in_b in blocks[number:]:
            itself = torch.arange(len(a.rows)) if a is b else None
            d, near_P2 = _products(turned, b, itself, tile)
            near.take(d, near_P2, at_a, at_b)
            d.sqrt_()
            if itself is not None:
                d.fill_diagonal_(0)
            sums_CN[first_b : first_b + len(in_b), at_a : at_a + len(d)].add_(in_b.to(d.dtype) @ d.T)
            if itself is None:
                sums_CN[first_a : first_a + len(in_a), at_b : at_b + d.shape[1]].add_(in_a.to(d.dtype) @ d)
    near.add()
    del rows, blocks, a, b, turned
    if factor != 1:
        sums_CN /= factor
    sums_NC = np.empty((n, classes))
    for start in range(0, n, SIDE):
        sums_NC[order[start : start + SIDE]] = sums_CN[:, start : start + SIDE].T.contiguous().numpy()
    return sums_NC


def mean(given: Points) -> Any:
    """Mean of all rows in float64, a tensor (D,).

    >>> mean(Points(np.array([[1.0], [4.0]]))).tolist()
    [2.5]
    """
    return sum(given.take(np.arange(start, stop)).sum(0) for start, stop in given.blocks()) / len(given.x_ND)


def class_count(y_N: Int[np.ndarray, " N"], classes: int | None = None) -> int:
    """How many classes there are: `classes`, or one more than the largest label. Raises ArgumentError for larger labels.

    >>> class_count(np.array([0, 2])), class_count(np.array([0, 2]), 4)
    (3, 4)
    """
    largest = int(y_N.max()) + 1
    if largest > (MOST_CLASSES if classes is None else classes):
        bound = MOST_CLASSES if classes is None else classes
        raise ArgumentError(
            "y_N", f"class numbers below {bound:,}", f"{largest - 1:,}", "Number the classes from 0 on."
        )
    return largest if classes is None else classes


class _Near:
    """Pairs too near for products, of all tiles: their differences are worked out many at a time and added to the sums."""

    def __init__(self, given: Points, order: np.ndarray, class_N: Any, sums_CN: Any):
        self.given, self.order, self.class_N, self.sums_CN = given, order, class_N, sums_CN
        self.pairs: list[Any] = []
        self.waiting = 0

    def take(self, s: Any, near_P2: Any, at_a: int, at_b: int) -> None:
        """Keep these pairs of a tile for later, and make them 0 in it."""
        if not len(near_P2):
            return
        s[near_P2[:, 0], near_P2[:, 1]] = 0
        if at_a == at_b:  # a tile on the diagonal holds each pair twice, and rounding may have kept one of the two
            near_P2 = near_P2.sort(1).values.unique(dim=0)
            s[near_P2[:, 1], near_P2[:, 0]] = s[near_P2[:, 0], near_P2[:, 1]] = 0
        self.pairs.append(near_P2 + near_P2.new_tensor([at_a, at_b]))
        self.waiting += len(near_P2)
        if self.waiting > MOST_WAITING:
            self.add()

    def add(self) -> None:
        """Add the distances of the pairs that wait to the sums of both."""
        import torch

        i, j = torch.cat([torch.empty(0, 2, dtype=torch.long), *self.pairs]).T
        for start, stop in self.given.blocks(len(i)):
            p, q = i[start:stop], j[start:stop]
            d = _differences(self.given, self.order[p.numpy()], self.given, self.order[q.numpy()]).sqrt_()
            self.sums_CN.index_put_((self.class_N[q], p), d, accumulate=True)
            self.sums_CN.index_put_((self.class_N[p], q), d, accumulate=True)
        self.pairs, self.waiting = [], 0


def _products(a: Block, b: Block, skip: Any, out: Any) -> tuple[Any, Any]:
    """What `squares` gives, by products alone, and the pairs (P, 2) that are too near for them: these need differences."""
    import torch

    shape = len(a.rows), len(b.rows)
    s = torch.empty(shape, dtype=a.x.dtype) if out is None else out[: shape[0] * shape[1]].view(shape)
    torch.mm(a.x, b.x.T, out=s)
    if skip is not None:
        s.scatter_(1, skip[:, None], torch.inf)
    none = torch.empty(0, 2, dtype=torch.long)
    bound, floor = _bound(s.dtype.itemsize, a.x.shape[1]), FLOOR if s.dtype == torch.float32 else 0.0
    # one look at each row says whether any pair of it can be below the bound
    least = s.amin(1).div_(bound).sub_(a.norm)
    if float(least.min()) >= b.largest + floor / bound:
        return s, none
    low = (least < b.largest + floor / bound).nonzero()[:, 0]
    below = (s[low] < (a.norm[low, None] + b.norm) * bound + floor).nonzero()
    if len(below) == 0:
        return s, none
    below[:, 0] = low[below[:, 0]]
    if len(below) <= MANY * s.numel():
        return s, below
    own_a, own_b = a.points.take(a.rows), b.points.take(b.rows)
    centre = own_a[0].clone()
    own_a -= centre
    own_b -= centre
    norm = (own_a * own_a).sum(1)[:, None] + (own_b * own_b).sum(1)
    s = torch.addmm(norm, own_a, own_b.T, alpha=-2)
    if skip is not None:
        s.scatter_(1, skip[:, None], torch.inf)
    return s, (s < norm * _bound(8, a.x.shape[1])).nonzero()


def _differences(a: Points, a_P: np.ndarray, b: Points, b_P: np.ndarray) -> Any:
    """Squared distances of rows `a_P` to rows `b_P`, pair by pair, in float64, a tensor (P,)."""
    return a.take(a_P).sub_(b.take(b_P)).square_().sum(1)


def _bound(size: int, columns: int) -> float:
    """Share of |a|^2 + |b|^2 from which on a squared distance by a product is accurate, by bytes of a number."""
    return min(0.25, ROUNDING[size] * columns**0.5 / WANTED[size])


def _members(y_R: np.ndarray) -> tuple[int, Any]:
    """The first class of rows in order of class, and which row is of which class from there on, a tensor (classes, R)."""
    import torch

    place = torch.from_numpy(y_R - y_R[0])[None]
    return int(y_R[0]), torch.zeros(int(y_R[-1] - y_R[0]) + 1, len(y_R)).scatter_(0, place, 1.0)
