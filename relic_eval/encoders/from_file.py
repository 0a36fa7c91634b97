"""`file:PATH`: a pretraining run of our own, somebody's checkpoint with `network=`, or a converted one that says its network."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from relic_eval.encoders.encoder import Encoder, network_encoder
from relic_eval.encoders.names import check_network
from relic_eval.encoders.notes import noted, weights_digest
from relic_eval.encoders.runs import network_source, run_encoder
from relic_eval.encoders.settings import IMAGENET, READ, SEEN, Look, Settings, refuse_others
from relic_eval.errors import ArgumentError, DataError
from relic_eval.records import Transform

ENDINGS = (".pth", ".pt", ".tar", ".ckpt", ".safetensors", ".bin")
OWN = Look(
    Transform(224, resize=256), *IMAGENET
)  # relicv2.md 3.1: the shorter side to 256 by a cubic, the centre of 224


def file_encoder(path: Path, its: Settings) -> Encoder:
    """The encoder in a file or folder. Raises DataError for one that is none, and says what to add."""
    if not path.exists() and (its.network or (path.suffix in ENDINGS and path.name != "checkpoint.safetensors")):
        raise DataError(f"expected a file {path}, received nothing there.")
    if path.is_dir() or not path.exists() or (path.parent / "checkpoint.json").exists():
        if path.is_dir() and (path / "config.json").exists() and not (path / "checkpoint.json").exists():
            raise DataError(
                f"{path}: expected a run or a file, received a saved model. Write timm:{path} or hf:{path}."
            )
        return run_encoder(path, its)
    if path.suffix not in ENDINGS:
        raise DataError(f"{path}: expected a run, or a checkpoint ({', '.join(ENDINGS)}), received another file.")
    if its.network:
        return _checkpoint(path, its)
    said = (
        noted(["metadata", str(path.resolve())], [path], lambda: _metadata(path))
        if path.suffix == ".safetensors"
        else {}
    )
    if "network" not in said:
        raise ArgumentError(
            "network",
            "the network whose weights the file holds",
            f"none for {path}",
            f"Write file:{path},network=resnet50.",
        )
    return _converted(path, its, said)


def _title(path: Path) -> str:
    return path.name.removesuffix(".tar").rpartition(".")[0] if path.name.endswith(".pth.tar") else path.stem


def _checkpoint(path: Path, its: Settings) -> Encoder:
    refuse_others(f"file:{path}", its, (*SEEN, *READ, "network", "prefix"))
    versions = []
    for package in ("torchvision", "timm"):
        try:
            versions.append(importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            versions.append("")

    def make(channels: int, seen: Look) -> Any:
        from relic_eval.encoders.checkpoints import load_into, network_for

        network = network_for(its.network)
        load_into(network, path, prefix=its.prefix)
        return network

    known = [weights_digest(path), *versions]
    return network_encoder(_title(path), its, OWN, known, make, kind=f"file:{its.network}")


def _metadata(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            found = file.metadata() or {}
    except SafetensorError as error:
        raise DataError(f"{path}: expected a safetensors file, received a damaged one ({error}).") from None
    return {
        n: found[n] for n in ("network", "channels", "mean", "std", "side", "resize", "interpolation") if n in found
    }


def _converted(path: Path, its: Settings, said: dict[str, str]) -> Encoder:
    refuse_others(f"file:{path}", its, (*SEEN, *READ))
    try:
        about = {name: json.loads(text) for name, text in said.items()}
        seen = Transform(int(about["side"]), int(about["resize"]), str(about["interpolation"]))
        own = Look(seen, tuple(map(float, about["mean"])), tuple(map(float, about["std"])))
        name, channels = check_network(str(about["network"])), int(about["channels"])
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path}: expected network, channels, mean, std, side, resize and interpolation in its metadata, as JSON, "
            f"received {', '.join(said)} ({' '.join(str(error).split())}). 'relic-eval convert' writes them."
        ) from None

    def make(given: int, asked: Look) -> Any:
        from safetensors.torch import load_file

        from relic_eval.encoders.networks import build_network

        network = build_network(name, channels)
        state, weights = network.state_dict(), load_file(path)
        wrong = [
            n for n in {**state, **weights} if n not in state or n not in weights or state[n].shape != weights[n].shape
        ]
        if wrong:
            raise DataError(f"{path}: expected the tensors of {name}, received a difference in {sorted(wrong)[0]}.")
        network.load_state_dict(weights)
        return network

    known = [weights_digest(path), name, channels, asdict(seen), network_source()]
    return network_encoder(_title(path), its, own, known, make, kind=f"file:{name}", channels=channels)
