"""Supervised: cross-entropy on one augmented view."""

from __future__ import annotations

from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pretrain.batch import Batch, recipe
from pretrain.config import Supervised
from relic_eval.views import make_view

TARGET: tuple[str, ...] = ()


def heads(config: Supervised, dims: int, classes: int) -> dict[str, nn.Module]:
    """A linear classifier.

    >>> heads(Supervised(), 8, 3)["classifier"].out_features
    3
    """
    return {"classifier": nn.Linear(dims, classes)}


def views(config: Supervised, batch: Batch, generator: Generator) -> list[Tensor]:
    """One crop of each picture.

    >>> import torch; batch = Batch(torch.rand(2, 1, 28, 28), torch.tensor([0, 1]), torch.ones(0))
    >>> [tuple(v.shape) for v in views(Supervised(), batch, Generator())]
    [(2, 1, 28, 28)]
    """
    return [make_view(batch.x, recipe(config, config.side, (config.area_low, 1.0)), generator)]


def loss(
    config: Supervised, crops: list[Tensor], batch: Batch, online: nn.ModuleDict, target: nn.ModuleDict, generator: Generator
) -> dict[str, Tensor]:
    """The loss under its name.

    >>> import torch; online = nn.ModuleDict({"encoder": nn.Identity(), "classifier": nn.Identity()})
    >>> batch = Batch(torch.ones(0), torch.tensor([1]), torch.ones(0))
    >>> round(loss(Supervised(), [torch.zeros(1, 2)], batch, online, nn.ModuleDict(), Generator())["loss"].item(), 4)
    0.6931
    """
    return {"loss": F.cross_entropy(online["classifier"](online["encoder"](crops[0])), batch.y)}
