"""Encoders by name: `pixels`, `random:thin-resnet`, `file:RUN` (a pretraining run or checkpoint), or any callable.

Naming one imports no torch: a name is turned into a digest first, and into a network only when pictures must be encoded.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.files import digest_file, digest_json, read_record
from relic_eval.records import FORMAT

KNOWN = ("pixels", "random:thin-resnet", "file:RUN")
NETWORK_NAMES = ("thin-resnet",)


@dataclass(frozen=True)
class Encoder:
    """A name for people, a digest of all that it computes, and how to build it for pictures of so many channels on a device.

    What `build(channels, device)` gives takes pictures (N, C, H, W) in [0, 1] on that device to features (N, D).
    """

    name: str
    digest: str
    build: Callable[[int, str], Callable[[Any], Any]]
    side: int | None = None  # what it wants to see; None: the natural side of the data
    channels: int | None = None
    kind: str = "callable"
    training: dict[str, Any] | None = None
    parameters: int | None = None


def find_encoder(name: str) -> Encoder:
    """The encoder of that name; `file:` may be left out before a path.

    >>> find_encoder("pixels").kind
    'pixels'
    """
    if name == "pixels":
        return Encoder("pixels", digest_json(["pixels", 1]), lambda channels, device: _flatten, kind="pixels")
    if name.startswith("random:"):
        return _random(name)
    path = Path(name.removeprefix("file:")).expanduser()
    if name.startswith("file:") or path.exists():
        return _file(path)
    raise UnknownNameError("encoder", name, KNOWN)


def _flatten(x: Any) -> Any:
    return x.flatten(1)


def from_callable(name: str, function: Callable[[Any], Any], *, digest: str, side: int | None = None) -> Encoder:
    """Any function from pictures (N, C, H, W) in [0, 1] to features (N, D); `digest` names its weights and version.

    >>> from_callable("mean", lambda x: x.mean((2, 3)), digest="v1").name
    'mean'
    """
    return Encoder(name, digest_json(["callable", name, digest]), lambda channels, device: function, side=side)


def _random(name: str) -> Encoder:
    network = name.removeprefix("random:")
    if network not in NETWORK_NAMES:
        raise UnknownNameError("network", network, NETWORK_NAMES)
    # the weights follow from the network's source, the seed and torch's random numbers
    source = digest_file(Path(__file__).with_name("networks.py"))
    digest = digest_json([name, 0, source, importlib.metadata.version("torch")])

    def build(channels: int, device: str) -> Callable[[Any], Any]:
        from relic_eval.encoders.networks import build_network

        module = build_network(network, channels, seed=0).eval().to(device)
        return lambda x: module((x - 0.5) / 0.25)

    return Encoder("random", digest, build, kind=name)


def _file(path: Path) -> Encoder:
    step = path.parent if path.name == "checkpoint.safetensors" else path
    if not (step / "checkpoint.json").exists():
        steps = sorted(p.parent for p in step.glob("step-*/checkpoint.json")) if step.is_dir() else []
        if not steps:
            raise DataError(
                f"{path}: expected a pretraining run or checkpoint, received neither. 'relic-eval pretrain' makes one."
            )
        step = steps[-1]
    about = read_record(
        step / "checkpoint.json", ("format", "method", "config", "network", "input", "sha256", "parameters")
    )
    if about.get("format", 0) > FORMAT:
        raise DataError(
            f"{step}: expected format {FORMAT} or older, received {about['format']}, made by a newer relic-eval."
        )
    network, seen = about["network"], about["input"]

    def build(channels: int, device: str) -> Callable[[Any], Any]:
        import torch
        from safetensors.torch import load_file

        from relic_eval.encoders.networks import build_network

        file = step / "checkpoint.safetensors"
        if not file.exists() or digest_file(file) != about["sha256"]:
            raise DataError(
                f"{file}: expected the weights that checkpoint.json describes, received others. Train again."
            )
        module = build_network(network["name"], network["channels"]).eval()
        weights = {n.removeprefix("encoder."): t for n, t in load_file(file).items() if n.startswith("encoder.")}
        missing = set(module.state_dict()) ^ set(weights)
        if missing:
            raise ArgumentError(str(file), f"the weights of {network['name']}", f"a difference in {sorted(missing)[0]}")
        module.load_state_dict(weights)
        module.to(device)
        mean, std = (torch.tensor(seen[name], device=device).view(1, -1, 1, 1) for name in ("mean", "std"))
        return lambda x: module((x - mean) / std)

    run = step.parent if step.name.startswith("step-") else step
    training = {key: about[key] for key in ("method", "config", "step", "steps", "data", "history")}
    digest = digest_json([about["sha256"], network, seen])
    return Encoder(
        run.name,
        digest,
        build,
        seen["size"],
        network["channels"],
        f"file:{network['name']}",
        training,
        about["parameters"],
    )
