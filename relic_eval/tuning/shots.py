"""Rows of a picture set with their labels, divided as the rows of an embedding store are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from relic_eval.arrays import digest_array
from relic_eval.data.ahead import read_ahead
from relic_eval.data.leaks import drop_leaks
from relic_eval.data.pictures import Pictures
from relic_eval.data.tasks import Task, split_task
from relic_eval.errors import ArgumentError
from relic_eval.files import digest_json, read_record, write_json
from relic_eval.records import Embeddings, Transform

GLANCE = 8  # side in pixels of pictures that are read to see whether they can be; each file is decoded whole
GLANCED = 256  # pictures that are looked at in one go


@dataclass(frozen=True)
class Shots:
    """Some pictures of a split, labelled at the task's level: what evaluators take that train the encoder."""

    pictures: Pictures
    rows: np.ndarray  # (N,) int64, of `pictures`
    y_N: np.ndarray  # (N,) int64, index into `classes`
    classes: tuple[str, ...]
    labels_NC: np.ndarray | None = None  # (N, C) bool, where a picture may have several of `classes`

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def digest(self) -> str:
        """Of the pictures, which of them, their order and their labels."""
        arrays = [digest_array(np.asarray(a, np.int64)) for a in (self.rows, self.y_N)]
        return digest_json([self.pictures.digest, self.pictures.split, *arrays, self.classes])

    def take(self, places: np.ndarray) -> Shots:
        """Those at these places (or of this mask), in this order."""
        labels_NC = None if self.labels_NC is None else self.labels_NC[places]
        return replace(self, rows=self.rows[places], y_N=self.y_N[places], labels_NC=labels_NC)

    def labelled(self) -> Embeddings:
        """Ids and labels alone, without features, as the tables of a cell are made of."""
        return Embeddings(
            np.zeros((len(self), 0)),
            self.y_N,
            self.classes,
            ids=self.pictures.ids[self.rows],
            labels_NC=self.labels_NC,
            metric=self.pictures.metric,
        )


def divide(
    task: Task, train: Pictures, test: Pictures, left_out: tuple[Sequence[int], Sequence[int]] = ((), ())
) -> tuple[Shots, Shots, Shots]:
    """Training, validation and test pictures of a task: the same rows that `split_task` gives of embeddings.

    `left_out` are the rows of either split that could not be read when they were embedded (`data.absent` of the manifest).
    Raises DataError where a class has too few rows.

    >>> from relic_eval.data.pictures import from_array
    >>> p = from_array("toy", "all", np.zeros((10, 2, 2), np.uint8), np.repeat([0, 1], 5), ("a", "b"), digest="d")
    >>> [len(part) for part in divide(Task("t", "t", "toy", train="all", test="all"), p, p)]
    [6, 2, 2]
    """
    parts = split_task(task, _numbered(train, left_out[0]), _numbered(test, left_out[1]))
    sources = (train, train, train if task.train == task.test else test)
    made = (
        Shots(p, e.x_ND[:, 0].astype(np.int64), e.y_N, e.classes, e.labels_NC)
        for p, e in zip(sources, parts, strict=True)
    )
    return tuple(made)  # type: ignore[return-value]


def joined(one: Shots, other: Shots) -> Shots:
    """Both, of one split: first the one's rows, then the other's. Raises ArgumentError for two splits.

    >>> from relic_eval.data.pictures import from_array
    >>> p = from_array("toy", "all", np.zeros((4, 2, 2), np.uint8), np.array([0, 1, 0, 1]), ("a", "b"), digest="d")
    >>> whole = Shots(p, np.arange(4), p.y_N, p.classes)
    >>> joined(whole.take(np.array([2])), whole.take(np.array([1]))).rows
    array([2, 1])
    """
    if (one.pictures.digest, one.pictures.split, one.classes) != (
        other.pictures.digest,
        other.pictures.split,
        other.classes,
    ):
        received = f"{one.pictures.split} and {other.pictures.split}, or two sets"
        raise ArgumentError("valid", "rows of the split that trains", received)
    both = None if one.labels_NC is None or other.labels_NC is None else [one.labels_NC, other.labels_NC]
    return replace(
        one,
        rows=np.concatenate([one.rows, other.rows]),
        y_N=np.concatenate([one.y_N, other.y_N]),
        labels_NC=None if both is None else np.concatenate(both),
    )


def without_leaked(shots: Shots, ids: np.ndarray) -> Shots:
    """Training (or validation) pictures without those of these ids; DataError where a class would have none left.

    >>> from relic_eval.data.pictures import from_array
    >>> p = from_array("toy", "all", np.zeros((4, 2, 2), np.uint8), np.array([0, 1, 0, 1]), ("a", "b"), digest="d")
    >>> without_leaked(Shots(p, np.arange(4), p.y_N, p.classes), np.array(["toy/all/2"])).rows
    array([0, 1, 3])
    """
    drop_leaks(shots.labelled(), ids)
    return shots.take(~np.isin(shots.pictures.ids[shots.rows], ids.astype(str)))


def unreadable(pictures: Pictures, notes: Path) -> list[int]:
    """Rows of the pictures that cannot be read: one pass over all, whose finding is noted in `notes`, by their digest.

    >>> from relic_eval.data.pictures import from_array; import tempfile
    >>> p = from_array("toy", "all", np.zeros((4, 2, 2), np.uint8), np.array([0, 1, 0, 1]), ("a", "b"), digest="d")
    >>> unreadable(p, Path(tempfile.mkdtemp()))
    []
    """
    note = notes / f"unreadable-{digest_json([pictures.digest, pictures.split])[:16]}.json"
    if note.exists():
        return list(read_record(note, {"rows": list})["rows"])
    rows = np.arange(len(pictures))
    with closing(read_ahead(pictures, rows, Transform(GLANCE), GLANCED)) as batches:
        found = sorted(row for batch in batches for row in batch.problems)
    write_json(note, {"rows": found})
    return found


def _numbered(pictures: Pictures, left_out: Sequence[int]) -> Embeddings:
    """The split as embeddings of one column, the number of the row."""
    gone = np.array(sorted(left_out), np.int64)
    rows = np.setdiff1d(np.arange(len(pictures)), gone)
    absent_M2 = np.stack([gone, pictures.y_N[gone]], 1) if len(gone) else None
    valid_N = None if pictures.valid_N is None else pictures.valid_N[rows]
    return Embeddings(
        rows[:, None].astype(np.float64),
        pictures.y_N[rows],
        pictures.classes,
        pictures.superclasses,
        absent_M2=absent_M2,
        valid_N=valid_N,
        labels_NC=None if pictures.labels_NC is None else pictures.labels_NC[rows],
    )
