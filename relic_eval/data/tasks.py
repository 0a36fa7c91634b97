"""A task: which rows of which splits train, choose and test, and at which level of the hierarchy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from relic_eval.data.severities import WHOLE, lacking
from relic_eval.errors import ArgumentError, DataError
from relic_eval.records import Embeddings


@dataclass(frozen=True)
class Task:
    """Splits and labels of one question. With train == test the rows are divided 60 / 20 / 20, stratified."""

    name: str
    title: str
    dataset: str
    train: str = "train"
    test: str = "test"
    level: str = "class"  # or "superclass"
    valid_share: float = 0.2  # of the training rows of each class
    seed: int = 0
    metric: str = "top1"  # or mean_per_class, map11
    drop: str = ""  # digest of the training pictures that are left out as leaks; empty: none are
    block_classes: tuple[str, ...] = ()  # for the neighbour block matrix; empty: the first MOST_BLOCKS by superclass
    trains_on: str = ""  # the data set whose training rows train it; empty: its own
    splits: tuple[str, ...] = ()  # all that test together, `test` the first of them; empty: only that


MOST_BLOCKS = 6
_CLOTHES = ("Pullover", "Coat", "Sneaker", "Ankle boot")
TASKS = {
    task.name: task
    for task in (
        Task("fashion", "Fashion, ten classes", "fashion", block_classes=_CLOTHES),
        Task("fashion-super", "Fashion, superclasses", "fashion", level="superclass"),
        Task("fashion-shifted", "Fashion, test images shifted", "fashion", test="test-shifted", block_classes=_CLOTHES),
        Task("digits", "Digits, transfer", "digits", train="all", test="all"),
    )
}


def tasks_of(
    dataset: str,
    splits: set[str],
    superclasses: bool = False,
    title: str = "",
    metric: str = "top1",
    blocks: tuple[str, ...] = (),
    trains_on: str = "",
) -> tuple[Task, ...]:
    """The tasks of a data set: those in the table, or one over all its classes and, where it has them, one over superclasses.

    >>> [t.name for t in tasks_of("fashion", {"train", "test"})]
    ['fashion', 'fashion-super']
    >>> [(t.name, t.train) for t in tasks_of("birds", {"all"}, superclasses=True)]
    [('birds', 'all'), ('birds-super', 'all')]
    >>> [(t.name, t.test, len(t.splits)) for t in tasks_of("imagenet-c", {*WHOLE, "spatter-1"}, trains_on="imagenet")]
    [('imagenet-c', 'gaussian_noise-1', 76)]
    >>> [(t.name, t.train, t.test) for t in tasks_of("imagenet-c", {"fog-1", "fog-2"}, trains_on="imagenet")]
    [('imagenet-c-fog-1', 'train', 'fog-1'), ('imagenet-c-fog-2', 'train', 'fog-2')]
    """
    if trains_on:
        return _of_another_head(dataset, splits, title or dataset, metric, trains_on)
    known = [t for t in TASKS.values() if t.dataset == dataset]
    if known:
        return tuple(t for t in known if {t.train, t.test} <= splits)
    halves = ("train", "test") if {"train", "test"} <= splits else (min(splits),) * 2
    task = Task(dataset, title or dataset, dataset, *halves, metric=metric, block_classes=blocks)
    if not superclasses:
        return (task,)
    above = dataclasses.replace(task, name=f"{dataset}-super", title=f"{task.title}, superclasses", level="superclass")
    return (task, above)


def _of_another_head(dataset: str, splits: set[str], title: str, metric: str, trains_on: str) -> tuple[Task, ...]:
    """One for each split that is tested; where all 75 of ImageNet-C are there, one over them."""
    shared: dict[str, Any] = {"metric": metric, "trains_on": trains_on}
    if not lacking(splits):
        its = (*WHOLE, *sorted(splits - set(WHOLE)))
        return (Task(dataset, title, dataset, test=its[0], splits=its, **shared),)
    return tuple(
        Task(dataset, title, dataset, test=split, **shared)
        if split == "test"
        else Task(f"{dataset}-{split}", f"{title}, {split}", dataset, test=split, **shared)
        for split in sorted(splits)
    )


def refuse_bundled_name(argument: str, dataset: str, split: str = "") -> None:
    """An error where a set of one's own has the name of a bundled task; embeddings of a bundled split may have its name.

    >>> refuse_bundled_name("--data", "fashion-super")
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: --data: expected a name of its own, received 'fashion-super'. ...
    """
    splits = {s for t in TASKS.values() if t.dataset == dataset for s in (t.train, t.test)}
    if dataset in TASKS and split not in splits:
        raise ArgumentError(
            argument,
            "a name of its own",
            repr(dataset),
            "A bundled task has that name: choose another (a link to it will do).",
        )


def split_task(task: Task, train: Embeddings, test: Embeddings) -> tuple[Embeddings, Embeddings, Embeddings]:
    """Training, validation and test rows of a task, stratified by class and the same for every encoder.

    Raises DataError where a class has too few rows to be in each of them.

    >>> e = Embeddings(np.zeros((10, 1)), np.repeat([0, 1], 5), ("a", "b"))
    >>> [len(part) for part in split_task(Task("t", "t", "d", train="all", test="all"), e, e)]
    [6, 2, 2]
    """
    if task.train == task.test:  # whole sets keep no rows for validation themselves
        valid_N, test_N = _marks_of_all(train, (task.valid_share, task.valid_share), task.seed)
        parts = (train.take(~(valid_N | test_N)), train.take(valid_N), train.take(test_N))
    else:
        own_N = train.valid_N
        valid_N = _marks_of_all(train, (task.valid_share,), task.seed)[0] if own_N is None else own_N
        parts = (train.take(~valid_N), train.take(valid_N), named_alike(test, train))
    if task.level == "superclass":
        parts = tuple(to_superclasses(part) for part in parts)  # type: ignore[assignment]
    return tuple(dataclasses.replace(part, metric=task.metric) for part in parts)  # type: ignore[return-value]


def named_alike(test: Embeddings, train: Embeddings) -> Embeddings:
    """The test rows with the class numbers of the training rows: each split numbers its own classes from 0 on.

    >>> train, test = (Embeddings(np.zeros((1, 1)), np.array([0]), names) for names in (("a", "b"), ("b",)))
    >>> named_alike(test, train).y_N, named_alike(test, train).classes
    (array([1]), ('a', 'b'))
    """
    if test.classes == train.classes:
        return test
    unknown = [name for name in test.classes if name not in train.classes]
    if unknown:
        raise DataError(
            f"expected test classes that the training rows have too, received {unknown[0]!r}"
            f"{f' and {len(unknown) - 1} more' if len(unknown) > 1 else ''}. Add training rows or leave these classes out."
        )
    number_C = np.array([train.classes.index(name) for name in test.classes])
    labels_NC = None
    if test.labels_NC is not None:
        labels_NC = np.zeros((len(test), len(train.classes)), bool)
        labels_NC[:, number_C] = test.labels_NC
    numbered = {"y_N": number_C[test.y_N], "classes": train.classes, "superclasses": train.superclasses}
    return dataclasses.replace(test, labels_NC=labels_NC, **numbered)


def pretraining_rows(split: str, y_N: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Rows of a split that pretraining may see: of a set that is divided later, never those that will test.

    >>> len(pretraining_rows("all", np.repeat([0, 1], 10), ("a", "b"))), len(pretraining_rows("train", np.zeros(9, int), ("a",)))
    (16, 9)
    """
    rows = np.arange(len(y_N))
    if split != "all":
        return rows
    task = Task("", "", "", train=split, test=split)
    marked = _marks(y_N, classes, (task.valid_share, task.valid_share), task.seed)
    return rows[~marked[1]]


def rows_that_test(split: str, y_N: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Rows of a split that will test: of a set that is divided later, those that pretraining may never see.

    >>> len(rows_that_test("all", np.repeat([0, 1], 10), ("a", "b"))), len(rows_that_test("test", np.zeros(9, int), ("a",)))
    (4, 9)
    """
    rows = np.arange(len(y_N))
    return np.setdiff1d(rows, pretraining_rows(split, y_N, classes)) if split == "all" else rows


def _marks_of_all(rows: Embeddings, shares: tuple[float, ...], seed: int) -> tuple[np.ndarray, ...]:
    """The masks of the whole listing, pictures that were left out included, for the rows that are there.

    Otherwise one unreadable picture would divide all later ones anew, and pretraining would have seen rows that test.
    """
    absent_M2 = np.empty((0, 2), np.int64) if rows.absent_M2 is None else rows.absent_M2
    there_N = np.ones(len(rows) + len(absent_M2), bool)
    there_N[absent_M2[:, 0]] = False
    y_N = np.empty(len(there_N), np.int64)
    y_N[there_N], y_N[~there_N] = rows.y_N, absent_M2[np.argsort(absent_M2[:, 0]), 1]
    masks = tuple(mask[there_N] for mask in _marks(y_N, rows.classes, shares, seed))
    for part in (~np.any(masks, axis=0), *masks):
        lacking = np.setdiff1d(rows.y_N, rows.y_N[part])
        if len(lacking):
            raise DataError(
                f"class {rows.classes[lacking[0]]!r}: expected a readable picture in every part of the division, received "
                "none in one of them. Mend the unreadable pictures, or add some to this class."
            )
    return masks


def _marks(y_N: np.ndarray, classes: tuple[str, ...], shares: tuple[float, ...], seed: int) -> tuple[np.ndarray, ...]:
    """One mask a share: of each class, at least one row, chosen with the seed."""
    rng = np.random.default_rng(seed)
    masks = tuple(np.zeros(len(y_N), bool) for _ in shares)
    for label in np.unique(y_N):
        order = rng.permutation(np.flatnonzero(y_N == label))
        if len(order) <= len(shares):
            raise DataError(
                f"class {classes[label]!r}: expected at least {len(shares) + 1} labelled rows to divide, received "
                f"{len(order)}. Add rows of this class or leave it out."
            )
        start = 0
        for mask, share in zip(masks, shares, strict=True):
            count = max(1, round(share * len(order)))
            mask[order[start : start + count]] = True
            start += count
    return masks


def to_superclasses(rows: Embeddings) -> Embeddings:
    """The same rows labelled by superclass.

    >>> e = Embeddings(np.zeros((2, 1)), np.array([0, 1]), ("cat", "dog"), ("pet", "pet"))
    >>> to_superclasses(e).y_N, to_superclasses(e).classes
    (array([0, 0]), ('pet',))
    """
    if rows.superclasses is None:
        raise DataError("expected a superclass for every class, received none. Give the data set a superclasses.csv.")
    names = tuple(dict.fromkeys(rows.superclasses))
    number_C = np.array([names.index(name) for name in rows.superclasses])
    labels_NC = None
    if rows.labels_NC is not None:
        labels_NC = np.stack([rows.labels_NC[:, number_C == s].any(1) for s in range(len(names))], 1)
    return dataclasses.replace(rows, y_N=number_C[rows.y_N], classes=names, superclasses=None, labels_NC=labels_NC)


def block_rows(task: Task, rows: Embeddings) -> Embeddings:
    """The rows of the task's block classes, classes renumbered in the order class within superclass.

    >>> e = Embeddings(np.zeros((3, 1)), np.array([0, 1, 2]), ("a", "b", "c"))
    >>> block_rows(Task("t", "t", "d", block_classes=("c", "a")), e).classes
    ('c', 'a')
    """
    above = rows.superclasses or ("",) * len(rows.classes)
    firsts = list(dict.fromkeys(above))
    ordered = sorted(rows.classes, key=lambda name: firsts.index(above[rows.classes.index(name)]))
    chosen = [name for name in task.block_classes if name in rows.classes] or ordered[:MOST_BLOCKS]
    old = [rows.classes.index(name) for name in chosen]
    place = np.full(len(rows.classes), -1)
    place[old] = np.arange(len(old))
    kept = rows.take(place[rows.y_N] >= 0)
    superclasses = None if rows.superclasses is None else tuple(above[i] for i in old)
    return dataclasses.replace(kept, y_N=place[kept.y_N], classes=tuple(chosen), superclasses=superclasses)
