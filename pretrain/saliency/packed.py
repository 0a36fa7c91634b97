"""Masks in an eighth of their bytes: a bit a pixel, in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterable
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

    def foreground(self) -> np.ndarray:
        """The share of each picture that is foreground, (N,)."""
        bits_N = np.concatenate(
            [np.bitwise_count(p).sum((1, 2)) for p in np.array_split(self.packed, -(-len(self) // 4096))]
        )
        return bits_N / (self.packed.shape[1] * self.width)

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


def together(parts: Iterable[np.ndarray]) -> Masks:
    """Masks (n, H, W) of bool that come part by part, packed one after another: not all need to fit into memory unpacked.

    >>> len(together([np.ones((2, 4, 4), bool), np.ones((1, 4, 4), bool)]))
    3
    """
    packed = [pack(part) for part in parts]
    return Masks(np.concatenate([m.packed for m in packed]), packed[0].width)
