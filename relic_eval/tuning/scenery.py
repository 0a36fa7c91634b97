"""Pictures with a class for every pixel: their division, and what is left out of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relic_eval.arrays import digest_array
from relic_eval.errors import ArgumentError, DataError, UnreadableError
from relic_eval.files import digest_json, read_record, write_json
from relic_eval.progress import track

if TYPE_CHECKING:
    from relic_eval.data.scenes import Scenes

NONE = -1  # the class of pixels that are neither trained nor judged, and of those outside of a picture
THREADS = min(8, os.cpu_count() or 1)  # that look which pictures can be read


@dataclass(frozen=True)
class SceneRows:
    """Some pictures of one split."""

    scenes: Scenes
    rows: np.ndarray  # (N,) int64

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> np.ndarray:
        """(N,) str."""
        return self.scenes.ids[self.rows]

    @cached_property
    def sizes_N2(self) -> np.ndarray:
        """Height and width in pixels, found when they are first asked for. Raises UnreadableError, naming the file."""
        return self.scenes.sizes(self.rows)

    @property
    def digest(self) -> str:
        """Of pictures and masks, which of them, and their order."""
        rows = digest_array(np.asarray(self.rows, np.int64))
        return digest_json([self.scenes.digest, self.scenes.split, rows, self.scenes.ignore, self.scenes.classes])

    def take(self, places: np.ndarray) -> SceneRows:
        """Those at these places."""
        return replace(self, rows=self.rows[places])


def divide_scenes(
    train: Scenes,
    test: Scenes,
    valid: Scenes | None = None,
    *,
    share: float = 0.2,
    seed: int = 0,
    left_out: Mapping[str, Sequence[int]] = {},
) -> tuple[SceneRows, SceneRows, SceneRows]:
    """Training, validation and test pictures; where the set keeps none for validation, a share of the training pictures.

    A set of one split is divided 60 / 20 / 20, as `split_task` divides a class. `left_out` are rows, by split, that cannot be
    read: they leave after the division, so that all others keep their part. Raises DataError where a part has none left.
    """
    if len({s.classes for s in (train, test, *([valid] if valid else []))}) > 1:
        raise ArgumentError("test", f"the classes of {train.split}", "others")
    order = np.random.default_rng(seed).permutation(len(train))
    count = 0 if valid is not None else max(1, round(share * len(train)))
    whole = train.split == test.split
    tested = order[count : 2 * count] if whole else np.arange(len(test))
    judged = (train, order[:count]) if valid is None else (valid, np.arange(len(valid)))
    parts = {"train": (train, order[2 * count if whole else count :]), "validate": judged, "test": (test, tested)}
    made = []
    for use, (scenes, rows) in parts.items():
        readable = np.setdiff1d(rows, np.array(left_out.get(scenes.split, ()), np.int64))
        if not len(readable):
            raise DataError(
                f"{scenes.name}: expected readable pictures with masks to {use}, received none of {len(scenes)} in "
                f"{scenes.split}. Add some, or mend those that cannot be read."
            )
        made.append(SceneRows(scenes, readable))
    return tuple(made)  # type: ignore[return-value]


def without_leaked_scenes(part: SceneRows, ids: np.ndarray) -> SceneRows:
    """Training (or validation) pictures without those of these ids; DataError where none is left."""
    left = part.take(~np.isin(part.ids, ids.astype(str)))
    if not len(left):
        raise DataError(
            f"{part.scenes.name}: expected training pictures that are not tested too, received none. Mend the division of "
            "the set, or evaluate without dropping leaks."
        )
    return left


def unreadable_scenes(scenes: Scenes, notes: Path) -> list[int]:
    """Rows whose picture or mask cannot be read: one pass over all, whose finding is noted in `notes`, by their digest.

    Raises DataError, as `Scenes.read` does, for a mask that can be read and holds no numbers of classes.
    """
    note = notes / f"unreadable-{digest_json([scenes.digest, scenes.split])[:16]}.json"
    if note.exists():
        return list(read_record(note, {"rows": list})["rows"])

    def whole(row: int) -> bool:
        try:
            scenes.read(row)
        except UnreadableError:
            return False
        return True

    pool = ThreadPoolExecutor(THREADS)
    try:
        title = f"reading {scenes.name} {scenes.split}"
        fine = list(track(pool.map(whole, range(len(scenes))), title, len(scenes), unit="picture"))
    finally:
        pool.shutdown(cancel_futures=True)
    found = np.flatnonzero(~np.array(fine, bool)).tolist()
    write_json(note, {"rows": found})
    return found


def scaled_sizes(sizes_N2: np.ndarray, shorter: int) -> np.ndarray:
    """Sizes whose shorter side is `shorter` pixels; 0 leaves them.

    >>> scaled_sizes(np.array([[128, 200], [90, 60]]), 64).tolist()
    [[64, 100], [96, 64]]
    """
    if not shorter:
        return sizes_N2
    return np.maximum(np.round(sizes_N2 * shorter / sizes_N2.min(1, keepdims=True)), shorter).astype(np.int64)
