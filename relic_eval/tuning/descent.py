"""Stochastic gradient descent of a whole network for a budget of steps, and what of a network it sets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from relic_eval.errors import ArgumentError
from relic_eval.progress import track

LOGGED = 100  # losses kept of a run, at most


@dataclass(frozen=True)
class Descent:
    """All that decides a run beside its batches."""

    steps: int
    lr: float
    decay: float = 0.0  # as torch counts it: times the learning rate a step; matrices and kernels alone decay
    momentum: float = 0.9
    nesterov: bool = True
    drops: tuple[float, ...] = ()  # shares of the steps after which the rate is a tenth; none: cosine to 0
    norm: float = 0.1  # weight of a batch in the running statistics
    seed: int = 0  # of what the network itself draws (dropout)


def norm_weight(rows: int, batch: int) -> float:
    """Weight of a batch in the running statistics of normalisation: torch's momentum, 1 - max(1 - 10 / s, 0.9).

    s = rows / batch are the steps of a pass (Kornblith et al. 2019, appendix; BYOL, appendix D.3).

    >>> round(norm_weight(50_000, 256), 4), norm_weight(1_020, 256)  # s = 195.3 and 3.98
    (0.0512, 0.1)
    """
    keep = max(1 - 10 * batch / rows, 0.9)
    return round(1 - keep, 12)


def rate(plan: Descent, step: int) -> float:
    """The learning rate of a step: half a cosine from `lr` to 0, or `lr` less a factor of ten for each drop behind it.

    >>> [rate(Descent(4, 1.0), step) for step in (0, 2)], [rate(Descent(10, 1.0, drops=(0.5,)), step) for step in (4, 5)]
    ([1.0, 0.5], [1.0, 0.1])
    """
    if plan.drops:
        return plan.lr * 0.1 ** sum(step >= round(share * plan.steps) for share in plan.drops)
    return plan.lr * 0.5 * (1 + math.cos(math.pi * step / plan.steps))


def descend(model: nn.Module, losses: Iterable[Tensor], plan: Descent, text: str) -> list[list[float]] | None:
    """Take the steps, each of the loss that `losses` gives when its turn comes; returns [step, loss] of some of them.

    None where the loss leaves the finite numbers. What the network draws, it draws from the plan's seed; the global random
    state is what it was afterwards.
    """
    _train_all(model, plan.norm)
    optimizer = torch.optim.SGD(_groups(model, plan), lr=plan.lr, momentum=plan.momentum, nesterov=plan.nesterov)
    every, kept = max(1, plan.steps // LOGGED), []
    places = {p.device for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(places, key=str)):
        torch.manual_seed(plan.seed)
        steps = iter(losses)
        for step in track(range(plan.steps), text, unit="step"):
            for group in optimizer.param_groups:
                group["lr"] = rate(plan, step)
            loss = next(steps)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if step % every == 0 or step == plan.steps - 1:
                value = loss.item()
                if not math.isfinite(value):
                    return None
                kept.append([step, round(value, 6)])
    return kept


def _train_all(model: nn.Module, norm: float) -> None:
    model.train().requires_grad_(True)
    for layer in model.modules():
        if isinstance(layer, _BatchNorm):
            layer.momentum = norm


def _groups(model: nn.Module, plan: Descent) -> list[dict]:
    weights = list(model.parameters())
    return [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": plan.decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]


def network_of(function: object, name: str) -> nn.Module:
    """What an encoder was built as, if it has weights to train; else an ArgumentError.

    >>> network_of(lambda x: x.flatten(1), "pixels")
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: encoder: expected a network with weights to train, received 'pixels'. ...
    """
    if not isinstance(function, nn.Module) or not any(p.is_floating_point() for p in function.parameters()):
        hint = "Only what is a torch module with parameters can be tuned; judge the others by their embeddings."
        raise ArgumentError("encoder", "a network with weights to train", repr(name), hint)
    return function
