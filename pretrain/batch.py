"""What a method gets at each step, and how it takes crops of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pretrain.config import Training
from relic_eval.views import Draw, Recipe, make_view


@dataclass(frozen=True)
class Batch:
    """The pictures of a step that this rank works on: (B, C, H, W) in [0, 1], labels, masks."""

    x: Tensor
    y: Tensor  # (B,); -1 where there are no labels
    mask: Tensor  # (B, 1, H, W), True where the picture is foreground; empty for methods without masks
    mean: Tensor  # (1, C, 1, 1), the mean colour of all pictures of the set


def crop(
    x: Tensor,
    config: Training,
    number: int,
    draw: Draw,
    *,
    side: int | None = None,
    area: tuple[float, float] | None = None,
) -> Tensor:
    """The `number`-th augmented crop of each picture; by default a large one. Probabilities of a list are taken in turn.

    >>> import torch; from pretrain.config import Byol
    >>> crop(torch.rand(2, 1, 28, 28), Byol(), 0, Draw(torch.Generator().manual_seed(0), 2)).shape
    torch.Size([2, 1, 28, 28])
    """
    recipe = Recipe(
        side or config.side,
        area or (config.area_low, 1.0),
        pad=config.pad,
        brightness=config.brightness,
        additive=config.brightness_by == "add",
        contrast=config.contrast,
        saturation=config.saturation,
        hue=config.hue,
        blur=config.blur[number % len(config.blur)],
        sigma=config.blur_sigma,
        solarise=config.solarise[number % len(config.solarise)],
    )
    return make_view(x, recipe, draw)
