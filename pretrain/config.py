"""Frozen settings per method. Every value carries its source: seen, secondary, recalled or chosen (for this project)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relic_eval.encoders.names import check_network
from relic_eval.errors import ArgumentError, UnknownNameError

VERSION = 2  # of loop, views and methods; raise it when the same settings give other weights
MASKS = ("border", "rbd", "spectral", "fine", "fused", "network")  # makers of saliency by name
SOURCES = ("seen", "secondary", "recalled", "chosen")


def value(
    default: Any,
    source: str,
    about: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A setting with its default, how sure its source is, what it does in a few words, and what it may be.

    >>> value(0.3, "recalled", "temperature").metadata["source"]
    'recalled'
    """
    assert source in SOURCES
    return field(
        default=default, metadata={"source": source, "about": about, "low": low, "high": high, "choices": choices}
    )


TINY = 1e-9  # the least of what must be above 0
MOST_STEPS = 10**8  # names of checkpoints have eight digits


@dataclass(frozen=True)
class Training:
    """What every method shares."""

    steps: int = value(500, "chosen", "optimiser steps", 1, MOST_STEPS)
    epochs: float = value(0.0, "chosen", "passes over the pictures; above 0 they decide the steps", 0)
    batch: int = value(64, "chosen", "pictures a step, over all ranks", 2)  # small, so that there are many steps
    optimizer: str = value("adamw", "chosen", "adamw, or LARS as published", choices=("adamw", "lars"))
    # AdamW: LARS at small batches and some hundred steps learns too little
    lr: float = value(4e-3, "chosen", "largest learning rate", TINY)
    weight_decay: float = value(1e-4, "chosen", "of matrices and kernels; none of biases and norms", 0)
    # the published runs warm up for 10 of 1000 epochs
    warmup: float = value(
        0.1, "chosen", "share of the steps in which the learning rate rises; a cosine to 0 follows", 0, 1
    )
    precision: str = value(
        "float32",
        "chosen",
        "of products in the networks (float32 may be TF32 on CUDA); losses are float32",
        choices=("float32", "bfloat16"),
    )
    compile: str = value("off", "chosen", "torch.compile of the encoder: off or on", choices=("off", "on"))
    clip: float = value(0.0, "chosen", "largest norm of all gradients together; 0: not clipped", 0)
    network: str = value(
        "thin-resnet", "chosen", "the encoder: thin-resnet, resnet50-2x, resnet18-32px, timm:MODEL, ..."
    )
    side: int = value(28, "chosen", "pixels of a large crop", 8, 1024)
    seed: int = value(0, "chosen", "of weights, batches and views", 0, 2**32 - 1)
    accumulate: int = value(1, "chosen", "parts of a batch that go through the network one after another", 1)
    checkpoint_every: int = value(100, "chosen", "steps between checkpoints", 1)
    keep_every: int = value(0, "chosen", "steps between checkpoints that stay; 0: only the last two do", 0)
    monitor_every: int = value(0, "chosen", "steps between measurements by kNN and linear probe; 0: none", 0)
    monitor_rows: int = value(2000, "chosen", "pictures that are measured on", 50)
    # 0.08 in BYOL, for pictures of 224 pixels
    area_low: float = value(0.3, "chosen", "smallest area of a large crop, as a share of the picture", TINY, 1)
    # so that objects at the edge are seen too
    pad: float = value(1 / 7, "chosen", "black border before the crop, as a share of the side", 0, 1)
    brightness: float = value(0.4, "seen", "most that is added to all pixels, or by which factors leave 1", 0, 1)
    brightness_by: str = value(
        "add", "seen", "add, as BYOL's code, or multiply, as torchvision", choices=("add", "multiply")
    )
    contrast: float = value(0.4, "seen", "factors from 1 less this to 1 and this", 0, 1)
    saturation: float = value(0.2, "seen", "factors from 1 less this to 1 and this", 0, 1)
    hue: float = value(0.1, "seen", "most that hue turns, as a share of a full turn", 0, 0.5)
    blur: tuple[float, ...] = value((0.2,), "chosen", "probability a crop, taken in turn (BYOL: 1,0.1)", 0, 1)
    # 2 at 224 pixels; as much less at 28 would be none
    blur_sigma: float = value(
        1.0, "chosen", "largest standard deviation of the blur in pixels; the smallest is a 20th", TINY
    )
    solarise: tuple[float, ...] = value((0.1,), "chosen", "probability a crop, taken in turn (BYOL: 0,0.2)", 0, 1)


@dataclass(frozen=True)
class Supervised(Training):
    """Cross-entropy on the labels, on one augmented view."""

    lr: float = value(2e-3, "chosen", "largest learning rate", TINY)
    area_low: float = value(0.5, "chosen", "smallest area of a crop, as a share of the picture", TINY, 1)
    solarise: tuple[float, ...] = value((0.0,), "chosen", "probability a crop, taken in turn", 0, 1)


@dataclass(frozen=True)
class Simclr(Training):
    """Cross-entropy of the other view among all views of the batch, NT-Xent (Chen et al. 2020)."""

    hidden: int = value(512, "chosen", "width of the projector's hidden layers", 1)  # 2048
    out: int = value(128, "recalled", "width of what is compared", 1)
    tau: float = value(0.1, "recalled", "temperature", TINY)


@dataclass(frozen=True)
class Byol(Training):
    """2 - 2 cos of prediction and target projection, both ways (Grill et al. 2020)."""

    hidden: int = value(
        512, "chosen", "width of the hidden layer of projector and predictor", 1
    )  # 4096 for 2048 features
    out: int = value(128, "chosen", "width of what is compared", 1)  # 256 for 2048 features
    ema: float = value(0.99, "chosen", "momentum of the target at the start; 1 at the end", 0, 1)  # 0.996, 1000 epochs


@dataclass(frozen=True)
class Relic(Training):
    """Cross-entropy of the other view among the batch, and likeness of both views' distributions (Mitrovic et al. 2021)."""

    # 74.8 with and 70.3 without in the paper's first table
    target: str = value(
        "ema", "seen", "other side: ema (a moving average) or none (the same network)", choices=("ema", "none")
    )
    hidden: int = value(512, "chosen", "width of the hidden layer of projector and predictor", 1)
    out: int = value(128, "chosen", "width of what is compared", 1)
    ema: float = value(0.99, "chosen", "momentum of the target at the start; 1 at the end", 0, 1)
    negatives: int = value(0, "chosen", "others each picture is held against; 0: all of the batch", 0)
    tau: float = value(0.3, "chosen", "temperature", TINY)  # not given for ImageNet
    alpha: float = value(1.0, "chosen", "weight of the divergence", 0)  # not given


@dataclass(frozen=True)
class Relicv2(Training):
    """Contrastive likelihood over few negatives and invariance of its distribution (Tomasev et al. 2022)."""

    area_low: float = value(0.15, "chosen", "smallest area of a large crop, as a share of the picture", TINY, 1)
    hidden: int = value(512, "chosen", "width of the hidden layer of projector and predictor", 1)
    out: int = value(128, "chosen", "width of what is compared", 1)
    ema: float = value(0.98, "chosen", "momentum of the target at the start; 1 at the end", 0, 1)
    large: int = value(2, "chosen", "large crops, L", 2, 16)  # 4 in the paper, recalled
    small: int = value(1, "chosen", "small crops, S", 0, 16)  # 2 in the paper, recalled
    small_side: int = value(20, "chosen", "pixels of a small crop", 8, 1024)  # 96 of 224
    small_area_low: float = value(0.1, "chosen", "smallest area of a small crop", TINY, 1)
    small_area_high: float = value(0.4, "chosen", "largest area of a small crop", TINY, 1)
    p_mask: float = value(0.1, "recalled", "probability that a large crop sees no background", 0, 1)
    masks: str = value(
        "border",
        "chosen",
        "what is foreground: border, rbd, spectral, fine, fused, network, or a folder of PNG masks",
        choices=MASKS,
    )
    sticky: str = value(
        "off", "chosen", "on: a picture that was masked stays so for later crops", choices=("off", "on")
    )
    background: str = value(
        "zero", "chosen", "fill: zero (black), mean (of all pictures) or grey (drawn)", choices=("zero", "mean", "grey")
    )
    negatives: int = value(10, "recalled", "others each picture is held against, n_e; 0: all of the batch", 0)
    tau: float = value(0.3, "recalled", "temperature", TINY)
    alpha: float = value(1.0, "chosen", "weight of the contrastive term", 0)
    beta: float = value(1.0, "chosen", "weight of the invariance", 0)
    invariance_grad: str = value(
        "sg_entropy",
        "recalled",
        "what the divergence lets through: all but the anchor's entropy, all but the anchor, or all",
        choices=("sg_entropy", "detach_anchor", "full"),
    )
    small_invariance: str = value(
        "next_large",
        "chosen",
        "what a small crop's distribution is held against; none: no term",
        choices=("next_large", "none"),
    )


METHODS: dict[str, type[Training]] = {
    "supervised": Supervised,
    "simclr": Simclr,
    "byol": Byol,
    "relic": Relic,
    "relicv2": Relicv2,
}


def override(config: Training, changes: Mapping[str, Any]) -> Training:
    """The settings with some replaced; unknown names and values that do not fit are errors.

    >>> override(Byol(), {"steps": "10", "blur": "1,0.1"}).blur
    (1.0, 0.1)
    """
    known = {f.name: f for f in dataclasses.fields(config)}
    new: dict[str, Any] = {}
    for name, given in changes.items():
        if name not in known:
            raise UnknownNameError("setting", name, known)
        new[name] = _parsed(known[name], getattr(config, name), given)
    changed = dataclasses.replace(config, **new)
    if isinstance(changed, Relicv2) and changed.small_area_low > changed.small_area_high:
        raise ArgumentError("--set small_area_low", "at most small_area_high", f"{changed.small_area_low}")
    return changed


def _parsed(entry: dataclasses.Field, now: Any, given: Any) -> Any:
    """A setting from what was typed, checked against what it may be."""
    kind, text = type(now), f"{given}"
    if isinstance(given, (tuple, list)):
        text = ",".join(f"{v}" for v in given)
    found: Any = None
    try:
        found = tuple(float(v) for v in text.split(",")) if kind is tuple else kind(text)
    except ValueError:
        expected = "numbers with commas between" if kind is tuple else f"a value of type {kind.__name__}"
        raise ArgumentError(f"--set {entry.name}", expected, repr(text)) from None
    if kind is str:
        if entry.name == "network":
            return check_network(found)
        if entry.name == "masks" and (Path(found).expanduser().is_dir() or "/" in found):
            return _folder(entry.name, found)
        if found not in entry.metadata["choices"]:
            besides = " or a folder of PNG masks" if entry.name == "masks" else ""
            raise UnknownNameError(entry.name, found, entry.metadata["choices"], besides)
        return found
    low, high = (entry.metadata[end] for end in ("low", "high"))
    for v in found if kind is tuple else (found,):
        if not math.isfinite(v) or v < low or (high is not None and v > high):
            least = "above 0" if low == TINY else f"at least {low}"
            raise ArgumentError(
                f"--set {entry.name}", least + (f" and at most {high}" if high is not None else ""), text
            )
    return found


def _folder(name: str, found: str) -> str:
    if not Path(found).expanduser().is_dir():
        raise ArgumentError(f"--set {name}", "a folder", f"nothing at {found}", "Check the path.")
    return found


def config_dict(config: Training) -> dict[str, Any]:
    """All settings by name, as JSON has them.

    >>> config_dict(Supervised())["blur"]
    [0.2]
    """
    return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(config).items()}


def method_of(config: Training) -> str:
    """The name of the method these settings belong to.

    >>> method_of(Relicv2())
    'relicv2'
    """
    return type(config).__name__.lower()


def steps_of(config: Training, pictures: int) -> int:
    """The steps of a run: `steps`, or as many as the epochs take; the last pictures that fill no batch are left out.

    >>> steps_of(override(Byol(), {"epochs": 2, "batch": 10}), 25)
    4
    """
    return max(1, round(config.epochs * (pictures // config.batch))) if config.epochs else config.steps
