"""Multinomial logistic regression over a whole path of L2 penalties in one fit.

For each penalty lambda: the summed cross-entropy + lambda / 2 * the squared norm of the weights; the intercept is free
(scikit-learn's C = 1 / lambda). The rows are centred, divided by the root of their mean square (and lambda by its square:
the same problem, whose certificate no longer depends on the scale of the features), and rotated once into the eigenbasis of
the smaller of the two Gram matrices (so n < d is solved in n dimensions); each penalty is preconditioned with the inverse of
half the Gram spectrum + lambda, the bound of Böhning (1992). One matrix product then serves all penalties and classes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from relic_eval.arrays import labels, matrix, paired
from relic_eval.devices import tensor
from relic_eval.errors import ArgumentError
from relic_eval.probes.lbfgs import minimise
from relic_eval.progress import heartbeat

PENALTIES = tuple(float(p) for p in np.logspace(-6, 5, 45))
MEMORY = 512 << 20  # bytes of the optimiser's memory for several subsets together
BLOCK = 8192  # rows in one product: bounds the memory of the logits
COARSE = 4  # every fourth penalty is solved first; the rest start from a cubic through their four nearest in log lambda


@dataclass(frozen=True)
class PenaltyPath:
    """One fit a penalty (L), for each training subset (S): weights, intercepts and the proof of convergence."""

    penalties_L: np.ndarray
    weights_SLDC: np.ndarray
    bias_SLC: np.ndarray
    objective_SL: np.ndarray  # the summed form
    gradient_SL: np.ndarray  # largest gradient entry of the mean form (summed / rows), features at unit mean square
    iterations_SL: np.ndarray
    converged_SL: np.ndarray
    calls: int  # of the matrix product, for all penalties together


def fit_path(
    x_ND: Float[np.ndarray, "N D"],
    y_N: Int[np.ndarray, " N"],
    *,
    classes: int | None = None,
    penalties: tuple[float, ...] = PENALTIES,
    tol: float = 1e-4,
    start: tuple[Float[np.ndarray, "D C"], Float[np.ndarray, " C"]] | None = None,
    device: str = "cpu",
) -> PenaltyPath:
    """Fit all penalties on the same rows; the subset axis S has length 1.

    `start` are weights and intercepts to begin at, for one penalty that was fitted on rows like these before.
    `tol` bounds the largest gradient entry of the mean loss, features centred and at unit mean square. Raises ArgumentError for fewer than two classes among the rows.

    >>> path = fit_path(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1]), penalties=(1.0,))
    >>> path.weights_SLDC.shape, bool(path.converged_SL[0, 0])
    ((1, 1, 1, 2), True)
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    return _fit(x_ND[None], y_N[None], classes, penalties, tol, device, start)


def fit_subsets(
    x_ND: Float[np.ndarray, "N D"],
    y_N: Int[np.ndarray, " N"],
    rows_SM: Int[np.ndarray, "S M"],
    *,
    classes: int | None = None,
    penalties: tuple[float, ...] = PENALTIES,
    tol: float = 1e-4,
    device: str = "cpu",
) -> PenaltyPath:
    """Fit all penalties on S subsets of M rows each, all in one batch.

    >>> x, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])
    >>> fit_subsets(x, y, np.array([[0, 2], [1, 3]]), penalties=(1.0,)).weights_SLDC.shape
    (2, 1, 1, 2)
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    classes = classes or int(y_N.max()) + 1
    # the optimiser remembers about thirty points a problem: many classes are taken a few subsets at a time
    point = 4 * len(penalties) * (min(x_ND.shape[1], rows_SM.shape[1]) + 1) * classes
    group = max(1, MEMORY // (30 * point))
    starts = range(0, len(rows_SM), group)
    parts = [rows_SM[start : start + group] for start in starts]
    return _joined([_fit(x_ND[rows], y_N[rows], classes, penalties, tol, device) for rows in parts])


def predict(path: PenaltyPath, x_ND: Float[np.ndarray, "N D"]) -> Int[np.ndarray, "S L N"]:
    """Class numbers for every subset and penalty, in blocks of rows.

    >>> path = fit_path(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1]), penalties=(1.0,))
    >>> predict(path, np.array([[0.0], [9.0]]))
    array([[[0, 1]]])
    """
    scores = (scores_SLNC.argmax(3) for scores_SLNC in _score_blocks(path, x_ND))
    return np.concatenate(list(scores), axis=2)


def probabilities(path: PenaltyPath, x_ND: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "S L N C"]:
    """Class probabilities for every subset and penalty; keep the path to a few penalties for many rows.

    >>> path = fit_path(np.array([[0.0], [1.0]]), np.array([0, 1]), penalties=(1.0,))
    >>> float(probabilities(path, np.array([[0.5]]))[0, 0, 0, 1].round(3))
    0.5
    """
    blocks = [torch.softmax(torch.from_numpy(b), 3).numpy() for b in _score_blocks(path, x_ND)]
    return np.concatenate(blocks, axis=2)


def _joined(paths: list[PenaltyPath]) -> PenaltyPath:
    if len(paths) == 1:
        return paths[0]
    by_subset = [f.name for f in dataclasses.fields(PenaltyPath) if "_S" in f.name]
    joined: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in paths]) for name in by_subset}
    return dataclasses.replace(paths[0], calls=sum(p.calls for p in paths), **joined)


def _score_blocks(path: PenaltyPath, x_ND: np.ndarray):
    weights = torch.from_numpy(path.weights_SLDC)
    subsets, penalties, dims, classes = weights.shape
    flat_DK = weights.permute(2, 0, 1, 3).reshape(dims, -1)
    bias = torch.from_numpy(path.bias_SLC)
    rows = max(64, BLOCK * 16 // max(1, subsets * penalties))
    for start in range(0, len(x_ND), rows):
        block = tensor(np.ascontiguousarray(x_ND[start : start + rows], dtype=np.float32))
        logits = (block @ flat_DK).reshape(len(block), subsets, penalties, classes) + bias
        yield logits.permute(1, 2, 0, 3).contiguous().numpy()


def _fit(x_SND, y_SN, classes, penalties, tol, device, start=None) -> PenaltyPath:
    if any(len(np.unique(y)) < 2 for y in y_SN):
        raise ArgumentError(
            "y_N", "at least two classes among the training rows", "one", "A probe needs something to tell apart."
        )
    classes = classes or int(y_SN.max()) + 1
    problem = _Problem(x_SND, y_SN, classes, np.asarray(penalties, np.float64), tol, device)
    order = np.arange(len(penalties))
    coarse = np.unique(np.append(order[::COARSE], order[-1])) if len(order) > 2 * COARSE else order
    fine = np.setdiff1d(order, coarse)
    solved = problem.solve(coarse, None if start is None else problem.inside(*start).repeat(len(coarse), 1))
    if len(fine):
        later = problem.solve(fine, _interpolate(problem, coarse, solved, fine))
        solved = {
            **{k: np.concatenate([solved[k], later[k]], 1) for k in solved if k != "calls"},
            "calls": solved["calls"] + later["calls"],
        }
    back = np.argsort(np.concatenate([coarse, fine]))
    weights, bias = problem.original(solved["point"][:, back])
    return PenaltyPath(
        np.asarray(penalties, np.float64),
        weights,
        bias,
        solved["value"][:, back],
        solved["gradient"][:, back],
        solved["iterations"][:, back],
        solved["gradient"][:, back] <= tol,
        solved["calls"],
    )


class _Problem:
    """Rotated rows and what is needed to go back. Points are (S, L, R + 1, C), the last row of R + 1 being the intercept."""

    def __init__(self, x_SND, y_SN, classes, penalties_L, tol, device):
        self.tol, self.classes = tol, classes
        x = tensor(np.ascontiguousarray(x_SND, dtype=np.float32)).to(device)
        self.mean = x.double().mean(1, keepdim=True).float()
        x = x - self.mean
        rows, dims = x.shape[1:]
        size = torch.linalg.vector_norm(x, dim=(1, 2), dtype=torch.float64) / (rows * dims) ** 0.5
        self.size = torch.where(size > 0, size, 1.0)  # (S,)
        x = x / self.size[:, None, None].float()
        self.penalties = torch.from_numpy(penalties_L).to(device) / self.size[:, None] ** 2  # (S, L)
        dual = rows < dims
        # small singular values drown in a float32 product; in the dual form the basis hangs on them
        gram = x.double() @ x.mT.double() if dual else (x.mT @ x).double()
        spectrum, basis = torch.linalg.eigh(gram)
        self.spectrum = spectrum.clamp_min(0)  # (S, R)
        if dual:  # left singular vectors: the right ones follow; directions without variance carry no weight
            scale = self.spectrum.sqrt()
            safe = torch.where(scale > 1e-6 * scale.amax(1, keepdim=True), 1 / scale.clamp_min(1e-30), 0.0)
            basis = x.mT.double() @ basis * safe[:, None]
        self.basis = basis.float()  # (S, D, R)
        self.z = x @ self.basis  # (S, N, R)
        self.y = tensor(np.ascontiguousarray(y_SN)).to(device)
        self.rows = rows
        count_SC = torch.zeros(len(x), classes, dtype=torch.float64, device=device)
        count_SC.scatter_add_(1, self.y, torch.ones_like(self.y, dtype=torch.float64))
        log_share = (count_SC.clamp_min(0.5) / rows).log()
        self.log_share = log_share - log_share.mean(1, keepdim=True)  # (S, C): the intercepts where all weights are 0

    def solve(self, which: np.ndarray, start: np.ndarray | None) -> dict:
        subsets, rank = self.spectrum.shape
        lam_SL = self.penalties[:, torch.from_numpy(which)]
        # U = W * root: in these variables the Böhning bound of the Hessian is the identity
        root = (self.spectrum[:, None] / 2 + lam_SL[..., None]).sqrt()
        free = root.new_full((subsets, len(which), 1), (self.rows / 2) ** 0.5)
        root = torch.cat([root, free], 2).float()[..., None]  # (S, L, R + 1, 1)
        shape = (subsets, len(which), rank + 1, self.classes)
        if start is None:
            begin = self.z.new_zeros(shape)
            begin[:, :, -1] = self.log_share[:, None].float()
        else:
            begin = torch.from_numpy(start).float().to(self.z.device)
        begin = (begin * root).reshape(subsets * len(which), -1)
        lam_P, beat = lam_SL.flatten(), heartbeat()

        def objective(point_PV, problems_P):
            beat(f"logistic regression: {len(lam_P) - len(problems_P)} of {len(lam_P)} fits done")
            return self._evaluate(point_PV, problems_P, root, lam_P[problems_P])

        end = minimise(objective, begin, tol=self.tol)
        return {
            "point": (end.point_PV.reshape(shape) / root).cpu().numpy(),
            "value": end.value_P.reshape(shape[:2]).cpu().numpy(),
            "gradient": end.certificate_P.reshape(shape[:2]).double().cpu().numpy(),
            "iterations": end.iterations_P.reshape(shape[:2]).cpu().numpy(),
            "calls": end.calls,
        }

    def _evaluate(self, point_PV, problems_P, root, lam_P):
        subsets, penalties = root.shape[:2]
        columns, place = torch.unique(problems_P % penalties, return_inverse=True)
        s, count = problems_P // penalties, len(columns)
        scale = root[s, problems_P % penalties]
        w_P = point_PV.reshape(len(point_PV), -1, self.classes) / scale
        w = w_P.new_zeros(subsets, count, *w_P.shape[1:])
        w[s, place] = w_P
        loss, gradient = self._loss(w)
        weights = w_P[:, :-1]
        value = loss[s, place] + 0.5 * lam_P * (weights.double() ** 2).sum((1, 2))
        g_P = gradient[s, place]
        g_P[:, :-1] += lam_P[:, None, None].float() * weights
        # the certificate is taken along the features, not along the eigenvectors: there the reader can check it
        outside = (
            torch.einsum("pdr,prc->pdc", self.basis[s], g_P[:, :-1]) if subsets > 1 else self.basis[0] @ g_P[:, :-1]
        )
        largest = torch.maximum(outside.abs().amax((1, 2)), g_P[:, -1].abs().amax(1)) / self.rows
        return value, (g_P / scale).reshape(len(point_PV), -1), largest

    def _loss(self, w_SLRC):
        """Summed cross-entropy (S, L) in float64, and its gradient (S, L, R + 1, C), a block of rows at a time."""
        subsets, penalties, rank, classes = w_SLRC.shape
        flat = w_SLRC[:, :, :-1].permute(0, 2, 1, 3).reshape(subsets, rank - 1, -1)
        bias = w_SLRC[:, :, -1].reshape(subsets, 1, -1)
        loss = torch.zeros(subsets, penalties, dtype=torch.float64, device=self.z.device)
        gradient, free = torch.zeros_like(flat), torch.zeros_like(bias)
        for start in range(0, self.rows, BLOCK):
            z, y = self.z[:, start : start + BLOCK], self.y[:, start : start + BLOCK]
            logits = torch.baddbmm(bias.expand(-1, z.shape[1], -1), z, flat).view(subsets, -1, penalties, classes)
            index = y[:, :, None, None].expand(-1, -1, penalties, 1)
            # written out: log_softmax over an axis of a few classes takes five times as long
            logits -= logits.amax(3, keepdim=True)
            loss -= logits.gather(3, index)[..., 0].sum(1, dtype=torch.float64)
            residual = logits.exp_()
            total = residual.sum(3, keepdim=True)
            loss += total[..., 0].log().sum(1, dtype=torch.float64)
            residual /= total
            residual.scatter_add_(3, index, residual.new_full((1, 1, 1, 1), -1.0).expand(index.shape))
            residual = residual.view(subsets, z.shape[1], -1)
            gradient += (residual.mT @ z).mT  # for few columns a third of the time of z.mT @ residual
            free += residual.sum(1, keepdim=True)
        both = torch.cat([gradient, free], 1).view(subsets, rank, penalties, classes)
        return loss, both.permute(0, 2, 1, 3).contiguous()

    def inside(self, weights_DC: np.ndarray, bias_C: np.ndarray) -> np.ndarray:
        """The point (S, 1, R + 1, C) of weights and intercepts for rows as they were given."""
        weights, bias = (torch.from_numpy(a).to(self.z.device) for a in (weights_DC, bias_C))
        rotated = self.basis.mT @ weights * self.size[:, None, None].float()
        return torch.cat([rotated, bias + self.mean @ weights], 1)[:, None].cpu().numpy()

    def original(self, point_SLRC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (S, L, D, C) and intercepts (S, L, C) for rows as they were given."""
        point = torch.from_numpy(point_SLRC).to(self.z.device)
        weights = torch.einsum("sdr,slrc->sldc", self.basis, point[:, :, :-1]) / self.size[:, None, None, None].float()
        bias = point[:, :, -1] - torch.einsum("sd,sldc->slc", self.mean[:, 0].double(), weights.double()).float()
        return weights.cpu().numpy(), bias.cpu().numpy()


def _interpolate(problem: _Problem, coarse: np.ndarray, solved: dict, fine: np.ndarray) -> np.ndarray:
    """Cubic through the four nearest solved penalties, in log lambda."""
    t, points = np.log(problem.penalties[0].cpu().numpy()), solved["point"]
    out = np.empty((points.shape[0], len(fine), *points.shape[2:]), np.float32)
    for place, target in enumerate(fine):
        near = np.sort(np.argsort(np.abs(t[coarse] - t[target]))[:4])
        nodes = t[coarse[near]]
        weight = [np.prod([(t[target] - b) / (a - b) for b in nodes if b != a]) for a in nodes]
        out[:, place] = sum(w * points[:, i] for w, i in zip(weight, near, strict=True))
    return out
