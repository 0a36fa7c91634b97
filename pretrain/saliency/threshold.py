"""From saliency to masks: a threshold of each picture's own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

BINS = 64
BATCH = 1024


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


def to_masks(saliency_NHW: np.ndarray) -> np.ndarray:
    """Masks (N, H, W) of bool, True where a picture's saliency is above its threshold of Otsu's; none is where it is flat.

    >>> to_masks(np.array([[[0.1, 0.1, 0.9]]], np.float32)).tolist()
    [[[False, False, True]]]
    """
    parts = []
    for some in torch.from_numpy(np.ascontiguousarray(saliency_NHW, dtype=np.float32)).split(BATCH):
        parts.append(some > otsu(some.flatten(1)).view(-1, 1, 1))
    return torch.cat(parts).numpy()


def unit(saliency_NHW: np.ndarray) -> np.ndarray:
    """Each map moved and scaled so that it goes from 0 to 1, as float32; a flat one is 0.

    >>> unit(np.array([[[2.0, 4.0, 3.0]]])).tolist(), unit(np.ones((1, 1, 2))).tolist()
    ([[[0.0, 1.0, 0.5]]], [[[0.0, 0.0]]])
    """
    low, high = (end(saliency_NHW, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    return ((saliency_NHW - low) / np.where(high > low, high - low, 1)).astype(np.float32)
