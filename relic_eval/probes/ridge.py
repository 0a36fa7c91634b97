"""Ridge regression onto classes or numbers: the whole path of penalties from one eigendecomposition, and leave-one-out with it.

For each penalty lambda: half the summed squared error + lambda / 2 * the squared norm of the weights; the intercept is free.
That is scikit-learn's alpha = lambda. Rows are centred at their weighted mean and everything is summed in float64, a block
of rows at a time. With D columns and more rows than D + 1 the D x D Gram matrix is decomposed, else the N x N one; then each
penalty costs a product. Leave-one-out: y - e / (1 - h), e the residual and h the leverage of the row (Allen 1974, PRESS;
Rifkin and Lippert 2007, Notes on regularized least squares).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Num
from torch import Tensor

from relic_eval.arrays import asarray, labels, paired, whole
from relic_eval.devices import device as where
from relic_eval.devices import tensor
from relic_eval.errors import ArgumentError
from relic_eval.probes.linear import edge_of, positive, row_blocks, row_weights, rows_of
from relic_eval.progress import heartbeat

PENALTIES = tuple(float(p) for p in np.logspace(-6, 5, 45))
LEAST = 1e-9  # of 1 - h: below it, e / (1 - h) has lost the digits that are promised, and is missing
SOLVED = 1e-8  # of the gradient at weights of zero: what is left of it in float64


@dataclass(frozen=True)
class RidgePath:
    """One fit a penalty (L), in float64. Leave-one-out is missing (None) where it was not asked for."""

    penalties_L: np.ndarray
    weights_LDC: np.ndarray
    bias_LC: np.ndarray
    objective_L: np.ndarray
    gradient_L: np.ndarray  # largest entry of the gradient, as a share of the largest at weights of zero
    converged_L: np.ndarray
    loo_error_L: np.ndarray | None  # mean squared error over rows and targets; NaN where a row has no digits
    loo_top1_L: np.ndarray | None  # share of rows that the fit without them gives their class; None for real targets
    loo_LNC: np.ndarray | None  # the leave-one-out predictions, where `keep` asked for them
    best: int | None  # place of the penalty of the least leave-one-out error, of ties the largest
    edge: str  # what to know where the best penalty is the smallest or largest of several; else empty


def fit_ridge(
    x_ND: Num[np.ndarray, "N D"],
    y_N: Num[np.ndarray, " N"] | Num[np.ndarray, "N C"],
    penalties: Sequence[float] | np.ndarray = PENALTIES,
    *,
    classes: int | None = None,
    sample_weight_N: Num[np.ndarray, " N"] | None = None,
    relative: bool = False,
    loo: bool = True,
    keep: bool = False,
    device: str = "cpu",
) -> RidgePath:
    """Fit all penalties onto one-hot classes (`y_N` of class numbers) or onto real targets (`y_N` of two axes).

    With `relative` the penalties are multiples of the mean eigenvalue of the Gram matrix (rows x mean variance of a column):
    features times a constant are then the same problem on the same grid. A sample weight multiplies the squared error of its
    row; leaving a row out leaves out all its weight, and a row of weight 0 is predicted by the whole fit. `loo` costs a second pass, with a product of (rows, D, L C); `keep` keeps (L, N, C).
    Raises ArgumentError for penalties or weights that are not above or at 0, one class, labels outside `classes`.

    >>> path = fit_ridge(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [2.0]]), [2.0], keep=True)
    >>> path.weights_LDC.item(), path.bias_LC.item()  # slope 2 / (2 + 2), through the means
    (0.5, 0.5)
    >>> path.loo_LNC[0, :, 0].round(3).tolist()  # without the first row: slope 0.5 / 2.5, through (1.5, 1.5)
    [1.2, 1.0, 0.8]
    """
    x_ND = rows_of("x_ND", x_ND)
    y_N, classes = _targets(y_N, classes, len(x_ND))
    paired(x_ND, y_N)
    weight_N = _weights(sample_weight_N, y_N)
    lam_L = positive("penalties", penalties)
    device = where(device)
    data = _Rows(x_ND, y_N, classes, weight_N, device)
    lam = torch.from_numpy(lam_L).to(device)
    dual = len(x_ND) <= x_ND.shape[1] + 1  # with that many rows a fit without penalty meets all, and h comes to 1
    fit = (_dual if dual else _primal)(data, lam, relative)
    lam_L = fit["penalties"].cpu().numpy()
    bias_LC = data.mean_C - torch.einsum("d,ldc->lc", data.mean_D, fit["weights"])
    error, top1, left_out = _leave_one_out(data, fit, len(lam_L), keep) if loo or keep else (None, None, None)
    best = None
    if error is not None and not np.isnan(error).all():
        near = np.flatnonzero(error == np.nanmin(error))
        best = int(near[np.argmax(lam_L[near])])
    return RidgePath(
        lam_L,
        fit["weights"].cpu().numpy(),
        bias_LC.cpu().numpy(),
        fit["objective"].cpu().numpy(),
        fit["gradient"].cpu().numpy(),
        (fit["gradient"] <= SOLVED).cpu().numpy(),
        error,
        top1,
        left_out,
        best,
        "" if best is None else edge_of(lam_L, best),
    )


def _targets(y_N: Any, classes: int | None, rows: int) -> tuple[np.ndarray, int | None]:
    """Class numbers and how many classes, or real targets (N, C) and None."""
    y_N = asarray(y_N)
    if y_N.ndim == 2:
        if classes is not None:
            raise ArgumentError("classes", "None for real targets", repr(classes))
        return rows_of("y_N", y_N), None
    if y_N.ndim == 1 and y_N.dtype.kind == "f" and not (y_N == np.floor(y_N)).all():
        raise ArgumentError(
            "y_N", "class numbers, or targets of two axes", "fractions", "Pass one target as y[:, None]."
        )
    y_N = labels("y_N", y_N, rows)
    top = int(y_N.max()) + 1
    if classes is not None and whole("classes", classes, 2) < top:
        raise ArgumentError("y_N", f"class numbers below {classes}", f"{top - 1}")
    return y_N, classes or top


def _weights(given: Any, y_N: np.ndarray) -> np.ndarray:
    weight_N = np.ones(len(y_N)) if given is None else row_weights("sample_weight_N", given, len(y_N))
    used_N = weight_N > 0
    if used_N.sum() < 2:
        raise ArgumentError("x_ND", "at least two rows of weight above 0", f"{used_N.sum()}")
    if y_N.ndim == 1 and len(np.unique(y_N[used_N])) < 2:
        raise ArgumentError("y_N", "at least two classes among the rows", "one", "A probe must tell something apart.")
    return weight_N


class _Rows:
    """Rows and targets in float64, centred, a block at a time; and their weighted means."""

    def __init__(self, x_ND, y_N, classes, weight_N, device):
        self.x_ND, self.y_N, self.classes, self.device = x_ND, y_N, classes, device
        self.rows, self.dims = x_ND.shape
        self.targets = classes or y_N.shape[1]
        self.weight = torch.from_numpy(weight_N).to(device)
        self.total = self.weight.sum()
        self.mean_D = torch.zeros(self.dims, dtype=torch.float64, device=device)
        self.mean_C = torch.zeros(self.targets, dtype=torch.float64, device=device)
        sums = (torch.zeros_like(self.mean_D), torch.zeros_like(self.mean_C))
        for rows in row_blocks(self.rows, 3 * (self.dims + self.targets)):
            for total, block in zip(sums, self.block(rows), strict=True):
                total += self.weight[rows] @ block
        self.mean_D, self.mean_C = (s / self.total for s in sums)

    def block(self, rows: slice) -> tuple[Tensor, Tensor]:
        x = tensor(np.ascontiguousarray(self.x_ND[rows], dtype=np.float64)).to(self.device) - self.mean_D
        if self.classes is None:
            y = tensor(np.ascontiguousarray(self.y_N[rows], dtype=np.float64)).to(self.device)
        else:
            y = torch.nn.functional.one_hot(tensor(self.y_N[rows]).to(self.device), self.classes).double()
        return x, y - self.mean_C


def _primal(data: _Rows, lam_L: Tensor, relative: bool) -> dict[str, Any]:
    gram = torch.zeros(data.dims, data.dims, dtype=torch.float64, device=data.device)
    cross = torch.zeros(data.dims, data.targets, dtype=torch.float64, device=data.device)
    squares, beat = torch.zeros((), dtype=torch.float64, device=data.device), heartbeat()
    for rows in row_blocks(data.rows, 3 * (data.dims + data.targets)):
        beat(f"ridge: Gram matrix, {rows.start} of {data.rows} rows")
        x, y = (b * data.weight[rows, None].sqrt() for b in data.block(rows))
        # numpy sees that both sides are one matrix and does half the work
        gram += torch.from_numpy(x.numpy().T @ x.numpy()) if data.device == "cpu" else x.mT @ x
        cross += x.mT @ y
        squares += (y**2).sum()
    lam_L = lam_L * _size(gram, data) if relative else lam_L
    spectrum, basis = torch.linalg.eigh(gram)
    alive = spectrum > _floor(spectrum, max(data.rows, data.dims))
    spectrum, basis = spectrum[alive], basis[:, alive]
    inverse_LR = 1 / (spectrum + lam_L[:, None])
    inside_RC = basis.mT @ cross
    weights = torch.stack([basis @ (inverse_R[:, None] * inside_RC) for inverse_R in inverse_LR])
    reach_R = (inside_RC**2).sum(1) / spectrum  # squared length of the targets along each direction of the rows
    rest = (squares - reach_R.sum()).clamp_min(0)
    error_L = rest + ((lam_L[:, None] * inverse_LR) ** 2 * reach_R).sum(1)
    pulls = (gram @ w + lam * w - cross for w, lam in zip(weights, lam_L, strict=True))
    return {"basis": basis, **_proof(lam_L, weights, error_L, pulls, cross), **_inside(inverse_LR, inside_RC)}


def _dual(data: _Rows, lam_L: Tensor, relative: bool) -> dict[str, Any]:
    root_N = data.weight.sqrt()
    x, y = (b * root_N[:, None] for b in data.block(slice(0, data.rows)))
    gram = torch.from_numpy(x.numpy() @ x.numpy().T) if data.device == "cpu" else x @ x.mT
    lam_L = lam_L * _size(gram, data) if relative else lam_L
    # the intercept owns the direction of the weights' roots: lifted to the top of the spectrum it is told apart and dropped
    own, lift = root_N / root_N.norm(), 2 * gram.norm()
    spectrum, basis = torch.linalg.eigh(gram + torch.where(lift > 0, lift, 1.0) * torch.outer(own, own))
    spectrum, basis = spectrum[:-1], basis[:, :-1]
    alive = spectrum > _floor(spectrum, max(data.rows, data.dims))
    spectrum = torch.where(alive, spectrum, 0.0)
    inverse_LR = 1 / (spectrum + lam_L[:, None])
    inside_RC = basis.mT @ y
    # directions without variance are left out of the weights, where rounding times 1 / lambda would drown the others
    point = [basis @ ((inverse_R * alive)[:, None] * inside_RC) for inverse_R in inverse_LR]
    weights = torch.stack([x.mT @ p for p in point])
    error_L = ((lam_L[:, None] * inverse_LR) ** 2 * (inside_RC**2).sum(1)).sum(1)
    cross = x.mT @ y
    pulls = (x.mT @ (x @ w) + lam * w - cross for w, lam in zip(weights, lam_L, strict=True))
    return {"rows": basis, **_proof(lam_L, weights, error_L, pulls, cross), **_inside(inverse_LR, inside_RC)}


def _inside(inverse_LR: Tensor, inside_RC: Tensor) -> dict[str, Tensor]:
    """What leave-one-out needs along the eigenvectors: all solutions as one matrix (R, L C)."""
    flat = (inverse_LR[..., None] * inside_RC).transpose(0, 1).flatten(1)
    return {"inside": flat, "inverse": inverse_LR}


def _proof(
    lam_L: Tensor, weights_LDC: Tensor, error_L: Tensor, pulls: Iterator[Tensor], cross: Tensor
) -> dict[str, Tensor]:
    at_zero = cross.abs().max()
    return {
        "penalties": lam_L,
        "weights": weights_LDC,
        "objective": error_L / 2 + lam_L / 2 * (weights_LDC**2).sum((1, 2)),
        "gradient": torch.stack([p.abs().max() for p in pulls]) / torch.where(at_zero > 0, at_zero, 1.0),
    }


def _size(gram: Tensor, data: _Rows) -> Tensor:
    mean = gram.trace() / data.dims
    return torch.where(mean > 0, mean, 1.0)


def _floor(spectrum: Tensor, side: int) -> Tensor | float:
    """Eigenvalues that rounding alone can make."""
    return torch.finfo(torch.float64).eps * side * spectrum[-1].clamp_min(0) if len(spectrum) else 0.0


def _leave_one_out(data: _Rows, fit: dict, count: int, keep: bool) -> tuple[Any, Any, Any]:
    """Mean squared errors (L,), shares of right classes (L,) or None, and all predictions (L, N, C) where kept."""
    error = torch.zeros(count, dtype=torch.float64, device=data.device)
    right = torch.zeros_like(error)
    kept = np.empty((count, data.rows, data.targets)) if keep else None
    for rows, y, off in _left_out(data, fit, count):  # off: true - predicted (B, L, C)
        weight = data.weight[rows]
        # a row of weight 0 must not carry its NaN into the sum
        error += torch.where(weight > 0, weight * (off**2).sum(2).T, 0.0).sum(1)
        guess = y[:, None] - off + data.mean_C
        if data.classes is not None:
            hit = guess.argmax(2) == tensor(data.y_N[rows]).to(data.device)[:, None]
            right += weight @ hit.double()
        if kept is not None:
            kept[:, rows] = guess.transpose(0, 1).cpu().numpy()
    error /= data.total * data.targets
    top1 = None if data.classes is None else torch.where(error.isnan(), torch.nan, right / data.total).cpu().numpy()
    return error.cpu().numpy(), top1, kept


def _left_out(data: _Rows, fit: dict, count: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    shape, beat = (-1, count, data.targets), heartbeat()
    for rows in row_blocks(data.rows, 3 * (data.dims + count * (data.targets + 1))):
        beat(f"ridge: leave-one-out, {rows.start} of {data.rows} rows")
        x, y = data.block(rows)
        weight = data.weight[rows, None]
        if "rows" in fit:
            # residual and 1 - h are both lambda times what stands here, so nothing cancels where h comes to 1
            u = fit["rows"][rows]
            off = (u @ fit["inside"]).view(shape) / ((u**2) @ fit["inverse"].mT * weight.sqrt())[..., None]
            if (weight == 0).any():
                whole_fit = y[:, None] - torch.einsum("bd,ldc->blc", x, fit["weights"])
                off = torch.where(weight[..., None] > 0, off, whole_fit)
        else:
            z = x @ fit["basis"]
            free = 1 - weight / data.total - weight * ((z**2) @ fit["inverse"].mT)
            free = torch.where(free < LEAST, torch.nan, free)
            off = (y[:, None] - (z @ fit["inside"]).view(shape)) / free[..., None]
        yield rows, y, off
