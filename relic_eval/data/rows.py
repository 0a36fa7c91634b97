"""What a set's own files say of a split, before it is checked and called Pictures: where each picture is and what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.data.archive import Archive, archive_digest
from relic_eval.data.folder import SIDE, digest_files
from relic_eval.data.opening import read_each, stored_size
from relic_eval.data.pictures import Pictures
from relic_eval.errors import DataError
from relic_eval.files import digest_bytes, digest_json
from relic_eval.records import Transform


@dataclass(frozen=True)
class Rows:
    """The listing of a split. Nothing has been decoded, and nothing digested yet: counts are checked before that."""

    ids: np.ndarray  # (N,) str
    paths: np.ndarray  # (N,) str
    y_N: np.ndarray  # (N,) int64
    classes: tuple[str, ...]
    read: Callable[[np.ndarray, int | Transform], tuple[np.ndarray, Mapping[int, str]]]
    digest: Callable[[Path | None], str]  # of the files, given a folder for notes
    superclasses: tuple[str, ...] | None = None
    valid_N: np.ndarray | None = None
    labels_NC: np.ndarray | None = None
    side: int = SIDE
    size: Callable[[int], tuple[int, int]] | None = None  # width and height of a row's picture as it lies

    def __len__(self) -> int:
        return len(self.y_N)

    def pictures(self, dataset: str, split: str, digest: str, **said: Any) -> Pictures:
        """The split under its name; `said` is what the set says of its task."""
        names = ("ids", "paths", "y_N", "classes", "superclasses", "side", "read", "valid_N", "labels_NC", "size")
        its: dict[str, Any] = {name: getattr(self, name) for name in names}
        return Pictures(dataset=dataset, split=split, digest=digest, channels=3, **its, **said)


def of_files(root: Path, files: Sequence[str], y_N: np.ndarray, classes: Sequence[str], note: str, **more: Any) -> Rows:
    """Rows of picture files below `root`; `note` tells the note on their digests from those of other splits.

    Raises DataError for the first file that is not there.
    """
    lacking = next((name for name in files if not (root / name).is_file()), None)
    if lacking is not None:
        raise DataError(f"expected a picture {root / lacking}, received nothing there. Complete the download.")
    places = np.array([str(root / name) for name in files])

    def digest(cache: Path | None) -> str:
        return digest_files(root, [Path(place) for place in places], note, cache)

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        return read_each(rows, side, lambda row: Path(places[row]), lambda row: str(places[row]))

    def size(row: int) -> tuple[int, int]:
        return stored_size(Path(places[row]))

    ids = np.array(list(files))
    return Rows(ids, places, np.asarray(y_N, np.int64), tuple(classes), read, digest, size=size, **more)


def of_archive(archive: Archive, names: Sequence[str], y_N: np.ndarray, classes: Sequence[str], **more: Any) -> Rows:
    """Rows of members of a tar; their digest is that of the whole tar."""
    ids = np.array(list(names))

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        return read_each(
            rows, side, lambda row: BytesIO(archive.read(ids[row])), lambda row: f"{archive.path}: {ids[row]}"
        )

    def digest(cache: Path | None) -> str:
        return archive_digest(archive.path, cache)

    def size(row: int) -> tuple[int, int]:
        return stored_size(BytesIO(archive.read(ids[row])))

    paths = np.array([f"{archive.path.name}/{name}" for name in names])
    return Rows(ids, paths, np.asarray(y_N, np.int64), tuple(classes), read, digest, size=size, **more)


def of_class_folders(root: Path, top: str, note: str) -> Rows:
    """Rows of class folders in `root/top`, classes and files by name; pictures anywhere else are not read.

    Raises DataError where `top` is missing.
    """
    from relic_eval.data.opening import is_picture

    place = root / top
    if not place.is_dir():
        raise DataError(f"expected a folder {place}, received nothing there.")
    classes = sorted(p.name for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
    files = [sorted(f.name for f in (place / name).iterdir() if is_picture(f)) for name in classes]
    names = [f"{top}/{name}/{file}" for name, its in zip(classes, files, strict=True) for file in its]
    return of_files(root, names, np.repeat(np.arange(len(classes)), [len(its) for its in files]), classes, note)


def together(parts: Sequence[Rows], valid: int) -> Rows:
    """Rows of several parts of one split, one after the other; those of part `valid` are for validation."""
    first = parts[0]
    for part in parts[1:]:
        if part.classes != first.classes:
            strange = next(iter(set(part.classes) ^ set(first.classes)), "another order")
            raise DataError(
                f"expected training and validation pictures of the same classes, received {strange!r} in one."
            )
    starts = np.cumsum([0, *(len(part) for part in parts)])

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        pixels: np.ndarray | None = None
        problems: dict[int, str] = {}
        for start, part in zip(starts, parts, strict=False):
            here = (rows >= start) & (rows < start + len(part))
            if here.any():
                made, wrong = part.read(rows[here] - start, side)
                pixels = np.empty((len(rows), *made.shape[1:]), np.uint8) if pixels is None else pixels
                pixels[here] = made
                problems.update({int(row + start): text for row, text in wrong.items()})
        return first.read(rows, side) if pixels is None else pixels, problems  # type: ignore[return-value]

    sizes = [part.size for part in parts if part.size is not None]

    def size(row: int) -> tuple[int, int]:
        number = int(np.searchsorted(starts, row, "right")) - 1
        return sizes[number](row - int(starts[number]))

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Rows(
        joined("ids"),
        joined("paths"),
        joined("y_N"),
        first.classes,
        read,
        lambda cache: digest_json([part.digest(cache) for part in parts]),
        first.superclasses,
        np.repeat(np.arange(len(parts)) == valid, [len(part) for part in parts]),
        None if first.labels_NC is None else joined("labels_NC"),
        first.side,
        size if len(sizes) == len(parts) else None,
    )


def label_digest(rows: Rows, cache: Path | None, *more: Any) -> str:
    """The digest of a split: of its pictures, of what it says they show, and of `more`."""
    said = [a for a in (rows.valid_N, rows.labels_NC) if a is not None]
    labels = digest_bytes(b"".join(a.tobytes() for a in (rows.y_N, *said)))
    return digest_json([rows.digest(cache), labels, list(rows.classes), rows.superclasses, *more])
