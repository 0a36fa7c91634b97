"""Which cells the stores allow: encoders x tasks x protocols."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from relic_eval.data.registry import NAMED
from relic_eval.data.severities import WHOLE, lacking
from relic_eval.data.tasks import Task, tasks_of
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.evaluators.fewshot import FewShot
from relic_eval.evaluators.robust import Robust
from relic_eval.evaluators.shots import Shots
from relic_eval.evaluators.table import DEFAULT, PROTOCOLS
from relic_eval.progress import say
from relic_eval.results import stores_beside
from relic_eval.store import StoreName, find_stores, in_use, read_manifest
from relic_eval.tuning.table import PROTOCOLS as TUNED


@dataclasses.dataclass(frozen=True)
class Job:
    """One cell to make."""

    encoder: str
    task: Task
    protocol: str
    train: Path
    test: Path
    # stores of views or corrupted pictures of the test pictures; of a task of several splits the others, then the clean pictures
    beside: tuple[Path, ...] = ()


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
    for name in protocols:
        if name in TUNED:
            hint = f"Type: relic-eval transfer ENCODER --data SET --protocol {name}."
            raise ArgumentError(
                "protocol", "one that measures embeddings", f"{name}, which needs pictures and the network", hint
            )
    _check_names("protocol", protocols, PROTOCOLS)
    place = {(s.encoder, s.dataset, s.split): s.path for s in stores} | _trained_on(out, stores, known)
    headless = {(e, t.trains_on) for e, its in known.items() for t in its if (e, _trains(t), t.train) not in place}
    for encoder, dataset in sorted(headless):
        say(f"evaluate {encoder}: what is tested on a head of {dataset} is left out: embed {dataset} with it first")
    for encoder, its in known.items():
        if not encoders or encoder in encoders:
            _say_what_is_lacking(encoder, its)
    return [
        _job(encoder, task, protocol, place)
        for encoder, its_tasks in known.items()
        if not encoders or encoder in encoders
        for task in its_tasks
        if (not tasks or task.name in tasks) and (encoder, task.trains_on) not in headless
        for protocol in PROTOCOLS
        if protocol in protocols
        or (not protocols and _by_default(task, protocol, place[(encoder, task.dataset, task.test)]))
        if _applies(encoder, task, protocol, bool(protocols))
    ]


def _job(encoder: str, task: Task, protocol: str, place: dict[tuple, Path]) -> Job:
    test = place[(encoder, task.dataset, task.test)]
    beside = stores_beside(protocol, test)
    if task.splits:
        clean = place.get((encoder, task.trains_on, "test"))
        beside = [*(place[(encoder, task.dataset, s)] for s in task.splits[1:]), *([clean] if clean else [])]
    return Job(encoder, task, protocol, place[(encoder, _trains(task), task.train)], test, tuple(beside))


def _say_what_is_lacking(encoder: str, tasks: Sequence[Task]) -> None:
    """Name the splits for want of which a set has no mean over all."""
    splits: dict[str, set[str]] = {}
    for task in tasks:
        if task.trains_on and task.test in WHOLE and not task.splits:
            splits.setdefault(task.dataset, set()).add(task.test)
    for dataset, its in splits.items():
        names = lacking(its)
        say(
            f"evaluate {encoder} {dataset}: {len(names)} of {len(WHOLE)} splits are missing, so that there is no mean and no mCE; "
            f"each of the others is measured by itself. Missing: {', '.join(names)}"
        )


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


def _by_default(task: Task, protocol: str, test: Path) -> bool:
    """Whether a protocol is run where none is named; of a set without training rows of its own, how a head from elsewhere does."""
    if task.trains_on:
        return getattr(PROTOCOLS[protocol], "other_set", False)
    return protocol in DEFAULT or bool(stores_beside(protocol, test))


def _has_superclasses(store: Path) -> bool:
    """Whether a store's classes have superclasses that are fewer than they, and more than one."""
    data = read_manifest(store)["data"]
    above = set(data.get("superclasses") or ())
    return 1 < len(above) < len(data["classes"])


def _applies(encoder: str, task: Task, protocol: str, named: bool) -> bool:
    reason = why_not(task, protocol)
    if reason and named:
        say(f"evaluate {encoder} {task.name} {protocol}: left out, {reason}")
    return not reason


def why_not(task: Task, protocol: str) -> str:
    """Why a protocol does not judge a task; empty where it does.

    >>> why_not(Task("t", "t", "d", metric="map11"), "knn")
    'a picture may have several classes'
    """
    its = PROTOCOLS[protocol]
    elsewhere, measure = getattr(its, "other_set", False), its.kind == "measure"
    if elsewhere and not task.trains_on:
        return "it is for sets that have no training rows of their own"
    if task.trains_on and not elsewhere and not measure:
        return "the set has no training rows of its own: robust-sets is for it"
    if task.splits and measure:
        return "it measures one split, and the set is the mean over several"
    if task.metric == "map11" and not getattr(its, "multi_label", False):
        return "a picture may have several classes"
    if task.level != "class" and (measure or isinstance(its, FewShot | Shots | Robust)):
        return "it asks for the classes themselves"
    if task.test.endswith("-shifted") and isinstance(its, FewShot | Shots | Robust):
        return "it is for untouched images"
    return ""


def _check_names(kind: str, asked: Sequence[str], known: Any) -> None:
    for name in asked:
        if name not in known:
            raise UnknownNameError(kind, name, known)
