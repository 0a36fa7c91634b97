"""Pretraining runs of our own: a folder a step, whole or damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from relic_eval.encoders.encoder import Encoder, network_encoder
from relic_eval.encoders.settings import READ, SEEN, VERSION, Look, Settings, refuse_others
from relic_eval.errors import ArgumentError, DataError, NewerError
from relic_eval.files import Shape, differing, digest_file, digest_json
from relic_eval.progress import say
from relic_eval.records import Transform, read_versioned

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


def network_source() -> str:
    """Digest of the code between pictures and features: the same weights in another network are another encoder.

    >>> len(network_source())
    64
    """
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


def run_encoder(path: Path, its: Settings) -> Encoder:
    """The encoder of a run, which is that of its last step, or of one of its steps.

    Raises DataError where there is no whole checkpoint.
    """
    refuse_others(f"file:{path}", its, (*SEEN, *READ))
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

    def make(channels: int, asked: Look) -> Any:
        from safetensors.torch import load_file

        from relic_eval.encoders.networks import build_network

        file = step / "checkpoint.safetensors"
        check_weights(step, about["sha256"])
        module = build_network(network["name"], network["channels"], side=seen["size"]).eval()
        weights = {n.removeprefix("encoder."): t for n, t in load_file(file).items() if n.startswith("encoder.")}
        missing = set(module.state_dict()) ^ set(weights)
        if missing:
            raise ArgumentError(str(file), f"the weights of {network['name']}", f"a difference in {sorted(missing)[0]}")
        module.load_state_dict(weights)
        return module

    if about["step"] < about["steps"]:
        say(f"{path}: stands at step {about['step']} of {about['steps']}; these weights are embedded")
    run = step.parent if step.name.startswith("step-") else step
    training = {key: about[key] for key in ("method", "config", "step", "steps", "data", "history")}
    training["monitor"] = about.get("monitor", [])
    training["run"] = run.name  # several checkpoints of one run may stand on a board
    known = [about["sha256"], network, seen, network_source()]
    own = Look(Transform(seen["size"]), tuple(seen["mean"]), tuple(seen["std"]))
    kind = f"file:{network['name']}"
    found = network_encoder(run.name, its, own, known, make, kind=kind, channels=network["channels"])
    plain = replace(its, name="") == Settings()
    return replace(
        found,
        digest=digest_json(known) if plain else digest_json([known, found.settings, VERSION]),
        training=training,
        parameters=about["parameters"],
    )
