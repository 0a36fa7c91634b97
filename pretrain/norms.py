"""Batch norm over the rows of all ranks: torch's own on CUDA; on CPUs, where torch's refuses, the same arithmetic.

Each rank works out mean and variance of its rows in one pass, all exchange those two numbers a channel, and the gradient
exchanges two sums a channel: what batch norm of the joined batch gives.
"""

from __future__ import annotations

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
        y, mean, var, count = _Normalise.apply(x, self.weight, self.bias, self.eps)
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        return y


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Any:
        given = x.dtype
        x = x.to(weight.dtype)  # bfloat16 has too few digits for moments
        mean, var = torch.batch_norm_update_stats(x, None, None, 0.0)  # one pass; var_mean takes thirty times as long
        # each rank's moments are about a mean of its own, then about the joint one: sums of squares alone would cancel
        means_R, vars_R = apart(torch.stack([mean, var])).unbind(1)
        means = means_R.mean(0)
        var = (vars_R + (means_R - means) ** 2).mean(0)
        context.given = given
        context.eps, context.count = eps, x.numel() // x.shape[1] * world()
        context.save_for_backward(x, weight, means, var)
        y = torch.native_batch_norm(x, weight, bias, means, var, False, 0.0, eps)[0].to(given)
        context.mark_non_differentiable(means, var)
        return y, means, var, context.count

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor, *_: Any) -> Any:
        x, weight, mean, var = context.saved_tensors
        scale = (var + context.eps).rsqrt()
        _, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradient.to(x.dtype), x, weight, mean, var, None, None, False, context.eps, [False, True, True]
        )
        sums = total(torch.stack([by_weight, by_bias])) / context.count
        shape = [1, -1, *[1] * (x.ndim - 2)]
        # w / s * (g - mean(g) - xhat * mean(g * xhat)), gathered into one factor of g, one of x and a constant
        of_x = -weight * scale**2 * sums[0]
        constant = -weight * scale * sums[1] - of_x * mean
        by_x = x * of_x.view(shape)  # lies in memory as x does: the convolutions before it want channels last
        by_x.add_(constant.view(shape)).addcmul_(gradient.to(x.dtype), (weight * scale).view(shape))
        return by_x.to(context.given), by_weight, by_bias, None


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
