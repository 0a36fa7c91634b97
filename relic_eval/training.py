"""A method and a data set -> a pretraining run: what `relic-eval pretrain` does."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain import checkpoint
from pretrain.config import MASKS
from pretrain.presets import changed, explain, preset
from relic_eval import progress
from relic_eval.data.sources import dataset_name, dataset_splits, pictures, refuse_inside, split_digest
from relic_eval.data.tasks import pretraining_rows
from relic_eval.errors import ArgumentError, DataError
from relic_eval.progress import say
from relic_eval.saliency import masks_of, own_masks
from relic_eval.timings import note_time

if TYPE_CHECKING:
    import numpy as np

    from pretrain.config import Training
    from pretrain.squares import Listed
    from relic_eval.data.pictures import Pictures

ENLARGED = 4  # times that pictures may be enlarged: beyond, a preset of another size would fill memory with blur
HELD = 4 << 30  # bytes of pictures that the processes of a machine hold in memory; more are decoded while they train
TAKEN = ("pixels", "random", "", ".", "..")  # encoders that have rows on the board already, and what is no name


def train(
    method: str,
    data: str,
    out: Path,
    *,
    name: str,
    changes: Mapping[str, str],
    device: str = "auto",
) -> Path | None:
    """Train an encoder and return the folder of the run; one that was stopped goes on, a finished one is left as it is.

    A data set that is divided later leaves out the rows that will test. Of several ranks only the first speaks, and returns.
    """
    first = os.environ.get("RANK", "0") == "0"
    progress.quiet |= not first
    config = changed(preset(method), changes).config
    if name in TAKEN or "/" in name:
        raise ArgumentError(
            "--name",
            "a name of its own without a slash",
            repr(name),
            "pixels and random have rows on the board already.",
        )
    refuse_inside(out, data)
    split = "train" if "train" in dataset_splits(data) else "all"
    about = {"name": dataset_name(data), "split": split, "digest": split_digest(data, split, out / "data")}
    masks = _stored(config)
    if masks is not None and masks not in MASKS:
        source = pictures(data, split, out / "data")
        rows = pretraining_rows(split, source.y_N, source.classes)
        about["masks"] = own_masks(masks, source, rows, out / "data").digest
    run = out / "pretrain" / name
    if checkpoint.finished(run, config, about):
        say(f"pretrain {name}: already there")
    else:
        began = time.perf_counter()
        _train(config, data, run, about, device)
        if first:
            note_time(out, f"pretrain {name}", time.perf_counter() - began)
    return run if first else None


def train_together(
    ranks: int, method: str, data: str, out: Path, *, name: str, changes: Mapping[str, str], device: str = "auto"
) -> int:
    """The same by as many processes as asked for, each with its part of every batch; returns the exit code."""
    from pretrain.launch import launch

    config = changed(preset(method), changes).config
    if config.batch % ranks or config.batch // ranks < 2:
        raise ArgumentError(
            "--nproc", f"ranks that share a batch of {config.batch}, two pictures each or more", f"{ranks}"
        )
    quiet = ["--quiet"] if progress.quiet else []
    settings = [word for pair in changes.items() for word in ("--set", "=".join(pair))]
    words = ["pretrain", method, "--data", data, "--out", str(out), "--name", name, "--device", device, *settings]
    return launch([*quiet, *words], ranks)


def explained(method: str, changes: Mapping[str, str]) -> list[str]:
    """A table of every setting of a method or preset: value, how sure its source is, and what it does.

    >>> explained("byol", {"lr": "0.1"})[0].split()
    ['setting', 'value', 'source', 'what', 'it', 'does']
    """
    rows = [("setting", "value", "source", "what it does"), *explain(changed(preset(method), changes))]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[3]]) for row in rows]


def _stored(config: Training) -> str | None:
    """What makes the masks of a run, where they are stored; those of the border are made in the time it takes to read them."""
    masks = config.masks if getattr(config, "p_mask", 0) > 0 else "border"  # type: ignore[attr-defined]
    return None if masks == "border" else masks


def _train(config: Training, data: str, run: Path, about: dict[str, str], device: str) -> None:
    from pretrain.train import pretrain
    from relic_eval.devices import device as find_device

    run.mkdir(parents=True, exist_ok=True)  # a folder that cannot be made is known before the first step
    source = pictures(data, about["split"], run.parent.parent / "data")
    if config.side > ENLARGED * source.side:
        expected = f"at most {ENLARGED * source.side}: the pictures have {source.side} pixels a side"
        hint = "A preset is for pictures of its size; --set side=N trains on smaller crops."
        raise ArgumentError("--set side", expected, f"{config.side}", hint)
    rows = pretraining_rows(about["split"], source.y_N, source.classes)
    side, maker = max(source.side, config.side), _stored(config)
    images = _images(source, rows, side)
    masks = None if maker is None else masks_of(maker, source, rows, side, run.parent.parent)[1]
    pretrain(config, images, source.y_N[rows], run, data=about, masks=masks, device=find_device(device))


def _images(source: Pictures, rows: np.ndarray, side: int) -> np.ndarray | Listed:
    """The squares of a run: read now, or listed where they are too many to hold. No number depends on which."""
    from pretrain.squares import Listed

    if len(rows) * side**2 * source.channels > HELD // int(os.environ.get("LOCAL_WORLD_SIZE", "1")):
        return Listed(source, rows, side)
    images, problems = source.read(rows, side)
    if problems:
        raise DataError(
            f"expected readable pictures, received {len(problems)} that are not: {next(iter(problems.values()))}. Mend or remove them."
        )
    return images
