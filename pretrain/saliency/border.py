"""The maker `border`: what differs in colour from the border of the picture. It needs nothing installed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pretrain.saliency.threshold import otsu

BATCH = 1024


def saliency_masks(x: Tensor, batch: int = BATCH) -> Tensor:
    """Masks (N, 1, H, W), True where the picture is foreground, of pictures (N, C, H, W): bytes, or in [0, 1].

    Saliency is the distance to the mean colour of the border, smoothed; each picture has a threshold of its own.

    >>> x = torch.zeros(1, 1, 9, 9); x[..., 3:6, 3:6] = 1
    >>> saliency_masks(x)[0, 0, 4, 4].item(), saliency_masks(x)[0, 0, 0, 0].item()
    (True, False)
    """
    parts = [_distance(some) for some in x.split(batch)]
    return torch.cat([away > otsu(away.flatten(1)).view(-1, 1, 1, 1) for away in parts])


def border(pixels_NHWC: np.ndarray) -> np.ndarray:
    """Distance to the mean colour of the border, smoothed.

    Saliency (N, H, W) in [0, 1]: divided by 2, as colours are at most the root of 3 apart.

    >>> border(np.zeros((1, 4, 4, 3), np.uint8)).max()
    np.float32(0.0)
    """
    x = torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2).contiguous()
    # a power of two, so that the masks are those of `saliency_masks` to the bit
    return torch.cat([_distance(some)[:, 0] / 2 for some in x.split(BATCH)]).numpy()


def _distance(x: Tensor) -> Tensor:
    x = x.float().div(255) if x.dtype == torch.uint8 else x
    border = torch.cat([x[:, :, 0], x[:, :, -1], x[:, :, 1:-1, 0], x[:, :, 1:-1, -1]], 2)
    away = (x - border.mean(2)[:, :, None, None]).pow(2).sum(1, keepdim=True).sqrt()
    return F.avg_pool2d(F.pad(away, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
