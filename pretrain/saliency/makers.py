"""The makers by name, and masks of many pictures by one of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from pretrain.saliency import connectivity, network, opencv, teachers
from pretrain.saliency.border import border
from pretrain.saliency.packed import Masks, together
from pretrain.saliency.threshold import to_masks
from relic_eval.errors import look_up
from relic_eval.progress import track

VERSION = 1  # of the makers; raise it when the same settings give other masks
CHUNK = 64  # pictures at a time: their maps are let go of when they are masks

Read = network.Read
Maker = Callable[[np.ndarray], np.ndarray]  # uint8 (N, H, W, C) -> saliency (N, H, W) in [0, 1]
MAKERS: dict[str, Maker] = {
    "border": border,
    "rbd": connectivity.rbd,
    "spectral": opencv.spectral,
    "fine": opencv.fine,
    "fused": teachers.fused,
    "network": network.network,
}
SETTINGS: dict[str, dict[str, Any]] = {"rbd": connectivity.SETTINGS, "network": network.SETTINGS}


def make_masks(maker: str, pixels_NHWC: np.ndarray) -> np.ndarray:
    """Masks (N, H, W) of bool of pictures, uint8 (N, H, W) or (N, H, W, C), by the maker of that name.

    >>> make_masks("border", np.zeros((2, 4, 4), np.uint8)).shape
    (2, 4, 4)
    """
    pixels = pixels_NHWC[..., None] if pixels_NHWC.ndim == 3 else pixels_NHWC
    return make_masks_of(maker, lambda rows: pixels[rows], len(pixels))[torch.arange(len(pixels))][:, 0].numpy()


def make_masks_of(maker: str, read: Read, count: int) -> Masks:
    """The same of `count` pictures that `read(rows)` gives, CHUNK at a time: neither pixels nor unpacked masks need fit into memory."""
    make = look_up("masks", maker, MAKERS)
    if maker == "network":
        make = partial(network.predict, network.train(read, count))
    chunks = [np.arange(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    return together(to_masks(make(read(rows))) for rows in track(chunks, f"masks by {maker}"))


def maker_settings(maker: str) -> dict[str, Any]:
    """What decides the masks of a maker besides its code: its own settings, and which teachers it has and theirs.

    >>> maker_settings("border"), sorted(maker_settings("network"))
    ({}, ['network', 'rbd', 'teachers'])
    """
    taught = list(teachers.TEACHERS) if maker in ("fused", "network") else []
    found = {name: known for name, known in SETTINGS.items() if name in (maker, *taught)}
    return {**found, "teachers": taught} if taught else found
