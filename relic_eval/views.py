"""Augmented views of whole batches: tensors in, tensors out, one random number generator, no loop over pictures.

Pictures are (N, C, H, W), uint8 or float in [0, 1]; views are float. The operations and their order are BYOL's
(relicv2/utils/augmentations.py): crop, flip, colour, blur, solarise, clip. Random numbers are drawn on the CPU, so a
seed gives the same views on every device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from relic_eval.errors import ArgumentError

GREY = (0.2989, 0.5870, 0.1140)


@dataclass(frozen=True)
class Recipe:
    """What happens to a crop, with which probability (flip, jitter, greyscale, blur, solarise) and how strongly."""

    side: int  # of the view, in pixels
    area: tuple[float, float] = (0.08, 1.0)  # of the box, as a share of the picture
    ratio: float = 4 / 3  # the box is between 1 / ratio and ratio times as wide as high
    translate: float = 0.0  # the box may leave the picture by this share of its side; zeros lie there
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4  # added, as in BYOL, not multiplied
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1
    greyscale: float = 0.2
    blur: float = 0.5
    solarise: float = 0.1


def make_view(x: Tensor, recipe: Recipe, generator: Generator) -> Tensor:
    """One view of every picture, float (N, C, side, side) in [0, 1].

    >>> g = Generator().manual_seed(0)
    >>> make_view(torch.rand(4, 1, 28, 28, generator=g), Recipe(side=20), g).shape
    torch.Size([4, 1, 20, 20])
    """
    boxes = random_boxes(len(x), (x.shape[2], x.shape[3]), recipe, generator)
    flips = torch.rand(len(x), generator=generator) < recipe.flip
    x = crop(to_float(x), boxes, flips, recipe.side)
    x = sometimes(x, recipe.jitter, lambda part: colour(part, recipe, generator), generator)
    if x.shape[1] == 3:
        x = sometimes(x, recipe.greyscale, greyscale, generator)
    x = sometimes(x, recipe.blur, lambda part: blur(part, _uniform(len(part), 0.1, 2.0, generator)), generator)
    return sometimes(x, recipe.solarise, solarise, generator).clamp(0, 1)


def to_float(x: Tensor) -> Tensor:
    """Pictures as float in [0, 1]; floats stay as they are.

    >>> to_float(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])
    """
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def sometimes(x: Tensor, probability: float, change: Callable[[Tensor], Tensor], generator: Generator) -> Tensor:
    """The pictures, each changed with this probability; only those are computed.

    >>> sometimes(torch.ones(2, 1, 1, 1), 1.0, lambda part: part + 1, Generator()).flatten()
    tensor([2., 2.])
    """
    rows = torch.nonzero(torch.rand(len(x), generator=generator) < probability)[:, 0].to(x.device)
    return x if not len(rows) else x.index_copy(0, rows, change(x[rows]))


def random_boxes(n: int, size: tuple[int, int], recipe: Recipe, generator: Generator) -> Tensor:
    """Boxes (N, 4) in pixels: top, left, height, width. Area uniform, ratio log-uniform, place uniform.

    A side longer than the picture is cut to it (torchvision draws again up to ten times instead).

    >>> random_boxes(1, (8, 6), Recipe(4, area=(1.0, 1.0), ratio=1.0), Generator()).tolist()
    [[0.0, 0.0, 8.0, 6.0]]
    """
    height, width = size
    area = _uniform(n, *recipe.area, generator) * height * width
    stretch = torch.exp(_uniform(n, -math.log(recipe.ratio), math.log(recipe.ratio), generator)) * width / height
    tall, wide = (area / stretch).sqrt().clamp(max=height), (area * stretch).sqrt().clamp(max=width)
    above, aside = recipe.translate * height, recipe.translate * width
    top = torch.rand(n, generator=generator) * (height - tall + 2 * above) - above
    left = torch.rand(n, generator=generator) * (width - wide + 2 * aside) - aside
    return torch.stack([top, left, tall, wide], 1)


def crop(x: Tensor, boxes: Tensor, flips: Tensor, side: int) -> Tensor:
    """The part of each picture in its box, (N, C, side, side), bilinear with antialiasing; `flips` (N,) mirror it.

    Two batched matrix products, one an axis. Like torchvision's, it looks at no pixel outside the box; where the box
    leaves the picture it sees zeros.

    >>> x = torch.rand(1, 1, 8, 8); whole = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    >>> torch.allclose(crop(x, whole, torch.tensor([False]), 8), x)
    True
    """
    rows = resize_weights(boxes[:, 0], boxes[:, 2], x.shape[2], side)
    columns = resize_weights(boxes[:, 1], boxes[:, 3], x.shape[3], side)
    columns = torch.where(flips[:, None, None], columns.flip(1), columns)
    return rows.to(x)[:, None] @ x @ columns.to(x)[:, None].mT


def resize_weights(start: Tensor, length: Tensor, pixels: int, side: int) -> Tensor:
    """Weights (N, side, pixels) that resample [start, start + length) of an axis of `pixels` to `side` places.

    >>> resize_weights(torch.tensor([0.0]), torch.tensor([4.0]), 4, 2)[0]
    tensor([[0.4286, 0.4286, 0.1429, 0.0000],
            [0.0000, 0.1429, 0.4286, 0.4286]])
    """
    scale = (length / side)[:, None, None]
    reach = math.ceil(max(0.0, -start.min().item(), (start + length).max().item() - pixels))
    place = torch.arange(-reach, pixels + reach) + 0.5
    centre = start[:, None, None] + (torch.arange(side) + 0.5)[None, :, None] * scale
    weight = (1 - (place - centre).abs() / scale.clamp(min=1)).clamp(min=0)
    # half a pixel of leeway: the pixels that a box touches are in it, so no place is left without one
    inside = (place + 0.5 > start[:, None, None]) & (place - 0.5 < (start + length)[:, None, None])
    weight = weight * inside
    return (weight / weight.sum(2, keepdim=True))[:, :, reach : reach + pixels]


def colour(x: Tensor, recipe: Recipe, generator: Generator) -> Tensor:
    """Brightness added, contrast about each picture's mean; with three channels saturation about grey, and hue.

    >>> x = torch.full((1, 1, 2, 2), 0.5)
    >>> torch.equal(colour(x, Recipe(2, brightness=0.0, contrast=0.0), Generator()), x)
    True
    """

    def draw(low: float, high: float) -> Tensor:
        return _uniform(len(x), low, high, generator).to(x.device)[:, None, None, None]

    x = x + draw(-recipe.brightness, recipe.brightness)
    mean = greyscale(x).mean((1, 2, 3), keepdim=True)
    x = torch.lerp(mean, x, draw(1 - recipe.contrast, 1 + recipe.contrast))
    if x.shape[1] == 3:
        x = torch.lerp(greyscale(x), x, draw(1 - recipe.saturation, 1 + recipe.saturation))
        x = turn_hue(x.clamp(0, 1), draw(-recipe.hue, recipe.hue)[:, 0])
    return x


def turn_hue(x: Tensor, turn: Tensor) -> Tensor:
    """RGB pictures in [0, 1] with the hue turned by a share of the circle, (N, 1, 1).

    >>> turn_hue(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1), torch.full((1, 1, 1), 1 / 3)).flatten().round(decimals=3)
    tensor([0., 1., 0.])
    """
    high, low = x.amax(1), x.amin(1)
    spread = (high - low).clamp_min(1e-12)
    red, green, blue = x.unbind(1)
    sixth = torch.where(high == red, (green - blue) / spread, torch.where(
        high == green, 2 + (blue - red) / spread, 4 + (red - green) / spread))
    sixth = sixth + 6 * turn
    channels = []
    for shift in (5, 3, 1):  # of HSV's shortest inverse: value - spread * clamp(min(k, 4 - k), 0, 1), k = shift + hue
        k = (shift + sixth) % 6
        channels.append(high - (high - low) * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)


def greyscale(x: Tensor) -> Tensor:
    """Luminance in all three channels; a picture of one channel stays.

    >>> greyscale(torch.ones(1, 3, 1, 1)).mean().round(decimals=3)
    tensor(1.)
    """
    if x.shape[1] == 1:
        return x
    return (x * x.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(x)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, each picture with a deviation (N,) of its own in pixels; the window is a tenth of the side, odd.

    >>> x = torch.ones(1, 1, 28, 28); torch.allclose(blur(x, torch.tensor([1.0])), x)
    True
    """
    weights = [_blur_weights(sigma, pixels, max(1, round(max(x.shape[2:]) / 20))).to(x)[:, None] for pixels in x.shape[2:]]
    return weights[0] @ x @ weights[1].mT


def _blur_weights(sigma: Tensor, pixels: int, reach: int) -> Tensor:
    apart = (torch.arange(pixels)[:, None] - torch.arange(pixels)).abs()
    weight = torch.exp(-0.5 * (apart / sigma[:, None, None]) ** 2) * (apart <= reach)
    return weight / weight.sum(2, keepdim=True)


def solarise(x: Tensor) -> Tensor:
    """Values from one half on turned over.

    >>> solarise(torch.tensor([0.25, 0.75]))
    tensor([0.2500, 0.2500])
    """
    return torch.where(x < 0.5, x, 1 - x)


def remove_background(x: Tensor, mask: Tensor, probability: float, fill: str, generator: Generator) -> Tensor:
    """The pictures, each with this probability without what its mask (N, 1, H, W; True: foreground) calls background.

    `fill`: "zero" (black) or "mean" (each channel's mean over the batch).

    >>> x, mask = torch.ones(1, 1, 1, 2), torch.tensor([True, False]).view(1, 1, 1, 2)
    >>> remove_background(x, mask, 1.0, "zero", Generator()).flatten()
    tensor([1., 0.])
    """
    if fill not in ("zero", "mean"):
        raise ArgumentError("background", "zero or mean", repr(fill))
    paint = x.mean((0, 2, 3)).view(1, -1, 1, 1) if fill == "mean" else x.new_zeros(())
    removed = (torch.rand(len(x), generator=generator) < probability).to(x.device).view(-1, 1, 1, 1)
    return torch.where(mask | ~removed, x, paint)


def _uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low
