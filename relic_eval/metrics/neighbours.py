"""Exact nearest neighbours: FAISS where it is installed, blocked products in torch elsewhere, the same lists from both.

A backend only proposes, in float32: its k + 16 best candidates are ranked again in float64 by (distance, index). Where a row
that it left out could, within the rounding error of its products, be as near as the last one kept, more are proposed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from relic_eval.arrays import matrix
from relic_eval.devices import faiss_flavour
from relic_eval.errors import ArgumentError, look_up
from relic_eval.metrics.pairwise import MAX_MEMORY, same_columns, unit

MARGIN = 16
WIDEN = 4
HALF_ULP = 2.0**-24  # of float32


def nearest(
    train_ND: Real[np.ndarray, "N D"],
    query_QD: Real[np.ndarray, "Q D"],
    k: int,
    *,
    similarity: str = "cosine",
    exclude_self: bool = False,
    max_memory: int = MAX_MEMORY,
    backend: str | None = None,
) -> tuple[Int[np.ndarray, "Q K"], Float[np.ndarray, "Q K"]]:
    """Indices (int64) of the k nearest training rows, best first, and their score (float64); equal scores by index.

    The score is the similarity ("cosine", "inner") or the distance ("euclid"). With `exclude_self` query i is training row i
    and is left out (leave-one-out). `max_memory` bounds each temporary array, in bytes, beside float32 copies of the inputs.
    `backend` is "faiss" or "torch"; None takes FAISS where it is installed. Raises ArgumentError for k larger than the rows,
    rows of zeros with cosine, NaN or infinity.

    >>> nearest(np.array([[0.0], [1.0], [5.0]]), np.array([[0.75]]), 2, similarity="euclid")
    (array([[1, 0]]), array([[0.25, 0.75]]))
    """
    look_up("similarity", similarity, _PREPARE)
    propose = look_up("backend", backend or ("faiss" if faiss_flavour() else "torch"), _BACKENDS)
    query, train = same_columns(matrix("query_QD", query_QD), matrix("train_ND", train_ND))
    if exclude_self and len(query) != len(train):
        raise ArgumentError("query_QD", f"the {len(train)} training rows (exclude_self)", f"{len(query)} rows")
    available = len(train) - exclude_self
    if not 1 <= k <= available:
        raise ArgumentError(
            "k", f"1 to {available}, the rows there are to find", f"{k}", "Use a smaller k or more rows."
        )
    train32, query32, scale = _PREPARE[similarity](train, query)
    longest = float(np.sqrt(np.einsum("nd,nd->n", train32, train32).max())) * (1 + 1e-3)  # summed in float32
    search = _Search(train, query, similarity, train32, query32, scale, propose, exclude_self, max_memory, longest)
    index_QK, score_QK = np.empty((len(query), k), np.int64), np.empty((len(query), k))
    todo, width = np.arange(len(query)), min(len(train), k + exclude_self + MARGIN)
    while len(todo):
        open_Q = np.zeros(len(todo), bool)
        rows = max(1, max_memory // (24 * width))
        for start in range(0, len(todo), rows):
            part = todo[start : start + rows]
            index_QK[part], score_QK[part], open_Q[start : start + rows] = search.lists(part, k, width)
        todo, width = todo[open_Q], min(len(train), WIDEN * width)
    return index_QK, score_QK


def majority(labels_QK: Int[np.ndarray, "Q K"], classes: int) -> Int[np.ndarray, " Q"]:
    """The class with most votes among the neighbours; of tied classes, the one whose first neighbour is nearest.

    >>> majority(np.array([[2, 1, 1], [0, 2, 1]]), 3)
    array([1, 0])
    """
    queries, k = labels_QK.shape
    winner_Q = np.empty(queries, np.int64)
    step = max(1, MAX_MEMORY // (8 * max(classes, k)))
    for start in range(0, queries, step):
        block_BK = labels_QK[start : start + step]
        cell_BK = np.arange(len(block_BK))[:, None] * classes + block_BK
        # a vote outweighs every place in the list; what is taken off for the place decides among equal votes
        votes = np.bincount(cell_BK.ravel(), minlength=len(block_BK) * classes) * (k + 1)
        last_first = slice(None, None, -1)  # the nearest is written last and stays
        place = np.full(len(votes), k)
        place[cell_BK[:, last_first].T.ravel()] = np.repeat(np.arange(k)[last_first], len(block_BK))
        winner_Q[start : start + step] = (votes - place).reshape(len(block_BK), classes).argmax(1)
    return winner_Q


@dataclass(frozen=True)
class _Search:
    train: np.ndarray  # as given: what the ranking in float64 uses
    query: np.ndarray
    similarity: str
    train32: np.ndarray  # what the backend sees
    query32: np.ndarray
    scale: float  # of its squares: given / seen
    propose: Callable[[np.ndarray, np.ndarray, int, bool, int], np.ndarray]
    exclude_self: bool
    max_memory: int
    longest: float  # norm among the training rows as seen

    def lists(self, part: np.ndarray, k: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The k best of `width` candidates of these queries, their scores, and which may lack one that was left out."""
        euclid = self.similarity == "euclid"
        found_QW = self.propose(self.train32, self.query32[part], width, euclid, self.max_memory)
        if (found_QW < 0).any():  # FAISS says -1 where it found nothing; labels[-1] would be a wrong vote
            raise ArgumentError("train_ND", f"{width} candidates for every query", "fewer", "Look for extreme values.")
        score_QW = self._scores(part, found_QW)
        near_QW = score_QW if euclid else -score_QW  # smaller is nearer
        lowest_Q = near_QW.max(1)
        if self.exclude_self:
            near_QW = np.where(found_QW == part[:, None], np.inf, near_QW)
        best_QK = np.lexsort((found_QW, near_QW), axis=1)[:, :k]
        index_QK, score_QK = np.take_along_axis(found_QW, best_QK, 1), np.take_along_axis(score_QW, best_QK, 1)
        last_Q = np.take_along_axis(near_QW, best_QK[:, -1:], 1)[:, 0]
        open_Q = last_Q >= lowest_Q - 2 * self._error(part) if width < len(self.train) else np.zeros(len(part), bool)
        return index_QK, np.sqrt(score_QK) if euclid else score_QK, open_Q

    def _scores(self, part: np.ndarray, found_QW: np.ndarray) -> np.ndarray:
        """Squared distances or similarities in float64; a row's score does not depend on its place in the list."""
        score_QW, dims = np.empty(found_QW.shape), self.train.shape[1]
        step = max(1, self.max_memory // (8 * found_QW.shape[1] * dims))
        columns = max(1, self.max_memory // (8 * dims))
        for start in range(0, len(part), step):
            rows = slice(start, start + step)
            q = self.query[part[rows]].astype(np.float64)
            for left in range(0, found_QW.shape[1], columns):
                tile = (rows, slice(left, left + columns))
                near = self.train[found_QW[tile]].astype(np.float64)
                if self.similarity == "euclid":
                    near -= q[:, None]
                    score_QW[tile] = np.einsum("qwd,qwd->qw", near, near)
                    continue
                score_QW[tile] = np.einsum("qwd,qd->qw", near, q)
                if self.similarity == "cosine":
                    norm_QW = np.sqrt(np.einsum("qwd,qwd->qw", near, near))
                    score_QW[tile] /= norm_QW * np.sqrt(np.einsum("qd,qd->q", q, q))[:, None]
        return score_QW

    def _error(self, part: np.ndarray) -> np.ndarray:
        """Bound of the rounding error of a proposed score: D products and sums (Higham, section 3.1), and the casts."""
        q_Q = np.linalg.norm(self.query32[part].astype(np.float64), axis=1)
        size_Q = (q_Q + self.longest) ** 2 if self.similarity == "euclid" else q_Q * self.longest
        return (self.train.shape[1] + 8) * HALF_ULP * size_Q * self.scale


def _prepare_units(train: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    return _float32(unit("train_ND", train)), _float32(unit("query_QD", query)), 1.0


def _prepare_plain(train: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    # by a power of two, which is exact: squares then neither overflow nor vanish in float32
    largest = max(float(np.abs(train).max()), float(np.abs(query).max()))
    power = 2.0 ** np.ceil(np.log2(largest)) if largest > 0 else 1.0
    return _float32(train / power), _float32(query / power), power * power


def _prepare_centred(train: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    middle = train.mean(0, dtype=np.float64)
    return _prepare_plain(train - middle, query - middle)


def _float32(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x, np.float32)


def _faiss(train: np.ndarray, query: np.ndarray, width: int, euclid: bool, max_memory: int) -> np.ndarray:
    import torch  # noqa: F401, I001  torch first: FAISS wheels that load their CUDA before it have crashed
    import faiss

    return faiss.knn(query, train, width, metric=faiss.METRIC_L2 if euclid else faiss.METRIC_INNER_PRODUCT)[1]


def _torch(train: np.ndarray, query: np.ndarray, width: int, euclid: bool, max_memory: int) -> np.ndarray:
    import torch

    x, found = torch.from_numpy(train), []
    offset = (x * x).sum(1) / 2 if euclid else None
    rows = max(1, max_memory // (4 * len(train)))
    for start in range(0, len(query), rows):
        score = torch.from_numpy(query[start : start + rows]) @ x.T
        if offset is not None:  # the order of qx - |x|^2 / 2 is that of the distance
            score -= offset
        found.append(score.topk(width, dim=1).indices)
    return torch.cat(found).numpy()


_PREPARE = {"cosine": _prepare_units, "euclid": _prepare_centred, "inner": _prepare_plain}
_BACKENDS = {"faiss": _faiss, "torch": _torch}
