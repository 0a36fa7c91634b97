"""Exact nearest neighbours: FAISS where it is installed, blocked products in torch elsewhere, the same lists from both.

Each backend only proposes: its k + 16 best candidates are ranked again in float64 by (distance, index), and where a tie
reaches the last candidate the list is widened, so that neither rounding nor the order of equal rows depends on it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from relic_eval.arrays import matrix
from relic_eval.devices import faiss_flavour
from relic_eval.errors import ArgumentError, look_up

MARGIN = 16
WHOLE_FROM = 24  # rows a query's candidate: above 1 in 24, all rows are multiplied in float64
BLOCK_BYTES = 64 << 20  # of any temporary array
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
    train, query = _prepare(train, query, similarity)
    search = _faiss if (backend or ("faiss" if faiss_flavour() else "torch")) == "faiss" else _torch
    index_QK = np.empty((len(query), k), np.int64)
    score_QK = np.empty((len(query), k), np.float32)
    todo, width = np.arange(len(query)), k + exclude_self + MARGIN
    while len(todo):
        width = min(width, len(train))
        found = search(train, query[todo], width, kind)
        if (found < 0).any():  # FAISS answers -1 where it found nothing; labels[-1] would be a wrong vote
            raise ArgumentError("train_ND", "a neighbour for every query", "none for some", "Look for extreme values.")
        index, score, open_Q = _rank(train, query[todo], found, k, kind, todo if exclude_self else None)
        index_QK[todo], score_QK[todo] = index, score
        todo, width = (todo[open_Q], width * 4) if width < len(train) else (todo[:0], width)
    return index_QK, score_QK


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


def _prepare(train: np.ndarray, query: np.ndarray, similarity: str) -> tuple[np.ndarray, np.ndarray]:
    """float32 rows in C order; cosine by unit norm, Euclid about the mean, so that nothing cancels."""
    if similarity == "euclid":
        middle = train.mean(0, dtype=np.float64)
        train, query = train - middle, query - middle
    elif similarity == "cosine":
        train, query = _unit("train_ND", train), _unit("query_QD", query)
    return np.ascontiguousarray(train, np.float32), np.ascontiguousarray(query, np.float32)


def _unit(name: str, x: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    if (norm == 0).any():
        count, first = int((norm == 0).sum()), int(np.flatnonzero(norm == 0)[0])
        raise ArgumentError(
            name,
            "no row of zeros with cosine",
            f"{count} (the first is row {first})",
            "Leave these rows out or use similarity='euclid'.",
        )
    return x / norm


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


def _rank(train, query, found, k, kind, own):
    """The k best candidates in float64 by (score, index), and which queries have a tie that reaches the last candidate."""
    import torch

    queries, width = found.shape
    index_QK, score_QK = np.empty((queries, k), np.int64), np.empty((queries, k), np.float32)
    open_Q = np.zeros(queries, bool)
    # one product with all rows reads less memory than gathering many candidates a query does
    whole = torch.from_numpy(train).double() if width * WHOLE_FROM > len(train) else None
    norm_N = np.einsum("nd,nd->n", train, train, dtype=np.float64)
    scale = float(np.sqrt(norm_N.max() * np.einsum("qd,qd->q", query, query, dtype=np.float64).max())) + 1e-300
    rows = max(1, BLOCK_BYTES // (8 * (len(train) if whole is not None else width * train.shape[1])))
    for start in range(0, queries, rows):
        part = slice(start, start + rows)
        q, near = torch.from_numpy(query[part]).double(), found[part]
        if whole is not None:
            score = np.take_along_axis((q @ whole.T).numpy(), near, 1)
        else:
            score = torch.bmm(torch.from_numpy(train[near]).double(), q[:, :, None])[..., 0].numpy()
        if kind == "euclid":  # minus the squared distance: larger is nearer
            score = 2 * score - norm_N[near] - (q * q).sum(1).numpy()[:, None]
        # one grid for all: equal rows get equal scores whatever the order of the sums
        grid = np.round(score / (scale * 2.0**-42))
        if own is not None:
            grid[near == own[part, None]] = -np.inf
        order = np.lexsort((near, -grid), axis=1)
        best = order[:, :k]
        index_QK[part] = np.take_along_axis(near, best, 1)
        kept = np.take_along_axis(score, best, 1)
        score_QK[part] = np.sqrt(np.maximum(-kept, 0)) if kind == "euclid" else kept
        last = np.take_along_axis(score, order[:, k - 1 : k], 1)[:, 0]
        # what the backend left out may be better than it said by its own float32 error
        lowest = np.where(np.isinf(grid), np.inf, score).min(1)
        open_Q[part] = (last - lowest) <= 2e-6 * scale if width < len(train) else False
    return index_QK, score_QK, open_Q
