"""Frozen settings per method. Every value carries its source: seen, secondary, recalled or chosen (for this project)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from relic_eval.errors import ArgumentError, UnknownNameError, look_up

SOURCES = ("seen", "secondary", "recalled", "chosen")


def value(default: Any, source: str) -> Any:
    """A setting with its default and how sure its source is.

    >>> value(0.3, "recalled").metadata["source"]
    'recalled'
    """
    assert source in SOURCES
    return field(default=default, metadata={"source": source})


@dataclass(frozen=True)
class Training:
    """What every method shares."""

    steps: int = value(300, "chosen")
    batch: int = value(256, "chosen")
    lr: float = value(2e-3, "chosen")  # AdamW: LARS at batches of 256 and some hundred steps learns too little
    weight_decay: float = value(1e-4, "chosen")
    warmup: float = value(0.1, "chosen")  # share of the steps; the published runs warm up for 10 of 1000 epochs
    network: str = value("thin-resnet", "chosen")
    side: int = value(28, "chosen")
    seed: int = value(0, "chosen")
    checkpoint_every: int = value(100, "chosen")
    area_low: float = value(0.3, "chosen")  # of large crops; 0.08 in BYOL, for pictures of 224 pixels
    brightness: float = value(0.4, "seen")
    contrast: float = value(0.4, "seen")
    blur: float = value(0.2, "chosen")
    solarise: float = value(0.1, "chosen")  # BYOL: 0 in one view, 0.2 in the other


@dataclass(frozen=True)
class Supervised(Training):
    """Cross-entropy on the labels, on one augmented view."""

    steps: int = value(150, "chosen")
    area_low: float = value(0.5, "chosen")
    solarise: float = value(0.0, "chosen")


@dataclass(frozen=True)
class Byol(Training):
    """2 - 2 cos of prediction and target projection, both ways (Grill et al. 2020)."""

    steps: int = value(180, "chosen")
    lr: float = value(4e-3, "chosen")
    hidden: int = value(512, "chosen")  # 4096 for 2048 features
    out: int = value(128, "chosen")  # 256 for 2048 features
    ema: float = value(0.95, "chosen")  # 0.996 for 1000 epochs


@dataclass(frozen=True)
class Relicv2(Training):
    """Contrastive likelihood over few negatives and invariance of its distribution (Tomasev et al. 2022)."""

    steps: int = value(160, "chosen")
    lr: float = value(4e-3, "chosen")
    area_low: float = value(0.15, "chosen")
    hidden: int = value(512, "chosen")
    out: int = value(128, "chosen")
    ema: float = value(0.98, "chosen")
    large: int = value(2, "chosen")  # 4 in the paper, recalled
    small: int = value(1, "chosen")  # 2 in the paper, recalled
    small_side: int = value(20, "chosen")  # 96 of 224
    small_area_low: float = value(0.1, "chosen")
    small_area_high: float = value(0.4, "chosen")
    p_mask: float = value(0.1, "recalled")
    background: str = value("zero", "chosen")  # black; or "mean": the mean of the batch
    negatives: int = value(10, "recalled")
    tau: float = value(0.3, "recalled")
    alpha: float = value(1.0, "chosen")
    beta: float = value(1.0, "chosen")


PRESETS: dict[str, Training] = {"supervised": Supervised(), "byol": Byol(), "relicv2": Relicv2()}


def preset(method: str) -> Training:
    """The settings that the quickstart uses for a method.

    >>> preset("byol").batch
    256
    """
    return look_up("method", method, PRESETS)


def override(config: Training, changes: dict[str, str]) -> Training:
    """The settings with some replaced; unknown names and values that do not fit are errors.

    >>> override(preset("byol"), {"steps": "10"}).steps
    10
    """
    known = {f.name: type(getattr(config, f.name)) for f in dataclasses.fields(config)}
    new: dict[str, Any] = {}
    for name, text in changes.items():
        if name not in known:
            raise UnknownNameError("setting", name, known)
        try:
            new[name] = known[name](text)
        except ValueError:
            raise ArgumentError(f"--set {name}", f"a value of type {known[name].__name__}", repr(text)) from None
    changed = dataclasses.replace(config, **new)
    for name in ("steps", "batch", "checkpoint_every"):
        if getattr(changed, name) < 1:
            raise ArgumentError(f"--set {name}", "at least 1", f"{getattr(changed, name)}")
    return changed


def config_dict(config: Training) -> dict[str, Any]:
    """All settings by name.

    >>> config_dict(preset("supervised"))["steps"] == preset("supervised").steps
    True
    """
    return dataclasses.asdict(config)


def method_of(config: Training) -> str:
    """The name of the method these settings belong to.

    >>> method_of(preset("relicv2"))
    'relicv2'
    """
    return type(config).__name__.lower()
