"""Cells of protocols that train the network or look into it: made from pictures, not from stores of embeddings."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.cells import cell_path, failure_path, forget_cell, key_of, was_without_leaks, write_cell, write_failure
from relic_eval.data.leaks import drop_digest, dropped_words, leaked_ids
from relic_eval.data.own import OwnTask
from relic_eval.data.pictures import Pictures
from relic_eval.data.scenes import Scenes, unmasked
from relic_eval.data.sources import (
    dataset_name,
    dataset_splits,
    has_masks,
    masked_pictures,
    pictures,
    said_of,
    split_digest,
)
from relic_eval.data.tasks import Task, tasks_of
from relic_eval.devices import versions
from relic_eval.encode import check_on_error
from relic_eval.encoders.load import Encoder
from relic_eval.errors import NewerError, RelicError
from relic_eval.files import folder_name
from relic_eval.outcome import Outcome, failed
from relic_eval.progress import say, warn
from relic_eval.run import LEAKS_BACK
from relic_eval.store import find_stores, read_manifest
from relic_eval.timings import note_time
from relic_eval.tuning.cells import cell_key, tune
from relic_eval.tuning.scenery import SceneRows, divide_scenes, unreadable_scenes, without_leaked_scenes
from relic_eval.tuning.semi import LISTED
from relic_eval.tuning.shots import Shots, divide, unreadable, without_leaked
from relic_eval.tuning.table import PROTOCOLS, TITLES, describe

NO_ROWS = "the set has no training rows of its own"


@dataclass(frozen=True)
class Question:
    """One task of a data set: what decides its cell beside the encoder, and how its rows are found when it must be made."""

    task: Task
    digests: tuple[str, ...]  # of the train, the test and, where there is one, the valid split
    division: Any  # what is said of its rows, as JSON
    parts: Callable[[], Sequence[Any]]  # training, validation and test rows
    unreadable: tuple[str, ...] = ()  # ids of what is left out as such
    dropped: int = 0  # training pictures that are left out, as they are tested too


def tuned(
    encoder: Encoder,
    data: str | OwnTask,
    protocols: Sequence[str],
    out: Path,
    *,
    device: str = "auto",
    lists: dict[str, tuple[str, ...]] | None = None,
    without_leaks: bool = False,
    on_error: str = "fail",
) -> Outcome:
    """The cells of these protocols for one encoder and data set; `lists` are the published names of labelled pictures, by protocol.

    Protocols of segmentation are for sets with masks, the others for sets with labels and training rows of their own: what
    does not fit is left out, and said. What is there is skipped before a network is built; what fails is noted. Points of a
    grid that are done are kept under `out`/notes until the cell is.
    `without_leaks` leaves out training pictures that the task tests too, as a search before has found them;
    `on_error="skip"` leaves out pictures that, or whose masks, cannot be read.
    """
    check_on_error(on_error)
    total, questions = Outcome(), None
    for protocol in protocols:
        names = (encoder.name, dataset_name(data), protocol)
        try:
            why = _misfit(data, protocol)
            if why:
                say(f"tune {' '.join(names)}: left out, {why}")
                if why == NO_ROWS:
                    forget_cell(out, *names)  # of a time when it was tuned on its test rows
                continue
            if questions is None:  # the same for all protocols, and not asked for where none fits
                questions = (
                    _masked(data, out, without_leaks, on_error)
                    if has_masks(data)
                    else _labelled(data, encoder, out, without_leaks, on_error)
                )
        except (RelicError, ValueError) as error:
            total += _failed(out, names, error)
            continue
        for question in questions:
            listed = (lists or {}).get(protocol, ()) if question.task.dataset == LISTED else ()
            total += _cell(encoder, question, protocol, out, encoder.device or device, listed)
    return total


def _misfit(data: str | OwnTask, protocol: str) -> str:
    """Why a protocol is no question for a set; empty where it is one."""
    wants_masks = PROTOCOLS[protocol].data == "scenes"
    if wants_masks != has_masks(data):
        return "it needs masks, and the set has labels" if wants_masks else "it needs labels, and the set has masks"
    if said_of(data).get("trains_on"):
        return NO_ROWS
    return ""


def _cell(
    encoder: Encoder, question: Question, protocol: str, out: Path, device: str, listed: tuple[str, ...]
) -> Outcome:
    names, began = (encoder.name, question.task.name, protocol), time.perf_counter()
    label, keep = f"tune {' '.join(names)}", _notes(out, names)
    try:
        key = cell_key(protocol, encoder, question.digests, question.division, listed)
        if key_of(cell_path(out, *names)) == key:
            failure_path(out, *names).unlink(missing_ok=True)
            say(f"{label}: already there")
            return Outcome(skipped=1)
        if not question.task.drop and was_without_leaks(cell_path(out, *names)):
            warn(f"{label}: {LEAKS_BACK}")
        parts = question.parts()
        cell = tune(protocol, encoder, parts, listed=listed, device=device, keep=keep)
        write_cell(out, *names, cell, _about(key, encoder, question, protocol, parts))
    except NewerError as error:  # no note: the newer version would take it for its own
        warn(f"{label}: {error}")
        return failed(*names, str(error))
    except (RelicError, ArithmeticError, ValueError, RuntimeError) as error:
        return _failed(out, names, error)
    shutil.rmtree(keep, ignore_errors=True)
    say(f"{label}: {time.perf_counter() - began:.1f} s")
    note_time(out, label, time.perf_counter() - began)
    return Outcome(made=1)


def _failed(out: Path, names: tuple[str, str, str], error: Exception) -> Outcome:
    message = " ".join(str(error).split())
    write_failure(out, *names, message)
    warn(f"tune {' '.join(names)}: failed: {message}")
    return failed(*names, message)


def _notes(out: Path, names: tuple[str, str, str]) -> Path:
    return out.joinpath("notes", *map(folder_name, names))


def _about(key: str, encoder: Encoder, question: Question, protocol: str, parts: Sequence[Any]) -> dict[str, Any]:
    test = parts[2]
    classes = test.scenes.classes if hasattr(test, "scenes") else test.classes
    above = getattr(getattr(test, "pictures", None), "superclasses", None)
    return {
        "key": key,
        "title": f"{question.task.title}, {TITLES[protocol]}",
        "settings": describe(protocol),
        "task_settings": dataclasses.asdict(question.task),
        "classes": list(classes),
        "superclasses": None if above is None else list(above),
        "counts": {
            **{half: len(part) for half, part in zip(("train", "valid", "test"), parts, strict=True)},
            **({"dropped": question.dropped} if question.dropped else {}),
        },
        "stores": {},
        "weights": encoder.digest,
        "data": {
            "train": question.digests[0],
            "test": question.digests[1],
            # cells with and without leaks are made of other images: boards never put them side by side
            **({"dropped": question.task.drop} if question.task.drop else {}),
        },
        **({"unreadable": list(question.unreadable)} if question.unreadable else {}),
        "versions": versions(),
    }


def _labelled(data: str | OwnTask, encoder: Encoder, out: Path, without_leaks: bool, on_error: str) -> list[Question]:
    """The tasks of a set with labels: its classes, on untouched images, with the rows that probes have."""
    notes, name, said = out / "data", dataset_name(data), said_of(data)
    stores = {s.split: s.path for s in find_stores(out, [encoder.name], [name])}
    tasks = tasks_of(name, set(dataset_splits(data)), False, said.get("title", ""), said.get("metric") or "top1")
    found = []
    for task in (t for t in tasks if t.level == "class" and not t.test.endswith("-shifted")):
        halves = (task.train, task.test)
        digests = tuple(split_digest(data, half, notes) for half in halves)
        train, test = (pictures(data, half, notes) for half in halves)
        absent = [_absent(half, stores.get(half.split), notes, on_error) for half in (train, test)]
        leaked = (
            leaked_ids(out, task, dict(zip(("train", "test"), digests, strict=True))) if without_leaks else np.array([])
        )
        if without_leaks:
            say(f"tune {dropped_words(out, task, leaked)}")
        task = dataclasses.replace(task, drop=drop_digest(leaked))
        valid = [] if train.valid_N is None else np.flatnonzero(train.valid_N).tolist()
        division = [task.level, task.valid_share, task.seed, task.train == task.test, valid, absent, task.metric]
        division += [task.drop] if task.drop else []
        gone = {str(its.ids[row]) for its, rows in zip((train, test), absent, strict=True) for row in rows}
        parts = partial(_parts, task, train, test, absent, leaked)
        found.append(Question(task, digests, division, parts, tuple(sorted(gone)), len(set(leaked))))
    return found


def _absent(its: Pictures, store: Path | None, notes: Path, on_error: str) -> list[int]:
    """Rows that are left out as unreadable: those that the store in use lacks, where it is of these pictures."""
    said = None if store is None else read_manifest(store)["data"]
    if said is not None and said["digest"] == its.digest:
        return [row for row, _ in said["absent"]]
    if on_error != "skip":
        return []
    rows = unreadable(its, notes)
    if rows:
        _say_left_out(its.dataset, its.split, its.ids, rows, "pictures")
    return rows


def _parts(
    task: Task, train: Pictures, test: Pictures, absent: Sequence[Sequence[int]], leaked: np.ndarray
) -> tuple[Shots, Shots, Shots]:
    learnt, valid, tested = divide(task, train, test, (absent[0], absent[1]))
    if task.drop:
        learnt, valid = (without_leaked(part, leaked) for part in (learnt, valid))
    return learnt, valid, tested


def _masked(data: str | OwnTask, out: Path, without_leaks: bool, on_error: str) -> list[Question]:
    """The one task of a set with masks."""
    notes, name = out / "data", dataset_name(data)
    its = {split: masked_pictures(data, split, notes) for split in dataset_splits(data)}
    (task,) = tasks_of(name, set(its), False, said_of(data)["title"], "miou")
    train, test, valid = its[task.train], its[task.test], its.get("valid")
    absent = {split: _absent_scenes(found, notes, on_error) for split, found in its.items()}
    searched = {half: found.digest for half, found in unmasked(its).items()}
    halves = {"train": searched[task.train], "test": searched[task.test]}
    leaked = leaked_ids(out, task, halves) if without_leaks else np.array([])
    if without_leaks:
        say(f"tune {dropped_words(out, task, leaked)}")
    task = dataclasses.replace(task, drop=drop_digest(leaked))
    division: list[Any] = [task.valid_share, task.seed]
    division += [absent] if any(absent.values()) else []
    division += [task.drop] if task.drop else []

    def parts() -> tuple[SceneRows, ...]:
        learnt, judged, tested = divide_scenes(
            train, test, valid, share=task.valid_share, seed=task.seed, left_out=absent
        )
        if task.drop:
            learnt, judged = (without_leaked_scenes(part, leaked) for part in (learnt, judged))
        return learnt, judged, tested

    gone = tuple(str(its[split].ids[row]) for split, rows in absent.items() for row in rows)
    digests = tuple(found.digest for found in (train, test, *([valid] if valid else [])))
    return [Question(task, digests, division, parts, gone, len(set(leaked)))]


def _absent_scenes(its: Scenes, notes: Path, on_error: str) -> list[int]:
    rows = unreadable_scenes(its, notes) if on_error == "skip" else []
    if rows:
        _say_left_out(its.name, its.split, its.ids, rows, "pictures or masks")
    return rows


def _say_left_out(dataset: str, split: str, ids: np.ndarray, rows: Sequence[int], what: str) -> None:
    say(f"tune {dataset} {split}: {len(rows)} unreadable {what} are left out, the first {ids[rows[0]]}")
