"""Hand-made sets that a colour decides, so small that a thin network learns them in seconds."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.data.pictures import from_array
from relic_eval.data.scenes import Scenes
from relic_eval.data.tasks import Task
from relic_eval.encoders.load import find_encoder
from relic_eval.tuning.scenery import divide_scenes
from relic_eval.tuning.shots import divide


def tinted(count: int, side: int = 16, seed: int = 0):
    """Noise, in which the channel of the class is brighter: uint8 (count, side, side, 3) and classes."""
    rng, y = np.random.default_rng(seed), np.arange(count) % 3
    x = rng.integers(40, 120, (count, side, side, 3))
    x[np.arange(count), :, :, y] += 60
    return x.astype(np.uint8), y


@pytest.fixture(scope="session")
def encoder():
    return find_encoder("random:thin-resnet")


@pytest.fixture(scope="session")
def shots():
    """Training, validation and test pictures: 72, 24 and 24 of three classes."""
    images, y = tinted(120)
    source = from_array("tints", "all", images, y, ("red", "green", "blue"), digest="tints")
    return divide(Task("tints", "Tints", "tints", train="all", test="all"), source, source)


def patchwork(split: str, count: int, seed: int) -> Scenes:
    """Dark pictures of several sizes with a bright red or green rectangle; the edge of each mask is to be ignored."""
    rng = np.random.default_rng(seed)
    pictures, masks = [], []
    for place in range(count):
        high, wide = int(rng.integers(20, 29)), int(rng.integers(20, 33))
        picture = rng.integers(0, 90, (high, wide, 3))
        mask = np.zeros((high, wide), np.int64)
        top, left = int(rng.integers(2, 8)), int(rng.integers(2, 8))
        box = np.s_[top : top + 10, left : left + 10]
        kind = 1 + place % 2
        picture[box][..., kind - 1] += 140
        mask[box] = kind
        mask[0], mask[:, 0] = 9, 9
        pictures.append(picture.astype(np.uint8))
        masks.append(mask)
    ids = np.array([f"{split}/{n}" for n in range(count)])
    sizes = np.array([m.shape for m in masks])
    classes = ("rest", "red", "green")
    return Scenes(
        "patches",
        split,
        f"{split}{seed}",
        ids,
        classes,
        9,
        lambda rows: sizes[rows],
        lambda row: (pictures[row], masks[row]),
    )


@pytest.fixture(scope="session")
def patches():
    """Training, validation and test scenes: 32, 8 and 10."""
    return divide_scenes(patchwork("train", 40, 0), patchwork("test", 10, 1))
