"""Maps of a frozen encoder, each computed once, with the masks of their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from relic_eval.devices import device as find_device
from relic_eval.devices import float32, tensor
from relic_eval.encoders.load import Encoder
from relic_eval.errors import ArgumentError
from relic_eval.progress import track
from relic_eval.records import Transform
from relic_eval.tuning.canvas import spread
from relic_eval.tuning.descent import network_of
from relic_eval.tuning.fcn import maps_of
from relic_eval.tuning.feed import fractions, in_threads
from relic_eval.tuning.scenery import NONE, SceneRows

if TYPE_CHECKING:
    pass

SHOWN = 32  # pictures that are encoded together
LOGITS = 1 << 26  # numbers of spread logits that are held at a time


@dataclass(frozen=True)
class Maps:
    """The map of every picture (N, D, h, w) float32, in memory, and where to read its mask."""

    source: SceneRows
    maps_NDhw: np.ndarray
    device: str

    def pixels(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Features (R, D) and classes (R,) of `count` pixels of each picture, drawn from the seed, less those without a label.

        A feature is the map between its four nearest cells, as a logit is: a linear layer may come first or last.
        """
        rng = np.random.default_rng(seed)
        place = rng.random((len(self.source), count, 2))
        at = np.floor(place * self.source.sizes_N2[:, None]).astype(np.int64)  # row and column
        grid = torch.from_numpy((2 * (at + 0.5) / self.source.sizes_N2[:, None] - 1)[:, :, None, ::-1].copy()).float()
        y_NP = np.stack(self._each(lambda n: _mask(self.source, n)[at[n, :, 0], at[n, :, 1]]))
        x_NPD = []
        for first in range(0, len(grid), SHOWN):
            part = slice(first, first + SHOWN)
            maps = torch.from_numpy(self.maps_NDhw[part])
            sampled = F.grid_sample(maps, grid[part], mode="bilinear", padding_mode="border", align_corners=False)
            x_NPD.append(sampled[..., 0].transpose(1, 2).numpy())
        kept = y_NP != NONE
        return np.concatenate(x_NPD)[kept], y_NP[kept]

    def predictions(
        self, weights_LDC: np.ndarray, bias_LC: np.ndarray
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Batches of masks (n, H, W), NONE outside, and what each linear layer says of every pixel: (n, H, W) each."""
        layers, _, classes = weights_LDC.shape
        high, wide = (int(n) for n in self.source.sizes_N2.max(0))
        step = max(1, LOGITS // (high * wide * classes))
        flat = torch.from_numpy(weights_LDC.transpose(0, 2, 1).reshape(layers * classes, -1)).float().to(self.device)
        bias = torch.from_numpy(bias_LC.reshape(-1)).float().to(self.device)
        for first in range(0, len(self.source), step):
            rows = range(first, min(first + step, len(self.source)))
            true_NHW = np.full((len(rows), high, wide), NONE, np.int64)
            for place, mask in enumerate(self._each(lambda n: _mask(self.source, n), rows)):
                true_NHW[place, : mask.shape[0], : mask.shape[1]] = mask
            maps = torch.from_numpy(self.maps_NDhw[rows.start : rows.stop]).to(self.device)
            with float32():
                logits = F.conv2d(maps, flat[:, :, None, None], bias).unflatten(1, (layers, classes))
            sizes = torch.from_numpy(self.source.sizes_N2[rows.start : rows.stop]).float().to(self.device)
            said = [spread(logits[:, i], sizes, high, wide).max(1).indices.cpu().numpy() for i in range(layers)]
            yield true_NHW, said

    def _each(self, work, rows=None) -> list[np.ndarray]:
        return in_threads(lambda n: work(int(n)), list(np.arange(len(self.source)) if rows is None else np.array(rows)))


def compute_maps(encoder: Encoder, source: SceneRows, seen: Transform, device: str = "cpu") -> Maps:
    """The last map of every picture, squashed to the square that the encoder sees; nothing is encoded twice.

    They take 4 D h w bytes a picture. Raises ArgumentError for an encoder that gives no maps.
    """
    device, channels = find_device(device), encoder.channels or 3
    module = network_of(encoder.build(channels, device), encoder.name).eval()

    def square(row: np.ndarray) -> np.ndarray:
        picture, _ = source.scenes.read(int(row))
        return squashed(picture, seen)

    made = []
    with torch.inference_mode(), float32():
        starts = range(0, len(source), SHOWN)
        for first in track(starts, f"maps {encoder.name} {source.scenes.name} {source.scenes.split}", unit="batch"):
            pixels = np.stack(in_threads(square, list(source.rows[first : first + SHOWN])))
            made.append(maps_of(module, fractions(pixels, channels, device)).float().cpu().contiguous().numpy())
    maps = np.concatenate(made)
    if not np.isfinite(maps).all():
        raise ArgumentError("encoder", "finite maps", f"NaN or infinity of {encoder.name}")
    return Maps(source, maps, device)


def squashed(picture: np.ndarray, seen: Transform) -> np.ndarray:
    """A picture (H, W, 3) as the square of a Transform, whatever its proportion.

    >>> squashed(np.full((4, 8, 3), 7, np.uint8), Transform(2)).tolist()[0][0]
    [7, 7, 7]
    """
    x = tensor(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
    mode = "bilinear" if seen.interpolation == "bilinear" else "bicubic"
    x = F.interpolate(x, size=(seen.side, seen.side), mode=mode, antialias=True)
    return x[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy()


def _mask(source: SceneRows, place: int) -> np.ndarray:
    _, mask = source.scenes.read(int(source.rows[place]))
    return np.where(mask == source.scenes.ignore, NONE, mask)
