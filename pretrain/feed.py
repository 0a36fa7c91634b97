"""The pictures of a step: which, and from where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pretrain import ranks
from pretrain.batch import Batch
from pretrain.config import MASKS, Training
from pretrain.saliency import saliency_masks
from pretrain.saliency.packed import Masks
from pretrain.squares import Decoded, Held
from relic_eval.errors import ArgumentError
from relic_eval.progress import track

CHUNK = 1 << 22  # bytes of pictures whose moments are summed together
MEASURED = 50_000  # pictures whose moments stand for all, where there are more

Masked = Callable[[Tensor, Tensor], Tensor]  # rows (n,) and their bytes (n, C, H, W) -> masks (n, 1, H, W)


@dataclass(frozen=True)
class Feed:
    """All pictures, with labels, masks where a method uses them, and moments of each channel."""

    pictures: Held | Decoded
    y: Tensor
    masks: Masked
    mean: Tensor  # (1, C, 1, 1)
    std: Tensor

    def take(self, rows: Tensor) -> Batch:
        """The pictures of some rows, as fractions."""
        device = self.mean.device
        pixels = self.pictures.take(rows)
        x = pixels.to(device).to(self.mean.dtype).div_(255)
        return Batch(x, self.y[rows].to(device), self.masks(rows, pixels).to(device), self.mean)


def make_feed(
    config: Training,
    pictures: Held | Decoded,
    labels: np.ndarray | None,
    device: str,
    masks: Masks | None = None,
    known: dict[str, Any] | None = None,
) -> Feed:
    """Pictures and labels (N,), ready to be taken; without `masks` they are made.

    `known` are the moments (C,) of a run that is taken up, mean and std: they are not measured again.
    """
    y = torch.full((len(pictures),), -1) if labels is None else torch.from_numpy(labels.astype(np.int64))
    if known is None:  # rounded to what JSON keeps, so that the encoder sees later what it was trained on
        moments = [s.mul(1e6).round().div(1e6) for s in channel_moments(pictures, device)]
    else:
        moments = [torch.tensor(known[name], dtype=torch.float64) for name in ("mean", "std")]
    mean, std = (s.to(device, torch.get_default_dtype()).view(1, -1, 1, 1) for s in moments)
    return Feed(pictures, y, batch_masks(config, pictures, masks), mean, std)


def batch_masks(config: Training, pictures: Held | Decoded, masks: Masks | None) -> Masked:
    """The masks of a batch, none for methods without them: those that are given, or by the maker that the settings name.

    A mask by the border depends on its picture alone: those of held pictures are made now, of others batch by batch, alike.
    """
    if not hasattr(config, "p_mask"):
        return lambda rows, pixels: torch.ones(0, dtype=torch.bool)
    if config.p_mask == 0:
        return lambda rows, pixels: torch.ones(len(rows), 1, 1, 1, dtype=torch.bool)
    if masks is not None:
        return lambda rows, pixels: masks[rows]
    name, here = config.masks, torch.arange(len(pictures))  # type: ignore[attr-defined]
    if name == "border" and isinstance(pictures, Decoded):
        return lambda rows, pixels: saliency_masks(pixels)
    if name == "border":
        made = torch.cat([saliency_masks(pictures.take(rows)) for rows in here.split(1024)])
        return lambda rows, pixels: made[rows]
    if name not in MASKS or isinstance(pictures, Decoded):
        hint = "Pass the masks themselves: pretrain.train.pretrain(..., masks=pretrain.saliency.packed.pack(mask_NHW))."
        raise ArgumentError("masks", f"one of {', '.join(MASKS)}, for pictures in memory", name, hint)
    from pretrain.saliency.makers import make_masks_of

    stored = make_masks_of(name, lambda some: pictures.pixels.numpy()[some], len(pictures))
    return lambda rows, pixels: stored[rows]


def channel_moments(pictures: Held | Decoded, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Mean and deviation (C,) in float64 of all pictures, as fractions of 255; of more than 50,000, of 50,000 of them.

    Those are drawn without replacement by a seed that is always 0. Ranks share the work; the sums are of whole numbers.

    >>> from pretrain.squares import held
    >>> channel_moments(held(np.array([0, 255], np.uint8).reshape(2, 1, 1)))[0].item()
    0.5
    """
    rows = torch.arange(len(pictures))
    if len(rows) > MEASURED:
        rows = torch.from_numpy(np.sort(np.random.default_rng(0).choice(len(rows), MEASURED, replace=False)))
    each = pictures.side**2 * pictures.channels
    parts = rows[ranks.rank() :: ranks.world()].split(max(1, CHUNK // each))
    sums = torch.zeros(3, pictures.channels, dtype=torch.float64)
    for place, part in enumerate(track(parts, "pretrain moments of the pictures")):
        pictures.expect(parts[place : place + 2])
        x = pictures.take(part).to(torch.int64)
        sums += torch.stack([torch.ones_like(x).sum((0, 2, 3)), x.sum((0, 2, 3)), (x * x).sum((0, 2, 3))])
    count, mean, square = ranks.total(sums.to(device)).cpu()  # of whole numbers: nothing is rounded
    mean, square = mean / count, square / count
    var = (square - mean**2) * count / (count - 1).clamp_min(1)
    return mean / 255, var.clamp_min(0).sqrt().div(255).clamp_min(1e-3)


def batch_rows(step: int, pictures: int, batch: int, seed: int) -> Tensor:
    """The rows of a step: each epoch is a permutation of its own, the last pictures that fill no batch left out.

    >>> sorted(torch.cat([batch_rows(s, 4, 2, 0) for s in (0, 1)]).tolist())
    [0, 1, 2, 3]
    """
    epoch, place = divmod(step, pictures // batch)
    return _order(seed, epoch, pictures)[place * batch : (place + 1) * batch]


@lru_cache(maxsize=2)  # a step and the next one may lie in two epochs
def _order(seed: int, epoch: int, pictures: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(pictures))


def step_seed(seed: int, step: int) -> int:
    """The seed of all that is drawn in a step, the same wherever a run is taken up.

    >>> step_seed(0, 1) == step_seed(0, 1) != step_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
