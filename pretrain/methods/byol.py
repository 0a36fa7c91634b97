"""BYOL: predict the target's projection of the other view (Grill et al. 2020, arXiv 2006.07733)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.batch import Batch, crop
from pretrain.config import Byol
from pretrain.heads import projector_and_predictor
from pretrain.norms import of_each
from pretrain.precision import in_float32
from relic_eval.views import Draw


def averaged(config: Byol) -> tuple[str, ...]:
    """Encoder and projector."""
    return ("encoder", "projector")


def heads(config: Byol, dims: int, classes: int) -> dict[str, nn.Module]:
    """Projector and predictor."""
    return projector_and_predictor(dims, config.hidden, config.out)


def views(config: Byol, batch: Batch, draw: Draw) -> list[Tensor]:
    """Two crops of each picture."""
    return [crop(batch.x, config, number, draw) for number in range(2)]


def loss(
    config: Byol, crops: list[Tensor], batch: Batch, online: nn.ModuleDict, target: nn.ModuleDict, draw: Draw
) -> dict[str, Tensor]:
    """The symmetrised loss."""
    predictions = of_each(lambda x: online["predictor"](online["projector"](online["encoder"](x))), crops)
    with torch.no_grad():
        projections = of_each(lambda x: target["projector"](target["encoder"](x)), crops)
    return {"loss": regression(predictions[0], projections[1]) + regression(predictions[1], projections[0])}


@in_float32
def regression(prediction_BD: Tensor, projection_BD: Tensor) -> Tensor:
    """2 - 2 cos, the squared distance of unit vectors, averaged over the batch.

    >>> regression(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])).item()
    2.0
    """
    return 2 - 2 * F.cosine_similarity(prediction_BD, projection_BD, dim=1).mean()
