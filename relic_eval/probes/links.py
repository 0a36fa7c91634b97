"""From logits to loss and residual, a block of rows at a time: softmax for one class a row, sigmoid for one label a class.

Blocks are (S, L, C, n): subsets, penalties, classes, rows. Rows stand last, so that sums over a few classes run along memory.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SAFE = -20.0  # a logit below the largest by more has lost the digits of others / p


def softmax(logits_SLCN: Tensor, y_SN: Tensor, weight_SN: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Summed cross-entropy (S, L) in float64, sum of p (1 - p) (S, L), and the residual p - y in place of the logits.

    >>> loss, curvature, residual = softmax(torch.zeros(1, 1, 2, 1), torch.tensor([[0]]), None)
    >>> round(loss.item(), 4), curvature.item(), residual.flatten().tolist()
    (0.6931, 0.5, [-0.5, 0.5])
    """
    index = y_SN[:, None, None].expand(-1, logits_SLCN.shape[1], 1, -1)
    # written out: log_softmax over an axis of a few classes takes several times as long
    logits_SLCN -= logits_SLCN.amax(2, keepdim=True)
    true = logits_SLCN.gather(2, index)
    p, p_true = logits_SLCN.exp_().scatter_(2, index, 0.0), true.exp()
    # the others are summed apart: where a row is all but certain, 1 - p of its class would round to nothing
    others = p.sum(2, keepdim=True)
    total = others + p_true
    loss = torch.where(true > SAFE, torch.log1p(others / p_true), total.log() - true)
    p /= total
    others /= total
    p_true /= total
    curvature = others * (1 + p_true) - (p * p).sum(2, keepdim=True)
    p.scatter_(2, index, -others)
    if weight_SN is not None:
        w = weight_SN[:, None, None]
        loss, curvature = loss * w, curvature * w
        p *= w
    return loss.sum((2, 3), dtype=torch.float64), curvature.sum((2, 3), dtype=torch.float64), p


def sigmoid(logits_SLCN: Tensor, y_SCN: Tensor, weight_SN: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """The same for C yes-or-no labels a row, (S, C, n) of 0 and 1.

    >>> loss, curvature, residual = sigmoid(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1), None)
    >>> round(loss.item(), 4), curvature.item(), residual.item()
    (0.6931, 0.25, -0.5)
    """
    away = 1 - 2 * y_SCN[:, None]
    # of the logit of the wrong answer: where a row is all but certain, 1 - p of the right one would round to nothing
    wrong = logits_SLCN.mul_(away)
    loss = functional.softplus(wrong)
    wrong = wrong.sigmoid_()
    curvature = wrong * (1 - wrong)
    p = wrong.mul_(away)
    if weight_SN is not None:
        w = weight_SN[:, None, None]
        loss, curvature = loss * w, curvature * w
        p *= w
    return loss.sum((2, 3), dtype=torch.float64), curvature.sum((2, 3), dtype=torch.float64), p
