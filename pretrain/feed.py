"""The pictures of a step: which, and from where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pretrain.batch import Batch
from pretrain.config import MASKS, Training
from pretrain.saliency import saliency_masks
from pretrain.saliency.packed import Masks, pack
from relic_eval.errors import ArgumentError

CHUNK = 1 << 22  # bytes of pictures whose moments are summed together


@dataclass(frozen=True)
class Feed:
    """All pictures as bytes, (N, C, H, W), with labels, masks where a method uses them, and moments of each channel."""

    pixels: Tensor
    y: Tensor
    mask: Tensor | Masks
    mean: Tensor  # (1, C, 1, 1)
    std: Tensor

    def take(self, rows: Tensor) -> Batch:
        """The pictures of some rows, as fractions."""
        device = self.mean.device
        x = self.pixels[rows].to(device).to(self.mean.dtype).div_(255)
        mask = self.mask[rows] if len(self.mask) else torch.ones(0, dtype=torch.bool)
        return Batch(x, self.y[rows].to(device), mask.to(device), self.mean)


def make_feed(
    config: Training, images: np.ndarray, labels: np.ndarray | None, device: str, masks: Masks | None = None
) -> Feed:
    """Pictures of uint8 (N, H, W) or (N, H, W, C) and labels (N,), ready to be taken; without `masks` they are made."""
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
    y = torch.full((len(pixels),), -1) if labels is None else torch.from_numpy(labels.astype(np.int64))
    mask: Tensor | Masks = torch.ones(0, dtype=torch.bool)
    if hasattr(config, "p_mask"):
        mask = torch.ones(len(pixels), 1, 1, 1, dtype=torch.bool)
        if config.p_mask > 0:
            mask = _made(config, images, pixels) if masks is None else masks
    # rounded to what JSON keeps, so that the encoder sees later what it was trained on
    mean, std = (
        s.mul(1e6).round().div(1e6).to(device, torch.get_default_dtype()).view(1, -1, 1, 1)
        for s in channel_moments(pixels)
    )
    return Feed(pixels, y, mask, mean, std)


def _made(config: Training, images: np.ndarray, pixels: Tensor) -> Tensor | Masks:
    """Masks in memory: those of the maker that the settings name."""
    name = config.masks  # type: ignore[attr-defined]
    if name == "border":
        return saliency_masks(pixels)
    if name not in MASKS:
        hint = "Pass the masks themselves: pretrain.train.pretrain(..., masks=pretrain.saliency.packed.pack(mask_NHW))."
        raise ArgumentError("masks", f"one of {', '.join(MASKS)} for pictures in memory", name, hint)
    from pretrain.saliency.makers import make_masks

    return pack(make_masks(name, images))


def channel_moments(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (C,) in float64 of bytes (N, C, H, W), as fractions of 255.

    >>> channel_moments(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1))[0].item()
    0.5
    """
    count, sums = pixels.numel() // pixels.shape[1], torch.zeros(2, pixels.shape[1], dtype=torch.float64)
    for some in pixels.split(max(1, CHUNK // pixels[0].numel())):
        x = some.to(torch.int64)
        sums += torch.stack([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3))])  # whole numbers: nothing is rounded
    mean = sums[0] / count
    var = (sums[1] / count - mean**2) * count / max(1, count - 1)
    return mean / 255, var.clamp_min(0).sqrt().div(255).clamp_min(1e-3)


def batch_rows(step: int, pictures: int, batch: int, seed: int) -> Tensor:
    """The rows of a step: each epoch is a permutation of its own, the last pictures that fill no batch left out.

    >>> sorted(torch.cat([batch_rows(s, 4, 2, 0) for s in (0, 1)]).tolist())
    [0, 1, 2, 3]
    """
    epoch, place = divmod(step, pictures // batch)
    order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(pictures))
    return order[place * batch : (place + 1) * batch]


def step_seed(seed: int, step: int) -> int:
    """The seed of all that is drawn in a step, the same wherever a run is taken up.

    >>> step_seed(0, 1) == step_seed(0, 1) != step_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))
