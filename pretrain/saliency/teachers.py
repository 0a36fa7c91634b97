"""The maker `fused`: what the makers by hand that mark whole regions have in common, the label that the network learns from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pretrain.saliency.border import border
from pretrain.saliency.connectivity import rbd
from pretrain.saliency.threshold import unit

# Regions, as the four makers of DeepUSPS: spectral and fine mark rims. With them the IoU of `fused` on the training half of petmask
# (benchmarks/README.md) is 0.38, without 0.41; those masks made the choice.
TEACHERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"border": border, "rbd": rbd}


def fused(pixels_NHWC: np.ndarray) -> np.ndarray:
    """The mean of border and rbd, each moved and scaled to go from 0 to 1 in each picture.

    Saliency (N, H, W).
    """
    return fuse([make(pixels_NHWC) for make in TEACHERS.values()])


def fuse(maps: list[np.ndarray]) -> np.ndarray:
    """The mean of maps (N, H, W), each brought to [0, 1] a picture.

    >>> fuse([np.array([[[0.0, 2.0]]]), np.array([[[5.0, 3.0]]])]).tolist()
    [[[0.5, 0.5]]]
    """
    return np.stack([unit(one) for one in maps]).mean(0, dtype=np.float32)
