"""A data set that people call by a name: what it must hold, how it is read, and where to get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from relic_eval.data.folder import SIDE
from relic_eval.data.pictures import Pictures
from relic_eval.data.places import data_root
from relic_eval.data.rows import Rows, label_digest
from relic_eval.errors import DataError

SEED = 0  # of validation rows that are drawn


@dataclass(frozen=True)
class Counts:
    """What a set holds: a wrong number is an error. `train` includes the validation rows."""

    classes: int
    train: int = 0  # 0: the set is tested on only
    valid: int = 0  # 0: none of its own, a fifth of each class is drawn when a task is divided
    test: int = 0


@dataclass(frozen=True)
class Named:
    """A named set. `read(place, split)` lists a split; `place` is the set's own folder, or the one that the user names."""

    name: str
    title: str
    counts: Counts
    read: Callable[[Path, str], Rows]
    where: str  # to get it, and what to put there
    metric: str = "top1"
    official: bool = False  # the validation rows are the set's own; otherwise they are drawn, seed 0
    below: str = ""  # the folder below RELIC_EVAL_DATA; empty: `name`; ".": that folder itself
    splits: tuple[str, ...] | Callable[[Path], tuple[str, ...]] = ("train", "test")
    each: Mapping[str, int] | None = None  # of splits whose counts are not those of train and test
    quick: Callable[[Path, str, Path | None], str] | None = None  # the digest of a split without listing it
    trains_on: str = ""  # the set whose training rows it is tested with; empty: its own

    def place(self, folder: Path | None = None) -> Path:
        """Where the set lies; DataError, with where to get it, for a folder that is not there."""
        found = folder or data_root(self.name) / (self.below or self.name)
        if not found.is_dir():
            here = Path(self.name)
            own = (
                f" If it is your folder {here}: type {self.name}:{here}, or give it another name."
                if here.is_dir()
                else ""
            )
            raise DataError(f"{self.name}: expected a folder {found}, received nothing there. {self.where}{own}")
        return found

    def listed(self, folder: Path | None = None) -> tuple[str, ...]:
        """The splits that are there."""
        return self.splits(self.place(folder)) if callable(self.splits) else self.splits


def open_named(
    named: Named, split: str, folder: Path | None = None, cache: Path | None = None, counts: Counts | None = None
) -> Pictures:
    """A split of a named set, checked against its published counts, or against `counts` in their place.

    Raises DataError for a missing file or another number of pictures or classes; both numbers are named.
    """
    wanted, place = counts or named.counts, named.place(folder)
    with _told(named):
        rows = named.read(place, split)
    check_counts(named, split, rows, wanted)
    if split == "train" and rows.valid_N is None and wanted.valid:
        rows = replace(rows, valid_N=draw_valid(rows.y_N, wanted.valid, SEED))
    digest = named.quick(place, split, cache) if named.quick else label_digest(rows, cache)
    said = {"title": named.title, "metric": named.metric, "trains_on": named.trains_on}
    small = named.below == "." or rows.side != SIDE  # such pictures are corrupted at their own size
    return rows.pictures(named.name, split, digest, corrupted_at=rows.side if small else 224, **said)


def named_digest(named: Named, split: str, folder: Path | None = None, cache: Path | None = None) -> str:
    """The digest of a split without its pictures: quick where the set has a way, otherwise by listing it."""
    if not named.quick:
        return open_named(named, split, folder, cache).digest
    place = named.place(folder)
    with _told(named):
        return named.quick(place, split, cache)


@contextmanager
def _told(named: Named) -> Iterator[None]:
    """Errors of the files of a set say which set it is, and where to get it."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{named.name}: {error} {named.where}") from None


def check_counts(named: Named, split: str, rows: Rows, wanted: Counts) -> None:
    """A DataError that names both numbers where a split has not as many pictures or classes as it must."""
    expected = (named.each or {}).get(split, wanted.train if split == "train" else wanted.test)
    asked = [("pictures", expected, len(rows)), ("classes", wanted.classes, len(rows.classes))]
    if split == "train" and rows.valid_N is not None:
        asked.append(("validation pictures", wanted.valid or int(rows.valid_N.sum()), int(rows.valid_N.sum())))
    for what, number, received in asked:
        if received != number:
            raise DataError(
                f"{named.name} {split}: expected {number:,} {what}, received {received:,}. Complete it, or point at the "
                f"folder itself to use it as a set of your own. {named.where}"
            )


def draw_valid(y_N: np.ndarray, total: int, seed: int) -> np.ndarray:
    """Which of the rows (N,) validate: as many of each class where `total` divides evenly, otherwise in proportion.

    Proportions are rounded by the largest remainder, so that exactly `total` rows are drawn; each class keeps one for training.

    >>> y_N = np.repeat([0, 1, 2], [4, 4, 8])
    >>> [int(draw_valid(y_N, n, 0)[y_N == 2].sum()) for n in (3, 4)]
    [1, 2]
    """
    label_C, size_C = np.unique(y_N, return_counts=True)
    if total % len(label_C) == 0:
        wanted_C = np.full(len(label_C), total // len(label_C))
    else:
        share_C = size_C * (total / len(y_N))
        wanted_C = np.floor(share_C).astype(int)
        wanted_C[np.argsort(wanted_C - share_C, kind="stable")[: total - int(wanted_C.sum())]] += 1
    short = np.flatnonzero(wanted_C >= size_C)
    if len(short):
        raise DataError(
            f"class number {label_C[short[0]]}: expected more than {wanted_C[short[0]]} training pictures, of which so many "
            f"validate, received {size_C[short[0]]}."
        )
    rng, valid_N = np.random.default_rng(seed), np.zeros(len(y_N), bool)
    for label, wanted in zip(label_C, wanted_C, strict=True):
        valid_N[rng.permutation(np.flatnonzero(y_N == label))[:wanted]] = True
    return valid_N
