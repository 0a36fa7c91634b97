"""Batches of pictures of several sizes: canvases, random scaled crops of them, the middle of them, and maps spread over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from relic_eval.devices import tensor
from relic_eval.tuning.feed import HELD, in_threads
from relic_eval.tuning.scenery import NONE, SceneRows, scaled_sizes
from relic_eval.views import Draw


class Canvases:
    """Pictures and masks of some parts, one after the other, each in the upper left corner of a canvas that holds all.

    `take(places)` gives uint8 (n, H, W, 3), int16 (n, H, W) with NONE where there is no label, and sizes (n, 2). Held in
    memory where they fit, else read when their turn comes.
    """

    def __init__(self, parts: Sequence[SceneRows], shorter: int = 0):
        self.source = [(part.scenes, int(row)) for part in parts for row in part.rows]
        self.sizes_N2 = scaled_sizes(np.concatenate([part.sizes_N2 for part in parts]), shorter)
        self.high, self.wide = (int(n) for n in self.sizes_N2.max(0))
        small = len(self.source) * self.high * self.wide * 5 <= HELD
        self.held = self._read(np.arange(len(self.source))) if small else None

    def __len__(self) -> int:
        return len(self.source)

    def take(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Raises DataError, naming the file, for a picture or mask that cannot be read."""
        if self.held is None:
            return (*self._read(places), self.sizes_N2[places])
        return self.held[0][places], self.held[1][places], self.sizes_N2[places]

    def _read(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pixels = np.zeros((len(places), self.high, self.wide, 3), np.uint8)
        classes = np.full((len(places), self.high, self.wide), NONE, np.int16)

        def read(at: np.ndarray) -> None:
            scenes, row = self.source[places[int(at)]]
            picture, mask = scenes.read(row)
            high, wide = (int(n) for n in self.sizes_N2[places[int(at)]])
            mask = np.where(mask == scenes.ignore, NONE, mask).astype(np.int16)
            pixels[at, :high, :wide], classes[at, :high, :wide] = resized(picture, mask, high, wide)

        in_threads(read, list(np.arange(len(places))))
        return pixels, classes


def resized(picture: np.ndarray, mask: np.ndarray, high: int, wide: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of another size, antialiased, and its mask by nearest neighbour.

    >>> resized(np.full((4, 4, 3), 9, np.uint8), np.zeros((4, 4), np.int16), 2, 2)[0].shape
    (2, 2, 3)
    """
    if picture.shape[:2] == (high, wide):
        return picture, mask
    x = tensor(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    x = F.interpolate(x, size=(high, wide), mode="bilinear", antialias=True).round().clamp(0, 255).byte()
    y = F.interpolate(tensor(mask)[None, None].float(), size=(high, wide), mode="nearest-exact")
    return x[0].permute(1, 2, 0).numpy(), y[0, 0].short().numpy()


def on_device(batch: tuple[np.ndarray, ...], fill: Tensor, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (n, 3, H, W) in [0, 1] less `fill` (3,), 0 outside of each; classes (n, 1, H, W) and sizes (n, 2), as floats."""
    pixels, classes, sizes = (tensor(np.ascontiguousarray(a)).to(device) for a in batch)
    x = pixels.permute(0, 3, 1, 2).float() / 255 - fill.view(1, 3, 1, 1)
    down, right = (torch.arange(n, device=device) for n in x.shape[2:])
    inside = (down[None, :, None] < sizes[:, :1, None]) & (right[None, None] < sizes[:, 1:, None])
    return x * inside[:, None], classes[:, None].float(), sizes.float()


def scaled_crops(
    x: Tensor, y: Tensor, sizes: Tensor, side: int, scales: tuple[float, float], flip: float, draw: Draw
) -> tuple[Tensor, Tensor]:
    """A square of `side` pixels of each picture after it was scaled, some turned left to right: bilinear, classes nearest.

    A picture smaller than the square lies anywhere in it. Sampling from the canvas does all in one step: a picture twice as
    large is a box of half the side.
    """
    scale = draw.uniform(*scales)
    across, down = draw.uniform(0, 1), draw.uniform(0, 1)
    turn = torch.where(draw.uniform(0, 1) < flip, -1.0, 1.0)
    box = (side / scale).to(x)
    top, left = down.to(x) * (sizes[:, 0] - box), across.to(x) * (sizes[:, 1] - box)
    return _sampled(x, y, side, side, top, left, box, box, turn.to(x))


def middles(x: Tensor, y: Tensor, sizes: Tensor, high: int, wide: int) -> tuple[Tensor, Tensor]:
    """The middle of each picture, or all of it in the middle, at its own scale."""
    top, left = ((sizes[:, 0] - high) / 2).floor(), ((sizes[:, 1] - wide) / 2).floor()
    whole = x.new_ones(len(x))
    return _sampled(x, y, high, wide, top, left, whole * high, whole * wide, whole)


def _sampled(x, y, high, wide, top, left, box_high, box_wide, turn) -> tuple[Tensor, Tensor]:
    zero = torch.zeros_like(top)
    # affine_grid speaks of [-1, 1] across the canvas
    centre_x, centre_y = (2 * left + box_wide) / x.shape[3] - 1, (2 * top + box_high) / x.shape[2] - 1
    lines = [box_wide / x.shape[3] * turn, zero, centre_x, zero, box_high / x.shape[2], centre_y]
    grid = F.affine_grid(torch.stack(lines, 1).view(-1, 2, 3), [len(x), 1, high, wide], align_corners=False)
    crop = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    # one more than the class, so that what lies outside of the canvas comes out as no class
    number = F.grid_sample(y + 1, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return crop, (number[:, 0] - 1).long()


def spread(maps: Tensor, sizes: Tensor, high: int, wide: int) -> Tensor:
    """Maps (n, C, h, w), each bilinearly over the pixels of its picture in the corner of a canvas (n, C, high, wide).

    >>> spread(torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[1.0, 4.0]]), 1, 4).flatten().tolist()
    [0.0, 0.25, 0.75, 1.0]
    """
    down, right = (torch.arange(n, device=maps.device) + 0.5 for n in (high, wide))
    grid_y = (2 * down[None] / sizes[:, :1] - 1)[:, :, None].expand(-1, -1, wide)
    grid_x = (2 * right[None] / sizes[:, 1:] - 1)[:, None, :].expand(-1, high, -1)
    grid = torch.stack([grid_x, grid_y], 3)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)
