"""`pixels` and `random:NETWORK`: what an encoder that has learned must do better than."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace
from typing import Any

from relic_eval.encoders.encoder import Encoder, network_encoder
from relic_eval.encoders.names import check_network
from relic_eval.encoders.runs import network_source
from relic_eval.encoders.settings import READ, SEEN, Look, Settings, board_name, described, look, refuse_others
from relic_eval.errors import ArgumentError
from relic_eval.files import digest_json


def pixel_encoder(its: Settings) -> Encoder:
    """The pixels themselves, as they are or with mean and deviation, and of length one where that is asked for.

    >>> pixel_encoder(Settings()).name
    'pixels'
    """
    refuse_others("pixels", its, (*SEEN, "normalise"))
    seen = look(its, Look())
    plain = (its.normalise, its.mean, its.std) == ("none", (), ())
    known = ["pixels", 1] if seen.transform is None and plain else ["pixels", 1, described(its, seen)]

    def build(channels: int, device: str) -> Any:
        if plain:
            return _flatten
        from torch import nn

        from relic_eval.encoders.wrapped import Wrapped

        return Wrapped(nn.Flatten(), seen.mean, seen.std, its).eval().to(device)

    shown = described(its, seen)
    return Encoder(board_name("pixels", its), digest_json(known), build, seen.transform, kind="pixels", settings=shown)


def _flatten(x: Any) -> Any:
    return x.flatten(1)


def random_encoder(name: str, its: Settings) -> Encoder:
    """A network with the weights that it begins with, drawn from seed 0.

    >>> random_encoder("random:thin-resnet", Settings()).name
    'random'
    """
    refuse_others(name, its, (*SEEN, *READ))
    network = name.removeprefix("random:")
    check_network(network)
    # the weights follow from the network's source, the seed and torch's random numbers
    made_by = ["torch", *(["timm"] if network.startswith("timm:") else [])]
    try:
        versions = [importlib.metadata.version(package) for package in made_by]
    except importlib.metadata.PackageNotFoundError:
        hint = "Type: pip install 'relic-eval[timm]'."
        raise ArgumentError("network", "timm to be installed", f"{network} without it", hint) from None

    def make(channels: int, seen: Look) -> Any:
        from relic_eval.encoders.networks import build_network

        return build_network(network, channels, seed=0, side=its.side or None)

    title = "random" if network == "thin-resnet" else f"random-{network.removeprefix('timm:')}"
    known = [name, 0, network_source(), *versions]
    found = network_encoder(title, its, Look(None, (0.5,), (0.25,)), known, make, kind=name, channels=None)
    return replace(found, digest=digest_json(known)) if replace(its, name="") == Settings() else found
