"""What is done to embeddings before a probe is fitted: nothing, unit length, or columns of mean 0 and spread 1."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from relic_eval.errors import look_up

Normaliser = Callable[[np.ndarray], np.ndarray]
ROWS = 65_536  # looked at together, in float64


def normaliser(how: str, fitted_ND: np.ndarray) -> Normaliser:
    """What `how` (none, l2 or standardise) makes of rows, as the rows that a probe is fitted on say.

    l2 divides each row by its length (a row of zeros stays one); standardise takes each column's mean from it and divides by
    its spread, both of `fitted_ND`: a column that is constant there is only centred. Rows come back as float32, or float64 where they were.

    >>> normaliser("standardise", np.array([[1.0, 5.0], [3.0, 5.0]]))(np.array([[2.0, 6.0], [5.0, 5.0]]))
    array([[0., 1.],
           [3., 0.]])
    >>> normaliser("l2", np.zeros((1, 2)))(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    kind = look_up("normalise", how, _KINDS)
    return kind(fitted_ND) if len(fitted_ND) else _none(fitted_ND)  # without rows the fit says what it lacks


def _floats(x_ND: np.ndarray) -> np.ndarray:
    return np.array(x_ND, np.result_type(x_ND, np.float32))


def _none(fitted_ND: np.ndarray) -> Normaliser:
    return lambda x_ND: x_ND


def _l2(fitted_ND: np.ndarray) -> Normaliser:
    def divide(x_ND: np.ndarray) -> np.ndarray:
        out_ND = _floats(x_ND)
        for start in range(0, len(out_ND), ROWS):
            block = out_ND[start : start + ROWS]
            length_N = np.linalg.norm(block.astype(np.float64), axis=1, keepdims=True)
            block /= np.where(length_N > 0, length_N, 1.0).astype(block.dtype)
        return out_ND

    return divide


def _standardise(fitted_ND: np.ndarray) -> Normaliser:
    starts = range(0, len(fitted_ND), ROWS)
    mean_D = sum(fitted_ND[s : s + ROWS].sum(0, dtype=np.float64) for s in starts) / len(fitted_ND)
    square_D = sum(((fitted_ND[s : s + ROWS] - mean_D) ** 2).sum(0) for s in starts)
    constant_D = fitted_ND.max(0) == fitted_ND.min(0)  # rounding of the mean alone would give it a spread
    spread_D = np.where(constant_D, 1.0, np.sqrt(square_D / len(fitted_ND)))

    def scale(x_ND: np.ndarray) -> np.ndarray:
        out_ND = _floats(x_ND)
        for start in range(0, len(out_ND), ROWS):
            out_ND[start : start + ROWS] = (out_ND[start : start + ROWS] - mean_D) / spread_D
        return out_ND

    return scale


_KINDS: dict[str, Callable[[np.ndarray], Normaliser]] = {"none": _none, "l2": _l2, "standardise": _standardise}
