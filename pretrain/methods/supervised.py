"""Supervised: cross-entropy on one augmented view."""

from __future__ import annotations

from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pretrain.batch import Batch, crop
from pretrain.config import Supervised

TARGET: tuple[str, ...] = ()  # parts that have a moving average


def heads(config: Supervised, dims: int, classes: int) -> dict[str, nn.Module]:
    """A linear classifier."""
    return {"classifier": nn.Linear(dims, classes)}


def views(config: Supervised, batch: Batch, generator: Generator) -> list[Tensor]:
    """One crop of each picture."""
    return [crop(batch.x, config, 0, generator)]


def loss(
    config: Supervised,
    crops: list[Tensor],
    batch: Batch,
    online: nn.ModuleDict,
    target: nn.ModuleDict,
    generator: Generator,
) -> dict[str, Tensor]:
    """The loss and its terms by name."""
    return {"loss": F.cross_entropy(online["classifier"](online["encoder"](crops[0])), batch.y)}
