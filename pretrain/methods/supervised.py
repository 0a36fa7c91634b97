"""Supervised: cross-entropy on one augmented view."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.batch import Batch, crop
from pretrain.config import Supervised
from pretrain.precision import in_float32
from relic_eval.views import Draw


def averaged(config: Supervised) -> tuple[str, ...]:
    """No part has a moving average."""
    return ()


def heads(config: Supervised, dims: int, classes: int) -> dict[str, nn.Module]:
    """A linear classifier."""
    return {"classifier": nn.Linear(dims, classes)}


def views(config: Supervised, batch: Batch, draw: Draw) -> list[Tensor]:
    """One crop of each picture."""
    return [crop(batch.x, config, 0, draw)]


def loss(
    config: Supervised,
    crops: list[Tensor],
    batch: Batch,
    online: nn.ModuleDict,
    target: nn.ModuleDict,
    draw: Draw,
) -> dict[str, Tensor]:
    """The loss and its terms by name."""
    return {"loss": in_float32(F.cross_entropy)(online["classifier"](online["encoder"](crops[0])), batch.y)}
