"""What a method gets at each step, and how it takes crops of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor

from pretrain.config import Training
from relic_eval.views import Recipe, make_view


@dataclass(frozen=True)
class Batch:
    """Pictures (B, C, H, W) in [0, 1], labels, masks."""

    x: Tensor
    y: Tensor  # (B,); -1 where there are no labels
    mask: Tensor  # (B, 1, H, W), True where the picture is foreground; empty for methods without masks
    mean: Tensor  # (1, C, 1, 1), the mean colour of all pictures of the set


def crop(
    x: Tensor,
    config: Training,
    number: int,
    generator: Generator,
    *,
    side: int | None = None,
    area: tuple[float, float] | None = None,
) -> Tensor:
    """The `number`-th augmented crop of each picture; by default a large one. Probabilities of a list are taken in turn.

    >>> import torch; from pretrain.config import preset
    >>> crop(torch.rand(2, 1, 28, 28), preset("byol"), 0, Generator().manual_seed(0)).shape
    torch.Size([2, 1, 28, 28])
    """
    recipe = Recipe(
        side or config.side,
        area or (config.area_low, 1.0),
        pad=config.pad,
        brightness=config.brightness,
        contrast=config.contrast,
        saturation=config.saturation,
        hue=config.hue,
        blur=config.blur[number % len(config.blur)],
        solarise=config.solarise[number % len(config.solarise)],
    )
    return make_view(x, recipe, generator)
