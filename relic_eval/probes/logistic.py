"""Logistic regression over a whole path of L2 penalties in one fit: multinomial, or one yes-or-no label a class.

For each penalty lambda: the summed cross-entropy + lambda / 2 * the squared norm of the weights; the intercept is free
(scikit-learn's C = 1 / lambda). The mean form divides the loss by the number of rows: its lambda times that number is ours.
Two classes are two columns; scikit-learn's one column for two classes is the same problem with lambda / 2 on the difference.
rows.py makes the rows ready, path.py solves all penalties together, lbfgs.py and links.py are its parts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Num, Shaped

from relic_eval.arrays import labels, matrix, paired
from relic_eval.devices import device as where
from relic_eval.devices import tensor
from relic_eval.errors import ArgumentError
from relic_eval.probes.linear import score_blocks
from relic_eval.probes.path import Problem, solve_path
from relic_eval.probes.rows import Rows

PENALTIES = tuple(float(p) for p in np.logspace(-6, 5, 45))
MEMORY = 512 << 20  # bytes of the optimiser's memory for several subsets together
MAX_MEMORY = 4 << 30  # bytes that the rotated rows may take; more rows are read again in each pass


@dataclass(frozen=True)
class PenaltyPath:
    """One fit a penalty (L), for each training subset (S): weights, intercepts and the proof of convergence."""

    penalties_L: np.ndarray  # as they were given
    weights_SLDC: np.ndarray
    bias_SLC: np.ndarray
    objective_SL: np.ndarray  # the summed form, or the mean form where that was asked for
    gradient_SL: np.ndarray  # largest gradient entry of the mean form, features centred and at unit mean square
    bound_SL: np.ndarray  # no other weights, with these intercepts, have an objective lower than by this
    iterations_SL: np.ndarray
    converged_SL: np.ndarray
    calls: int  # passes over the rows, for all penalties together
    link: str = "softmax"


def fit_path(
    x_ND: Num[np.ndarray, "N D"],
    y_N: Int[np.ndarray, " N"],
    *,
    classes: int | None = None,
    penalties: Sequence[float] = PENALTIES,
    mean_form: bool = False,
    weight_N: Num[np.ndarray, " N"] | None = None,
    tol: float = 1e-4,
    start: tuple[Float[np.ndarray, "D C"], Float[np.ndarray, " C"]] | None = None,
    device: str = "cpu",
    max_memory: int = MAX_MEMORY,
) -> PenaltyPath:
    """Fit all penalties on the same rows; the subset axis S has length 1. float64 rows are fitted in float64.

    `tol` bounds the largest gradient entry of the mean loss, features centred and at unit mean square. `mean_form` takes
    penalties beside the mean loss and returns objectives of that form. `weight_N` counts a row that many times. `start`
    are weights and intercepts to begin at, for one penalty that was fitted on rows like these before. Rows whose rotated
    copy would take more than `max_memory` bytes are read in blocks in each pass, so that a memory map may be larger than memory.
    Raises ArgumentError for fewer than two classes among the rows, labels from `classes` on, and penalties of 0 or less.

    >>> path = fit_path(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1]), penalties=(1.0,))
    >>> path.weights_SLDC.shape, bool(path.converged_SL[0, 0])
    ((1, 1, 1, 2), True)
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    weight_SN = None if weight_N is None else _weights(weight_N, len(x_ND))[None]
    classes = _classes(y_N, classes)
    counted = y_N if weight_SN is None else y_N[weight_SN[0] > 0]
    if len(np.unique(counted)) < 2:
        raise _one_class()
    device = where(device)
    rows = Rows(x_ND[None], weight_SN, device, max_memory)
    return _fit(rows, tensor(y_N)[None].to(device), classes, penalties, mean_form, tol, start, "softmax")


def fit_subsets(
    x_ND: Num[np.ndarray, "N D"],
    y_N: Int[np.ndarray, " N"],
    rows_SM: Int[np.ndarray, "S M"] | Sequence[np.ndarray],
    *,
    classes: int | None = None,
    penalties: Sequence[float] = PENALTIES,
    mean_form: bool = False,
    tol: float = 1e-4,
    device: str = "cpu",
) -> PenaltyPath:
    """Fit all penalties on S subsets of rows in one batch: few-shot draws, bootstrap samples, folds.

    `rows_SM` lists the rows of each subset; a row may occur twice, and subsets may differ in length.

    >>> x, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])
    >>> fit_subsets(x, y, [np.array([0, 2]), np.array([1, 3, 3])], penalties=(1.0,)).weights_SLDC.shape
    (2, 1, 1, 2)
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    classes = _classes(y_N, classes)
    subsets = [labels("rows_SM", rows) for rows in rows_SM]
    if not subsets or any(len(r) == 0 or r.max() >= len(x_ND) for r in subsets):
        raise ArgumentError("rows_SM", f"subsets of the {len(x_ND)} rows", "none, an empty one, or a row beyond them")
    if any(len(np.unique(y_N[rows])) < 2 for rows in subsets):
        raise _one_class()
    # the optimiser remembers about thirty points a problem: many classes are taken a few subsets at a time
    longest = max(len(rows) for rows in subsets)
    point = x_ND.dtype.itemsize * len(penalties) * (min(x_ND.shape[1], longest) + 1) * classes
    group = max(1, MEMORY // (30 * point))
    device = where(device)
    parts = [_padded(subsets[start : start + group]) for start in range(0, len(subsets), group)]
    fits = []
    for rows_SM, weight_SM in parts:
        rows = Rows(x_ND[rows_SM], weight_SM, device, MAX_MEMORY)
        fits.append(_fit(rows, tensor(y_N[rows_SM]).to(device), classes, penalties, mean_form, tol, None, "softmax"))
    return _joined(fits)


def fit_multilabel(
    x_ND: Num[np.ndarray, "N D"],
    y_NC: Shaped[np.ndarray, "N C"],
    *,
    penalties: Sequence[float] = PENALTIES,
    mean_form: bool = False,
    weight_N: Num[np.ndarray, " N"] | None = None,
    tol: float = 1e-4,
    device: str = "cpu",
    max_memory: int = MAX_MEMORY,
) -> PenaltyPath:
    """One yes-or-no model (a sigmoid) a class, all classes and penalties in one fit: rows with several labels (VOC).

    `y_NC` holds 1 where row n has label c and 0 elsewhere. The loss is summed over rows and classes, so that each class is
    the binary logistic regression of its column. Raises ArgumentError for other values, and for a column of one value.

    >>> path = fit_multilabel(np.array([[0.0], [1.0], [4.0]]), np.array([[0], [0], [1]]), penalties=(1.0,))
    >>> predict(path, np.array([[0.0], [9.0]])).tolist()
    [[[[False], [True]]]]
    """
    x_ND, y_NC = matrix("x_ND", x_ND), matrix("y_NC", y_NC)
    if len(x_ND) != len(y_NC) or not np.isin(y_NC, (0, 1)).all():
        raise ArgumentError("y_NC", f"{len(x_ND)} rows of 0 and 1", f"shape {y_NC.shape}, other values or lengths")
    weight_SN = None if weight_N is None else _weights(weight_N, len(x_ND))[None]
    counted = y_NC if weight_SN is None else y_NC[weight_SN[0] > 0]
    single = np.flatnonzero(counted.min(0) == counted.max(0))
    if len(single):
        raise ArgumentError(
            "y_NC", "both 0 and 1 in each column", f"one value in column {single[0]}", "Leave such classes out."
        )
    device = where(device)
    rows = Rows(x_ND[None], weight_SN, device, max_memory)
    target = tensor(np.ascontiguousarray(y_NC.T, np.float64))[None].to(device, rows.kind)
    return _fit(rows, target, y_NC.shape[1], penalties, mean_form, tol, None, "sigmoid")


def predict(path: PenaltyPath, x_ND: Num[np.ndarray, "N D"]) -> Shaped[np.ndarray, "S L N *C"]:
    """Class numbers for every subset and penalty, in blocks of rows; of a multi-label path: yes or no for each class.

    >>> path = fit_path(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1]), penalties=(1.0,))
    >>> predict(path, np.array([[0.0], [9.0]]))
    array([[[0, 1]]])
    """
    several = path.link == "sigmoid"
    scores = (s_SLNC > 0 if several else s_SLNC.argmax(3) for s_SLNC in _score_blocks(path, x_ND))
    return np.concatenate(list(scores), axis=2)


def probabilities(path: PenaltyPath, x_ND: Num[np.ndarray, "N D"]) -> Float[np.ndarray, "S L N C"]:
    """Class probabilities for every subset and penalty; keep the path to a few penalties for many rows.

    >>> path = fit_path(np.array([[0.0], [1.0]]), np.array([0, 1]), penalties=(1.0,))
    >>> float(probabilities(path, np.array([[0.5]]))[0, 0, 0, 1].round(3))
    0.5
    """
    scores = (torch.from_numpy(b) for b in _score_blocks(path, x_ND))
    blocks = [(s.sigmoid() if path.link == "sigmoid" else torch.softmax(s, 3)).numpy() for s in scores]
    return np.concatenate(blocks, axis=2)


def _fit(rows: Rows, y, classes, penalties, mean_form, tol, start, link) -> PenaltyPath:
    given_L = np.asarray(tuple(penalties), np.float64)
    if given_L.ndim != 1 or not len(given_L) or not np.isfinite(given_L).all() or (given_L <= 0).any():
        raise ArgumentError("penalties", "numbers above 0", f"{penalties}")
    if mean_form and rows.subsets > 1 and len(rows.total.unique()) > 1:
        raise ArgumentError("mean_form", "subsets of one size", "several sizes", "Use the summed form.")
    number = rows.total[0].item() if mean_form else 1.0
    summed_L, back = np.unique(given_L * number, return_inverse=True)
    problem = Problem(rows, y, classes, summed_L, link, tol)
    end = solve_path(problem, None if start is None else rows.inside(*start))
    weights, bias = rows.original(end.point)
    return PenaltyPath(
        given_L,
        weights[:, back],
        bias[:, back],
        end.value[:, back] / number,
        end.gradient[:, back],
        end.bound[:, back] / number,
        end.iterations[:, back],
        end.gradient[:, back] <= tol,
        end.calls,
        link,
    )


def _classes(y_N: np.ndarray, classes: int | None) -> int:
    most = int(y_N.max()) + 1
    if classes is not None and most > classes:
        raise ArgumentError("y_N", f"labels from 0 to {classes - 1}", f"{most - 1}")
    return classes or most


def _weights(weight_N: Any, rows: int) -> np.ndarray:
    weight_N = matrix("weight_N", np.asarray(weight_N)[:, None])[:, 0]
    if len(weight_N) != rows or (weight_N < 0).any() or not (weight_N > 0).any():
        raise ArgumentError("weight_N", f"{rows} numbers of at least 0, one a row", f"{len(weight_N)}, or negative")
    return weight_N.astype(np.float64)


def _one_class() -> ArgumentError:
    return ArgumentError(
        "y_N", "at least two classes among the training rows", "one", "A probe needs something to tell apart."
    )


def _padded(subsets: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows (S, M) of subsets of several lengths, and weights that are 0 where a subset has no row."""
    longest = max(len(rows) for rows in subsets)
    if all(len(rows) == longest for rows in subsets):
        return np.stack(subsets), None
    padded = np.stack([np.pad(rows, (0, longest - len(rows)), mode="edge") for rows in subsets])
    return padded, np.stack([(np.arange(longest) < len(rows)).astype(np.float64) for rows in subsets])


def _joined(paths: list[PenaltyPath]) -> PenaltyPath:
    if len(paths) == 1:
        return paths[0]
    by_subset = [f.name for f in dataclasses.fields(PenaltyPath) if "_S" in f.name]
    joined: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in paths]) for name in by_subset}
    return dataclasses.replace(paths[0], calls=sum(p.calls for p in paths), **joined)


def _score_blocks(path: PenaltyPath, x_ND: np.ndarray) -> Iterator[np.ndarray]:
    shape = path.bias_SLC.shape
    flat = path.weights_SLDC.reshape(-1, *path.weights_SLDC.shape[2:]), path.bias_SLC.reshape(-1, shape[2])
    for block_MNC in score_blocks(*flat, x_ND):
        yield block_MNC.reshape(*shape[:2], -1, shape[2])
