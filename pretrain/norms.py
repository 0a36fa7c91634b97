"""Batch norm over the rows of all ranks: torch's own on CUDA; on CPUs, where torch's refuses, the same arithmetic.

Each rank works out mean and variance of its rows in one pass, all exchange those two numbers a channel, and the gradient
exchanges two sums a channel: what batch norm of the joined batch gives. Several views may lie in one batch (`of_each`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from pretrain.ranks import apart, total, world
from relic_eval.errors import ArgumentError


class RankNorm(_BatchNorm):
    """Batch norm whose statistics in training are those of all ranks' rows, of which each has as many."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world() == 1:
            return super().forward(x)
        y, means_VC, vars_VC, count = _Normalise.apply(x, self.weight, self.bias, self.eps, _views)
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        with torch.no_grad():
            for mean_C, var_C in zip(means_VC, vars_VC, strict=True):
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean_C, self.momentum)
                self.running_var.lerp_(var_C * (count / (count - 1)), self.momentum)
        return y


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, views: int) -> Any:
        given = x.dtype
        x = x.to(weight.dtype)  # bfloat16 has too few digits for moments
        # each view has moments of its own, in one pass; var_mean takes thirty times as long
        own_V2C = torch.stack([torch.stack(torch.batch_norm_update_stats(v, None, None, 0.0)) for v in x.chunk(views)])
        # each rank's moments are about a mean of its own, then about the joint one: sums of squares alone would cancel
        means_RVC, vars_RVC = apart(own_V2C).unbind(2)
        means_VC = means_RVC.mean(0)
        vars_VC = (vars_RVC + (means_RVC - means_VC) ** 2).mean(0)
        context.given, context.views = given, views
        context.eps, context.count = eps, x.numel() // x.shape[1] // views * world()
        context.save_for_backward(x, weight, means_VC, vars_VC)
        scale_VC = weight * (vars_VC + eps).rsqrt()
        y = _scaled(x, scale_VC, bias - means_VC * scale_VC)
        context.mark_non_differentiable(means_VC, vars_VC)
        return y.to(given), means_VC, vars_VC, context.count

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor, *_: Any) -> Any:
        x, weight, means_VC, vars_VC = context.saved_tensors
        views, gradient = context.views, gradient.to(x.dtype)
        own_V2C = []
        for g, v, mean_C, var_C in zip(gradient.chunk(views), x.chunk(views), means_VC, vars_VC, strict=True):
            _, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
                g, v, weight, mean_C, var_C, None, None, False, context.eps, [False, True, True]
            )
            own_V2C.append(torch.stack([by_weight, by_bias]))
        by_weight_VC, by_bias_VC = torch.stack(own_V2C).unbind(1)
        sums_VC, shifts_VC = (total(torch.stack([by_weight_VC, by_bias_VC])) / context.count).unbind(0)
        scale_VC = (vars_VC + context.eps).rsqrt()
        # w / s * (g - mean(g) - xhat * mean(g * xhat)), gathered into one factor of g, one of x and a constant
        of_x_VC = -weight * scale_VC**2 * sums_VC
        constant_VC = -weight * scale_VC * shifts_VC - of_x_VC * means_VC
        # lies in memory as x does: the convolutions before it want channels last
        by_x = _scaled(x, of_x_VC, constant_VC)
        for b, g, factor_C in zip(by_x.chunk(views), gradient.chunk(views), weight * scale_VC, strict=True):
            b.addcmul_(g, _across(factor_C, g))
        return by_x.to(context.given), by_weight_VC.sum(0), by_bias_VC.sum(0), None, None


def _scaled(x: Tensor, scale_VC: Tensor, shift_VC: Tensor) -> Tensor:
    """x * scale + shift, of each view its own."""
    y = torch.empty_like(x)
    for out, v, scale_C, shift_C in zip(
        y.chunk(len(scale_VC)), x.chunk(len(scale_VC)), scale_VC, shift_VC, strict=True
    ):
        torch.addcmul(_across(shift_C, v), v, _across(scale_C, v), out=out)
    return y


def _across(x_C: Tensor, like: Tensor) -> Tensor:
    return x_C.view(1, -1, *[1] * (like.ndim - 2))


_views = 1  # that lie in one batch one after another


def of_each(network: Callable[[Tensor], Tensor], crops: Sequence[Tensor]) -> list[Tensor]:
    """What the network makes of each crop, (B, D), in their order: every crop is a batch of its own to its norms.

    On CPUs several ranks send crops of one size through together: their norms wait for the other ranks once, not once a crop.

    >>> [y.shape[0] for y in of_each(nn.Flatten(), [torch.zeros(2, 3), torch.zeros(2, 4)])]
    [2, 2]
    """
    global _views
    if world() == 1 or crops[0].device.type != "cpu":
        return [network(x) for x in crops]
    out: list[Tensor] = []
    for _, same in itertools.groupby(crops, key=lambda x: x.shape):
        views = list(same)
        _views = len(views)
        try:
            out += network(torch.cat(views)).chunk(len(views))
        finally:
            _views = 1
    return out


def join_norms(module: nn.Module, device: str) -> nn.Module:
    """The module with every batch norm over all ranks; names, weights and statistics stay.

    >>> [type(m).__name__ for m in join_norms(nn.Sequential(nn.BatchNorm1d(2)), "cpu")]
    ['RankNorm']
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d) and type(child) in (nn.BatchNorm1d, nn.BatchNorm2d):
            new: _BatchNorm = RankNorm(child.num_features, child.eps, child.momentum).to(child.weight)
            if device.startswith("cuda"):
                new = nn.SyncBatchNorm(child.num_features, child.eps, child.momentum).to(child.weight)
            new.load_state_dict(child.state_dict())
            for parameter, known in zip(new.parameters(), child.parameters(), strict=True):
                parameter.requires_grad_(known.requires_grad)
            setattr(module, name, new)
        elif isinstance(child, _BatchNorm):  # one of timm's does more than normalise
            expected = "a network whose batch norms are torch's, to train on several processes"
            raise ArgumentError("--nproc", expected, type(child).__name__)
        else:
            join_norms(child, device)
    return module
