"""Any set of your own: a folder of class folders, with or without train/ and test/ above them."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from relic_eval.data.opening import is_picture, read_each, stored_size
from relic_eval.data.pictures import Pictures
from relic_eval.errors import DataError
from relic_eval.files import digest_file, digest_json, read_json, write_json
from relic_eval.progress import warn

SIDE = 64  # natural side of a folder's pictures, for encoders that do not say theirs
FEWEST = {"train": 2, "test": 1, "all": 3}  # images a class: one for each use that the split has


TEST_FOLDERS = ("test", "val")  # ImageNet's validation images are what it is tested on
SPLIT_FOLDERS = {"train", *TEST_FOLDERS, "valid", "validation", "training", "testing"}


def splits(folder: Path) -> tuple[str, ...]:
    """`("train", "test")` where the folder has `train` and `test` (or `val` instead), otherwise `("all",)`.

    Raises DataError where there is only one of them: it would be taken for a class.

    >>> splits(Path("/"))
    ('all',)
    """
    if (folder / "train").is_dir() and any((folder / name).is_dir() for name in TEST_FOLDERS):
        return ("train", "test")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if names and set(names) <= SPLIT_FOLDERS:
        raise DataError(
            f"{folder}: expected class folders, or train/ and test/ (or val/) with class folders in each, received only "
            f"{' and '.join(names)}. Rename them, or point at one of them to have it divided."
        )
    return ("all",)


def _top(folder: Path, split: str) -> Path:
    """Where the class folders of a split are."""
    if split == "test":
        return next((folder / name for name in TEST_FOLDERS if (folder / name).is_dir()), folder / "test")
    return folder if split == "all" else folder / split


def folder_title(folder: Path) -> str:
    """What a folder's set is called: its last name, that of a link where it is one.

    >>> folder_title(Path("/data/birds/../my birds"))
    'my birds'
    """
    return os.path.basename(os.path.abspath(folder.expanduser()))


def folder_pictures(folder: Path, split: str, cache: Path | None = None) -> Pictures:
    """A split of a folder of class folders; `superclasses.csv` (class,superclass) beside them makes a hierarchy.

    Files are digested once: while paths, sizes and times stay as they are in `cache`, the digest there stands. Raises
    DataError for a missing folder, no class folders, an empty class or one with too few pictures to be used.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise DataError(
            f"expected a folder {folder}, received {'a file' if folder.exists() else 'nothing there'}. Check the path."
        )
    top = _top(folder, split)
    classes = tuple(sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith(".")))
    if len(classes) < 2:
        raise DataError(
            f"{top}: expected at least two class folders, received {len(classes)}. Make one folder a class."
        )
    _warn_of_unread(folder, top, classes)
    files = [sorted(f for f in (top / name).iterdir() if is_picture(f)) for name in classes]
    for name, found in zip(classes, files, strict=True):
        if len(found) < FEWEST[split]:
            raise DataError(
                f"{top / name}: expected at least {FEWEST[split]} pictures, received {len(found)}. "
                "Add pictures to this class or move its folder away."
            )
    paths = [f for found in files for f in found]
    y_N = np.repeat(np.arange(len(classes)), [len(found) for found in files])
    names = np.array([str(p.relative_to(folder)) for p in paths])
    places = np.array([str(p) for p in paths])  # kept in place of Path objects, of which a million take 400 MB
    superclasses = _superclasses(folder, classes)
    return Pictures(
        dataset=folder_title(folder),
        split=split,
        digest=digest_json([digest_files(folder, paths, split, cache), superclasses]),
        ids=names,
        paths=places,
        y_N=y_N,
        classes=classes,
        superclasses=superclasses,
        side=SIDE,
        channels=3,
        read=lambda rows, side: read_each(rows, side, lambda row: Path(places[row]), lambda row: str(places[row])),
        size=lambda row: stored_size(Path(places[row])),
    )


def _warn_of_unread(folder: Path, top: Path, classes: tuple[str, ...]) -> None:
    """Name folders that look like pictures of the set and are none of it."""
    nested = [
        p for name in classes for p in sorted((top / name).iterdir()) if p.is_dir() and not p.name.startswith(".")
    ]
    if nested:
        warn(
            f"{len(nested)} folders inside class folders are not read, first {nested[0]}. Move their pictures up, or away."
        )
    if top != folder:
        read = {"train", _top(folder, "test").name}
        beside = sorted(
            p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name not in read
        )
        if beside:
            warn(f"{folder}: {' and '.join(sorted(read))} are read; not read: {', '.join(beside[:5])}.")
        if (top / "superclasses.csv").exists():
            warn(f"{top / 'superclasses.csv'} is not read: it belongs into {folder}.")


def digest_files(folder: Path, paths: list[Path], split: str, cache: Path | None) -> str:
    """The digest of files by their paths within `folder`; while sizes and times stay as a note in `cache` says, it stands."""
    listing = digest_json([(str(p), (s := p.stat()).st_size, s.st_mtime_ns) for p in paths])
    note = None if cache is None else cache / f"{digest_json([str(folder.resolve()), split])[:16]}.json"
    if note is not None and (known := _known(note)).get("listing") == listing:
        return str(known["content"])
    content = digest_json([(str(p.relative_to(folder)), digest_file(p)) for p in paths])
    if note is not None:
        write_json(note, {"listing": listing, "content": content})
    return content


def _known(note: Path) -> dict[str, str]:
    """What a note says; nothing where there is none, or a damaged one: it only saves work."""
    try:
        known = read_json(note)
    except DataError:
        return {}
    return known if isinstance(known, dict) and {"listing", "content"} <= set(known) else {}


def _superclasses(folder: Path, classes: tuple[str, ...]) -> tuple[str, ...] | None:
    file = folder / "superclasses.csv"
    if not file.exists():
        return None
    above = read_superclasses(file)
    unknown = [name for name in above if name not in classes and name != "class" and not _is_class(folder, name)]
    found = superclasses_of(above, classes, str(file))
    if unknown:
        warn(f"{file}: {unknown[0]!r} is no class folder; its line is not used.")
    return found


def read_superclasses(file: Path) -> dict[str, str]:
    """The lines `class,superclass` of a CSV file. Raises DataError where one class has two."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{file}: expected UTF-8 text, received something else. Save it as UTF-8.") from None
    above: dict[str, str] = {}
    for row in csv.reader(text.splitlines()):
        if len(row) >= 2 and row[1].strip():
            name, its = row[0].strip(), row[1].strip()
            if above.setdefault(name, its) != its:
                raise DataError(
                    f"{file}: expected one superclass for {name!r}, received {above[name]!r} and {its!r}. Remove one line."
                )
    return above


def superclasses_of(
    above: Mapping[str, str],
    classes: tuple[str, ...],
    said: str,
    entry: str = "a line 'class,superclass' (with a comma)",
    hint: str = "Add it, or remove the file.",
) -> tuple[str, ...]:
    """The superclass of each class; `said` is where they stand, an `entry` each. Raises DataError for a class without one.

    >>> superclasses_of({"ant": "insect", "cat": "mammal"}, ("cat",), "x.csv")
    ('mammal',)
    """
    missing = [name for name in classes if name not in above]
    if missing:
        strange = [name for name in above if name not in (*classes, "class")]
        beside = f" and one for {strange[0]!r}, which is no class" if strange else ""
        raise DataError(f"{said}: expected {entry} for every class, received none for {missing[0]!r}{beside}. {hint}")
    return tuple(above[name] for name in classes)


def _is_class(folder: Path, name: str) -> bool:
    return any((folder / split / name).is_dir() for split in ("train", *TEST_FOLDERS))
