"""What a method gets at each step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Pictures (B, C, H, W) in [0, 1], labels, masks."""

    x: Tensor
    y: Tensor  # (B,); -1 where there are no labels
    mask: Tensor  # (B, 1, H, W), True where the picture is foreground; empty for methods without masks
