"""Retrieval by class: what the nearest rows of a query hold of its own class. From the lists of one search, labels only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from relic_eval.arrays import whole
from relic_eval.errors import ArgumentError, look_up

BLOCK_BYTES = 64 << 20
OUT_OF = {"possible": "possible", "relevant": "relevant", "found": "found"}


@dataclass(frozen=True)
class Retrieval:
    """One row a query that has a relevant row to find; the others are left out of every mean and counted."""

    ks: tuple[int, ...]
    query_Q: Int[np.ndarray, " Q"]  # which queries those are
    relevant_Q: Int[np.ndarray, " Q"]  # rows of the query's class that there are to find
    hit_KQ: Bool[np.ndarray, "ks Q"]  # whether one of them is among the k nearest
    share_KQ: Float[np.ndarray, "ks Q"]  # how many of all of them are among the k nearest
    precision_Q: Float[np.ndarray, " Q"]  # average precision of the list
    left_out: int  # queries without a relevant row: of a class with one image, or with none in the gallery

    @property
    def recall_K(self) -> Float[np.ndarray, " ks"]:
        """Recall at each k as retrieval benchmarks have it: the share of queries with a row of their class among the k."""
        return self.hit_KQ.mean(1)

    @property
    def mean_average_precision(self) -> float:
        """The mean of the queries' average precisions."""
        return float(self.precision_Q.mean())


def retrieval(
    index_QK: Int[np.ndarray, "Q K"],
    gallery_y_N: Int[np.ndarray, " N"],
    query_y_Q: Int[np.ndarray, " Q"],
    *,
    ks: Sequence[int] = (1, 5, 10),
    leave_one_out: bool = False,
    out_of: str = "possible",
) -> Retrieval:
    """Recall at each k, and average precision of lists of K rows of the gallery, best first, as `nearest` gives them.

    A row is relevant where it has the query's class; with `leave_one_out` the queries are the first rows of the gallery
    and are not relevant to themselves (searched with `exclude_self`). With rel_j = 1 where the j-th row is relevant, R relevant
    rows in all and P(j) = (rel_1 + ... + rel_j) / j:

        AP@K = sum over j <= K of P(j) rel_j, divided by `out_of`: min(R, K) ("possible"), R ("relevant"), or the number found
        in the list ("found", which forgives what is missing)

    All three are one where K covers the gallery: the full average precision. Reference: Manning et al. 2008, Introduction to
    Information Retrieval, section 8.4. Raises ArgumentError for indices out of range, k above K, no query with a relevant row.

    >>> r = retrieval(np.array([[1, 2], [2, 0], [1, 0]]), np.array([0, 0, 1]), np.array([0, 0, 1]), ks=[1, 2], leave_one_out=True)
    >>> r.recall_K.tolist(), r.mean_average_precision, r.left_out
    ([0.5, 1.0], 0.75, 1)
    """
    look_up("out_of", out_of, OUT_OF)
    queries, found = index_QK.shape
    if len(query_y_Q) != queries:
        raise ArgumentError("query_y_Q", f"{queries} labels, one a list", f"{len(query_y_Q)}")
    if not len(ks) or max(whole("ks", k, 1) for k in ks) > found:
        raise ArgumentError("ks", f"numbers from 1 to {found}, the length of the lists", f"{list(ks)}")
    if index_QK.size and not 0 <= index_QK.min() <= index_QK.max() < len(gallery_y_N):
        received = f"{index_QK.min()} to {index_QK.max()}"
        raise ArgumentError("index_QK", f"rows from 0 to {len(gallery_y_N) - 1}", received)
    if leave_one_out and not np.array_equal(query_y_Q, gallery_y_N[:queries]):
        raise ArgumentError("query_y_Q", "the labels of the gallery's first rows with leave_one_out", "others")
    if leave_one_out and (index_QK == np.arange(queries)[:, None]).any():
        raise ArgumentError(
            "index_QK", "no query in its own list with leave_one_out", "some", "Pass exclude_self=True."
        )
    names, number_N = np.unique(gallery_y_N, return_inverse=True)
    place_Q = np.searchsorted(names, query_y_Q).clip(max=len(names) - 1)
    count_Q = np.where(names[place_Q] == query_y_Q, np.bincount(number_N)[place_Q], 0) - leave_one_out
    query_Q = np.flatnonzero(count_Q > 0)
    if not len(query_Q):
        raise ArgumentError("query_y_Q", "a query with another row of its class", "none", "Give classes two images.")
    hit_KQ, share_KQ = np.empty((len(ks), len(query_Q)), bool), np.empty((len(ks), len(query_Q)))
    precision_Q, rows = np.empty(len(query_Q)), max(1, BLOCK_BYTES // (32 * found))
    for start in range(0, len(query_Q), rows):
        part, own = slice(start, start + rows), query_Q[start : start + rows]
        relevant_QK = gallery_y_N[index_QK[own]] == query_y_Q[own, None]
        seen_QK = relevant_QK.cumsum(1)
        hit_KQ[:, part] = [seen_QK[:, k - 1] > 0 for k in ks]
        share_KQ[:, part] = [seen_QK[:, k - 1] / count_Q[own] for k in ks]
        total_Q = (seen_QK / np.arange(1, found + 1) * relevant_QK).sum(1)
        over = {"possible": np.minimum(count_Q[own], found), "relevant": count_Q[own], "found": seen_QK[:, -1]}[out_of]
        precision_Q[part] = total_Q / np.maximum(over, 1)
    return Retrieval(tuple(ks), query_Q, count_Q[query_Q], hit_KQ, share_KQ, precision_Q, queries - len(query_Q))
