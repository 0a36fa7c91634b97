"""Masks in an eighth of their bytes: a bit a pixel, in memory or on disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Masks:
    """Masks of N pictures, packed row by row (numpy.packbits); `masks[rows]` are those of some, unpacked."""

    packed: np.ndarray  # (N, H, ceil(W / 8)) uint8
    width: int  # W

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return self.packed.shape[1], self.width

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Masks (n, 1, H, W) of bool of the rows (n,), True where the picture is foreground."""
        some = np.ascontiguousarray(self.packed[rows.numpy()])
        return torch.from_numpy(np.unpackbits(some, axis=2, count=self.width).view(bool))[:, None]


def pack(mask_NHW: np.ndarray) -> Masks:
    """Masks (N, H, W) of bool, packed.

    >>> pack(np.ones((1, 1, 3), bool)).packed.tolist()  # 11100000
    [[[224]]]
    """
    return Masks(np.packbits(mask_NHW, axis=2), mask_NHW.shape[2])
