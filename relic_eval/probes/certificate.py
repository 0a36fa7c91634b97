"""What a fit reached, worked out again in float64 from the weights that are handed out.

The fit itself sees float32 rows in a rotated basis; its own numbers would not show what rounding hid from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from relic_eval.probes import links
from relic_eval.probes.rows import Rows


@dataclass(frozen=True)
class Certificate:
    """Of each subset and penalty, (S, L), with rows centred and at unit mean square."""

    value: np.ndarray  # the summed form
    gradient: np.ndarray  # largest entry of the mean form
    bound: np.ndarray  # the summed form is above its minimum over the weights by at most this


def certify(
    rows: Rows, y: Tensor, link: str, penalties_L: np.ndarray, weights_SLDC: np.ndarray, bias_SLC: np.ndarray
) -> Certificate:
    """One pass over the rows. Strong convexity: no weights are better than these by more than |gradient|^2 / 2 lambda.

    >>> rows = Rows(np.array([[[-1.0], [1.0]]], np.float32), None, "cpu", 1 << 20)
    >>> of = certify(rows, torch.tensor([[0, 1]]), "softmax", np.ones(1), np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 2)))
    >>> of.value.round(4).tolist(), of.gradient.tolist(), of.bound.tolist()
    ([[1.3863]], [[0.5]], [[1.0]])
    """
    given = torch.from_numpy(weights_SLDC).to(rows.device, torch.float64)
    size, mean = rows.size[:, None], rows.mean[:, 0].double()
    bias = torch.from_numpy(bias_SLC).to(given) + torch.einsum("sd,sldc->slc", mean, given)
    w = given.mT * size[:, :, None, None]
    penalty = torch.from_numpy(penalties_L).to(given) / size**2  # of rows at unit mean square: the same problem
    shape, flat = w.shape, w.flatten(1, 2)
    loss, gradient, at_bias = torch.zeros_like(w[..., 0, 0]), torch.zeros_like(flat), torch.zeros_like(bias)
    for part, x in rows.exact(flat.shape[1]):
        logits = torch.baddbmm(bias.flatten(1)[..., None], flat, x.mT).view(*shape[:3], -1)
        weight = None if rows.weight is None else rows.weight[:, part].double()
        more, _, residual = getattr(links, link)(logits, y[..., part], weight)
        loss += more
        gradient.baddbmm_(residual.flatten(1, 2), x)
        at_bias += residual.sum(3)
    gradient = gradient.view(shape).addcmul_(penalty[..., None, None], w)
    largest = torch.maximum(gradient.abs().amax((2, 3)), at_bias.abs().amax(2)) / rows.total[:, None]
    value = loss + penalty / 2 * w.square_().sum((2, 3))
    bound = gradient.square_().sum((2, 3)) / (2 * penalty)
    return Certificate(*(v.cpu().numpy() for v in (value, largest, bound)))
