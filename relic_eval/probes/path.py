"""All penalties of a path solved together: one product serves them all, and those that have converged leave it.

Variables are scaled with the root of a * (Gram spectrum) + lambda, a being the mean curvature of the link at the point:
Böhning's bound (1992) has a = 1/2, and followed down as the fit saturates it takes a third fewer iterations. A few
penalties, spread over the path, are solved first; the rest begin on a cubic through their nearest in log lambda.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relic_eval.probes import links
from relic_eval.probes.lbfgs import Evaluation, Minimum, minimise
from relic_eval.probes.rows import Rows
from relic_eval.progress import heartbeat

COARSE = 4  # every fourth penalty is solved first
PULL = 10  # times the tolerance: a penalty times a weight of one, beside the mean loss, that the certificate can tell
FLOOR = 1e-5  # of the mean curvature: where all rows are fitted nothing else keeps the scale from vanishing


@dataclass(frozen=True)
class Solution:
    """Points (S, L, C, R + 1) in the coordinates of the rows, and what is known of them, each (S, L)."""

    point: Tensor
    value: np.ndarray
    gradient: np.ndarray  # largest entry of the mean form
    bound: np.ndarray
    iterations: np.ndarray
    calls: int


class Problem:
    """The rows, their targets and the penalties; `loss` counts the passes over the rows."""

    def __init__(self, rows: Rows, y: Tensor, classes: int, penalties_L: np.ndarray, link: str, tol: float):
        self.rows, self.y, self.classes, self.tol = rows, y, classes, tol
        self.link: Callable[..., tuple[Tensor, Tensor, Tensor]] = getattr(links, link)
        penalties = torch.from_numpy(np.asarray(penalties_L, np.float64)).to(rows.device)
        self.log_penalties = np.log(np.asarray(penalties_L, np.float64))
        self.penalties_SL = penalties / rows.size[:, None] ** 2  # of rows at unit mean square: the same problem
        self.pull_L = (self.penalties_SL / rows.total[:, None]).amax(0).cpu().numpy()
        ones = rows.total[:, None].to(rows.spectrum)
        self.spectrum = torch.cat([rows.spectrum, ones], 1)  # the column of ones is all but orthogonal to centred rows

    def start(self) -> Tensor:
        """Weights of 0, and the intercepts that are best with them: (S, 1, C, R + 1)."""
        point = self.spectrum.new_zeros(len(self.spectrum), 1, self.classes, self.spectrum.shape[1])
        weight = self.rows.weight if self.rows.weight is not None else point.new_ones(len(point), self.rows.rows)
        if self.link is links.sigmoid:
            share = torch.einsum("scn,sn->sc", self.y.double(), weight.double()) / self.rows.total[:, None]
            share = share.clamp(0.5 / self.rows.rows, 1 - 0.5 / self.rows.rows)
            point[:, 0, :, -1] = (share / (1 - share)).log()
            return point
        count = torch.zeros(len(point), self.classes, dtype=torch.float64, device=point.device)
        count.scatter_add_(1, self.y, weight.double())
        log_share = (count.clamp_min(0.5) / self.rows.total[:, None]).log()
        point[:, 0, :, -1] = log_share - log_share.mean(1, keepdim=True)
        return point

    def solve(self, which: np.ndarray, start: Tensor) -> Solution:
        """Penalties `which` from the points `start` (S, len(which), C, R + 1)."""
        shape = (len(self.spectrum), len(which), *start.shape[2:])
        lam_P = self.penalties_SL[:, torch.from_numpy(which)].flatten()
        beat = heartbeat()

        def objective(point: Tensor, problems: Tensor) -> Evaluation:
            beat(f"logistic regression: {len(lam_P) - len(problems)} of {len(lam_P)} fits done")
            return self._evaluate(point, problems, shape, lam_P[problems])

        end: Minimum = minimise(objective, start.reshape(-1, *shape[2:]), tol=self.tol)
        certificate, far = end.certificate_P, end.certificate_P > self.tol
        if far.any():  # on the way a smaller number stood for it
            s = torch.arange(shape[0], device=far.device).repeat_interleave(shape[1])
            certificate[far] = self._certificate(end.gradient_PAB[far], s[far], torch.inf)
        # strong convexity: no weights are better than these by more than |gradient|^2 / 2 lambda
        bound = (end.gradient_PAB[..., :-1].double() ** 2).sum((1, 2)) / (2 * lam_P)
        point, value = end.point_PAB.view(shape), end.value_P.view(shape[:2])
        numbers = [v.view(shape[:2]).cpu().numpy() for v in (value, certificate, bound, end.iterations_P)]
        return Solution(point, numbers[0], numbers[1], numbers[2], numbers[3], end.calls)

    def _evaluate(self, point: Tensor, problems: Tensor, shape: tuple[int, ...], lam_P: Tensor) -> Evaluation:
        subsets, penalties = shape[:2]
        columns, place = torch.unique(problems % penalties, return_inverse=True)
        s = torch.div(problems, penalties, rounding_mode="floor")
        w = point.new_zeros(subsets, len(columns), *shape[2:])
        w[s, place] = point
        loss, curvature, gradient = self.loss(w)
        weights = point[..., :-1]
        value = loss[s, place] + 0.5 * lam_P * (weights.double() ** 2).sum((1, 2))
        g = gradient[s, place]
        g[..., :-1] += lam_P[:, None, None].to(g.dtype) * weights
        a = (curvature / self.rows.total[:, None] / self.classes)[s, place].clamp_min(FLOOR)
        diagonal = a[:, None] * self.spectrum[s]
        diagonal[:, :-1] += lam_P[:, None]
        return Evaluation(value, g, self._certificate(g, s, self.tol), diagonal.to(g.dtype)[:, None])

    def _certificate(self, g: Tensor, s: Tensor, limit: float) -> Tensor:
        """Largest gradient entry of the mean form along the features, where a reader can check it.

        Rotating back costs; it is left out where the length of a class's gradient shows that an entry is above `limit`:
        then that length over the root of the number of features, which is no larger than the largest entry, stands for it.
        """
        features = self.rows.source.shape[2]
        total = self.rows.total[s]
        least = g[..., :-1].norm(dim=2).amax(1).double() / features**0.5
        least = torch.maximum(least, g[..., -1].abs().amax(1).double()) / total
        close = least <= limit
        if not close.any():
            return least
        if len(self.spectrum) == 1:
            outside = g[close][..., :-1] @ self.rows.basis[0].T
        else:
            outside = g[close][..., :-1] @ self.rows.basis[s[close]].mT
        found = torch.maximum(outside.abs().amax((1, 2)), g[close][..., -1].abs().amax(1)).double()
        least[close] = found / total[close]
        return least

    def loss(self, w_SLCR: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Summed loss and curvature (S, L), both float64, and the gradient of the loss (S, L, C, R + 1), in one pass."""
        streamed = self.rows.streamed
        flat = (self.rows.outwards(w_SLCR) if streamed else w_SLCR).flatten(1, 2)
        shape = (*w_SLCR.shape[:3], -1)
        loss = torch.zeros(w_SLCR.shape[:2], dtype=torch.float64, device=flat.device)
        curvature, gradient = torch.zeros_like(loss), torch.zeros_like(flat)
        for rows, z in self.rows.blocks(flat.shape[1]):
            weight = None if self.rows.weight is None else self.rows.weight[:, rows]
            logits = torch.bmm(flat, z.mT).view(shape)
            more, bend, residual = self.link(logits, self.y[..., rows], weight)
            loss += more
            curvature += bend
            gradient.baddbmm_(residual.flatten(1, 2), z)
        gradient = gradient.view(*shape)
        return loss, curvature, self.rows.inwards(gradient) if streamed else gradient


def solve_path(problem: Problem, start: Tensor | None = None) -> Solution:
    """All penalties: every fourth first, from a cold start (or from `start`) or from those above; then the others between.

    Where the pull of a penalty is lost in the tolerance, a cold start stops at the first point that separates the training
    classes, which tests far worse than the minimum. Such penalties go on along the path, from larger to smaller.

    >>> rows = Rows(np.array([[[0.0], [1.0]]]), None, "cpu", 1 << 20)
    >>> problem = Problem(rows, torch.tensor([[0, 1]]), 2, np.array([1.0]), "softmax", 1e-4)
    >>> solve_path(problem).point.shape
    torch.Size([1, 1, 2, 2])
    """
    every = np.arange(len(problem.log_penalties))
    coarse = np.unique(np.append(every[::COARSE], every[-1])) if len(every) > 2 * COARSE else every
    cold = coarse[problem.pull_L[coarse] >= PULL * problem.tol]
    cold = cold if len(cold) else coarse[-1:]
    begin = problem.start() if start is None else start
    done, solved = cold, problem.solve(cold, begin.expand(-1, len(cold), -1, -1))
    rest = np.setdiff1d(coarse, cold)
    for group in (rest[-1:], rest[:-1]):  # one step down says how weights grow; the others follow its line
        if len(group):
            ahead = _extrapolate(problem.log_penalties, done, solved.point, group)
            further = problem.solve(group, ahead)
            done, solved = np.concatenate([group, done]), _merged(further, solved, np.arange(len(group) + len(done)))
    fine = np.setdiff1d(every, coarse)
    if not len(fine):
        return solved
    later = problem.solve(fine, _interpolate(problem.log_penalties, coarse, solved.point, fine))
    return _merged(solved, later, np.argsort(np.concatenate([coarse, fine])))


def _merged(a: Solution, b: Solution, order: np.ndarray) -> Solution:
    numbers = {
        name: np.concatenate([getattr(a, name), getattr(b, name)], 1)[:, order]
        for name in ("value", "gradient", "bound", "iterations")
    }
    point = torch.cat([a.point, b.point], 1)[:, torch.from_numpy(order)]
    return Solution(point=point, calls=a.calls + b.calls, **numbers)


def _extrapolate(t: np.ndarray, done: np.ndarray, points: Tensor, which: np.ndarray) -> Tensor:
    """The line through the two smallest solved penalties, in log lambda: weights that separate the classes grow along it."""
    last = points[:, :1].expand(-1, len(which), -1, -1)
    if len(done) < 2:
        return last
    ahead = torch.from_numpy((t[which] - t[done[0]]) / (t[done[0]] - t[done[1]])).to(points)
    return last + (points[:, :1] - points[:, 1:2]) * ahead[:, None, None]


def _interpolate(t: np.ndarray, coarse: np.ndarray, points: Tensor, fine: np.ndarray) -> Tensor:
    """Cubic through the four nearest solved penalties, in log lambda."""
    share = np.zeros((len(fine), len(coarse)))
    for place, target in enumerate(t[fine]):
        near = np.argsort(np.abs(t[coarse] - target), kind="stable")[:4]
        for i in near:
            others = [t[coarse[j]] for j in near if j != i]
            share[place, i] = np.prod([(target - b) / (t[coarse[i]] - b) for b in others])
    weights = torch.from_numpy(share).to(points)
    return torch.einsum("fk,skcr->sfcr", weights, points)
