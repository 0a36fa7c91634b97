"""Frozen settings per method. Every value carries its source: seen, secondary, recalled or chosen (for this project)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relic_eval.encoders.load import NETWORK_NAMES
from relic_eval.errors import ArgumentError, UnknownNameError, look_up

VERSION = 1  # of loop, views and methods; raise it when the same settings give other weights
SOURCES = ("seen", "secondary", "recalled", "chosen")


def value(
    default: Any, source: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A setting with its default, how sure its source is, and what it may be.

    >>> value(0.3, "recalled").metadata["source"]
    'recalled'
    """
    assert source in SOURCES
    return field(default=default, metadata={"source": source, "low": low, "high": high, "choices": choices})


TINY = 1e-9  # the least of what must be above 0
MOST_STEPS = 10**8  # names of checkpoints have eight digits


@dataclass(frozen=True)
class Training:
    """What every method shares."""

    steps: int = value(500, "chosen", 1, MOST_STEPS)
    batch: int = value(64, "chosen", 2)  # small, so that there are many steps
    lr: float = value(4e-3, "chosen", TINY)  # AdamW: LARS at small batches and some hundred steps learns too little
    weight_decay: float = value(1e-4, "chosen", 0)
    warmup: float = value(0.1, "chosen", 0, 1)  # share of the steps; the published runs warm up for 10 of 1000 epochs
    network: str = value("thin-resnet", "chosen", choices=NETWORK_NAMES)
    side: int = value(28, "chosen", 8, 1024)
    seed: int = value(0, "chosen", 0, 2**32 - 1)
    checkpoint_every: int = value(100, "chosen", 1)
    area_low: float = value(0.3, "chosen", TINY, 1)  # of large crops; 0.08 in BYOL, for pictures of 224 pixels
    # black border before the crop, as a share of the side, so that objects at the edge are seen too
    pad: float = value(1 / 7, "chosen", 0, 1)
    brightness: float = value(0.4, "seen", 0, 1)
    contrast: float = value(0.4, "seen", 0, 1)
    saturation: float = value(0.2, "seen", 0, 1)
    hue: float = value(0.1, "seen", 0, 0.5)
    # probabilities a crop, taken in turn: BYOL's two views have blur 1.0,0.1 and solarise 0.0,0.2
    blur: tuple[float, ...] = value((0.2,), "chosen", 0, 1)
    solarise: tuple[float, ...] = value((0.1,), "chosen", 0, 1)


@dataclass(frozen=True)
class Supervised(Training):
    """Cross-entropy on the labels, on one augmented view."""

    lr: float = value(2e-3, "chosen", TINY)
    area_low: float = value(0.5, "chosen", TINY, 1)
    solarise: tuple[float, ...] = value((0.0,), "chosen", 0, 1)


@dataclass(frozen=True)
class Byol(Training):
    """2 - 2 cos of prediction and target projection, both ways (Grill et al. 2020)."""

    hidden: int = value(512, "chosen", 1)  # 4096 for 2048 features
    out: int = value(128, "chosen", 1)  # 256 for 2048 features
    ema: float = value(0.99, "chosen", 0, 1)  # 0.996 for 1000 epochs


@dataclass(frozen=True)
class Relicv2(Training):
    """Contrastive likelihood over few negatives and invariance of its distribution (Tomasev et al. 2022)."""

    area_low: float = value(0.15, "chosen", TINY, 1)
    hidden: int = value(512, "chosen", 1)
    out: int = value(128, "chosen", 1)
    ema: float = value(0.98, "chosen", 0, 1)
    large: int = value(2, "chosen", 2, 16)  # 4 in the paper, recalled
    small: int = value(1, "chosen", 0, 16)  # 2 in the paper, recalled
    small_side: int = value(20, "chosen", 8, 1024)  # 96 of 224
    small_area_low: float = value(0.1, "chosen", TINY, 1)
    small_area_high: float = value(0.4, "chosen", TINY, 1)
    p_mask: float = value(0.1, "recalled", 0, 1)
    background: str = value("zero", "chosen", choices=("zero", "mean"))  # black, or the mean colour of all pictures
    negatives: int = value(10, "recalled", 1)
    tau: float = value(0.3, "recalled", TINY)
    alpha: float = value(1.0, "chosen", 0)
    beta: float = value(1.0, "chosen", 0)


PRESETS: dict[str, Training] = {"supervised": Supervised(), "byol": Byol(), "relicv2": Relicv2()}


def preset(method: str) -> Training:
    """The settings that the quickstart uses for a method.

    >>> preset("byol").batch
    64
    """
    return look_up("method", method, PRESETS)


def override(config: Training, changes: Mapping[str, Any]) -> Training:
    """The settings with some replaced; unknown names and values that do not fit are errors.

    >>> override(preset("byol"), {"steps": "10", "blur": "1,0.1"}).blur
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
        if found not in entry.metadata["choices"]:
            raise UnknownNameError(entry.name, found, entry.metadata["choices"])
        return found
    low, high = (entry.metadata[end] for end in ("low", "high"))
    for v in found if kind is tuple else (found,):
        if not math.isfinite(v) or v < low or (high is not None and v > high):
            least = "above 0" if low == TINY else f"at least {low}"
            raise ArgumentError(
                f"--set {entry.name}", least + (f" and at most {high}" if high is not None else ""), text
            )
    return found


def config_dict(config: Training) -> dict[str, Any]:
    """All settings by name, as JSON has them.

    >>> config_dict(preset("supervised"))["blur"]
    [0.2]
    """
    return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(config).items()}


def method_of(config: Training) -> str:
    """The name of the method these settings belong to.

    >>> method_of(preset("relicv2"))
    'relicv2'
    """
    return type(config).__name__.lower()
