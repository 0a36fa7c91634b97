"""What linear probes share: rows checked without a copy of the whole, and predictions of many models from one product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Num

from relic_eval.arrays import BLOCK_ROWS, asarray, matrix
from relic_eval.devices import tensor
from relic_eval.errors import ArgumentError

MEMORY = 128 << 20  # bytes of a block of rows and what is made of it
MIDDLE = 1024  # rows whose mean stands for the middle of all


def rows_of(name: str, value: Any) -> np.ndarray:
    """`value` after the checks of `arrays.matrix`, of the type it had: a memory map of float16 stays one.

    >>> rows_of("x_ND", np.ones((2, 3), np.float16)).dtype
    dtype('float16')
    """
    x_ND = asarray(value)
    ready = x_ND.dtype.kind == "f" and x_ND.dtype.itemsize >= 4 and x_ND.dtype.isnative
    if ready or x_ND.ndim != 2 or len(x_ND) == 0:
        return matrix(name, x_ND)
    for start in range(0, len(x_ND), BLOCK_ROWS):
        matrix(name if start == 0 else f"{name}, counted from row {start}", x_ND[start : start + BLOCK_ROWS])
    return x_ND


def row_weights(name: str, value: Any, rows: int) -> np.ndarray:
    """One number of at least 0 a row, as float64; at least one is above 0.

    >>> row_weights("weight_N", [1, 0], 2)
    array([1., 0.])
    """
    weight_N = asarray(value)
    if weight_N.shape != (rows,) or weight_N.dtype.kind not in "fiub":
        raise ArgumentError(name, f"{rows} numbers, one a row", f"shape {weight_N.shape}, dtype {weight_N.dtype}")
    weight_N = weight_N.astype(np.float64)
    if not np.isfinite(weight_N).all() or weight_N.min() < 0 or not weight_N.any():
        raise ArgumentError(name, "finite numbers of at least 0, not all of them 0", "others")
    return weight_N


def positive(name: str, value: Any) -> np.ndarray:
    """One or more numbers above 0, as a new float64 array: penalties, learning rates.

    >>> positive("penalties", (1, 10))
    array([ 1., 10.])
    """
    try:
        given_L = np.array(value, np.float64)
    except (TypeError, ValueError):
        given_L = np.empty(0)
    if given_L.ndim != 1 or not len(given_L) or not (np.isfinite(given_L) & (given_L > 0)).all():
        raise ArgumentError(name, "one or more numbers above 0", repr(value))
    return given_L


def edge_of(penalties_L: np.ndarray, best: int) -> str:
    """What to know where the chosen penalty is the smallest or largest of several; else an empty text.

    >>> edge_of(np.array([0.1, 1.0, 10.0]), 2)
    'the chosen penalty, 10, is the largest of the grid: a larger one may do better'
    >>> edge_of(np.array([0.1, 1.0, 10.0]), 1)
    ''
    """
    value = penalties_L[best]
    if penalties_L.min() < value < penalties_L.max() or len(np.unique(penalties_L)) == 1:
        return ""
    end, further = ("smallest", "smaller") if value == penalties_L.min() else ("largest", "larger")
    return f"the chosen penalty, {value:g}, is the {end} of the grid: a {further} one may do better"


def row_blocks(rows: int, numbers: int) -> Iterator[slice]:
    """Slices of all rows, each of so few that `numbers` float64 a row stay within MEMORY.

    >>> list(row_blocks(3, 1))
    [slice(0, 3, None)]
    """
    step = max(16, MEMORY // (8 * numbers))
    yield from (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def scores(
    weights_LDC: Float[np.ndarray, "L D C"], bias_LC: Float[np.ndarray, "L C"], x_ND: Num[np.ndarray, "N D"]
) -> Float[np.ndarray, "L N C"]:
    """x W + b of every model, in the precision of the weights; keep to a few models for many rows.

    >>> scores(np.array([[[1.0, 2.0]]]), np.zeros((1, 2)), np.array([[3.0]])).tolist()
    [[[3.0, 6.0]]]
    """
    return np.concatenate(list(score_blocks(weights_LDC, bias_LC, x_ND)), axis=1)


def predict(
    weights_LDC: Float[np.ndarray, "L D C"], bias_LC: Float[np.ndarray, "L C"], x_ND: Num[np.ndarray, "N D"]
) -> Int[np.ndarray, "L N"]:
    """The class with the highest score, for every model; of equal scores the first, and the first that is NaN.

    >>> predict(np.array([[[1.0, 2.0]]]), np.zeros((1, 2)), np.array([[3.0], [-3.0]])).tolist()
    [[1, 0]]
    """
    return np.concatenate([block_LNC.argmax(2) for block_LNC in score_blocks(weights_LDC, bias_LC, x_ND)], axis=1)


def score_blocks(weights_LDC: np.ndarray, bias_LC: np.ndarray, x_ND: np.ndarray) -> Iterator[np.ndarray]:
    """`scores` in blocks of rows, (L, n, C) each. Raises ArgumentError for rows of another number of columns.

    >>> [b.shape for b in score_blocks(np.ones((2, 3, 4)), np.ones((2, 4)), np.ones((5, 3)))]
    [(2, 5, 4)]
    """
    x_ND, (models, dims, classes) = rows_of("x_ND", x_ND), weights_LDC.shape
    if x_ND.shape[1] != dims:
        raise ArgumentError("x_ND", f"{dims} columns, as the probe was fitted on", f"{x_ND.shape[1]}")
    kind = weights_LDC.dtype
    flat_DK = tensor(np.ascontiguousarray(weights_LDC.transpose(1, 0, 2)).reshape(dims, -1))
    # far from the origin x W and b are large and all but cancel: rows are taken from near their middle, b with them
    middle_D = x_ND[:MIDDLE].mean(0, dtype=np.float64).astype(kind)
    far_C = [torch.from_numpy(middle_D).double() @ w_DC.double() for w_DC in tensor(weights_LDC)]
    offset_K = (torch.stack(far_C) + tensor(bias_LC)).flatten().to(flat_DK.dtype)
    for rows in row_blocks(len(x_ND), dims + 2 * models * classes):
        block = torch.from_numpy(x_ND[rows].astype(kind) - middle_D)
        logits = torch.addmm(offset_K, block, flat_DK).view(len(block), models, classes)
        yield logits.transpose(0, 1).contiguous().numpy()
