"""Presets by name: a method's own, sized for the bundled pictures, and the published budgets, each value with its source.

A source says how sure we are of the value: seen (read in the original paper or code), secondary (read in another source),
recalled (from the paper, not read again), chosen (for this project).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pretrain.config import METHODS, Training, override
from relic_eval.errors import look_up

Sourced = dict[str, tuple[Any, str]]  # setting -> value, source

_VIEWS: Sourced = {
    "side": (224, "seen"),
    "area_low": (0.08, "seen"),
    "pad": (0.0, "seen"),
    "blur": ((1.0, 0.1), "seen"),
    "blur_sigma": (2.0, "seen"),
    "solarise": ((0.0, 0.2), "seen"),
}
# BYOL's training of 1000 epochs, which its relatives share; LARS takes base * batch / 256
_BYOL: Sourced = {
    **_VIEWS,
    "epochs": (1000.0, "seen"),
    "batch": (4096, "seen"),
    "optimizer": ("lars", "seen"),
    "lr": (0.2 * 4096 / 256, "seen"),
    "weight_decay": (1.5e-6, "seen"),
    "warmup": (0.01, "seen"),
    "network": ("resnet50", "seen"),
    "hidden": (4096, "seen"),
    "out": (256, "seen"),
    "ema": (0.996, "seen"),
    "checkpoint_every": (5000, "chosen"),
}
_PUBLISHED: dict[str, tuple[str, Sourced]] = {
    "byol-imagenet-1000ep": ("byol", _BYOL),
    "byol-imagenet-300ep": (
        "byol",
        {
            **_BYOL,
            "epochs": (300.0, "seen"),
            "lr": (0.3 * 16, "seen"),
            "weight_decay": (1e-6, "seen"),
            "warmup": (10 / 300, "seen"),
            "ema": (0.99, "seen"),
        },
    ),
    "simclr-imagenet-1000ep": (
        "simclr",
        {
            **_VIEWS,
            "side": (224, "recalled"),
            "area_low": (0.08, "recalled"),
            "pad": (0.0, "recalled"),
            "blur": ((0.5,), "recalled"),
            "blur_sigma": (2.0, "recalled"),
            "solarise": ((0.0,), "recalled"),
            "epochs": (1000.0, "recalled"),
            "batch": (4096, "seen"),
            "optimizer": ("lars", "seen"),
            "lr": (0.3 * 16, "seen"),
            "weight_decay": (1e-6, "recalled"),
            "warmup": (0.01, "recalled"),
            "network": ("resnet50", "seen"),
            "brightness": (0.8, "recalled"),
            "brightness_by": ("multiply", "recalled"),
            "contrast": (0.8, "recalled"),
            "saturation": (0.8, "recalled"),
            "hue": (0.2, "recalled"),
            "hidden": (2048, "recalled"),
            "checkpoint_every": (5000, "chosen"),
        },
    ),
    "relic-imagenet-1000ep": ("relic", {**_BYOL, "tau": (0.3, "chosen"), "alpha": (1.0, "chosen")}),
    "relicv2-imagenet-1000ep": (
        "relicv2",
        {
            **_BYOL,
            "epochs": (1000.0, "recalled"),
            "batch": (4096, "recalled"),
            "optimizer": ("lars", "recalled"),
            "lr": (0.3 * 16, "recalled"),
            "weight_decay": (1.5e-6, "recalled"),
            "warmup": (0.01, "recalled"),
            "side": (224, "recalled"),
            "area_low": (0.08, "recalled"),
            "pad": (0.0, "recalled"),
            # Which of BYOL's two recipes a crop gets is not stated. In turn, small crops too, every pair of neighbours differs as
            # BYOL's pair does; one recipe for all (blur=0.5) would leave most pairs without the difference that BYOL and its code
            # train on. `large` and `small` crops are numbered through, so of 4 + 2 crops three get each.
            "blur": ((1.0, 0.1), "chosen"),
            "solarise": ((0.0, 0.2), "chosen"),
            "hidden": (4096, "recalled"),
            "out": (256, "recalled"),
            "ema": (0.996, "recalled"),
            "large": (4, "recalled"),
            "small": (2, "recalled"),
            "small_side": (96, "recalled"),
            "small_area_low": (0.05, "recalled"),
            "small_area_high": (0.14, "recalled"),
            "tau": (0.3, "recalled"),
            "alpha": (0.3, "recalled"),
            "beta": (3.0, "recalled"),
        },
    ),
}


@dataclass(frozen=True)
class Preset:
    """The settings of a run and where each value comes from."""

    name: str
    config: Training
    sources: Mapping[str, str]


def preset(name: str) -> Preset:
    """A preset by name: that of a method, or a published one.

    >>> preset("byol").config.batch, preset("byol-imagenet-1000ep").sources["lr"]
    (64, 'seen')
    """
    method, values = look_up("method", name, {**{m: (m, {}) for m in METHODS}, **_PUBLISHED})
    config = METHODS[method]()
    sources = {f.name: f.metadata["source"] for f in dataclasses.fields(config)}
    sources |= {setting: source for setting, (_, source) in values.items()}
    return Preset(name, override(config, {setting: v for setting, (v, _) in values.items()}), sources)


def names() -> list[str]:
    """All presets, those of the methods first.

    >>> names()[0], names()[-1]
    ('supervised', 'relicv2-imagenet-1000ep')
    """
    return [*METHODS, *_PUBLISHED]


def changed(given: Preset, changes: Mapping[str, Any]) -> Preset:
    """The preset with some settings replaced; their source is "yours".

    >>> changed(preset("byol"), {"lr": "0.1"}).sources["lr"]
    'yours'
    """
    config = override(given.config, changes)
    return Preset(given.name, config, {**given.sources, **dict.fromkeys(changes, "yours")})


def explain(given: Preset) -> list[tuple[str, str, str, str]]:
    """Every setting: name, value as `--set` takes it, source, and what it does.

    >>> explain(preset("byol"))[0]
    ('steps', '500', 'chosen', 'optimiser steps')
    """
    return [
        (f.name, shown(getattr(given.config, f.name)), given.sources[f.name], f.metadata["about"])
        for f in dataclasses.fields(given.config)
    ]


def shown(value: Any) -> str:
    """A setting as `--set` takes it.

    >>> shown((1.0, 0.1))
    '1,0.1'
    """
    if isinstance(value, tuple):
        return ",".join(map(shown, value))
    return str(value).removesuffix(".0")
