"""Augmented views of whole batches: tensors in, tensors out, one random number generator, no loop over pictures.

Pictures are float (N, C, H, W) in [0, 1]. The operations and their order are BYOL's (relicv2/utils/augmentations.py); an
operation that happens to some pictures is worked out for those alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

GREY = (0.2989, 0.5870, 0.1140)


@dataclass(frozen=True)
class Draw:
    """Random numbers a picture: those of `total` pictures are drawn, and those of `rows` handed out.

    So a rank that works on a part of a batch sees what it would see in the whole.

    >>> whole = Draw(Generator().manual_seed(0), 4).uniform(0, 1)
    >>> torch.equal(Draw(Generator().manual_seed(0), 4, slice(2, 4)).uniform(0, 1), whole[2:])
    True
    """

    generator: Generator
    total: int
    rows: slice = field(default_factory=lambda: slice(None))

    def uniform(self, low: float, high: float) -> Tensor:
        """Uniform numbers (n,) between low and high."""
        return (torch.rand(self.total, generator=self.generator) * (high - low) + low)[self.rows]

    def chosen(self, probability: float) -> Tensor:
        """The places of the pictures to which something happens."""
        return (torch.rand(self.total, generator=self.generator) < probability)[self.rows].nonzero()[:, 0]

    def orders(self, count: int) -> Tensor:
        """A permutation (n, count) a picture."""
        return torch.rand(self.total, count, generator=self.generator)[self.rows].argsort(1)


@dataclass(frozen=True)
class Recipe:
    """What happens to a crop, with which probability and how strongly."""

    side: int  # of the crop, in pixels
    area: tuple[float, float] = (0.08, 1.0)  # of the box, as a share of the picture
    pad: float = 0.0  # black border put around the picture first, as a share of its side
    ratio: float = 4 / 3  # the box is between 1/ratio and ratio times as wide as high
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    additive: bool = True  # brightness is added, as in BYOL; else it multiplies
    contrast: float = 0.4
    saturation: float = 0.2
    hue: float = 0.1  # of a full turn
    greyscale: float = 0.2
    blur: float = 0.5
    sigma: float = 2.0  # largest standard deviation of the blur, in pixels; the smallest is a twentieth
    solarise: float = 0.1


def make_view(x: Tensor, recipe: Recipe, draw: Draw) -> Tensor:
    """One view of every picture: crop and flip, colour, greyscale, blur, solarise, clip.

    >>> x = torch.rand(4, 1, 28, 28)
    >>> make_view(x, Recipe(side=20), Draw(Generator().manual_seed(0), 4)).shape
    torch.Size([4, 1, 20, 20])
    """
    if recipe.pad:
        x = F.pad(x, (round(recipe.pad * x.shape[3]),) * 2 + (round(recipe.pad * x.shape[2]),) * 2)
    x = random_crop(x, recipe.side, recipe.area, recipe.ratio, recipe.flip, draw)
    strengths = (recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue)
    colour(x, draw.chosen(recipe.jitter), strengths, recipe.additive, draw)
    if x.shape[1] == 3:
        _change(x, draw.chosen(recipe.greyscale), greyscale)
    sigma = draw.uniform(recipe.sigma / 20, recipe.sigma)
    rows = draw.chosen(recipe.blur)
    _change(x, rows, lambda some: blur(some, sigma[rows]))
    _change(x, draw.chosen(recipe.solarise), lambda some: torch.where(some < 0.5, some, 1 - some))
    return x.clamp_(0, 1)


def _change(x: Tensor, rows: Tensor, operation: Callable[[Tensor], Tensor]) -> None:
    if len(rows):
        _put(x, rows, operation(x[rows.to(x.device)]))


def _put(x: Tensor, rows: Tensor, some: Tensor) -> None:
    """x[rows] = some, for one row or more, each once."""
    if x.device.type == "cpu":
        x[rows] = some
    else:
        put_by_gathering(x, rows, some)


def put_by_gathering(x: Tensor, rows: Tensor, some: Tensor) -> None:
    """The same on CUDA, without the sort by which torch makes such an assignment deterministic.

    >>> x = torch.zeros(3, 1, 1, 1); put_by_gathering(x, torch.tensor([2, 0]), torch.tensor([5.0, 7.0]).view(2, 1, 1, 1))
    >>> x.flatten().tolist()
    [7.0, 0.0, 5.0]
    """
    place = torch.full((len(x),), -1).index_copy_(0, rows, torch.arange(len(rows))).to(x.device)
    torch.where((place < 0).view(-1, 1, 1, 1), x, some[place.clamp_min(0)], out=x)


def random_crop(
    x: Tensor, side: int, area: tuple[float, float], ratio: float, flip: float, draw: Draw, mode: str = "bilinear"
) -> Tensor:
    """A random box of each picture, resized bilinearly (or bicubic, which may leave [0, 1]) to a square, some turned left to right.

    A box of more than about 1.7 times the side is taken from the picture at half its size (or a quarter, ...), since
    bilinear sampling alone would skip pixels.

    >>> x = torch.rand(2, 1, 8, 8)
    >>> torch.allclose(random_crop(x, 8, (1.0, 1.0), 1.0, 0.0, Draw(Generator(), 2)), x, atol=1e-6)
    True
    """
    n = len(x)
    size = (draw.uniform(*area)).sqrt()
    stretch = torch.exp(draw.uniform(-math.log(ratio), math.log(ratio)) / 2)
    width, height = (size * stretch).clamp(max=1), (size / stretch).clamp(max=1)
    # affine_grid speaks of [-1, 1] across the picture: a box of relative width w may be moved by 1 - w both ways
    right, down = (1 - width) * draw.uniform(-1, 1), (1 - height) * draw.uniform(-1, 1)
    turn = torch.where(draw.uniform(0, 1) < flip, -1.0, 1.0)
    zero = torch.zeros(n)
    theta = torch.stack([width * turn, zero, right, zero, height, down], 1).view(n, 2, 3).to(x)
    grid = F.affine_grid(theta, [n, x.shape[1], side, side], align_corners=False)
    longest = torch.maximum(width * x.shape[3], height * x.shape[2])
    halvings = (torch.log2(longest / side) + 0.25).floor().clamp_min(0).long()
    out = x.new_empty(n, x.shape[1], side, side)
    for level in range(int(halvings.max()) + 1):
        rows = (halvings == level).nonzero()[:, 0]
        here = slice(None) if len(rows) == n else rows.to(x.device)
        if len(rows):
            some = F.grid_sample(x[here], grid[here], mode=mode, padding_mode="border", align_corners=False)
            _put(out, rows, some)
        x = F.adaptive_avg_pool2d(x, (-(-x.shape[2] // 2), -(-x.shape[3] // 2)))
    return out


def colour(x: Tensor, rows: Tensor, strengths: tuple[float, float, float, float], additive: bool, draw: Draw) -> None:
    """Change, in place, brightness, contrast about the mean of each channel, saturation and hue of some pictures.

    Each picture has its own amounts and its own order; all is clipped after each. Saturation and hue: three channels only.

    >>> x = torch.full((1, 3, 2, 2), 0.5)
    >>> colour(x, torch.tensor([0]), (0.0, 0.0, 0.0, 0.0), True, Draw(Generator().manual_seed(0), 1)); x.unique().tolist()
    [0.5]
    """
    by_brightness, by_contrast, by_saturation, by_hue = strengths
    middle = 0.0 if additive else 1.0
    ends = ((middle - by_brightness, middle + by_brightness), *((1 - s, 1 + s) for s in (by_contrast, by_saturation)))
    amount_4N = torch.stack([draw.uniform(low, high) for low, high in (*ends, (-by_hue, by_hue))])
    order_M4 = draw.orders(4)[rows]
    if not len(rows):
        return
    ways = (_add if additive else _multiply, _contrast, _saturate, _turn)
    # at each place pictures of one operation lie together: they are gathered once, and no index leaves the CPU for each
    sort_4M = order_M4.argsort(dim=0, stable=True).mT
    back_4M = sort_4M.argsort(1)
    between = [back_4M[place].gather(0, sort_4M[place + 1]) for place in range(3)]
    from_5M = torch.stack([sort_4M[0], *between, back_4M[3]]).to(x.device)
    ends_44 = torch.stack([(order_M4 == number).sum(0) for number in range(4)], 1).cumsum(1).tolist()
    amount_4M = amount_4N[order_M4.mT.gather(1, sort_4M), rows[sort_4M]].to(x)
    some = x[rows.to(x.device)]
    for place in range(4):
        some, begin = some[from_5M[place]], 0
        for number, (way, strength) in enumerate(zip(ways, strengths, strict=True)):
            here, begin = slice(begin, ends_44[place][number]), ends_44[place][number]
            if here.start < here.stop and strength != 0 and (number < 2 or x.shape[1] == 3):
                some[here] = way(some[here], amount_4M[place, here].view(-1, 1, 1, 1)).clamp_(0, 1)
    _put(x, rows, some[from_5M[4]])


def _add(x: Tensor, amount: Tensor) -> Tensor:
    return x + amount


def _multiply(x: Tensor, amount: Tensor) -> Tensor:
    return x * amount


def _contrast(x: Tensor, amount: Tensor) -> Tensor:
    mean = x.mean((2, 3), keepdim=True)
    return mean + (x - mean) * amount


def _saturate(x: Tensor, amount: Tensor) -> Tensor:
    """Saturation times the amount, at most 1: each channel's distance to the largest grows by as much."""
    value = x.amax(1, keepdim=True)
    spread = value - x.amin(1, keepdim=True)
    return value - (value - x) * torch.minimum(amount, value / spread.clamp_min(1e-12))


def _turn(x: Tensor, amount: Tensor) -> Tensor:
    hue, saturation, value = to_hsv(x)
    return from_hsv(hue + amount, saturation, value)


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


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation of each picture's own, `sigma` (n,), in pixels.

    >>> x = torch.ones(1, 1, 28, 28); torch.allclose(blur(x, torch.tensor([1.0])), x)
    True
    """
    n, c, _, side = x.shape
    reach = max(1, side // 20)  # BYOL: a kernel of a tenth of the side
    place = torch.arange(-reach, reach + 1.0)
    kernel = torch.exp(-0.5 * (place[None] / sigma[:, None]) ** 2).to(x)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(c, 0)
    y = F.pad(x.reshape(1, n * c, side, side), (reach,) * 4, mode="reflect")  # as torchvision
    y = F.conv2d(y, kernel[:, None, None, :], groups=n * c)
    return F.conv2d(y, kernel[:, None, :, None], groups=n * c).view_as(x)
