"""Checkpoints: a folder a step, whole or absent, with `checkpoint.safetensors` and `checkpoint.json`.

Importing this imports no torch: the command line asks here whether a run is finished.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pretrain.config import VERSION, Training, config_dict, method_of
from relic_eval.encoders.load import check_weights, read_checkpoint
from relic_eval.errors import ArgumentError, RelicError
from relic_eval.files import digest_file, whole_folder, write_bytes, write_json
from relic_eval.records import FORMAT

KEEP = 2
ABOUT = {
    "version": int,
    "method": str,
    "config": dict,
    "step": int,
    "steps": int,
    "data": dict,
    "sha256": str,
    "history": dict,
}
NO_DIFFERENCE = ("checkpoint_every", "keep_every", "monitor_every", "monitor_rows")  # settings that change no number


def latest(run: Path) -> Path | None:
    """The folder of the last whole step of a run, or None.

    >>> latest(Path("/nowhere")) is None
    True
    """
    steps = sorted(p for p in run.glob("step-*") if (p / "checkpoint.json").exists())
    return steps[-1] if steps else None


def place(run: Path, step: int) -> Path:
    """The folder of a step.

    >>> place(Path("run"), 7).name
    'step-00000007'
    """
    return run / f"step-{step:08d}"


def read_about(step: Path) -> dict[str, Any]:
    """What `checkpoint.json` says; a DataError where it is damaged or a newer version wrote it."""
    return read_checkpoint(step, ABOUT)


def check_same(step: Path, config: Training, data: dict[str, str]) -> dict[str, Any]:
    """What the checkpoint says, after a check that it belongs to these settings and data."""
    about = read_about(step)
    wanted = {"method": method_of(config), "data": _named(data), "version": VERSION, **config_dict(config)}
    found = {
        "method": about["method"],
        "data": _named(about["data"]),
        "version": about["version"],
        **config_dict(type(config)()),  # a setting that is newer than the run begins as what was done before
        **about["config"],
    }
    # masks of one's own are known by what is in them, wherever they lie
    passed = (*NO_DIFFERENCE, *(["masks"] if "masks" in data and "masks" in about["data"] else []))
    differ = [n for n in wanted if n not in passed and wanted[n] != found.get(n)]
    if differ:
        raise ArgumentError(
            str(step.parent),
            ", ".join(f"{n} = {wanted[n]}" for n in differ),
            ", ".join(f"{n} = {found.get(n)}" for n in differ) + " in the run that is there",
            "Give this run another --name, or delete that folder.",
        )
    return about


def _named(data: dict[str, str]) -> str:
    """A data set as people know it, with enough of its digest to tell two states of it apart."""
    masks = f", masks {data['masks'][:12]}" if "masks" in data else ""
    return f"{data.get('name')} ({data.get('digest', '')[:12]}{masks})"


def finished(run: Path, config: Training, data: dict[str, str]) -> Path | None:
    """The last step of a finished run with these settings and data; None where there is none yet."""
    step = latest(run)
    if step is None:
        return None
    about = check_same(step, config, data)
    check_weights(step, about["sha256"])
    return step if about["step"] == about["steps"] else None


def save(run: Path, step: int, tensors: dict[str, Any], about: dict[str, Any], keep_every: int = 0) -> Path:
    """Write a step whole, then let go of all but the last two and every so manieth; weights that are no numbers are refused."""
    from safetensors.torch import save as serialise

    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise RelicError(
                f"step {step}: expected finite weights, received NaN or infinity in {name}. Lower lr; the checkpoints in {run} "
                "are as they were."
            )
    folder = place(run, step)
    with whole_folder(folder) as new:
        file = new / "checkpoint.safetensors"
        write_bytes(file, serialise({name: t.contiguous() for name, t in tensors.items()}))
        write_json(new / "checkpoint.json", {**about, "format": FORMAT, "step": step, "sha256": digest_file(file)})
    for old in sorted(run.glob("step-*"))[:-KEEP]:
        if not keep_every or int(old.name.removeprefix("step-")) % keep_every:
            shutil.rmtree(old)
    return folder


def load(step: Path) -> dict[str, Any]:
    """All tensors of a step, after a check against the digest beside them."""
    from safetensors.torch import load_file

    check_weights(step, read_about(step)["sha256"])
    return load_file(step / "checkpoint.safetensors")
