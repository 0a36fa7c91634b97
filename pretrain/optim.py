"""Optimisers and their learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from relic_eval.errors import look_up


class Lars(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling as BYOL's published code has it (byol/utils/optimizers.py; You et al. 2017).

    For weights w with gradient g: g = g + weight_decay * w; g = g * trust * |w| / |g|, where neither length is 0 and the group
    is `adapted`; m = momentum * m + g; w = w - lr * m. The learning rate multiplies last, so a change of it acts at once.

    >>> w = nn.Parameter(torch.tensor([[3.0, 4.0]])); w.grad = torch.tensor([[0.0, 2.0]])
    >>> Lars([{"params": [w], "weight_decay": 0.0, "adapted": True}], lr=1.0, trust=0.1).step()
    >>> [round(v, 4) for v in w.flatten().tolist()]  # |w| = 5, |g| = 2: g becomes 0.1 * 5 / 2 * (0, 2)
    [3.0, 3.5]
    """

    def __init__(self, groups: Any, lr: float, momentum: float = 0.9, trust: float = 1e-3):
        super().__init__(groups, {"lr": lr, "momentum": momentum, "trust": trust, "weight_decay": 0.0, "adapted": True})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move all weights that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            moves: Any = [p.grad for p in weights]
            if group["weight_decay"]:
                moves = torch._foreach_add(moves, weights, alpha=group["weight_decay"])
            if group["adapted"]:
                moves = torch._foreach_mul(moves, _ratios(weights, moves, group["trust"]))
            for p in weights:
                if not self.state[p]:
                    self.state[p]["momentum"] = torch.zeros_like(p)
            moments = [self.state[p]["momentum"] for p in weights]
            torch._foreach_mul_(moments, group["momentum"])
            torch._foreach_add_(moments, moves)
            torch._foreach_add_(weights, moments, alpha=-group["lr"])


def _ratios(weights: list[torch.Tensor], moves: Any, trust: float) -> list[torch.Tensor]:
    """trust * |w| / |g| of each; 1 where either has no length."""
    w, g = torch.stack(torch._foreach_norm(weights)), torch.stack(torch._foreach_norm(moves))
    return list(torch.where((w > 0) & (g > 0), trust * w / g, 1.0))


def make_optimizer(model: nn.Module, name: str, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW or LARS; biases and norm parameters are neither decayed nor, by LARS, adapted.

    >>> [group["weight_decay"] for group in make_optimizer(nn.Linear(1, 1), "adamw", 0.1, 0.5).param_groups]
    [0.5, 0.0]
    """
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": weight_decay, "adapted": True},
        {"params": vectors, "weight_decay": 0.0, "adapted": False},
    ]
    made = {"adamw": lambda: torch.optim.AdamW(groups, lr=lr, fused=True), "lars": lambda: Lars(groups, lr=lr)}
    return look_up("optimizer", name, made)()


def rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """Linear warm-up over a share of the steps, then cosine to 0.

    >>> [round(rate(s, 10, 1.0, 0.2), 3) for s in (0, 1, 2, 10)]
    [0.5, 1.0, 1.0, 0.0]
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
