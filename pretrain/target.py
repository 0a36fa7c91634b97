"""The target network: a moving average of the online network."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


def make_target(online: nn.ModuleDict, parts: tuple[str, ...]) -> nn.ModuleDict:
    """A copy of some parts of the online network that no gradient reaches.

    >>> target = make_target(nn.ModuleDict({"a": nn.Linear(1, 1)}), ("a",))
    >>> any(p.requires_grad for p in target.parameters())
    False
    """
    return nn.ModuleDict({part: copy.deepcopy(online[part]) for part in parts}).requires_grad_(False)


def momentum(step: int, steps: int, start: float) -> float:
    """1 - (1 - start) (cos(pi step / steps) + 1) / 2: from `start` to 1 (BYOL's schedule).

    >>> momentum(0, 10, 0.9), momentum(10, 10, 0.9)
    (0.9, 1.0)
    """
    return 1 - (1 - start) * (math.cos(math.pi * step / steps) + 1) / 2


@torch.no_grad()
def move(target: nn.ModuleDict, online: nn.ModuleDict, rate: float) -> None:
    """target = rate * target + (1 - rate) * online, for weights; batch statistics are the target's own.

    >>> online = nn.ModuleDict({"a": nn.Linear(1, 1, bias=False)}); target = make_target(online, ("a",))
    >>> _ = online["a"].weight.data.fill_(1.0); _ = target["a"].weight.fill_(0.0)
    >>> move(target, online, 0.75); target["a"].weight.item()
    0.25
    """
    theirs = dict(online.named_parameters())
    pairs = [(mine, theirs[name]) for name, mine in target.named_parameters()]
    torch._foreach_lerp_([mine for mine, _ in pairs], [other.detach() for _, other in pairs], 1 - rate)
