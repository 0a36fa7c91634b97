"""Encoders by name: `pixels`, `random:thin-resnet`, `file:RUN` (a pretraining run or checkpoint), or any callable.

Naming one imports no torch: a name is turned into a digest first, and into a network only when pictures must be encoded.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relic_eval.encoders.identity import identity
from relic_eval.encoders.names import check_network
from relic_eval.errors import ArgumentError, DataError, NewerError, UnknownNameError
from relic_eval.files import Shape, differing, digest_file, digest_json
from relic_eval.progress import say
from relic_eval.records import Transform, read_versioned

KNOWN = ("pixels", "random:thin-resnet", "file:RUN")
ABOUT = {
    "method": str,
    "config": dict,
    "step": int,
    "steps": int,
    "data": dict,
    "history": dict,
    "network": dict,
    "input": dict,
    "sha256": str,
    "parameters": int,
}


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
    if name.startswith("file:") or "/" in name or path.exists():
        return _file(path)
    raise UnknownNameError("encoder", name, KNOWN)


def _flatten(x: Any) -> Any:
    return x.flatten(1)


def from_callable(
    name: str, function: Callable[[Any], Any], *, digest: str, side: int | None = None, channels: int | None = None
) -> Encoder:
    """Any function from pictures (N, C, H, W) in [0, 1] to features (N, D); `digest` names its weights and version.

    >>> from_callable("mean", lambda x: x.mean((2, 3)), digest="v1").name
    'mean'
    """
    known = digest_json(["callable", name, digest, channels])
    transform = None if side is None else Transform(side)
    return Encoder(name, known, lambda channels, device: function, transform=transform, channels=channels)


def from_module(
    name: str, module: Any, *, digest: str, side: int | None = None, channels: int | None = None
) -> tuple[Encoder, str]:
    """A torch module, known by its weights as well, and the device that it is on.

    >>> import torch
    >>> from_module("flat", torch.nn.Flatten(), digest="1")[1]
    'cpu'
    """
    tensors = [*module.parameters(), *module.buffers()]
    known = digest_json([digest, identity(module)])
    found = from_callable(name, module, digest=known, side=side, channels=channels)
    counted = replace(found, kind="module", parameters=sum(p.numel() for p in module.parameters()))
    return counted, str(tensors[0].device if tensors else "cpu")


def renamed(encoder: Encoder, name: str | None) -> Encoder:
    """The same encoder under another name on the board, or as it is.

    >>> renamed(find_encoder("pixels"), "raw").name
    'raw'
    """
    return encoder if name is None else replace(encoder, name=name)


def _random(name: str) -> Encoder:
    network = name.removeprefix("random:")
    check_network(network)
    # the weights follow from the network's source, the seed and torch's random numbers
    made_by = ["torch", *(["timm"] if network.startswith("timm:") else [])]
    try:
        versions = [importlib.metadata.version(package) for package in made_by]
    except importlib.metadata.PackageNotFoundError:
        hint = "Type: pip install 'relic-eval[timm]'."
        raise ArgumentError("network", "timm to be installed", f"{network} without it", hint) from None
    digest = digest_json([name, 0, _network_source(), *versions])

    def build(channels: int, device: str) -> Callable[[Any], Any]:
        from relic_eval.encoders.networks import build_network
        from relic_eval.encoders.wrapped import Wrapped

        return Wrapped(build_network(network, channels, seed=0), (0.5,), (0.25,)).eval().to(device)

    known = "random" if network == "thin-resnet" else f"random-{network.removeprefix('timm:')}"
    return Encoder(known, digest, build, kind=name)


def _network_source() -> str:
    """Digest of the code between pictures and features: the same weights in another network are another encoder."""
    return digest_file(Path(__file__).with_name("networks.py"))


def read_checkpoint(step: Path, shape: Shape) -> dict[str, Any]:
    """What a step's `checkpoint.json` says; a DataError where it is damaged, NewerError where a newer version wrote it."""
    try:
        return read_versioned(step / "checkpoint.json", shape)
    except NewerError:
        raise
    except DataError:
        raise _damaged(step, "checkpoint.json cannot be read") from None


def check_weights(step: Path, sha256: str) -> None:
    """A DataError where the weights of a step are not those that were written."""
    file = step / "checkpoint.safetensors"
    if differing(step, {file.name: sha256}):
        raise _damaged(step, f"{file.name} is {'not what was written' if file.exists() else 'gone'}")


def _damaged(step: Path, why: str) -> DataError:
    before = any(p.name < step.name for p in step.parent.glob("step-*"))
    return DataError(
        f"{step}: expected a whole checkpoint, received a damaged one ({why}). Delete {step} and pretrain again: "
        f"it {'goes on from the step before' if before else 'begins anew'}."
    )


def _file(path: Path) -> Encoder:
    step = path.parent if path.name == "checkpoint.safetensors" else path
    if not (step / "checkpoint.json").exists():
        steps = sorted(p.parent for p in step.glob("step-*/checkpoint.json")) if step.is_dir() else []
        if not steps:
            raise DataError(
                f"{path}: expected a pretraining run or checkpoint, received {'neither' if path.exists() else 'nothing there'}. "
                "'relic-eval pretrain' makes one."
            )
        step = steps[-1]
    about = read_checkpoint(step, ABOUT)
    network, seen = about["network"], about["input"]

    def build(channels: int, device: str) -> Callable[[Any], Any]:
        from safetensors.torch import load_file

        from relic_eval.encoders.networks import build_network
        from relic_eval.encoders.wrapped import Wrapped

        file = step / "checkpoint.safetensors"
        check_weights(step, about["sha256"])
        module = build_network(network["name"], network["channels"], side=seen["size"]).eval()
        weights = {n.removeprefix("encoder."): t for n, t in load_file(file).items() if n.startswith("encoder.")}
        missing = set(module.state_dict()) ^ set(weights)
        if missing:
            raise ArgumentError(str(file), f"the weights of {network['name']}", f"a difference in {sorted(missing)[0]}")
        module.load_state_dict(weights)
        return Wrapped(module, seen["mean"], seen["std"]).eval().to(device)

    if about["step"] < about["steps"]:
        say(f"{path}: stands at step {about['step']} of {about['steps']}; these weights are embedded")
    run = step.parent if step.name.startswith("step-") else step
    training = {key: about[key] for key in ("method", "config", "step", "steps", "data", "history")}
    training["monitor"] = about.get("monitor", [])
    digest = digest_json([about["sha256"], network, seen, _network_source()])
    return Encoder(
        run.name,
        digest,
        build,
        Transform(seen["size"]),
        network["channels"],
        f"file:{network['name']}",
        training,
        about["parameters"],
    )
