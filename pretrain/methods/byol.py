"""BYOL: predict the target's projection of the other view (Grill et al. 2020, arXiv 2006.07733)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pretrain.batch import Batch, recipe
from pretrain.config import Byol
from pretrain.heads import mlp
from relic_eval.views import make_view

TARGET = ("encoder", "projector")


def heads(config: Byol, dims: int, classes: int) -> dict[str, nn.Module]:
    """Projector and predictor.

    >>> sorted(heads(Byol(), 8, 0))
    ['predictor', 'projector']
    """
    return {"projector": mlp(dims, config.hidden, config.out), "predictor": mlp(config.out, config.hidden, config.out)}


def views(config: Byol, batch: Batch, generator: Generator) -> list[Tensor]:
    """Two crops of each picture.

    >>> batch = Batch(torch.rand(2, 1, 28, 28), torch.tensor([-1, -1]), torch.ones(0))
    >>> len(views(Byol(), batch, Generator()))
    2
    """
    way = recipe(config, config.side, (config.area_low, 1.0))
    return [make_view(batch.x, way, generator) for _ in range(2)]


def loss(
    config: Byol, crops: list[Tensor], batch: Batch, online: nn.ModuleDict, target: nn.ModuleDict, generator: Generator
) -> dict[str, Tensor]:
    """The symmetrised loss, from 0 (all agree) to 8.

    >>> parts = nn.ModuleDict({name: nn.Identity() for name in ("encoder", "projector", "predictor")})
    >>> batch = Batch(torch.ones(0), torch.ones(0), torch.ones(0))
    >>> loss(Byol(), [torch.ones(3, 2), -torch.ones(3, 2)], batch, parts, parts, Generator())["loss"].item()
    8.0
    """
    predictions = [online["predictor"](online["projector"](online["encoder"](x))) for x in crops]
    with torch.no_grad():
        projections = [target["projector"](target["encoder"](x)) for x in crops]
    return {"loss": regression(predictions[0], projections[1]) + regression(predictions[1], projections[0])}


def regression(prediction_BD: Tensor, projection_BD: Tensor) -> Tensor:
    """2 - 2 cos, the squared distance of unit vectors, averaged over the batch; no gradient reaches the projection.

    >>> regression(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])).item()
    2.0
    """
    return 2 - 2 * F.cosine_similarity(prediction_BD, projection_BD.detach(), dim=1).mean()
