"""What may stand after an encoder's name: `timm:resnet50,layer=layer3,pool=mean,side=160`. Importing this imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from relic_eval.errors import ArgumentError, UnknownNameError
from relic_eval.records import Transform, setting

VERSION = 1  # of the way from pictures to features (wrapped.py, families.py); raise it when the same settings give other numbers
POOLS = ("mean", "max", "flatten", "cls", "cls+mean")
PRECISIONS = ("float32", "bfloat16", "float16")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
SEEN = ("side", "resize", "interpolation", "squash", "mean", "std")  # what pictures look like
READ = ("layer", "pool", "precision", "normalise")  # what is taken of the network
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation of its pictures


@dataclass(frozen=True)
class Settings:
    """What is asked of an encoder besides its name; what is empty is the encoder's own."""

    layer: str = setting(True, default="")  # a submodule by name; empty: the network's own features
    pool: str = setting(True, default="")  # of a map or of tokens: one of POOLS; empty: the network's own way
    side: int = setting(True, default=0)  # of the square that the network sees, in pixels
    resize: int = setting(True, default=0)  # pixels of the shorter side before the square is cut
    interpolation: str = setting(True, default="")
    squash: bool | None = setting(True, default=None)  # both sides to `resize`, whatever the proportion
    mean: tuple[float, ...] = setting(True, default=())  # of pixels in [0, 1], a channel each
    std: tuple[float, ...] = setting(True, default=())
    precision: str = setting(True, default="float32")  # of the forward pass
    normalise: str = setting(True, default="none")  # of the features: none or l2
    network: str = setting(True, default="")  # whose weights a file holds
    prefix: str = setting(True, default="")  # which of several copies in a file
    weights: str = setting(False, default="")  # a file in place of the hub's: its digest counts, not where it lies
    name: str = setting(False, default="")  # on the board


@dataclass(frozen=True)
class Look:
    """How a picture becomes what a network sees; no transform: the square of the data's own side."""

    transform: Transform | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)


def split_name(text: str) -> tuple[str, Settings]:
    """A name and the settings after it.

    >>> name, its = split_name("timm:resnet50,layer=layer3,pool=mean,side=160")
    >>> name, its.layer, its.side
    ('timm:resnet50', 'layer3', 160)
    """
    name, *parts = re.split(r",(?=\s*[A-Za-z_]\w*=)", text)
    given: dict[str, Any] = {}
    for part in parts:
        key, _, value = part.strip().partition("=")
        if key in given:
            raise ArgumentError(key, "one value", f"two in {text!r}")
        given[key] = _value(key, value)
    return name, checked(Settings(**given))


def _value(key: str, text: str) -> Any:
    kinds = {f.name: str(f.type) for f in fields(Settings)}
    if key not in kinds:
        raise UnknownNameError("setting of an encoder", key, kinds)
    if not text:
        raise ArgumentError(key, "a value", "none")
    try:
        if kinds[key] == "int":
            return int(text)
        if kinds[key].startswith("tuple"):
            return tuple(float(part) for part in text.split("/"))
    except ValueError:
        wanted = "a whole number" if kinds[key] == "int" else "numbers, as 0.485/0.456/0.406"
        raise ArgumentError(key, wanted, repr(text)) from None
    if kinds[key].startswith("bool"):
        if text.lower() not in ("true", "false"):
            raise ArgumentError(key, "true or false", repr(text))
        return text.lower() == "true"
    return text


def checked(its: Settings) -> Settings:
    """The settings, or an ArgumentError for a value that none of them may have.

    >>> checked(Settings(side=4))
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: side: expected at least 8 pixels, received 4.
    """
    tables = (
        ("pool", its.pool, ("", *POOLS)),
        ("precision", its.precision, PRECISIONS),
        ("normalise", its.normalise, ("none", "l2")),
        ("interpolation", its.interpolation, ("", *INTERPOLATIONS)),
    )
    for key, value, known in tables:
        if value not in known:
            raise UnknownNameError(key, value, [n for n in known if n])
    for key, pixels in (("side", its.side), ("resize", its.resize)):
        if pixels and pixels < 8:
            raise ArgumentError(key, "at least 8 pixels", str(pixels))
    if any(s <= 0 for s in its.std):
        raise ArgumentError("std", "numbers above 0", "/".join(map(str, its.std)))
    return its


def refuse_others(source: str, its: Settings, allowed: Iterable[str]) -> None:
    """An ArgumentError for a setting that this kind of encoder has not."""
    allowed = {*allowed, "name"}
    for field in fields(Settings):
        if field.name not in allowed and getattr(its, field.name) != field.default:
            raise ArgumentError(source, f"only the settings {', '.join(sorted(allowed))}", field.name)


def look(its: Settings, own: Look) -> Look:
    """How pictures are seen: the encoder's own way, changed by what was asked. A new side keeps its share of `resize`.

    >>> look(Settings(side=112), Look(Transform(224, resize=256))).transform
    Transform(side=112, resize=128, interpolation='bicubic', squash=False, offset='round')
    """
    seen = own.transform
    if seen is None and its.side:
        seen = Transform(its.side)
    if seen is None:
        if its.resize or its.interpolation or its.squash is not None:
            raise ArgumentError("side", "a side, which this encoder does not have of its own", "none", "Add side=224.")
        return Look(None, its.mean or own.mean, its.std or own.std)
    side = its.side or seen.side
    resize = its.resize or (round(seen.resize * side / seen.side) if seen.resize else 0)
    if resize and resize < side:
        raise ArgumentError("resize", f"at least the side of {side} pixels", str(resize))
    asked = replace(
        seen,
        side=side,
        resize=resize,
        interpolation=its.interpolation or seen.interpolation,
        squash=seen.squash if its.squash is None else its.squash,
    )
    return Look(asked, its.mean or own.mean, its.std or own.std)


def described(its: Settings, seen: Look) -> dict[str, Any]:
    """All that decides numbers besides weights and network, as it stands in a store's manifest and in the digest.

    >>> described(Settings(layer="layer3"), Look())["layer"]
    'layer3'
    """
    plain = {n: v for n in (*READ, "network", "prefix") if (v := getattr(its, n))}
    if seen.transform is not None:
        plain.update(asdict(seen.transform))
    return {**plain, "mean": list(seen.mean), "std": list(seen.std)}


def board_name(own: str, its: Settings) -> str:
    """What the board calls an encoder: its own name, and what was changed of it, so that a grid of settings is told apart.

    >>> board_name("resnet50", Settings(layer="layer3", side=160)), board_name("resnet50", Settings(name="mine"))
    ('resnet50,layer=layer3,side=160', 'mine')
    """
    if its.name:
        return its.name
    hidden = ("name", "network", "weights")
    given = {f.name: v for f in fields(Settings) if (v := getattr(its, f.name)) != f.default and f.name not in hidden}
    if its.weights:
        given["weights"] = re.sub(r"(\.tar)?\.\w+$", "", re.split(r"[/\\]", its.weights)[-1]) or its.weights
    return ",".join([own, *(f"{key}={_shown(value)}" for key, value in given.items())])


def _shown(value: Any) -> str:
    return (
        "/".join(map(str, value))
        if isinstance(value, tuple)
        else str(value).lower()
        if value in (True, False)
        else str(value)
    )


def plain_look(about: Mapping[str, Any]) -> Look:
    """The Look that a note holds as JSON.

    >>> plain_look({"transform": {"side": 8}, "mean": [0.5], "std": [0.5]}).transform.side
    8
    """
    seen = about["transform"]
    return Look(None if seen is None else Transform(**seen), tuple(about["mean"]), tuple(about["std"]))
