"""L-BFGS for many independent smooth problems at once: one call of the objective serves them all.

Each problem keeps its own history, step and state; one whose trial step fails halves it and tries again in the next call,
so that no problem waits for another. Two-loop recursion: Nocedal and Wright, Numerical Optimization, algorithm 7.4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

HISTORY = 12
ARMIJO = 1e-4
NOISE = 2e-7  # relative error of an objective summed from float32 terms: a step inside it counts as progress

# (points (P, V) of the problems listed, their numbers (P,)) -> values (P,) float64, gradients (P, V), certificates (P,)
Objective = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


@dataclass(frozen=True)
class Minimum:
    """Where each problem ended. `certificate` is what the objective returned there; converged means it is below `tol`."""

    point_PV: Tensor
    value_P: Tensor
    certificate_P: Tensor
    iterations_P: Tensor
    calls: int


def minimise(objective: Objective, start_PV: Tensor, *, tol: float, max_calls: int = 1500) -> Minimum:
    """Minimise P problems of V variables each; a problem leaves the batch when its certificate is at most `tol`.

    >>> bowl = lambda x, p: ((x.double() ** 2).sum(1), 2 * x, (2 * x).abs().amax(1))
    >>> minimise(bowl, torch.ones(2, 3), tol=1e-6).point_PV.abs().max().item() < 1e-6
    True
    """
    problems, variables = start_PV.shape
    point = start_PV.clone()
    everyone = torch.arange(problems, device=point.device)
    value, gradient, certificate = objective(point, everyone)
    old_s = point.new_zeros(HISTORY, problems, variables)
    old_y, rho = torch.zeros_like(old_s), point.new_zeros(HISTORY, problems)
    direction, step = -gradient, point.new_ones(problems)
    # the first step of an unscaled gradient direction is kept short; later ones start at 1
    step = step / gradient.norm(dim=1).clamp_min(1)
    iterations, calls = torch.zeros(problems, dtype=torch.long, device=point.device), 1
    active = everyone[certificate > tol]
    while len(active) and calls < max_calls:
        trial = point[active] + step[active, None] * direction[active]
        new_value, new_gradient, new_certificate = objective(trial, active)
        calls += 1
        slope = (gradient[active] * direction[active]).sum(1).double()
        room = NOISE * (1 + value[active].abs())
        fits = new_value <= value[active] + ARMIJO * step[active].double() * slope + room
        failed = active[~fits]
        step[failed] *= 0.5
        stuck = failed[step[failed] < 1e-6]
        taken = active[fits]
        if len(taken):
            s, y = trial[fits] - point[taken], new_gradient[fits] - gradient[taken]
            curvature = (s * y).sum(1)
            keep = curvature > 1e-10 * s.norm(dim=1) * y.norm(dim=1)
            kept = taken[keep]
            for memory, new in ((old_s, s[keep]), (old_y, y[keep]), (rho, 1 / curvature[keep])):
                memory[:, kept] = memory[:, kept].roll(-1, 0)
                memory[-1, kept] = new
            point[taken], value[taken], gradient[taken] = trial[fits], new_value[fits], new_gradient[fits]
            certificate[taken] = new_certificate[fits]
            iterations[taken] += 1
            direction[taken] = _two_loops(gradient[taken], old_s[:, taken], old_y[:, taken], rho[:, taken])
            step[taken] = 1.0
        if len(stuck):  # the history misleads: begin again with the plain gradient
            again = (rho[:, stuck] != 0).any(0)
            rho[:, stuck], direction[stuck] = 0.0, -gradient[stuck]
            step[stuck] = torch.where(again, 1 / gradient[stuck].norm(dim=1).clamp_min(1), 0.0)
        active = everyone[(certificate > tol) & (step > 0)]
    return Minimum(point, value, certificate, iterations, calls)


def _two_loops(gradient: Tensor, old_s: Tensor, old_y: Tensor, rho: Tensor) -> Tensor:
    """-H g, where H comes from the history; empty places have rho = 0 and change nothing."""
    q, alphas = gradient.clone(), []
    for s, y, r in zip(old_s.flip(0), old_y.flip(0), rho.flip(0), strict=True):
        alpha = r * (s * q).sum(1)
        q -= alpha[:, None] * y
        alphas.append(alpha)
    newest_yy = (old_y[-1] ** 2).sum(1)
    q *= torch.where(rho[-1] > 0, 1 / (rho[-1] * newest_yy).clamp_min(1e-30), 1.0)[:, None]
    for s, y, r, alpha in zip(old_s, old_y, rho, reversed(alphas), strict=True):
        q += (alpha - r * (y * q).sum(1))[:, None] * s
    return -q
