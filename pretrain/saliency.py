"""Foreground masks without labels: what differs from the border of the picture in colour, cut by Otsu's threshold."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BINS = 64


def saliency_masks(x: Tensor, batch: int = 1024) -> Tensor:
    """Masks (N, 1, H, W), True where the picture is foreground, of pictures (N, C, H, W): bytes, or in [0, 1].

    Saliency is the distance to the mean colour of the border, smoothed; each picture has a threshold of its own.

    >>> x = torch.zeros(1, 1, 9, 9); x[..., 3:6, 3:6] = 1
    >>> saliency_masks(x)[0, 0, 4, 4].item(), saliency_masks(x)[0, 0, 0, 0].item()
    (True, False)
    """
    return torch.cat([_masks(some.float().div(255) if some.dtype == torch.uint8 else some) for some in x.split(batch)])


def _masks(x: Tensor) -> Tensor:
    border = torch.cat([x[:, :, 0], x[:, :, -1], x[:, :, 1:-1, 0], x[:, :, 1:-1, -1]], 2)
    away = (x - border.mean(2)[:, :, None, None]).pow(2).sum(1, keepdim=True).sqrt()
    away = F.avg_pool2d(F.pad(away, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return away > otsu(away.flatten(1)).view(-1, 1, 1, 1)


def otsu(values_NM: Tensor) -> Tensor:
    """The threshold of each row that parts its values into the two groups furthest apart (Otsu 1979), shape (N,).

    >>> 0.1 < otsu(torch.tensor([[0.1, 0.1, 0.9, 0.9]])).item() < 0.9
    True
    """
    low, high = values_NM.amin(1, keepdim=True), values_NM.amax(1, keepdim=True)
    place = ((values_NM - low) / (high - low).clamp_min(1e-12) * (BINS - 1)).round().long()
    count = (
        values_NM.new_zeros(len(values_NM), BINS).scatter_add_(1, place, torch.ones_like(values_NM))
        / values_NM.shape[1]
    )
    level = torch.arange(BINS).to(values_NM)
    share, mass = count.cumsum(1), (count * level).cumsum(1)
    between = (mass[:, -1:] * share - mass) ** 2 / (share * (1 - share)).clamp_min(1e-12)
    # of equally good thresholds the middle one
    best = (between >= between.amax(1, keepdim=True) * (1 - 1e-6)).to(values_NM)
    cut = (best * level).sum(1) / best.sum(1) + 0.5
    return low[:, 0] + cut / (BINS - 1) * (high - low)[:, 0]
