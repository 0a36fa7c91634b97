"""Results before and after, cell by cell: what changed, by how much, and whether it is certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from relic_eval.cells import Result
from relic_eval.errors import ArgumentError
from relic_eval.metrics.hypotheses import holm
from relic_eval.metrics.statistics import interval, square_and_add
from relic_eval.pairing import finest_strata, metric_of, test_items, training_draws
from relic_eval.scoring import METRICS, scored
from relic_eval.tuning.overlaps import aligned

Names = tuple[str, str, str]  # encoder, task, protocol
Weights = Mapping[tuple[str, str], set[str]]  # by encoder and data set: digests of the weights behind its embeddings


@dataclass(frozen=True)
class Revised:
    """One cell that both results have. Values and change are fractions where the metric is an accuracy.

    `how` the change was taken: "paired" on the same images, "unpaired" from both intervals as if of other images, "same" where
    both cells hold the same numbers, "none" where there is no interval, or nothing to compare; `why` says so in words.
    `certain`: the 95% interval excludes 0, and so does p after Holm's correction for all cells that have one.
    """

    encoder: str
    after_encoder: str
    task: str
    protocol: str
    title: str
    metric: str
    before: float | None
    before_low: float | None
    before_high: float | None
    after: float | None
    after_low: float | None
    after_high: float | None
    n: int  # images that the newer cell tests
    change: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    certain: bool = False
    how: str = "none"
    why: str = ""
    weights: str = "unknown"  # same, changed, or unknown

    @property
    def share(self) -> bool:
        """Whether values are fractions, which are shown as per cent."""
        return self.metric in METRICS or self.metric.endswith("purity")


@dataclass(frozen=True)
class Differs:
    """One setting, version or set of pictures that is another in the newer results; `where` it counts."""

    where: str
    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Revision:
    """All cells of two results: those that both have, those that one has, those that could not be read, and what else differs."""

    cells: tuple[Revised, ...]
    only_before: tuple[Names, ...] = ()
    only_after: tuple[Names, ...] = ()
    differs: tuple[Differs, ...] = ()
    unread_before: tuple[str, ...] = ()
    unread_after: tuple[str, ...] = field(default=())

    @property
    def certain(self) -> tuple[Revised, ...]:
        """Cells that changed for certain, the largest changes of accuracies first.

        >>> Revision(()).certain
        ()
        """
        found = [c for c in self.cells if c.certain]
        return tuple(sorted(found, key=lambda c: (not c.share, -abs(c.change or 0), c.encoder, c.task, c.protocol)))


def revised(
    before: Sequence[Result],
    after: Sequence[Result],
    *,
    weights: tuple[Weights, Weights] = ({}, {}),
    draws: int = 10_000,
    seed: int = 0,
) -> Revision:
    """Compare cells of the same encoder, task and protocol.

    >>> revised([], [])
    Revision(cells=(), only_before=(), only_after=(), differs=(), unread_before=(), unread_after=())
    """
    old, new = ({(r.encoder, r.task, r.protocol): r for r in results} for results in (before, after))
    both = [name for name in sorted(old) if name in new]
    cells = [_revised(old[name], new[name], weights, draws, seed) for name in both]
    # what is the same to the last answer was not tested, and costs the others nothing
    tested = [i for i, c in enumerate(cells) if c.p is not None and not c.low == c.high == 0]
    for place, rejected in zip(tested, holm(np.array([cells[i].p for i in tested], float)), strict=True):
        low, high = cells[place].low or 0.0, cells[place].high or 0.0
        cells[place] = replace(cells[place], certain=bool(rejected) and (low > 0 or high < 0))
    pairs = [(old[name], new[name]) for name in both]
    return Revision(
        tuple(cells),
        tuple(name for name in sorted(old) if name not in new),
        tuple(name for name in sorted(new) if name not in old),
        (*_settings(pairs), *_data(pairs), *_versions(pairs)),
    )


def revision_table(revision: Revision) -> list[dict[str, Any]]:
    """One flat record a cell that both have: what CSV, JSON and DataFrame hold.

    >>> revision_table(Revision(()))
    []
    """
    return [{f.name: getattr(c, f.name) for f in fields(Revised)} for c in revision.cells]


def _revised(a: Result, b: Result, weights: tuple[Weights, Weights], draws: int, seed: int) -> Revised:
    first, last = a.cell.rows[0], b.cell.rows[0]
    found = Revised(
        encoder=a.encoder,
        after_encoder=b.encoder,
        task=b.task,
        protocol=b.protocol,
        title=str(b.about["title"]),
        metric=last.metric,
        before=first.value,
        before_low=first.low,
        before_high=first.high,
        after=last.value,
        after_low=last.low,
        after_high=last.high,
        n=last.n,
        weights=_weights(a, b, weights),
    )
    judged = (first.metric, metric_of(a)), (last.metric, metric_of(b))
    if judged[0] != judged[1]:
        was, now = (" of ".join(dict.fromkeys(m)) for m in judged)
        return replace(found, why=f"judged by {was} before and {now} after")
    if first.value is None or last.value is None:
        return replace(found, why="one of the two has no value")
    change = last.value - first.value
    if a.about["files"] == b.about["files"]:
        return replace(found, change=0.0, low=0.0, high=0.0, p=1.0, how="same", why="both hold the same numbers")
    images = _unlike_images(a, b)
    if not images and _answers(a) and _answers(b):
        its = scored([a, _beside(b, a)], finest_strata([a, b]), draws=draws, seed=seed)
        value, sample_B = float(its.value_M[1] - its.value_M[0]), its.sample_MB[1] - its.sample_MB[0]
        low, high = (float(end) for end in interval(sample_B))
        p = float(its.p_MM[0, 1])
        return replace(found, change=value, low=low, high=high, p=p, how="paired", why="on the same images")
    ends_a, ends_b = (first.low, first.high), (last.low, last.high)
    if None in (*ends_a, *ends_b):
        return replace(found, change=change, why=images or "no interval is known")
    low, high, p = square_and_add(first.value, ends_a, last.value, ends_b)  # type: ignore[arg-type]
    why = images or "as if of other images: this measure keeps no answer that could be paired"
    return replace(found, change=change, low=low, high=high, p=p, how="unpaired", why=why)


def _unlike_images(a: Result, b: Result) -> str:
    """Why the answers of two cells cannot be paired: not of the same images, or not as often; empty where they can."""
    if a.about["data"]["test"] != b.about["data"]["test"]:
        return "the test images or their labels are others"
    if training_draws(a) != training_draws(b):
        return f"{training_draws(a)} training draws before and {training_draws(b)} after"
    if not np.array_equal(test_items(a), test_items(b)):
        return "other images of the same set were tested"
    return _unlike_masks(a, b)


def _unlike_masks(a: Result, b: Result) -> str:
    """Why the pixels of two cells cannot be paired: settings may give masks of another size, or more trainings."""
    tables = [t for r in (a, b) if (t := r.cell.overlaps) is not None]
    if len(tables) < 2:
        return ""
    try:
        aligned(tables, 1 + max(int(t["class"].max()) for t in tables))
    except ArgumentError:
        return "masks of another size, or another number of trainings"
    return ""


def _answers(result: Result) -> bool:
    """Whether a cell keeps, of each image, what its value is made of, so that two can be paired."""
    cell, first = result.cell, result.cell.rows[0]
    if first.metric in METRICS:  # what is resampled is the metric of the task
        return first.metric == metric_of(result) and (cell.predictions or cell.overlaps) is not None
    if cell.predictions is None or metric_of(result) != "top1":
        return False
    return abs(float(np.mean(cell.predictions["correct"])) - (first.value or 0.0)) < 1e-6  # a purity is such a mean


def _beside(result: Result, other: Result) -> Result:
    """The cell as if it were made of the other's training images too, which the pairing of test images does not ask for."""
    return replace(result, about={**result.about, "data": other.about["data"]})


def _weights(a: Result, b: Result, weights: tuple[Weights, Weights]) -> str:
    """Whether the weights behind both cells are the same, as far as they or their embeddings say."""
    its = [
        {str(r.about["weights"])}
        if r.about.get("weights")
        else known.get((r.encoder, str(r.about["task_settings"]["dataset"])), set())
        for r, known in zip((a, b), weights, strict=True)
    ]
    if its[0] and its[1]:
        return "same" if its[0] == its[1] else "changed"
    return "same" if a.about["stores"] and a.about["stores"] == b.about["stores"] else "unknown"


def _settings(pairs: Sequence[tuple[Result, Result]]) -> list[Differs]:
    """Settings of protocols and divisions that differ, each once however many cells it counts for."""
    found: dict[Differs, None] = {}
    for a, b in pairs:
        old, new = ({k: v for k, v in r.about["settings"].items() if k != "source"} for r in (a, b))
        found |= dict.fromkeys(_unlike(b.protocol, old, new))
        old, new = ({k: v for k, v in r.about["task_settings"].items() if k not in _NAMES} for r in (a, b))
        found |= dict.fromkeys(_unlike(b.task, old, new))
    return list(found)


_NAMES = ("title", "name")  # of a task: no number depends on them


def _unlike(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Differs]:
    names = [*old, *(name for name in new if name not in old)]
    return [
        Differs(where, name, _plain(old.get(name, "none")), _plain(new.get(name, "none")))
        for name in names
        if old.get(name, "none") != new.get(name, "none")
    ]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _data(pairs: Sequence[tuple[Result, Result]]) -> list[Differs]:
    """Sets of images that are others, by the first signs of their digests."""
    found: dict[Differs, None] = {}
    for a, b in pairs:
        for half, name in (("train", "training images"), ("test", "test images")):
            old, new = (str(r.about["data"].get(half, "")) for r in (a, b))
            if old != new:
                found[Differs(b.task, name, old[:12], new[:12])] = None
    return list(found)


def _versions(pairs: Sequence[tuple[Result, Result]]) -> list[Differs]:
    """Packages of which the cells name other versions; of several on one side all."""
    sides: list[dict[str, set[str]]] = [{}, {}]
    for pair in pairs:
        for side, result in zip(sides, pair, strict=True):
            for package, version in result.about["versions"].items():
                side.setdefault(package, set()).add(str(version))
    every = sorted({*sides[0], *sides[1]})
    texts = [{package: ", ".join(sorted(side.get(package, {"none"}))) for package in every} for side in sides]
    return [Differs("versions", p, texts[0][p], texts[1][p]) for p in every if texts[0][p] != texts[1][p]]
