"""L-BFGS for many independent smooth problems at once: one call of the objective serves them all.

Each problem keeps its own history, step and state; one whose trial step fails halves it and tries again in the next call,
so that no problem waits for another. The two-loop recursion (Nocedal and Wright, Numerical Optimization, algorithm 7.4) runs
on the products of the remembered vectors (Chen et al. 2014), so that an iteration reads the memory twice and not eight times.
Problems are scaled by the root of a diagonal that bounds or follows their curvature; it is taken anew as they go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

HISTORY = 12
ARMIJO = 1e-4
# relative error of an objective's sum: a step inside it is progress
NOISE = {torch.float32: 2e-7, torch.float64: 1e-15}
RESCALED = (4, 8, 16, 32, 64, 128)  # iterations of a problem after which its diagonal is taken anew


@dataclass(frozen=True)
class Evaluation:
    """What an objective returns of P points (P, A, B); `diagonal` must only be broadcastable to them."""

    value_P: Tensor  # float64
    gradient_PAB: Tensor
    certificate_P: Tensor  # float64
    diagonal_PAB: Tensor  # positive


Objective = Callable[[Tensor, Tensor], Evaluation]  # (points of the problems listed, their numbers (P,))


@dataclass(frozen=True)
class Minimum:
    """Where each problem ended. `certificate` is what the objective returned there; converged means it is below `tol`."""

    point_PAB: Tensor
    value_P: Tensor
    certificate_P: Tensor
    iterations_P: Tensor
    calls: int


def minimise(objective: Objective, start_PAB: Tensor, *, tol: float, max_calls: int = 2000) -> Minimum:
    """Minimise P problems; a problem leaves the batch when its certificate is at most `tol`, or when no step helps it.

    >>> def bowl(x, problems):
    ...     return Evaluation((x.double() ** 2).sum((1, 2)), 2 * x, (2 * x).abs().amax((1, 2)).double(), torch.ones(1, 1, 1))
    >>> minimise(bowl, torch.ones(2, 1, 3), tol=1e-6).point_PAB.abs().max().item() < 1e-6
    True
    """
    point = start_PAB.clone()
    now = objective(point, torch.arange(len(point), device=point.device))
    value, certificate = now.value_P.clone(), now.certificate_P.clone()
    iterations, calls = torch.zeros(len(point), dtype=torch.long, device=point.device), 1
    live = torch.nonzero(certificate > tol)[:, 0]
    state = _State(point[live], now.gradient_PAB[live], now.diagonal_PAB.expand(len(point), -1, -1)[live])
    while len(live) and calls < max_calls:
        trial = state.trial()
        now = objective(trial, live)
        calls += 1
        fits = now.value_P <= value[live] + ARMIJO * state.slope + NOISE[point.dtype] * (1 + value[live].abs())
        fits &= torch.isfinite(now.certificate_P)
        taken = live[fits]
        iterations[taken] += 1
        rescale = torch.isin(iterations[live], iterations.new_tensor(RESCALED)) & fits
        stuck = state.advance(fits, trial, now, rescale)
        point[taken], value[taken], certificate[taken] = trial[fits], now.value_P[fits], now.certificate_P[fits]
        stay = (certificate[live] > tol) & ~stuck
        if not stay.all():
            live = live[stay]
            state.keep(stay)
    return Minimum(point, value, certificate, iterations, calls)


class _State:
    """Points, gradients and histories of the live problems, in variables multiplied by the root of the diagonal."""

    def __init__(self, point, gradient, diagonal):
        problems, self.shape = len(point), point.shape[1:]
        self.root = diagonal.sqrt()
        self.point, self.gradient = self._flat(point * self.root), self._flat(gradient / self.root)
        size = self.point.shape[1]
        self.s, self.y = (self.point.new_zeros(problems, HISTORY, size) for _ in range(2))
        self.sy, self.yy = (
            self.point.new_zeros(problems, HISTORY, HISTORY, dtype=torch.float64) for _ in range(2)
        )  # sy[i, j] = s_i . y_j
        self.slot = 0
        self.restarted = torch.zeros(problems, dtype=torch.bool, device=point.device)
        self.direction, self.step = torch.empty_like(self.gradient), self.gradient.new_empty(problems)
        self.slope_full = self.gradient.new_empty(problems, dtype=torch.float64)
        self._steepest(~self.restarted)

    def _flat(self, x):
        return x.flatten(1)

    def _steepest(self, which):
        """Plain gradient steps, kept short: the curvature along them is not known."""
        norm = self.gradient[which].norm(dim=1)
        self.direction[which] = -self.gradient[which]
        self.step[which] = 1 / norm.clamp_min(1)
        self.slope_full[which] = -(norm.double() ** 2)

    @property
    def slope(self):
        return self.slope_full * self.step.double()

    def trial(self) -> Tensor:
        point = torch.addcmul(self.point, self.step[:, None], self.direction)
        return point.view(len(point), *self.shape) / self.root

    def advance(self, fits, trial, now: Evaluation, rescale) -> Tensor:
        """Take the steps that fit, learn from them, halve the others; returns which problems no step helps any more."""
        gradient = self._flat(now.gradient_PAB / self.root)
        yes = fits[:, None].to(gradient.dtype)
        s = self.direction * (self.step[:, None] * yes)
        y = torch.where(fits[:, None], gradient - self.gradient, 0.0)
        self.point += s
        self.gradient = torch.where(fits[:, None], gradient, self.gradient)
        self._remember(s, y)
        self.step = torch.where(fits, 1.0, self.step * 0.5)
        if rescale.any():
            diagonal = now.diagonal_PAB.expand(len(fits), -1, -1)
            self._rescale(torch.where(rescale[:, None, None], diagonal.sqrt(), self.root))
        self.restarted &= ~fits
        self._turn(fits)
        tiny = self.step < 1e-6
        again = tiny & ~self.restarted
        if again.any():  # the history misleads: begin again with the plain gradient
            self.sy[again], self.yy[again] = 0.0, 0.0
            self.s[again], self.y[again] = 0.0, 0.0
            self.restarted |= again
            self._steepest(again)
        return tiny & ~again

    def _remember(self, s, y):
        curvature = (s * y).sum(1)
        keep = curvature > 1e-10 * s.norm(dim=1) * y.norm(dim=1)
        if not keep.all():
            s, y = s * keep[:, None], torch.where(keep[:, None], y, 0.0)
        at = self.slot
        self.s[:, at], self.y[:, at] = s, y
        self.slot = (at + 1) % HISTORY
        both = torch.stack([s, y], 2)
        from_y = torch.bmm(self.y, both).double()  # y_i . s, y_i . y
        self.sy[:, at, :] = from_y[:, :, 0]
        self.sy[:, :, at] = torch.bmm(self.s, both[:, :, 1:])[:, :, 0].double()
        self.yy[:, at, :] = self.yy[:, :, at] = from_y[:, :, 1]

    def _rescale(self, root):
        ratio = self._flat((root / self.root).expand(-1, *self.shape))
        self.root = root
        self.point *= ratio
        self.gradient /= ratio
        self.s *= ratio[:, None]
        self.y /= ratio[:, None]
        self.yy = torch.bmm(self.y, self.y.mT).double()  # products of a step and a change of gradient stay

    def _turn(self, fits):
        """New directions where a step was taken: the two-loop recursion on products alone."""
        g = self.gradient[:, :, None]
        sg, yg = torch.bmm(self.s, g)[:, :, 0].double(), torch.bmm(self.y, g)[:, :, 0].double()
        diagonal = torch.diagonal(self.sy, dim1=1, dim2=2)
        rho = torch.where(diagonal > 0, 1 / diagonal.clamp_min(1e-300), 0.0)
        order = [(self.slot + i) % HISTORY for i in range(HISTORY)]  # oldest first
        alpha, c = torch.zeros_like(sg), torch.zeros_like(sg)
        for i in reversed(order):
            alpha[:, i] = rho[:, i] * (sg[:, i] - (alpha * self.sy[:, i]).sum(1))
        gamma = torch.ones_like(sg[:, 0])
        for i in order:  # the newest pair that was kept
            yy = self.yy[:, i, i]
            gamma = torch.where(rho[:, i] > 0, diagonal[:, i] / yy.clamp_min(1e-300), gamma)
        yq = yg - (alpha[:, None] * self.yy).sum(2)
        for i in order:
            beta = rho[:, i] * (gamma * yq[:, i] + (c * self.sy[:, :, i]).sum(1))
            c[:, i] = torch.where(rho[:, i] > 0, alpha[:, i] - beta, 0.0)
        kind = self.gradient.dtype
        new = torch.bmm((gamma[:, None] * alpha).to(kind)[:, None], self.y)[:, 0]
        new -= gamma.to(kind)[:, None] * self.gradient
        new -= torch.bmm(c.to(kind)[:, None], self.s)[:, 0]
        slope = -gamma * (self.gradient * self.gradient).sum(1).double()
        slope += gamma * (alpha * yg).sum(1) - (c * sg).sum(1)
        uphill = fits & ~(slope < 0)
        self.direction = torch.where(fits[:, None], new, self.direction)
        self.slope_full = torch.where(fits, slope, self.slope_full)
        if uphill.any():
            self._steepest(uphill)

    def keep(self, stay):
        for name in ("root", "point", "gradient", "s", "y", "sy", "yy", "restarted", "direction", "step", "slope_full"):
            setattr(self, name, getattr(self, name)[stay])
