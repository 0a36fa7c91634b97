"""Exact nearest neighbours: FAISS where it is installed, blocked products in torch elsewhere, the same lists from both.

Each backend only proposes, in float32: its k + 16 best candidates are ranked again in float64 from the rows as they were
given, by (score, index). Where a row that was left out could still belong to the k nearest, because the float32 scores are
too close to tell, the query's list is widened. So neither rounding nor the order of equal rows depends on the backend.
All proposals are inner products: of unit rows (cosine), or with -|x|^2 / 2 as one more column, which orders rows as their
Euclidean distance does. Training rows and queries are taken in blocks, so that memory grows with neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from relic_eval import devices
from relic_eval.arrays import matrix, whole
from relic_eval.errors import ArgumentError, look_up
from relic_eval.metrics.candidates import propose, searcher

MARGIN = 16
MAX_MEMORY = 512 << 20
PASS_BYTES = 8 << 20  # of the rows that a thread turns into float64 together; less where max_memory is small
RANK_BYTES = 2 << 20  # of the rows that a thread ranks together: what its cache holds is ranked fastest
ROUNDING = 1.2e-7  # a column: two float32 sums of D products are at most D * ROUNDING apart from what they should be
CHAIN = 512  # columns that add up their errors; of more, BLAS sums pieces, and errors grow as their root
SUM_COLUMNS = 8192  # einsum takes longer rows apart where its buffer ends: equal rows would get unequal sums
SMALLEST, LARGEST = 1e-140, 1e140  # squares of other numbers leave float64
TINY, HUGE = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)  # beyond, float32 has 0 and infinity
SIMILARITIES = {"cosine": "cosine", "euclid": "euclid", "inner": "inner"}


def nearest(
    train_ND: Float[np.ndarray, "N D"],
    query_QD: Float[np.ndarray, "Q D"],
    k: int,
    *,
    similarity: str = "cosine",
    exclude_self: bool = False,
    backend: str | None = None,
    device: str = "cpu",
    max_memory: int = MAX_MEMORY,
) -> tuple[Int[np.ndarray, "Q k"], Float[np.ndarray, "Q k"]]:
    """Indices of the k nearest training rows of each query, best first, and their similarity (or Euclidean distance).

    With `exclude_self` query i is training row i and is left out. `backend` is "faiss" or "torch"; None takes FAISS where
    it is installed and works on `device` ("cpu", "auto", "cuda", "cuda:1"). `max_memory` bounds, in bytes, what is held beside
    the inputs, the result and 32 bytes a row of both; input that is neither float32 nor float64 is copied first. Raises
    ArgumentError for k larger than the rows, rows of zeros with cosine, NaN or infinity, scores that leave float32, a device
    or backend that is not there.

    >>> nearest(np.array([[0.0], [1.0], [5.0]]), np.array([[0.9]]), 2, similarity="euclid")[0]
    array([[1, 0]])
    """
    look_up("similarity", similarity, SIMILARITIES)
    train, query = matrix("train_ND", train_ND), matrix("query_QD", query_QD)
    if train.shape[1] != query.shape[1]:
        raise ArgumentError("query_QD", f"{train.shape[1]} columns like train_ND", f"{query.shape[1]}")
    if exclude_self and len(query) > len(train):
        raise ArgumentError("query_QD", f"at most {len(train)} rows with exclude_self", f"{len(query)}")
    k, available = whole("k", k, 1), len(train) - exclude_self
    if k > available:
        raise ArgumentError("k", f"1 to {available}, the rows there are to find", f"{k}")
    quarter = whole("max_memory", max_memory, 1) // 4
    pass_bytes = min(PASS_BYTES, quarter // (4 * _threads_there()))
    search = searcher(backend, devices.device(device), quarter)
    space = _space(train, query, similarity, pass_bytes)
    index_QK, score_QK = np.empty((len(query), k), np.int64), np.empty((len(query), k), np.float32)
    blocks = _blocks(train, space, max_memory // 3)  # the rest is for what FAISS, BLAS and the allocator keep
    row_bytes = 4 * (train.shape[1] + 1)
    todo, width = np.arange(len(query)), min(k + exclude_self + MARGIN, len(train))
    while len(todo):
        unsure = []
        for part in _parts(len(todo), max_memory // 6 // (row_bytes + 80 * width)):
            own = todo[part]
            prepared = _prepare(query[own], None if space.norm_Q is None else space.norm_Q[own], space, is_query=True)
            near = propose(blocks(), prepared, width, search)
            last_Q, lowest_Q = _rank(train, query, own, near, space, exclude_self, index_QK, score_QK)
            if width < len(train):
                unsure.append(own[_unsure(last_Q, lowest_Q, space.reach_Q[own], train.shape[1], space)])
        todo, width = np.concatenate(unsure) if unsure else todo[:0], min(width * 4, len(train))
    return index_QK, score_QK


@dataclass(frozen=True)
class _Space:
    """How rows become float32 so that it neither cancels nor overflows: a common factor changes no order."""

    similarity: str
    middle_D: np.ndarray  # of the training rows with Euclid
    factor: float  # the largest entry about the middle; 1 with cosine
    norm_N: np.ndarray | None  # lengths of training rows and queries with cosine
    norm_Q: np.ndarray | None
    reach_Q: np.ndarray  # what the rounding of a query's scores is proportional to
    pass_bytes: int  # of the rows that a thread turns into float64 together


def _space(train: np.ndarray, query: np.ndarray, similarity: str, pass_bytes: int) -> _Space:
    middle_D = np.zeros(train.shape[1])
    if similarity == "cosine":
        norm_N, norm_Q = _norms(train, middle_D, pass_bytes), _norms(query, middle_D, pass_bytes)
        for name, norm in (("train_ND", norm_N), ("query_QD", norm_Q)):
            if (norm == 0).any():
                count, first = int((norm == 0).sum()), int(np.flatnonzero(norm == 0)[0])
                received = f"{count} (the first is row {first})"
                hint = "Leave these rows out or use similarity='euclid'."
                raise ArgumentError(name, "no row of zeros with cosine", received, hint)
            _in_range(name, norm.min(), norm.max())
        return _Space(similarity, middle_D, 1.0, norm_N, norm_Q, np.ones(len(query)), pass_bytes)
    ends = []
    for name, x in (("train_ND", train), ("query_QD", query)):
        ends += _ends(x, pass_bytes)
        size = max(float(np.abs(e).max()) for e in ends)
        _in_range(name, size or 1.0, size or 1.0)
    if similarity == "euclid":
        middle_D = sum(_threads(lambda r: train[r].sum(0, dtype=np.float64), _passes(train, pass_bytes))) / len(train)
    factor = max(float(np.abs(e - middle_D).max()) for e in ends) or 1.0
    reach_Q = _norms(query, middle_D, pass_bytes)
    if similarity == "inner":
        reach_Q = reach_Q * _norms(train, middle_D, pass_bytes).max()
    largest = reach_Q.max() if similarity == "inner" else 2 * train.shape[1] ** 0.5 * factor
    if largest > HUGE or 0 < largest < TINY:  # the scores would be infinity, or 0 for all
        expected = (
            f"{'products' if similarity == 'inner' else 'distances'} that float32 holds, {TINY:.0e} to {HUGE:.0e}"
        )
        raise ArgumentError("train_ND", expected, f"up to {largest:.3g}", "Scale the features.")
    return _Space(similarity, middle_D, factor, None, None, reach_Q, pass_bytes)


def _ends(x: np.ndarray, pass_bytes: int) -> list[np.ndarray]:
    """The largest and the smallest entry of each column, pass by pass."""
    pairs = _threads(lambda rows: (x[rows].max(0), x[rows].min(0)), _passes(x, pass_bytes))
    return [end_D for pair in pairs for end_D in pair]


def _in_range(name: str, low: float, high: float) -> None:
    if low < SMALLEST or high > LARGEST:
        received = f"{low if low < SMALLEST else high:.3g}"
        raise ArgumentError(name, f"sizes from {SMALLEST} to {LARGEST}", received, "Scale the features.")


def _norms(x: np.ndarray, middle_D: np.ndarray, pass_bytes: int) -> np.ndarray:
    """Length of each row about the middle in float64, shape (N,)."""

    def norms(rows: slice) -> np.ndarray:
        row = np.subtract(x[rows], middle_D, order="C")
        with np.errstate(over="ignore"):  # said by _in_range
            return np.sqrt(_sums("nd,nd->n", row, row))

    return np.concatenate(_threads(norms, _passes(x, pass_bytes)))


def _parts(count: int, most: int) -> list[slice]:
    """Slices of equal length, at most `most`, over `count` rows."""
    length = math.ceil(count / math.ceil(count / max(1, most)))
    return [slice(start, min(start + length, count)) for start in range(0, count, length)]


def _passes(x: np.ndarray, pass_bytes: int) -> list[slice]:
    return _parts(len(x), pass_bytes // (8 * x.shape[1]))


def _threads(work: Callable[[slice], Any], parts: list[slice]) -> list[Any]:
    """What `work` returns for each part, over as many threads as torch takes; NumPy lets go of the lock on large arrays."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(_threads_there()) as pool:
        return list(pool.map(work, parts))


def _threads_there() -> int:
    import torch

    return torch.get_num_threads()


def _blocks(train: np.ndarray, space: _Space, memory: int) -> Callable[[], Iterator[tuple[int, np.ndarray]]]:
    """Prepared training rows, block by block in one buffer; where all fit they are prepared once."""
    columns = train.shape[1] + (space.similarity == "euclid")
    parts = _parts(len(train), memory // (4 * columns))
    buffer = np.empty((parts[0].stop, columns), np.float32)
    ready = False

    def each() -> Iterator[tuple[int, np.ndarray]]:
        nonlocal ready
        for part in parts:
            out = buffer[: part.stop - part.start]
            if not ready:
                _prepare(train[part], None if space.norm_N is None else space.norm_N[part], space, out=out)
            ready = len(parts) == 1
            yield part.start, out

    return each


def _prepare(
    x: np.ndarray, norm_N: np.ndarray | None, space: _Space, out: np.ndarray | None = None, is_query: bool = False
) -> np.ndarray:
    """float32 rows in C order for the search: products with them are in the order of the scores of a query."""
    dims, euclid = x.shape[1], space.similarity == "euclid"
    out = np.empty((len(x), dims + euclid), np.float32) if out is None else out

    def fill(rows: slice) -> None:
        row = x[rows] - space.middle_D
        row /= space.factor if norm_N is None else norm_N[rows, None]
        out[rows, :dims] = row
        if euclid:  # the order of q.x - |x|^2 / 2 is that of the distance
            out[rows, dims] = 1 if is_query else np.einsum("nd,nd->n", row, row) / -2

    _threads(fill, _passes(x, space.pass_bytes))
    return out


def _unsure(last_Q: np.ndarray, lowest_Q: np.ndarray, reach_Q: np.ndarray, dims: int, space: _Space) -> np.ndarray:
    """Which queries may have a better row outside of their candidates: the float32 error could hide it."""
    # a row at a distance of at most d from the query is no longer than it and d together
    if space.similarity == "euclid":
        reach_Q = (2 * reach_Q + np.sqrt(-last_Q)) ** 2
    rounding = ROUNDING * (min(dims, (dims * CHAIN) ** 0.5) + 16)  # 16: rows, too, are rounded
    vanished = 16 * dims * TINY * space.factor**2  # of entries and products that float32 has as 0
    return last_Q - lowest_Q <= rounding * reach_Q + vanished


def _rank(train, query, own_Q, near_QW, space, exclude_self, index_QK, score_QK):
    """Writes the k best candidates by (score, index); returns the last one's score and the lowest of all of each query."""
    k, last_Q, lowest_Q = index_QK.shape[1], np.empty(len(own_Q)), np.empty(len(own_Q))

    def rank(part: slice) -> None:
        own, near = own_Q[part], np.sort(near_QW[part], axis=1)
        score = _exact(train, query[own], near, space)
        if space.norm_N is not None:
            score /= space.norm_N[near] * space.norm_Q[own, None]
        if exclude_self:
            score[near == own[:, None]] = np.nan  # sorted to the end
        order = np.argsort(-score, axis=1, kind="stable")[:, :k]  # equal scores stay in the order of their index
        best = np.take_along_axis(score, order, 1)
        index_QK[own] = np.take_along_axis(near, order, 1)
        score_QK[own] = np.sqrt(-best) if space.similarity == "euclid" else best
        last_Q[part], lowest_Q[part] = best[:, -1], np.nanmin(score, axis=1)

    _threads(rank, _parts(len(own_Q), min(256, space.pass_bytes // (40 * near_QW.shape[1]))))
    return last_Q, lowest_Q


def _exact(train: np.ndarray, query: np.ndarray, near_QW: np.ndarray, space: _Space) -> np.ndarray:
    """Scores (Q, W) in float64: the product, or minus the squared distance by differences, which never cancel.

    Each pair is summed on its own along its columns, so that equal rows get equal scores wherever they stand.
    """
    score = np.empty(near_QW.shape)
    columns = max(1, min(RANK_BYTES, space.pass_bytes) // (8 * train.shape[1]))
    rows = max(1, columns // near_QW.shape[1])
    for start in range(0, len(near_QW), rows):
        q = query[start : start + rows].astype(np.float64, order="C")
        for left in range(0, near_QW.shape[1], columns):
            place = np.s_[start : start + rows, left : left + columns]
            x = train[near_QW[place]].astype(np.float64, order="C")
            if space.similarity == "euclid":
                x -= q[:, None]
                score[place] = -_sums("qwd,qwd->qw", x, x)
            else:
                score[place] = _sums("qwd,qd->qw", x, q)
    return score


def _sums(subscripts: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sums over the columns of products, alike for equal rows of arrays in C order."""
    starts = range(0, a.shape[-1], SUM_COLUMNS)
    pieces = [np.einsum(subscripts, a[..., s : s + SUM_COLUMNS], b[..., s : s + SUM_COLUMNS]) for s in starts]
    return sum(pieces[1:], pieces[0])
