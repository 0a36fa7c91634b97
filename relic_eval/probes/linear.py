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
    flat_DK = tensor(np.ascontiguousarray(weights_LDC.transpose(1, 0, 2)).reshape(dims, -1))
    bias = tensor(np.ascontiguousarray(bias_LC))
    for rows in row_blocks(len(x_ND), dims + 2 * models * classes):
        block = tensor(np.ascontiguousarray(x_ND[rows], dtype=weights_LDC.dtype))
        logits = torch.addmm(bias.reshape(-1), block, flat_DK).view(len(block), models, classes)
        yield logits.transpose(0, 1).contiguous().numpy()
