"""Euclidean distances, cosines and inner products of all pairs of rows, a block of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Real

from relic_eval.arrays import matrix
from relic_eval.errors import ArgumentError, look_up

MAX_MEMORY = 64 << 20  # bytes of one temporary array
# |a|^2 + |b|^2 - 2ab keeps about 16 digits of the norms: pairs nearer than this share of them are subtracted instead
CANCELS = 1e-10


def tiles(
    a_QD: Real[np.ndarray, "Q D"],
    b_ND: Real[np.ndarray, "N D"],
    *,
    similarity: str = "euclid",
    max_memory: int = MAX_MEMORY,
) -> Iterator[tuple[slice, Float[np.ndarray, "B N"]]]:
    """Which rows of `a`, and their distances ("euclid") or similarities ("cosine", "inner") to all rows of `b`, float64.

    Memory: one float64 copy of each input and a few tiles of `max_memory` bytes. Raises ArgumentError for NaN, infinity,
    columns that do not fit, and rows of zeros with cosine.

    >>> [tile.tolist() for _, tile in tiles(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]))]
    [[[5.0, 1.0]]]
    """
    prepare, block = look_up("similarity", similarity, _KINDS)
    a, b = same_columns(matrix("a_QD", a_QD), matrix("b_ND", b_ND))
    a, b = prepare(a, b)
    rows = max(1, max_memory // (8 * len(b)))
    for start in range(0, len(a), rows):
        part = slice(start, min(start + rows, len(a)))
        yield part, block(a[part], b)


def same_columns(a_QD: Real[np.ndarray, "Q D"], b_ND: Real[np.ndarray, "N E"]) -> tuple[np.ndarray, np.ndarray]:
    """Both unchanged, after a check that they have as many columns.

    >>> [a.shape for a in same_columns(np.zeros((2, 3)), np.zeros((4, 3)))]
    [(2, 3), (4, 3)]
    """
    if a_QD.shape[1] != b_ND.shape[1]:
        raise ArgumentError(
            "features", f"{b_ND.shape[1]} columns in both", f"{a_QD.shape[1]}", "Use embeddings of one encoder."
        )
    return a_QD, b_ND


def unit(name: str, x_ND: Real[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    """Rows of length 1, float64. Raises ArgumentError for rows of zeros, which have no direction.

    >>> unit("x_ND", np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    largest_N = np.abs(x_ND).max(axis=1).astype(np.float64)
    zeros_N = np.flatnonzero(largest_N == 0)
    if len(zeros_N):
        raise ArgumentError(
            name,
            "rows with a direction (cosine)",
            f"zeros only in {len(zeros_N)} of {len(x_ND)} rows (the first is row {zeros_N[0]})",
            "Leave these rows out or use Euclidean distances.",
        )
    x_ND = x_ND / largest_N[:, None]  # first, so that squares neither overflow nor vanish
    return x_ND / np.sqrt(np.einsum("nd,nd->n", x_ND, x_ND))[:, None]


def _centred(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = b.mean(0, dtype=np.float64)
    return a - middle, b - middle


def _as_float64(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return a.astype(np.float64), b.astype(np.float64)


def _units(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return unit("a_QD", a), unit("b_ND", b)


def _inner_tile(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a @ b.T


def _euclid_tile(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    square = a @ b.T
    square *= -2
    norm_B, norm_N = np.einsum("bd,bd->b", a, a), np.einsum("nd,nd->n", b, b)
    square += norm_B[:, None]
    square += norm_N
    row_P, column_P = np.nonzero(square <= CANCELS * (norm_B[:, None] + norm_N))
    step = max(1, MAX_MEMORY // (16 * a.shape[1]))
    for start in range(0, len(row_P), step):
        rows, columns = row_P[start : start + step], column_P[start : start + step]
        apart = a[rows] - b[columns]
        square[rows, columns] = np.einsum("pd,pd->p", apart, apart)
    return np.sqrt(square, out=square)


_KINDS = {"euclid": (_centred, _euclid_tile), "cosine": (_units, _inner_tile), "inner": (_as_float64, _inner_tile)}
