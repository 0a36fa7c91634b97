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

from relic_eval.arrays import asarray, labels, matrix, paired, whole
from relic_eval.devices import device as where
from relic_eval.devices import tensor
from relic_eval.errors import ArgumentError
from relic_eval.probes.certificate import certify
from relic_eval.probes.linear import positive, row_weights, rows_of, score_blocks
from relic_eval.probes.path import Problem, solve_path
from relic_eval.probes.rows import Rows, kind_of

PENALTIES = tuple(float(p) for p in np.logspace(-6, 5, 45))
MEMORY = 512 << 20  # bytes of the optimiser's memory for several subsets together
MAX_MEMORY = 4 << 30  # bytes that rows may take, scaled and rotated; more rows are read again in each pass


@dataclass(frozen=True)
class PenaltyPath:
    """One fit a penalty (L), for each training subset (S): weights, intercepts and the proof of convergence."""

    penalties_L: np.ndarray  # as they were given
    weights_SLDC: np.ndarray
    bias_SLC: np.ndarray  # float64: they undo the mean of the rows, however far that lies from the origin
    objective_SL: np.ndarray  # the summed form, or the mean form where that was asked for
    gradient_SL: np.ndarray  # largest gradient entry of the mean form, features centred and at unit mean square
    bound_SL: np.ndarray  # no other weights, with these intercepts, have an objective lower than by this
    iterations_SL: np.ndarray
    converged_SL: np.ndarray
    calls: int  # passes over the rows of the fit, for all penalties together; the certificate is one more
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
    are weights and intercepts to begin at, for one penalty that was fitted on rows like these before. Rows whose two
    copies (scaled, rotated) would take more than `max_memory` bytes are read in blocks in each pass, so that a memory map may
    be larger than memory. Raises ArgumentError for fewer than two classes among the rows, labels from `classes` on,
    penalties of 0 or less, and a start of another shape.

    >>> path = fit_path(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1]), penalties=(1.0,))
    >>> path.weights_SLDC.shape, bool(path.converged_SL[0, 0])
    ((1, 1, 1, 2), True)
    """
    x_ND, y_N = paired(rows_of("x_ND", x_ND), labels("y_N", y_N))
    weight_SN = None if weight_N is None else row_weights("weight_N", weight_N, len(x_ND))[None]
    classes, penalties_L = _classes(y_N, classes), positive("penalties", penalties)
    start = None if start is None else _start(start, x_ND.shape[1], classes)
    counted = y_N if weight_SN is None else y_N[weight_SN[0] > 0]
    if len(np.unique(counted)) < 2:
        raise _one_class()
    device = where(device)
    rows = Rows(x_ND[None], weight_SN, device, max_memory)
    return _fit(rows, tensor(y_N)[None].to(device), classes, penalties_L, mean_form, tol, start, "softmax")


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

    `rows_SM` lists the rows of each subset by number; a row may occur twice, and subsets may differ in length, but not
    with `mean_form`, where a penalty would be another one in each. Raises ArgumentError for masks and for other numbers.

    >>> x, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])
    >>> fit_subsets(x, y, [np.array([0, 2]), np.array([1, 3, 3])], penalties=(1.0,)).weights_SLDC.shape
    (2, 1, 1, 2)
    """
    x_ND, y_N = paired(rows_of("x_ND", x_ND), labels("y_N", y_N))
    classes, penalties_L = _classes(y_N, classes), positive("penalties", penalties)
    subsets = [_subset(rows, len(x_ND)) for rows in rows_SM]
    if not subsets:
        raise ArgumentError("rows_SM", f"subsets of the {len(x_ND)} rows", "none")
    if mean_form and len({len(rows) for rows in subsets}) > 1:
        raise ArgumentError("mean_form", "subsets of one size", "several sizes", "Use the summed form.")
    if any(len(np.unique(y_N[rows])) < 2 for rows in subsets):
        raise _one_class()
    # the optimiser remembers about thirty points a problem, and rows are held twice: taken a few subsets at a time
    longest, dims, size = max(len(rows) for rows in subsets), x_ND.shape[1], kind_of(x_ND.dtype).itemsize
    point = size * len(penalties_L) * (min(dims, longest) + 1) * classes
    group = max(1, min(MEMORY // (30 * point), MAX_MEMORY // (2 * size * longest * dims)))
    device = where(device)
    parts = [_padded(subsets[start : start + group]) for start in range(0, len(subsets), group)]
    fits = []
    for rows_SM, weight_SM in parts:
        rows = Rows(x_ND[rows_SM], weight_SM, device, MAX_MEMORY)
        fits.append(_fit(rows, tensor(y_N[rows_SM]).to(device), classes, penalties_L, mean_form, tol, None, "softmax"))
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
    x_ND, y_NC = rows_of("x_ND", x_ND), matrix("y_NC", y_NC)
    if len(x_ND) != len(y_NC) or not np.isin(y_NC, (0, 1)).all():
        raise ArgumentError("y_NC", f"{len(x_ND)} rows of 0 and 1", f"shape {y_NC.shape}, other values or lengths")
    weight_SN = None if weight_N is None else row_weights("weight_N", weight_N, len(x_ND))[None]
    counted = y_NC if weight_SN is None else y_NC[weight_SN[0] > 0]
    single = np.flatnonzero(counted.min(0) == counted.max(0))
    if len(single):
        raise ArgumentError(
            "y_NC", "both 0 and 1 in each column", f"one value in column {single[0]}", "Leave such classes out."
        )
    device, penalties_L = where(device), positive("penalties", penalties)
    rows = Rows(x_ND[None], weight_SN, device, max_memory)
    target = tensor(np.ascontiguousarray(y_NC.T, np.float64))[None].to(device, rows.kind)
    return _fit(rows, target, y_NC.shape[1], penalties_L, mean_form, tol, None, "sigmoid")


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


def _fit(rows: Rows, y, classes, given_L, mean_form, tol, start, link) -> PenaltyPath:
    (tol,) = positive("tol", (tol,))
    number = rows.total[0].item() if mean_form else 1.0  # the same in all subsets
    summed_L, back = np.unique(given_L * number, return_inverse=True)
    problem = Problem(rows, y, classes, summed_L, link, tol)
    end = solve_path(problem, None if start is None else rows.inside(*start))
    weights, bias = rows.original(end.point)
    reached = certify(rows, y, link, summed_L, weights, bias)
    return PenaltyPath(
        given_L,
        weights[:, back],
        bias[:, back],
        reached.value[:, back] / number,
        reached.gradient[:, back],
        reached.bound[:, back] / number,
        end.iterations[:, back],
        reached.gradient[:, back] <= tol,
        end.calls,
        link,
    )


def _classes(y_N: np.ndarray, classes: Any) -> int:
    most = int(y_N.max()) + 1
    if (classes or most) == 1:
        raise _one_class()
    if classes is not None and most > whole("classes", classes, 2):
        raise ArgumentError("y_N", f"labels from 0 to {classes - 1}", f"{most - 1}")
    return classes or most


def _subset(rows: Any, count: int) -> np.ndarray:
    rows = asarray(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows) or rows.min() < 0 or rows.max() >= count:
        expected, hint = f"numbers of rows, from 0 to {count - 1}, in each subset", "Of a mask take np.flatnonzero."
        raise ArgumentError("rows_SM", expected, "others, or none", hint)
    return rows.astype(np.int64)


def _start(start: Any, dims: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    weights_DC, bias_1C = matrix("start", start[0]), matrix("start", asarray(start[1])[None])
    if weights_DC.shape != (dims, classes) or bias_1C.shape != (1, classes):
        shapes = f"{weights_DC.shape} and {bias_1C.shape[1:]}"
        raise ArgumentError("start", f"weights {(dims, classes)} and intercepts {(classes,)}", shapes)
    return weights_DC, bias_1C[0]


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
