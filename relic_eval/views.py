"""Augmented views of whole batches: tensors in, tensors out, one random number generator, no loop over pictures.

Pictures are float (N, C, H, W) in [0, 1]. The operations and their order are BYOL's (relicv2/utils/augmentations.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

GREY = (0.2989, 0.5870, 0.1140)


@dataclass(frozen=True)
class Recipe:
    """What happens to a crop, with which probability and how strongly."""

    side: int  # of the crop, in pixels
    area: tuple[float, float] = (0.08, 1.0)  # of the box, as a share of the picture
    pad: float = 0.0  # black border put around the picture first, as a share of its side
    ratio: float = 4 / 3  # the box is between 1/ratio and ratio times as wide as high
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4  # added, as in BYOL, not multiplied
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1  # of a full turn
    greyscale: float = 0.2
    blur: float = 0.5
    solarise: float = 0.1


def make_view(x: Tensor, recipe: Recipe, generator: Generator) -> Tensor:
    """One view of every picture: crop and flip, colour, blur, solarise, clip.

    >>> g = Generator().manual_seed(0)
    >>> make_view(torch.rand(4, 1, 28, 28, generator=g), Recipe(side=20), g).shape
    torch.Size([4, 1, 20, 20])
    """
    if recipe.pad:
        x = F.pad(x, (round(recipe.pad * x.shape[3]),) * 2 + (round(recipe.pad * x.shape[2]),) * 2)
    x = random_crop(x, recipe.side, recipe.area, recipe.ratio, recipe.flip, generator)
    strengths = (recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue)
    x = _where(recipe.jitter, colour(x, *strengths, generator), x, generator)
    if x.shape[1] == 3:
        x = _where(recipe.greyscale, greyscale(x), x, generator)
    x = _where(recipe.blur, blur(x, generator), x, generator)
    x = _where(recipe.solarise, torch.where(x < 0.5, x, 1 - x), x, generator)
    return x.clamp(0, 1)


def random_crop(
    x: Tensor, side: int, area: tuple[float, float], ratio: float, flip: float, generator: Generator
) -> Tensor:
    """A random box of each picture, resized bilinearly to a square, some turned left to right.

    A box of more than about 1.7 times the side is taken from the picture at half its size (or a quarter, ...), since
    bilinear sampling alone would skip pixels.

    >>> g = Generator().manual_seed(0); x = torch.rand(2, 1, 8, 8, generator=g)
    >>> torch.allclose(random_crop(x, 8, (1.0, 1.0), 1.0, 0.0, g), x, atol=1e-6)
    True
    """
    n = len(x)
    size = (_uniform(n, *area, generator)).sqrt()
    stretch = torch.exp(_uniform(n, -math.log(ratio), math.log(ratio), generator) / 2)
    width, height = (size * stretch).clamp(max=1), (size / stretch).clamp(max=1)
    # affine_grid speaks of [-1, 1] across the picture: a box of relative width w may be moved by 1 - w both ways
    right, down = (1 - width) * _uniform(n, -1, 1, generator), (1 - height) * _uniform(n, -1, 1, generator)
    turn = torch.where(torch.rand(n, generator=generator) < flip, -1.0, 1.0)
    zero = torch.zeros(n)
    theta = torch.stack([width * turn, zero, right, zero, height, down], 1).view(n, 2, 3).to(x)
    grid = F.affine_grid(theta, [n, x.shape[1], side, side], align_corners=False)
    longest = torch.maximum(width * x.shape[3], height * x.shape[2])
    halvings = (torch.log2(longest / side) + 0.25).floor().clamp_min(0).long()
    out = x.new_empty(n, x.shape[1], side, side)
    for level in range(int(halvings.max()) + 1):
        rows = (halvings == level).nonzero()[:, 0].to(x.device)
        if len(rows):
            out[rows] = F.grid_sample(x[rows], grid[rows], mode="bilinear", padding_mode="border", align_corners=False)
        x = F.adaptive_avg_pool2d(x, (-(-x.shape[2] // 2), -(-x.shape[3] // 2)))
    return out


def colour(
    x: Tensor, brightness: float, contrast: float, saturation: float, hue: float, generator: Generator
) -> Tensor:
    """Brightness added, contrast about the mean of each channel, saturation and hue (three channels only), clipped each time.

    Amounts are each picture's own; the order is drawn once for the batch, where BYOL draws one a picture.

    >>> x = torch.full((1, 3, 2, 2), 0.5)
    >>> torch.equal(colour(x, 0.0, 0.0, 0.0, 0.0, Generator().manual_seed(0)), x)
    True
    """
    n = len(x)
    amounts = [
        _uniform(n, low, high, generator).to(x).view(n, 1, 1, 1)
        for low, high in (
            (-brightness, brightness),
            (1 - contrast, 1 + contrast),
            (1 - saturation, 1 + saturation),
            (-hue, hue),
        )
    ]
    for number in torch.randperm(4, generator=generator).tolist():
        amount = amounts[number]
        if number == 0:
            x = x + amount
        elif number == 1:
            mean = x.mean((2, 3), keepdim=True)
            x = mean + (x - mean) * amount
        elif x.shape[1] == 3 and (saturation, hue)[number - 2] > 0:
            h, s, v = to_hsv(x)
            x = from_hsv(h, (s * amount).clamp(0, 1), v) if number == 2 else from_hsv(h + amount, s, v)
        x = x.clamp(0, 1)
    return x


def to_hsv(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in [0, 1), saturation and value, each (N, 1, H, W), of pictures (N, 3, H, W) in [0, 1].

    >>> [round(t.item(), 4) for t in to_hsv(torch.tensor([0.0, 0.5, 0.0]).view(1, 3, 1, 1))]
    [0.3333, 1.0, 0.5]
    """
    value, top = x.max(1, keepdim=True)
    spread = value - x.amin(1, keepdim=True)
    r, g, b = x.split(1, 1)
    sides = torch.cat([g - b, b - r, r - g], 1).gather(1, top)
    hue = (sides / spread.clamp_min(1e-12) / 6 + top / 3) % 1
    return hue, torch.where(value > 0, spread / value.clamp_min(1e-12), 0), value


def from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) from hue (a full turn is 1), saturation and value.

    >>> from_hsv(*(torch.full((1, 1, 1, 1), v) for v in (4 / 3, 1.0, 0.5))).flatten().round(decimals=4)
    tensor([0.0000, 0.5000, 0.0000])
    """
    # each channel is a trapezoid of the hue: 1 within a sixth of its own place, 0 from a third on
    place = hue.new_tensor([0.0, 1 / 3, 2 / 3]).view(1, 3, 1, 1)
    away = ((hue - place + 0.5) % 1 - 0.5).abs()
    return value * (1 - saturation * (6 * away - 1).clamp(0, 1))


def greyscale(x: Tensor) -> Tensor:
    """Luminance in all three channels; a picture of one channel stays.

    >>> greyscale(torch.ones(1, 3, 1, 1)).mean().round(decimals=3)
    tensor(1.)
    """
    if x.shape[1] == 1:
        return x
    return (x * x.new_tensor(GREY).view(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(x)


def blur(x: Tensor, generator: Generator) -> Tensor:
    """Gaussian blur with a standard deviation of each picture's own, U(0.1, 2) at 224 pixels and as much less here.

    >>> x = torch.ones(1, 1, 28, 28); torch.allclose(blur(x, Generator().manual_seed(0)), x)
    True
    """
    n, c, _, side = x.shape
    reach = max(1, round(side / 20))  # BYOL: a kernel of a tenth of the side
    sigma = _uniform(n, 0.1, 2.0, generator) * max(side / 224, 0.5)
    place = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-0.5 * (place[None] / sigma[:, None]) ** 2).to(x)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)
    y = F.pad(x.reshape(1, n * c, side, side), (reach,) * 4, mode="replicate")
    y = F.conv2d(y, kernel[:, None, None, :], groups=n * c)
    return F.conv2d(y, kernel[:, None, :, None], groups=n * c).view_as(x)


def _uniform(n: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(n, generator=generator) * (high - low) + low


def _where(probability: float, changed: Tensor, x: Tensor, generator: Generator) -> Tensor:
    return torch.where(
        (torch.rand(len(x), generator=generator) < probability).to(x.device).view(-1, 1, 1, 1), changed, x
    )
