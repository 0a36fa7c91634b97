"""Frozen settings per method. Every value carries its source and the range it may lie in. Importing this imports no torch.

Sources (as in docs/pretraining.md): `seen` at the primary place, `secondary` in another text, `recalled` from the paper,
`chosen` for this project.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from relic_eval.errors import ArgumentError, UnknownNameError, look_up

SOURCES = ("seen", "secondary", "recalled", "chosen")


def value(default: Any, source: str, low: float = 0, high: float = float("inf"), names: tuple[str, ...] = ()) -> Any:
    """A setting with its default, how sure its source is, and its bounds (numbers) or names (text).

    >>> value(0.3, "recalled").metadata["source"]
    'recalled'
    """
    assert source in SOURCES
    return field(default=default, metadata={"source": source, "low": low, "high": high, "names": names})


@dataclass(frozen=True)
class TrainConfig:
    """What every method shares."""

    steps: int = value(300, "chosen", 1)
    batch: int = value(256, "chosen", 2)
    lr: float = value(2e-3, "chosen")  # AdamW: LARS at batches of 256 and some hundred steps learns too little
    weight_decay: float = value(1e-4, "chosen")
    warmup: float = value(0.1, "chosen", 0, 1)  # share of the steps; the published runs warm up for 10 of 1000 epochs
    network: str = value("thin-resnet", "chosen")
    side: int = value(28, "chosen", 8)
    seed: int = value(0, "chosen")
    checkpoint_every: int = value(100, "chosen", 1)
    area_low: float = value(0.3, "chosen", 0.01, 1)  # of large crops; 0.08 in BYOL, for pictures of 224 pixels
    translate: float = value(0.0, "chosen", 0, 0.5)
    flip: float = value(0.5, "seen", 0, 1)
    jitter: float = value(0.8, "seen", 0, 1)
    brightness: float = value(0.4, "seen", 0, 1)
    contrast: float = value(0.4, "seen", 0, 1)
    saturation: float = value(0.2, "seen", 0, 1)
    hue: float = value(0.1, "seen", 0, 0.5)
    greyscale: float = value(0.2, "seen", 0, 1)
    blur: float = value(0.2, "chosen", 0, 1)  # BYOL: 1 in one view, 0.1 in the other
    solarise: float = value(0.1, "chosen", 0, 1)  # BYOL: 0 in one view, 0.2 in the other


@dataclass(frozen=True)
class Supervised(TrainConfig):
    """Cross-entropy on the labels, on one augmented view."""

    steps: int = value(240, "chosen", 1)
    area_low: float = value(0.5, "chosen", 0.01, 1)
    solarise: float = value(0.0, "chosen", 0, 1)


@dataclass(frozen=True)
class Byol(TrainConfig):
    """2 - 2 cos of prediction and target projection, both ways (Grill et al. 2020)."""

    steps: int = value(420, "chosen", 1)
    hidden: int = value(512, "chosen", 1)  # 4096 for 2048 features
    out: int = value(128, "chosen", 1)  # 256 for 2048 features
    ema: float = value(0.98, "chosen", 0, 1)  # at the first step; 0.996 for 1000 epochs


@dataclass(frozen=True)
class Relicv2(TrainConfig):
    """Contrastive likelihood over few negatives and invariance of its distribution (Tomasev et al. 2022)."""

    steps: int = value(420, "chosen", 1)
    hidden: int = value(512, "chosen", 1)
    out: int = value(128, "chosen", 1)
    ema: float = value(0.98, "chosen", 0, 1)
    large: int = value(2, "chosen", 2)  # 4 in the paper, recalled; the divergence compares two
    small: int = value(1, "chosen", 0)  # 2 in the paper, recalled
    small_side: int = value(20, "chosen", 8)  # 96 of 224
    small_area_low: float = value(0.1, "chosen", 0.01, 1)  # 0.05 in SwAV
    small_area_high: float = value(0.4, "chosen", 0.01, 1)  # 0.14 in SwAV
    p_mask: float = value(0.1, "recalled", 0, 1)
    background: str = value("zero", "chosen", names=("zero", "mean"))
    negatives: int = value(10, "recalled", 1)
    tau: float = value(0.3, "recalled", 1e-6)
    alpha: float = value(1.0, "chosen")
    beta: float = value(1.0, "chosen")


PRESETS: dict[str, TrainConfig] = {"supervised": Supervised(), "byol": Byol(), "relicv2": Relicv2()}  # the quickstart's


def preset(method: str) -> TrainConfig:
    """The settings that the quickstart uses for a method.

    >>> preset("byol").batch
    256
    """
    return look_up("method", method, PRESETS)


def override(config: TrainConfig, changes: Mapping[str, str]) -> TrainConfig:
    """The settings with some replaced; unknown names and values that do not fit are errors.

    >>> override(preset("byol"), {"steps": "10"}).steps
    10
    """
    from pydantic import TypeAdapter, ValidationError

    types = get_type_hints(type(config))
    new: dict[str, Any] = {}
    for name, text in changes.items():
        if name not in types:
            raise UnknownNameError("setting", name, types)
        try:
            new[name] = TypeAdapter(types[name]).validate_python(text)
        except ValidationError:
            raise ArgumentError(name, f"a value of type {types[name].__name__}", repr(text)) from None
    return checked(dataclasses.replace(config, **new))


def checked(config: TrainConfig) -> TrainConfig:
    """The settings unchanged, after a check that each lies in its range; an ArgumentError names the first that does not.

    >>> checked(Byol(flip=2.0))
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: flip: expected between 0 and 1, received 2.0.
    """
    for entry in dataclasses.fields(config):
        given, low, high = getattr(config, entry.name), entry.metadata["low"], entry.metadata["high"]
        names = entry.metadata["names"]
        if names and given not in names:
            raise UnknownNameError(entry.name, given, names)
        if not isinstance(given, str) and not (low <= given <= high and given < float("inf")):
            expected = f"at least {low}" if high == float("inf") else f"between {low} and {high}"
            raise ArgumentError(entry.name, expected, f"{given}")
    lowest, highest = getattr(config, "small_area_low", 0), getattr(config, "small_area_high", 1)
    if lowest > highest:
        raise ArgumentError("small_area_low", f"at most small_area_high = {highest}", f"{lowest}")
    return config


def config_dict(config: TrainConfig) -> dict[str, Any]:
    """All settings by name, for JSON.

    >>> config_dict(preset("supervised"))["steps"] == preset("supervised").steps
    True
    """
    return dataclasses.asdict(config)


def method_of(config: TrainConfig) -> str:
    """The name of the method these settings belong to.

    >>> method_of(preset("relicv2"))
    'relicv2'
    """
    return type(config).__name__.lower()
