"""Planned cells are made: what is there is skipped without reading an embedding; what fails is noted and gone past."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.cells import cell_path, failure_path, forget_cell, key_of, was_without_leaks, write_cell, write_failure
from relic_eval.data.corruptions import corruptions_of, with_corruptions
from relic_eval.data.leaks import drop_digest, drop_leaks, dropped_words, leaked_ids
from relic_eval.data.severities import WHOLE, with_severities
from relic_eval.data.tasks import Task, block_rows, split_task
from relic_eval.data.views import read_views
from relic_eval.devices import versions
from relic_eval.errors import ArgumentError, DataError, NewerError, RelicError
from relic_eval.evaluators.blocks import Blocks
from relic_eval.evaluators.map import FEWEST, Map
from relic_eval.evaluators.shots import Shots
from relic_eval.evaluators.table import PROTOCOLS, describe
from relic_eval.files import digest_json
from relic_eval.outcome import Outcome, failed
from relic_eval.plan import Job, plan
from relic_eval.progress import say, warn
from relic_eval.records import Cell, Embeddings
from relic_eval.results import beside_digest
from relic_eval.store import read_manifest, read_store, verify
from relic_eval.timings import note_time

LEAKS_BACK = (
    "made again with the training pictures that are tested too, where it was made without them: "
    "--drop-leaks leaves them out again"
)
Rows = tuple[Embeddings, Embeddings, Embeddings]  # training, validation, test


def evaluate(
    out: Path,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = (),
    datasets: Sequence[str] = (),
    *,
    without_leaks: bool = False,
) -> Outcome:
    """Make every planned cell that is not there with the same key; a failed one is noted and the others go on.

    `without_leaks` leaves out training pictures that the task tests too, as a search before has found them.
    """
    total = Outcome()
    rows_of = lru_cache(maxsize=1)(_rows)  # the protocols of a task follow each other
    whole: set[Path] = set()  # stores whose digests were looked at
    told: set[str] = set()  # tasks of which it was said what is left out
    for job in plan(out, encoders, tasks, protocols, datasets):
        label = f"evaluate {job.encoder} {job.task.name} {job.protocol}"
        names = (job.encoder, job.task.name, job.protocol)
        began = time.perf_counter()
        try:
            manifests = {path: read_manifest(path) for path in (job.train, job.test, *job.beside)}
            leaked = _leaked(out, job, manifests) if without_leaks else ()
            if without_leaks and job.task.name not in told and _drops(job):
                told.add(job.task.name)
                say(f"evaluate {dropped_words(out, job.task, leaked)}")
            job = dataclasses.replace(job, task=dataclasses.replace(job.task, drop=drop_digest(np.array(leaked))))
            key = cell_key(job, manifests)
            if key_of(cell_path(out, *names)) == key:
                failure_path(out, *names).unlink(missing_ok=True)  # of other settings or embeddings, tried in between
                total += Outcome(skipped=1)
                continue
            _verify(set(manifests) - whole)
            whole.update(manifests)
            rows = rows_of(job.task, job.train, job.test, _beside(job), leaked, job.beside if job.task.splits else ())
            lacking = _lacking(job, rows)
            if lacking:
                say(f"{label}: left out, {lacking}")
                forget_cell(out, *names)  # of a time when there were more
                continue
            if not without_leaks and was_without_leaks(cell_path(out, *names)):
                warn(f"{label}: {LEAKS_BACK}")
            cell = _make(out, job, key, rows, manifests, len(set(leaked)))
            if cell.rows[0].params.get("edge"):
                say(f"{label}: what was chosen is at the end of its grid; scaled features may do better")
        except NewerError as error:  # no note: the newer version would take it for its own
            total += failed(*names, str(error))
            warn(f"{label}: {error}")
        except (RelicError, ArithmeticError, ValueError, RuntimeError) as error:
            message = " ".join(str(error).split())
            total += failed(*names, message)
            write_failure(out, *names, message)
            warn(f"{label}: failed: {message}")
        else:
            total += Outcome(made=1)
            say(f"{label}: {time.perf_counter() - began:.1f} s")
            note_time(out, label, time.perf_counter() - began)
    if total.skipped:
        say(f"evaluate: {total.skipped} {'cell' if total.skipped == 1 else 'cells'} already there")
    return total


def _verify(paths: set[Path]) -> None:
    """An error for a store whose files are no longer those that were written."""
    for path in sorted(paths):
        wrong = verify(path)
        if wrong:
            raise DataError(
                f"{path / wrong[0]}: expected the file that was written, received another. Delete {path} and embed again."
            )


def cell_key(job: Job, manifests: dict[Path, dict[str, Any]]) -> str:
    """Digest of all that decides a cell: the stores' contents, how rows are divided, the protocol's settings and version."""
    both = [manifests[p] for p in (job.train, job.test)]
    # of two embeddings with the same numbers, too, one may be of changed files: cells say which, and are compared by it
    contents = [(m["content"], m["data"]["digest"]) for m in both]
    task, evaluator = job.task, PROTOCOLS[job.protocol]
    contents += [
        (m["content"], m["data"]["digest"]) for path, m in manifests.items() if path not in (job.train, job.test)
    ]
    rows = [task.level, task.valid_share, task.seed, job.train == job.test]
    rows += [m["data"][name] for m in both for name in ("valid", "labels") if m["data"].get(name)]
    rows += [text for text in (task.drop, "" if task.metric == "top1" else task.metric) if text]
    rows += [task.splits] if task.splits else []
    classes = task.block_classes if job.protocol == "blocks" else ()
    return digest_json([contents, rows, classes, job.protocol, evaluator.version, dataclasses.asdict(evaluator)])


def _drops(job: Job) -> bool:
    """Whether leaks may be left out: not of measures, which see test pictures only, or of heads from elsewhere."""
    return not job.task.trains_on and PROTOCOLS[job.protocol].kind == "probe"


def _leaked(out: Path, job: Job, manifests: dict[Path, dict[str, Any]]) -> tuple[str, ...]:
    """Ids of training pictures that are tested too; none where none are left out."""
    if not _drops(job):
        return ()
    data = {half: manifests[path]["data"]["digest"] for half, path in (("train", job.train), ("test", job.test))}
    return tuple(leaked_ids(out, job.task, data).tolist())


def _beside(job: Job) -> str:
    """What must be read beside the test rows: views, corruptions, other splits, or nothing."""
    if job.task.splits:
        return "splits"
    its = PROTOCOLS[job.protocol]
    if getattr(its, "needs_corruptions", False):
        return "corruptions"
    return "views" if job.beside else ""


def _rows(
    task: Task, train_path: Path, test_path: Path, beside: str, leaked: tuple[str, ...], splits: tuple[Path, ...]
) -> Rows:
    test = (read_views if beside == "views" else read_store)(test_path)
    if splits:
        test = with_severities(test, test_path, splits)
    train, valid, test = split_task(task, test if train_path == test_path else read_store(train_path), test)
    if leaked:
        train, valid = (drop_leaks(part, np.array(leaked)) for part in (train, valid))
    if beside == "corruptions" and corruptions_of(test_path):
        test = with_corruptions(test, test_path)
    return train, valid, test


def _make(out: Path, job: Job, key: str, rows: Rows, manifests: dict, dropped: int) -> Cell:
    evaluator, test = PROTOCOLS[job.protocol], rows[2]
    if evaluator.kind == "probe":
        cell = evaluator(*rows)
    else:
        test = _block_rows(job, rows[2]) if isinstance(evaluator, Blocks) else rows[2]
        cell = evaluator(test)
    about = {
        "key": key,
        "title": _title(job),
        "settings": describe(job.protocol),
        "task_settings": dataclasses.asdict(job.task),
        "classes": list(test.classes),
        "superclasses": None if test.superclasses is None else list(test.superclasses),
        "counts": {
            **{half: len(part) for half, part in zip(("train", "valid", "test"), rows, strict=True)},
            **({"dropped": dropped} if dropped else {}),
        },
        "stores": {half: manifests[path]["content"] for half, path in _halves(job, manifests).items()},
        "data": {
            "train": manifests[job.train]["data"]["digest"],
            "test": manifests[job.test]["data"]["digest"],
            # cells with and without leaks are made of other images: boards never put them side by side
            **({"dropped": job.task.drop} if job.task.drop else {}),
            **_changed(job, manifests),
        },
        "beside": beside_digest(job.beside),
        "versions": versions(),
    }
    write_cell(out, job.encoder, job.task.name, job.protocol, cell, about)
    return cell


def _halves(job: Job, manifests: dict[Path, dict[str, Any]]) -> dict[str, Path]:
    """The stores that a cell is made of by what they are: train, test; of several splits each by its name, and the clean pictures."""
    its = {"train": job.train, "test": job.test}
    for path in job.beside if job.task.splits else ():
        data = manifests[path]["data"]
        its[data["split"] if data["name"] == job.task.dataset else "clean"] = path
    return its


def _changed(job: Job, manifests: dict[Path, dict[str, Any]]) -> dict[str, str]:
    """Which corruptions the pictures were shown with: cells of other ones are of other pictures."""
    if (
        job.task.splits
    ):  # only those that are in the mean: kinds beside them, and clean pictures, make no other pictures of it
        its = [m["data"] for path, m in manifests.items() if path == job.test or path in job.beside]
        return {"corruptions": digest_json([d["digest"] for d in its if d["split"] in WHOLE])}
    if _beside(job) != "corruptions":
        return {}
    asked = [manifests[path]["request"] for path in job.beside]
    return {"corruptions": digest_json([{n: v for n, v in r.items() if n != "whole"} for r in asked])}


def _title(job: Job) -> str:
    more = {"fewshot-5": ", five labelled a class", "fewshot": ", 1 to 16 labelled a class", "robust": ", corrupted"}
    return job.task.title + more.get(job.protocol, "")


def _lacking(job: Job, rows: Rows) -> str:
    """Why a cell is left out: its classes are not of this set, or there are too few images; empty where it is made."""
    evaluator, few = PROTOCOLS[job.protocol], "there are too few images"
    if isinstance(evaluator, Blocks):
        try:
            shown_C = np.bincount(_block_rows(job, rows[2]).y_N).clip(max=evaluator.per_class)
        except ArgumentError as error:  # a preset is of one set, and there may be others beside it
            return str(error)
        return few if int(shown_C.sum()) <= evaluator.k else ""
    if rows[2].labels_NC is not None and not getattr(evaluator, "multi_label", False):
        return "a picture may have several classes"
    if getattr(evaluator, "needs_corruptions", False) and not job.beside:
        return "there are no corrupted pictures: --corruptions 100 of 'relic-eval embed' or 'transfer' makes them"
    if getattr(evaluator, "needs_views", False) and len(job.beside) < 2:
        return "there are no augmented views: --views 10 of 'relic-eval embed' or 'transfer' makes them"
    if isinstance(evaluator, Map) and len(rows[2]) < FEWEST:
        return few
    shots = min(evaluator.numbers) if isinstance(evaluator, Shots) else getattr(evaluator, "shots", 0)
    return few if shots > 0 and int(np.bincount(rows[0].y_N, minlength=len(rows[0].classes)).min()) < shots else ""


def _block_rows(job: Job, test: Embeddings) -> Embeddings:
    """The test rows of the classes whose neighbours are looked at; those of a preset with its titles and superclasses.

    Raises ArgumentError where a class of the preset is not there.
    """
    name = PROTOCOLS[job.protocol].preset
    if not name:
        return block_rows(job.task, test)
    from relic_eval.metrics.blocks import PRESETS, class_numbers_of

    preset = PRESETS[name]
    its = tuple(test.classes[c] for c in class_numbers_of(test.classes, name))
    rows = block_rows(dataclasses.replace(job.task, block_classes=its), test)
    return dataclasses.replace(rows, classes=preset.titles, superclasses=preset.superclasses)
