"""What an encoder is to the rest: a name, a digest of all that it computes, and how to build it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from relic_eval.encoders.settings import VERSION, Look, Settings, board_name, described, look
from relic_eval.files import digest_json
from relic_eval.records import Transform


@dataclass(frozen=True)
class Encoder:
    """A name for people, a digest of all that it computes, and how to build it for pictures of so many channels on a device.

    What `build(channels, device)` gives takes pictures (N, C, H, W) in [0, 1] on that device to features (N, D). Of a
    network it is a fresh module in evaluation mode, so that it can be trained further; see encoders/wrapped.py.
    """

    name: str
    digest: str
    build: Callable[[int, str], Callable[[Any], Any]]
    transform: Transform | None = None  # what it wants to see; None: the natural side of the data
    channels: int | None = None
    kind: str = "callable"
    training: dict[str, Any] | None = None
    parameters: int | None = None
    device: str | None = None  # where a module that somebody hands over is; None: where it is asked for
    settings: Mapping[str, Any] = field(default_factory=dict)  # what decides numbers besides weights and network


def renamed(encoder: Encoder, name: str | None) -> Encoder:
    """The same encoder under another name on the board, or as it is.

    >>> renamed(Encoder("pixels", "d", lambda channels, device: lambda x: x.flatten(1)), "raw").name
    'raw'
    """
    return encoder if name is None else replace(encoder, name=name)


def network_encoder(
    name: str,
    its: Settings,
    own: Look,
    identity: list[Any],
    make: Callable[[int, Look], Any],
    *,
    kind: str,
    channels: int | None = 3,
) -> Encoder:
    """An encoder of a network: `make(channels, look)` gives the module without its classifier, `identity` says which it is.

    >>> from relic_eval.encoders.settings import Settings, Look
    >>> network_encoder("flat", Settings(), Look(), ["flat"], lambda channels, seen: None, kind="module").name
    'flat'
    """
    seen = look(its, own)
    shown = described(its, seen)

    def build(given: int, device: str) -> Callable[[Any], Any]:
        import torch

        from relic_eval.encoders.wrapped import Wrapped

        module = Wrapped(make(given, seen), seen.mean, seen.std, its)
        return module.eval().to(device).to(memory_format=torch.channels_last)

    return Encoder(
        name=board_name(name, its),
        digest=digest_json([kind, identity, shown, VERSION]),
        build=build,
        transform=seen.transform,
        channels=channels,
        kind=kind,
        settings=shown,
    )
