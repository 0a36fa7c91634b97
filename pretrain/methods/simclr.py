"""SimCLR: tell the other view of a picture from all other views of the batch (Chen et al. 2020, arXiv 2002.05709)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.batch import Batch, crop
from pretrain.config import Simclr
from pretrain.norms import of_each
from pretrain.precision import in_float32
from pretrain.ranks import joined, rank
from relic_eval.views import Draw


def averaged(config: Simclr) -> tuple[str, ...]:
    """No part has a moving average."""
    return ()


def heads(config: Simclr, dims: int, classes: int) -> dict[str, nn.Module]:
    """The projector of SimCLR's code: two layers with batch norm and ReLU between, and a batch norm without shift at the end."""
    last = nn.BatchNorm1d(config.out)
    nn.init.zeros_(last.bias).requires_grad_(False)  # the published code centres its last norm
    return {
        "projector": nn.Sequential(
            nn.Linear(dims, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden, config.out, bias=False),
            last,
        )
    }


def views(config: Simclr, batch: Batch, draw: Draw) -> list[Tensor]:
    """Two crops of each picture."""
    return [crop(batch.x, config, number, draw) for number in range(2)]


def loss(
    config: Simclr,
    crops: list[Tensor],
    batch: Batch,
    online: nn.ModuleDict,
    target: nn.ModuleDict,
    draw: Draw,
) -> dict[str, Tensor]:
    """NT-Xent of both views."""
    first, second = of_each(lambda x: online["projector"](online["encoder"](x)), crops)
    return {"loss": nt_xent(first, second, config.tau)}


@in_float32
def nt_xent(first_BD: Tensor, second_BD: Tensor, tau: float) -> Tensor:
    """Mean over 2B views of -log softmax, over the 2B - 1 others, of cosine / tau, at the other view of the same picture.

    Anchors are this rank's views, the others those of all ranks.

    >>> x = torch.ones(4, 2)
    >>> nt_xent(x, x, 0.1).exp().round().item()  # all alike: one of 7
    7.0
    """
    own = [F.normalize(x, dim=1) for x in (first_BD, second_BD)]
    every = torch.cat([joined(x) for x in own])
    half, rows = len(every) // 2, torch.arange(len(first_BD), device=every.device) + rank() * len(first_BD)
    itself = torch.cat([rows, rows + half])
    logits = (torch.cat(own) @ every.T / tau).scatter(1, itself[:, None], -torch.inf)
    return F.cross_entropy(logits, (itself + half) % (2 * half))
