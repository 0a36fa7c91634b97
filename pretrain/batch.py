"""What a method gets at each step, and the recipe of its views."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pretrain.config import TrainConfig
from relic_eval.views import Recipe


@dataclass(frozen=True)
class Batch:
    """Pictures float (B, C, H, W) in [0, 1], labels, masks."""

    x: Tensor
    y: Tensor  # (B,); -1 where there are no labels
    mask: Tensor  # (B, 1, H, W), True where the picture is foreground; empty for methods without masks


def recipe(config: TrainConfig, side: int, area: tuple[float, float]) -> Recipe:
    """The views of this side, from boxes of this share of the picture; the rest as the settings say.

    >>> from pretrain.config import preset
    >>> recipe(preset("byol"), 20, (0.1, 0.4)).side
    20
    """
    return Recipe(
        side, area, translate=config.translate, flip=config.flip, jitter=config.jitter, brightness=config.brightness,
        contrast=config.contrast, saturation=config.saturation, hue=config.hue, greyscale=config.greyscale,
        blur=config.blur, solarise=config.solarise,
    )
