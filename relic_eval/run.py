"""Encoders x tasks x protocols -> cells. Skips what is there without reading an embedding; notes what fails and goes on."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.data.registry import NAMED
from relic_eval.data.tasks import Task, block_rows, split_task, tasks_of
from relic_eval.data.views import read_views, views_of
from relic_eval.devices import versions
from relic_eval.errors import ArgumentError, DataError, NewerError, RelicError, UnknownNameError
from relic_eval.evaluators.blocks import Blocks
from relic_eval.evaluators.table import DEFAULT, PROTOCOLS, describe
from relic_eval.files import digest_json
from relic_eval.progress import say, warn
from relic_eval.records import Cell, Embeddings
from relic_eval.results import cell_path, failure_path, forget_cell, key_of, write_cell, write_failure
from relic_eval.store import StoreName, find_stores, in_use, read_manifest, read_store, verify


@dataclasses.dataclass(frozen=True)
class Job:
    """One cell to make."""

    encoder: str
    task: Task
    protocol: str
    train: Path
    test: Path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How many cells were made, were there already, and failed."""

    made: int = 0
    skipped: int = 0
    failed: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(self.made + other.made, self.skipped + other.skipped, self.failed + other.failed)


def plan(
    out: Path,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = (),
    datasets: Sequence[str] = (),
) -> list[Job]:
    """Every cell that the stores under `out` allow, or those chosen; unknown names are errors."""
    beside = {dataset for _, dataset in in_use(out)}
    stores = find_stores(out, () if not datasets else encoders, datasets)
    if not stores:
        raise DataError(
            f"{out}: expected embedding stores, received none. Run 'relic-eval embed ... --out {out}' first."
        )
    known: dict[str, list[Task]] = {}
    for name in sorted({s.encoder for s in stores}):
        sets: dict[str, dict[str, Path]] = {}
        for store in (s for s in stores if s.encoder == name):
            sets.setdefault(store.dataset, {})[store.split] = store.path
        known[name] = [
            task
            for dataset, splits in sets.items()
            for task in tasks_of(dataset, set(splits), _above(dataset, splits), *_said(splits))
            if task.name == dataset or task.name not in beside  # another set may be called like our superclasses
        ]
    _check_names("encoder", encoders, known)
    _check_names("task", tasks, {t.name for all_tasks in known.values() for t in all_tasks})
    _check_names("protocol", protocols, PROTOCOLS)
    place = {(s.encoder, s.dataset, s.split): s.path for s in stores} | _trained_on(out, stores, known)
    lacking = {(e, t.trains_on) for e, its in known.items() for t in its if (e, _trains(t), t.train) not in place}
    for encoder, dataset in sorted(lacking):
        say(f"evaluate {encoder}: what is tested on a head of {dataset} is left out: embed {dataset} with it first")
    return [
        Job(
            encoder,
            task,
            protocol,
            place[(encoder, _trains(task), task.train)],
            place[(encoder, task.dataset, task.test)],
        )
        for encoder, its_tasks in known.items()
        if not encoders or encoder in encoders
        for task in its_tasks
        if (not tasks or task.name in tasks) and (encoder, task.trains_on) not in lacking
        for protocol in PROTOCOLS
        if protocol in protocols or (not protocols and _by_default(protocol, place[(encoder, task.dataset, task.test)]))
        if _applies(task, protocol)
    ]


def _trains(task: Task) -> str:
    return task.trains_on or task.dataset


def _trained_on(out: Path, stores: Sequence[StoreName], known: dict[str, list[Task]]) -> dict[tuple, Path]:
    """The stores of training rows that tasks have from other data sets, where not all stores were asked for."""
    there = {s.dataset for s in stores}
    others = {t.trains_on for its in known.values() for t in its if t.trains_on} - there
    found = find_stores(out, list(known), sorted(others)) if others else []
    return {(s.encoder, s.dataset, s.split): s.path for s in found}


def _above(dataset: str, splits: dict[str, Path]) -> bool:
    """Whether superclasses are a task of their own: not of named sets, whose published task is their classes."""
    return dataset not in NAMED and all(map(_has_superclasses, splits.values()))


def _said(splits: dict[str, Path]) -> tuple[str, str, tuple[str, ...], str]:
    """What a set says of its task: title, metric, classes of the block matrix, and the set whose rows train it."""
    data = read_manifest(splits.get("test") or min(splits.values()))["data"]
    blocks = tuple(data.get("blocks") or ())
    return data.get("title") or "", data.get("metric") or "top1", blocks, data.get("trains_on") or ""


def _by_default(protocol: str, test: Path) -> bool:
    return protocol in DEFAULT or (_needs_views(protocol) and bool(views_of(test)))


def _needs_views(protocol: str) -> bool:
    return getattr(PROTOCOLS[protocol], "needs_views", False)


def _has_superclasses(store: Path) -> bool:
    """Whether a store's classes have superclasses that are fewer than they, and more than one."""
    data = read_manifest(store)["data"]
    above = set(data.get("superclasses") or ())
    return 1 < len(above) < len(data["classes"])


def _applies(task: Task, protocol: str) -> bool:
    """Distances are measured between classes; few shots are drawn where the question is the classes of untouched images."""
    if PROTOCOLS[protocol].kind == "measure" or protocol == "fewshot-5":
        return task.level == "class" and not (protocol == "fewshot-5" and task.test.endswith("-shifted"))
    return True


def _lacking(job: Job, rows: tuple[Embeddings, Embeddings, Embeddings]) -> str:
    """Why a cell is left out: its classes are not of this set, or there are too few images; empty where it is made."""
    evaluator, few = PROTOCOLS[job.protocol], "there are too few images"
    if isinstance(evaluator, Blocks):
        try:
            shown_C = np.bincount(_block_rows(job, rows[2]).y_N).clip(max=evaluator.per_class)
        except ArgumentError as error:  # a preset is of one set, and there may be others beside it
            return str(error)
        return few if int(shown_C.sum()) <= evaluator.k else ""
    shots = getattr(evaluator, "shots", 0)
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


def _check_names(kind: str, asked: Sequence[str], known: Any) -> None:
    for name in asked:
        if name not in known:
            raise UnknownNameError(kind, name, known)


def evaluate(
    out: Path,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = (),
    datasets: Sequence[str] = (),
) -> Outcome:
    """Make every planned cell that is not there with the same key; a failed one is noted and the others go on."""
    counts = {"made": 0, "skipped": 0, "failed": 0}
    rows_of = lru_cache(maxsize=1)(_rows)  # the protocols of a task follow each other
    whole: set[Path] = set()  # stores whose digests were looked at
    for job in plan(out, encoders, tasks, protocols, datasets):
        label = f"evaluate {job.encoder} {job.task.name} {job.protocol}"
        names = (job.encoder, job.task.name, job.protocol)
        began = time.perf_counter()
        try:
            views = tuple(views_of(job.test)) if _needs_views(job.protocol) else ()
            manifests = {path: read_manifest(path) for path in (job.train, job.test, *views)}
            key = cell_key(job, manifests)
            if key_of(cell_path(out, *names)) == key:
                failure_path(out, *names).unlink(missing_ok=True)  # of other settings or embeddings, tried in between
                counts["skipped"] += 1
                continue
            _verify(set(manifests) - whole)
            whole.update(manifests)
            rows = rows_of(job.task, job.train, job.test, bool(views))
            lacking = _lacking(job, rows)
            if lacking:
                say(f"{label}: left out, {lacking}")
                forget_cell(out, *names)  # of a time when there were more
                continue
            cell = _make(out, job, key, rows, manifests)
            if cell.rows[0].params.get("edge"):
                say(f"{label}: what was chosen is at the end of its grid; scaled features may do better")
        except NewerError as error:  # no note: the newer version would take it for its own
            counts["failed"] += 1
            warn(f"{label}: {error}")
        except (RelicError, ArithmeticError, ValueError, RuntimeError) as error:
            counts["failed"] += 1
            message = " ".join(str(error).split())
            write_failure(out, *names, message)
            warn(f"{label}: failed: {message}")
        else:
            counts["made"] += 1
            say(f"{label}: {time.perf_counter() - began:.1f} s")
            note_time(out, label, time.perf_counter() - began)
    if counts["skipped"]:
        say(f"evaluate: {counts['skipped']} cells already there")
    return Outcome(**counts)


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
    classes = task.block_classes if job.protocol == "blocks" else ()
    return digest_json([contents, rows, classes, job.protocol, evaluator.version, dataclasses.asdict(evaluator)])


def _rows(task: Task, train_path: Path, test_path: Path, views: bool) -> tuple[Embeddings, Embeddings, Embeddings]:
    test = (read_views if views else read_store)(test_path)
    return split_task(task, test if train_path == test_path else read_store(train_path), test)


def _make(out: Path, job: Job, key: str, rows: tuple[Embeddings, Embeddings, Embeddings], manifests: dict) -> Cell:
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
        "counts": {"train": len(rows[0]), "valid": len(rows[1]), "test": len(rows[2])},
        "stores": {"train": manifests[job.train]["content"], "test": manifests[job.test]["content"]},
        "data": {"train": manifests[job.train]["data"]["digest"], "test": manifests[job.test]["data"]["digest"]},
        "versions": versions(),
    }
    write_cell(out, job.encoder, job.task.name, job.protocol, cell, about)
    return cell


def _title(job: Job) -> str:
    return f"{job.task.title}, five labelled a class" if job.protocol == "fewshot-5" else job.task.title


def note_time(out: Path, what: str, seconds: float) -> None:
    """Add a line to timings.jsonl, which no result depends on."""
    import json

    out.mkdir(parents=True, exist_ok=True)
    with open(out / "timings.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "seconds": round(seconds, 3), "at": round(time.time())}) + "\n")
