"""Exact nearest neighbours: FAISS where it is installed, blocked products in torch elsewhere, the same lists from both.

Each backend only proposes, in float32: its k + 16 best candidates are ranked again in float64 from the rows as they were
given, by (score, index). Where a row that was left out could still belong to the k nearest, because the float32 scores are
too close to tell, the query's list is widened. So neither rounding nor the order of equal rows depends on the backend.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from relic_eval.arrays import matrix
from relic_eval.devices import faiss_flavour
from relic_eval.errors import ArgumentError, look_up

MARGIN = 16
BLOCK_BYTES = 64 << 20  # of any temporary array
RANK_BYTES = 16 << 20  # of the rows ranked together: what a cache holds is ranked fastest
ROUNDING = 2e-6  # relative error of a float32 product, and of one with many columns: ROUNDING_A_COLUMN * sqrt(D)
ROUNDING_A_COLUMN = 1e-7
SIMILARITIES = {"cosine": "inner", "euclid": "euclid", "inner": "inner"}


def nearest(
    train_ND: Float[np.ndarray, "N D"],
    query_QD: Float[np.ndarray, "Q D"],
    k: int,
    *,
    similarity: str = "cosine",
    exclude_self: bool = False,
    backend: str | None = None,
) -> tuple[Int[np.ndarray, "Q k"], Float[np.ndarray, "Q k"]]:
    """Indices of the k nearest training rows of each query, best first, and their similarity (or Euclidean distance).

    With `exclude_self` query i is training row i and is left out. Raises ArgumentError for k larger than the rows, rows of
    zeros with cosine, NaN or infinity. `backend` is "faiss" or "torch"; None takes FAISS where it is installed.

    >>> nearest(np.array([[0.0], [1.0], [5.0]]), np.array([[0.9]]), 2, similarity="euclid")[0]
    array([[1, 0]])
    """
    kind = look_up("similarity", similarity, SIMILARITIES)
    train, query = matrix("train_ND", train_ND), matrix("query_QD", query_QD)
    if train.shape[1] != query.shape[1]:
        raise ArgumentError("query_QD", f"{train.shape[1]} columns like train_ND", f"{query.shape[1]}")
    available = len(train) - exclude_self
    if not 1 <= k <= available:
        raise ArgumentError("k", f"1 to {available}, the rows there are to find", f"{k}")
    norms = (_norms("train_ND", train), _norms("query_QD", query)) if similarity == "cosine" else None
    train_32, query_32, size_N, size_Q = _prepare(train, query, kind, norms)
    search = _faiss if (backend or ("faiss" if faiss_flavour() else "torch")) == "faiss" else _torch
    index_QK, score_QK = np.empty((len(query), k), np.int64), np.empty((len(query), k))
    todo, width = np.arange(len(query)), min(k + exclude_self + MARGIN, len(train))
    while len(todo):
        found = search(train_32, query_32[todo], width, kind)
        if (found < 0).any():  # FAISS answers -1 where it found nothing; labels[-1] would be a wrong vote
            raise ArgumentError("train_ND", "a neighbour for every query", "none for some", "Look for extreme values.")
        index_QK[todo], score_QK[todo], lowest_Q = _rank(train, query, todo, found, k, kind, norms, exclude_self)
        if width == len(train):
            break
        unsure_Q = _unsure(score_QK[todo, -1], lowest_Q, size_N, size_Q[todo], train.shape[1], similarity)
        todo, width = todo[unsure_Q], min(width * 4, len(train))
    return index_QK, (np.sqrt(-score_QK) if kind == "euclid" else score_QK).astype(np.float32)


def majority(labels_QK: Int[np.ndarray, "Q K"], classes: int) -> Int[np.ndarray, " Q"]:
    """The class with most votes among the neighbours; of tied classes, the one whose first neighbour is nearest.

    >>> majority(np.array([[2, 1, 1], [0, 2, 1]]), 3)
    array([1, 0])
    """
    queries, k = labels_QK.shape
    rows = np.arange(queries)[:, None]
    votes_QC = np.zeros((queries, classes), np.int64)
    np.add.at(votes_QC, (rows, labels_QK), 1)
    first_QC = np.full((queries, classes), k)
    np.minimum.at(first_QC, (rows, labels_QK), np.arange(k)[None])
    return (votes_QC * (k + 1) - first_QC).argmax(1)


def _norms(name: str, x: np.ndarray) -> np.ndarray:
    """Length of each row in float64, shape (N, 1)."""
    norm = np.concatenate([np.linalg.norm(x[rows].astype(np.float64), axis=1, keepdims=True) for rows in _blocks(x)])
    if (norm == 0).any():
        count, first = int((norm == 0).sum()), int(np.flatnonzero(norm == 0)[0])
        raise ArgumentError(
            name,
            "no row of zeros with cosine",
            f"{count} (the first is row {first})",
            "Leave these rows out or use similarity='euclid'.",
        )
    return norm


def _blocks(x: np.ndarray) -> list[slice]:
    rows = max(1, BLOCK_BYTES // (8 * x.shape[1]))
    return [slice(start, start + rows) for start in range(0, len(x), rows)]


def _prepare(train, query, kind, norms):
    """float32 rows in C order for the search, and the length of each in the units of the exact scores.

    Cosine: of unit length. Euclid: about the mean. Both other kinds: divided by the largest entry. So float32 neither
    cancels nor overflows; a common factor changes no order.
    """
    middle = np.zeros(train.shape[1]) if kind == "inner" else train.mean(0, dtype=np.float64)
    factor = (
        1.0 if norms else max(float(np.abs(x[r] - middle).max()) for x in (train, query) for r in _blocks(x)) or 1.0
    )
    prepared, sizes = [], []
    for number, x in enumerate((train, query)):
        out = np.empty(x.shape, np.float32)
        for rows in _blocks(x):
            out[rows] = (x[rows] - middle) / (norms[number][rows] if norms else factor)
        prepared.append(out)
        sizes.append(np.sqrt(np.einsum("nd,nd->n", out, out, dtype=np.float64)) * factor)
    return *prepared, *sizes


def _unsure(last_Q, lowest_Q, size_N, size_Q, dims: int, similarity: str):
    """Which queries may have a better row outside of their candidates: the float32 error could hide it."""
    rounding = max(ROUNDING, ROUNDING_A_COLUMN * dims**0.5)
    if similarity == "euclid":  # a row at a distance of at most d from the query is no longer than it and d together
        return last_Q - lowest_Q <= rounding * (2 * size_Q + np.sqrt(-last_Q)) ** 2
    return last_Q - lowest_Q <= rounding * (1.0 if similarity == "cosine" else size_Q * size_N.max())


def _faiss(train: np.ndarray, query: np.ndarray, k: int, kind: str) -> np.ndarray:
    import torch  # noqa: F401, I001  torch first: FAISS wheels that load their OpenMP or CUDA before it have crashed
    import faiss

    index = (faiss.IndexFlatIP if kind == "inner" else faiss.IndexFlatL2)(train.shape[1])
    index.add(train)
    return np.asarray(index.search(query, k)[1])


def _torch(train: np.ndarray, query: np.ndarray, k: int, kind: str) -> np.ndarray:
    import torch

    x, found = torch.from_numpy(train), []
    offset = (x * x).sum(1) / 2 if kind == "euclid" else None
    rows = max(1, BLOCK_BYTES // (4 * len(train)))
    for start in range(0, len(query), rows):
        score = torch.from_numpy(query[start : start + rows]) @ x.T
        if offset is not None:  # the order of q.x - |x|^2 / 2 is that of the distance
            score -= offset
        found.append(score.topk(k, dim=1).indices)
    return torch.cat(found).numpy()


def _rank(train, query, todo, found, k, kind, norms, exclude_self):
    """The k best candidates by (score, index), their scores, and the lowest score of all candidates of each query."""
    index_QK, score_QK = np.empty((len(todo), k), np.int64), np.empty((len(todo), k))
    lowest_Q = np.empty(len(todo))
    rows = max(1, RANK_BYTES // (8 * found.shape[1]))
    for start in range(0, len(todo), rows):
        part = slice(start, start + rows)
        own, near = todo[part], found[part]
        score = _exact(train, query[own], near, kind)
        if norms is not None:
            score /= norms[0][near, 0] * norms[1][own]
        if exclude_self:
            score[near == own[:, None]] = np.nan  # sorted to the end
        order = np.lexsort((near, -score), axis=1)[:, :k]
        index_QK[part], score_QK[part] = np.take_along_axis(near, order, 1), np.take_along_axis(score, order, 1)
        lowest_Q[part] = np.nanmin(score, axis=1)
    return index_QK, score_QK, lowest_Q


def _exact(train: np.ndarray, query: np.ndarray, near_QW: np.ndarray, kind: str) -> np.ndarray:
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
            if kind == "euclid":
                x -= q[:, None]
                score[place] = -np.einsum("qwd,qwd->qw", x, x)
            else:
                score[place] = np.einsum("qwd,qd->qw", x, q)
    return score
