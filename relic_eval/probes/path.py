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
MARGIN = 0.95  # of the tolerance, that the fit goes to: float32 numbers are that exact where it can be reached at all
FLOOR = 1e-5  # of the mean curvature: where all rows are fitted nothing else keeps the scale from vanishing


@dataclass(frozen=True)
class Solution:
    """Points (S, L, C, R + 1) in the coordinates of the rows, and iterations (S, L)."""

    point: Tensor
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

        # a little further than asked: what is certified afterwards are the weights as they are handed out
        end: Minimum = minimise(objective, start.reshape(-1, *shape[2:]), tol=MARGIN * self.tol)
        return Solution(end.point_PAB.view(shape), end.iterations_P.view(shape[:2]).cpu().numpy(), end.calls)

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
        return Evaluation(value, g, self._certificate(g, s), diagonal.to(g.dtype)[:, None])

    def _certificate(self, g: Tensor, s: Tensor) -> Tensor:
        """Largest gradient entry of the mean form along the features, where a reader can check it.

        Rotating back costs; it is left out where the length of a class's gradient shows that an entry is above `tol`:
        then that length over the root of the number of features, which is no larger than the largest entry, stands for it.
        """
        features = self.rows.source.shape[2]
        total = self.rows.total[s]
        least = g[..., :-1].norm(dim=2).amax(1).double() / features**0.5
        least = torch.maximum(least, g[..., -1].abs().amax(1).double()) / total
        close = least <= self.tol
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
    t = problem.log_penalties
    every = np.arange(len(t))
    coarse = np.unique(np.append(every[::COARSE], every[-1])) if len(every) > 2 * COARSE else every
    cold = coarse[problem.pull_L[coarse] >= PULL * problem.tol]
    cold = cold if len(cold) else coarse[-1:]
    below, fine = np.setdiff1d(coarse, cold), np.setdiff1d(every, coarse)
    begin = problem.start() if start is None else start
    done, solved = cold, problem.solve(cold, begin.expand(-1, len(cold), -1, -1))
    # one step down says how weights grow, and the others follow its line
    first, between = below[-1:], fine[fine > cold[0]]
    for group in (np.concatenate([first, between]), below[:-1], fine[fine < cold[0]]):
        if len(group):
            known = np.flatnonzero(np.isin(done, coarse))
            share = torch.from_numpy(_shares(t[done[known]], t[group])).to(solved.point)
            further = problem.solve(group, torch.einsum("fk,skcr->sfcr", share, solved.point[:, known]))
            both = np.concatenate([done, group])
            done, solved = np.sort(both), _merged(solved, further, np.argsort(both))
    return solved


def _merged(a: Solution, b: Solution, order: np.ndarray) -> Solution:
    iterations = np.concatenate([a.iterations, b.iterations], 1)[:, order]
    return Solution(torch.cat([a.point, b.point], 1)[:, torch.from_numpy(order)], iterations, a.calls + b.calls)


def _shares(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Shares (wanted, known) of solved penalties, in ascending log lambda, in the points where others begin.

    Between them the cubic through the four nearest; below them the line through the two smallest: weights that separate the
    classes grow along it, and curves through more of them lead astray.
    """
    share = np.zeros((len(wanted), len(known)))
    for place, target in enumerate(wanted):
        near = [0, 1][: len(known)] if target < known[0] else np.argsort(np.abs(known - target), kind="stable")[:4]
        for i in near:
            others = [known[j] for j in near if j != i]
            share[place, i] = np.prod([(target - b) / (known[i] - b) for b in others])
    return share
