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
PASS_BYTES = 8 << 20  # of the rows that a thread turns into float64 together
RANK_BYTES = 2 << 20  # of the rows that a thread ranks together: what its cache holds is ranked fastest
ROUNDING = 2e-6  # relative error of a float32 product, and of one with many columns: ROUNDING_A_COLUMN * sqrt(D)
ROUNDING_A_COLUMN = 1e-7
SMALLEST, LARGEST = 1e-140, 1e140  # squares of other numbers leave float64
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
    the inputs and the result; input that is neither float32 nor float64 is copied first. Raises ArgumentError for k larger
    than the rows, rows of zeros with cosine, NaN or infinity, a device or backend that is not there.

    >>> nearest(np.array([[0.0], [1.0], [5.0]]), np.array([[0.9]]), 2, similarity="euclid")[0]
    array([[1, 0]])
    """
    look_up("similarity", similarity, SIMILARITIES)
    train, query = matrix("train_ND", train_ND), matrix("query_QD", query_QD)
    if train.shape[1] != query.shape[1]:
        raise ArgumentError("query_QD", f"{train.shape[1]} columns like train_ND", f"{query.shape[1]}")
    if exclude_self and len(query) > len(train):
        raise ArgumentError("query_QD", f"at most {len(train)} rows with exclude_self", f"{len(query)}")
    available = len(train) - exclude_self
    if not 1 <= k <= available:
        raise ArgumentError("k", f"1 to {available}, the rows there are to find", f"{k}")
    quarter = whole("max_memory", max_memory, 1) // 4
    search = searcher(backend, devices.device(device), quarter)
    space = _space(train, query, similarity)
    index_QK, score_QK = np.empty((len(query), k), np.int64), np.empty((len(query), k), np.float32)
    blocks, row_bytes = _blocks(train, space, 2 * quarter), 4 * (train.shape[1] + 1)
    todo, width = np.arange(len(query)), min(k + exclude_self + MARGIN, len(train))
    while len(todo):
        unsure = []
        for part in _parts(len(todo), quarter // (row_bytes + 80 * width)):
            own = todo[part]
            prepared = _prepare(query[own], None if space.norm_Q is None else space.norm_Q[own], space, is_query=True)
            near = propose(blocks(), prepared, width, search)
            last_Q, lowest_Q = _rank(train, query, own, near, space, exclude_self, index_QK, score_QK)
            if width < len(train):
                unsure.append(own[_unsure(last_Q, lowest_Q, space.reach_Q[own], train.shape[1], similarity)])
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


def _space(train: np.ndarray, query: np.ndarray, similarity: str) -> _Space:
    middle_D = np.zeros(train.shape[1])
    if similarity == "cosine":
        norm_N, norm_Q = _norms(train, middle_D), _norms(query, middle_D)
        for name, norm in (("train_ND", norm_N), ("query_QD", norm_Q)):
            if (norm == 0).any():
                count, first = int((norm == 0).sum()), int(np.flatnonzero(norm == 0)[0])
                received = f"{count} (the first is row {first})"
                hint = "Leave these rows out or use similarity='euclid'."
                raise ArgumentError(name, "no row of zeros with cosine", received, hint)
            _in_range(name, norm.min(), norm.max())
        return _Space(similarity, middle_D, 1.0, norm_N, norm_Q, np.ones(len(query)))
    ends = []
    for name, x in (("train_ND", train), ("query_QD", query)):
        ends += _ends(x)
        size = max(float(np.abs(e).max()) for e in ends)
        _in_range(name, size or 1.0, size or 1.0)
    if similarity == "euclid":
        middle_D = sum(_threads(lambda r: train[r].sum(0, dtype=np.float64), _passes(train))) / len(train)
    factor = max(float(np.abs(e - middle_D).max()) for e in ends) or 1.0
    reach_Q = _norms(query, middle_D)
    if similarity == "inner":
        reach_Q = reach_Q * _norms(train, middle_D).max()
    return _Space(similarity, middle_D, factor, None, None, reach_Q)


def _ends(x: np.ndarray) -> list[np.ndarray]:
    """The largest and the smallest entry of each column, pass by pass."""
    pairs = _threads(lambda rows: (x[rows].max(0), x[rows].min(0)), _passes(x))
    return [end_D for pair in pairs for end_D in pair]


def _in_range(name: str, low: float, high: float) -> None:
    if low < SMALLEST or high > LARGEST:
        received = f"{low if low < SMALLEST else high:.3g}"
        raise ArgumentError(name, f"sizes from {SMALLEST} to {LARGEST}", received, "Scale the features.")


def _norms(x: np.ndarray, middle_D: np.ndarray) -> np.ndarray:
    """Length of each row about the middle in float64, shape (N,)."""

    def norms(rows: slice) -> np.ndarray:
        with np.errstate(over="ignore"):  # said by _in_range
            return np.linalg.norm(x[rows] - middle_D, axis=1)

    return np.concatenate(_threads(norms, _passes(x)))


def _parts(count: int, most: int) -> list[slice]:
    """Slices of equal length, at most `most`, over `count` rows."""
    length = math.ceil(count / math.ceil(count / max(1, most)))
    return [slice(start, min(start + length, count)) for start in range(0, count, length)]


def _passes(x: np.ndarray) -> list[slice]:
    return _parts(len(x), PASS_BYTES // (8 * x.shape[1]))


def _threads(work: Callable[[slice], Any], parts: list[slice]) -> list[Any]:
    """What `work` returns for each part, over as many threads as torch takes; NumPy lets go of the lock on large arrays."""
    import torch

    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(work, parts))


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

    _threads(fill, _passes(x))
    return out


def _unsure(last_Q: np.ndarray, lowest_Q: np.ndarray, reach_Q: np.ndarray, dims: int, similarity: str) -> np.ndarray:
    """Which queries may have a better row outside of their candidates: the float32 error could hide it."""
    if similarity == "euclid":  # a row at a distance of at most d from the query is no longer than it and d together
        reach_Q = (2 * reach_Q + np.sqrt(-last_Q)) ** 2
    return last_Q - lowest_Q <= max(ROUNDING, ROUNDING_A_COLUMN * dims**0.5) * reach_Q


def _rank(train, query, own_Q, near_QW, space, exclude_self, index_QK, score_QK):
    """Writes the k best candidates by (score, index); returns the last one's score and the lowest of all of each query."""
    k, last_Q, lowest_Q = index_QK.shape[1], np.empty(len(own_Q)), np.empty(len(own_Q))

    def rank(part: slice) -> None:
        own, near = own_Q[part], np.sort(near_QW[part], axis=1)
        score = _exact(train, query[own], near, space.similarity)
        if space.norm_N is not None:
            score /= space.norm_N[near] * space.norm_Q[own, None]
        if exclude_self:
            score[near == own[:, None]] = np.nan  # sorted to the end
        order = np.argsort(-score, axis=1, kind="stable")[:, :k]  # equal scores stay in the order of their index
        best = np.take_along_axis(score, order, 1)
        index_QK[own] = np.take_along_axis(near, order, 1)
        score_QK[own] = np.sqrt(-best) if space.similarity == "euclid" else best
        last_Q[part], lowest_Q[part] = best[:, -1], np.nanmin(score, axis=1)

    _threads(rank, _parts(len(own_Q), min(256, PASS_BYTES // (40 * near_QW.shape[1]))))
    return last_Q, lowest_Q


def _exact(train: np.ndarray, query: np.ndarray, near_QW: np.ndarray, similarity: str) -> np.ndarray:
    """Scores (Q, W) in float64: the product, or minus the squared distance by differences, which never cancel.

    Each pair is summed on its own along its columns, so that equal rows get equal scores wherever they stand.
    """
    score = np.empty(near_QW.shape)
    columns = max(1, RANK_BYTES // (8 * train.shape[1]))
    rows = max(1, columns // near_QW.shape[1])
    for start in range(0, len(near_QW), rows):
        q = query[start : start + rows].astype(np.float64)
        for left in range(0, near_QW.shape[1], columns):
            place = np.s_[start : start + rows, left : left + columns]
            x = train[near_QW[place]].astype(np.float64)
            if similarity == "euclid":
                x -= q[:, None]
                score[place] = -np.einsum("qwd,qwd->qw", x, x)
            else:
                score[place] = np.einsum("qwd,qd->qw", x, q)
    return score
