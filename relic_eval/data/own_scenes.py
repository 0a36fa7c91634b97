"""Pictures with masks of one's own: a folder with images/ and masks/, or train/ and test/ with both in each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relic_eval.data.folder import digest_files
from relic_eval.data.opening import is_picture
from relic_eval.data.own import VOID, OwnTask, class_values
from relic_eval.data.scenes import Pair, Scenes, mask_values, of_pairs
from relic_eval.errors import ArgumentError, DataError, UnreadableError, look_up
from relic_eval.files import digest_json, read_record, write_json
from relic_eval.progress import warn

TESTS = ("test", "val", "valid", "validation")  # the first that is there tests; a second one validates
LAYOUT = "images/ and masks/, or train/ and test/ (and perhaps valid/) with both in each"
THREADS = min(8, os.cpu_count() or 1)  # that read masks for their values


@dataclass(frozen=True)
class _Half:
    """What lies in the folder of a split."""

    pairs: list[Pair]
    content: str  # digest of all files
    values: Mapping[int, Path]  # each value in its masks, and the first mask that has it


def holds_masks(folder: Path) -> bool:
    """Whether a folder is laid out as a set with masks.

    >>> holds_masks(Path("/nowhere"))
    False
    """
    return _both(folder) or _both(folder / "train")


def own_scene_splits(own: OwnTask) -> tuple[str, ...]:
    """`("train", "test")`, with "valid" where there is a folder of them, or `("all",)` where the set is to be divided."""
    return tuple(_places(own))


def own_scenes(own: OwnTask, split: str, cache: Path | None = None) -> Scenes:
    """A split of a task with masks of one's own; classes are those that it names, else the values in its training masks.

    Masks are read once for their values, which are noted in the folder `cache`. Raises DataError, naming the file, for a
    picture without a mask, a mask of colours, and one with a value that is no class.
    """
    places = _places(own)
    look_up("split", split, places)
    learnt, named, half = next(iter(places)), _named(own), _half(own, split, places[split], cache)
    if named is None:
        training = half if split == learnt else _half(own, learnt, places[learnt], cache)
        named = {str(value): value for value in sorted(training.values) if value != own.ignore}
    if split == learnt:
        _refuse_one_class(own, half, named)
    for value, file in half.values.items():
        if value not in named.values() and value != own.ignore:
            raise DataError(
                f"{file}: expected values of {own.name}'s classes, {_in_words(named.values())}, or {own.ignore} for pixels of "
                f"none, received {value}. Name its class (classes), or the value to be ignored (ignore), or mend the mask."
            )
    digest = digest_json([half.content, own.name, split, list(named.items()), own.ignore])
    numbers = {value: number for number, value in enumerate(named.values())}
    return of_pairs(own.name, split, digest, half.pairs, Path, tuple(named), len(named), numbers)


def _both(folder: Path) -> bool:
    return (folder / "images").is_dir() and (folder / "masks").is_dir()


def _places(own: OwnTask) -> dict[str, Path]:
    """The folder of each split, that which trains first."""
    top = own.folder or Path()
    if not top.is_dir():
        received = "a file" if top.exists() else "nothing there"
        raise DataError(f"{own.name}: expected a folder {top}, received {received}. Check the path.")
    if _both(top):
        return {"all": top}
    tests = [name for name in TESTS if (top / name).is_dir()]
    halves = {"train": top / "train", **dict(zip(("test", "valid"), (top / name for name in tests), strict=False))}
    for place in [top] if len(halves) < 2 or not halves["train"].is_dir() else halves.values():
        if not _both(place):
            there = sorted(p.name for p in place.iterdir() if p.is_dir() and not p.name.startswith("."))
            raise DataError(
                f"{own.name}: expected {LAYOUT if place == top else 'images/ and masks/'} in {place}, received "
                f"{', '.join(there[:5]) or 'no folders'}. Put pictures into images/, and a PNG of the same name for each "
                "into masks/."
            )
    if len(tests) > 2:
        warn(f"{top}: {tests[0]} tests and {tests[1]} validates; not read: {', '.join(tests[2:])}.")
    return halves


def _named(own: OwnTask) -> dict[str, int] | None:
    """The value of each class, where classes are named."""
    if isinstance(own.classes, Mapping):
        named = dict(own.classes)
    else:
        file = own.classes or (own.folder or Path()) / "classes.txt"
        if own.classes is None and not file.exists():
            return None
        named = class_values(_names(file), str(file))
    if own.ignore != VOID and own.ignore in named.values():
        raise ArgumentError("ignore", f"a value that is no class of {own.name}", str(own.ignore))
    return named


def _names(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except FileNotFoundError:
        raise DataError(
            f"expected a file {file}, a class name a line, received nothing there. Check the path."
        ) from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise DataError(f"{file}: expected UTF-8 text, received something else. Save it as UTF-8.") from None


def _half(own: OwnTask, split: str, top: Path, cache: Path | None) -> _Half:
    pairs = _pairs(own, top)
    files = [Path(file) for _, *both in pairs for file in both]
    content = digest_files(top, files, f"{own.name}/{split}", cache)
    return _Half(pairs, content, _values(top, pairs, content, cache))


def _pairs(own: OwnTask, top: Path) -> list[Pair]:
    """Each picture and its mask, by name."""
    pictures: dict[str, Path] = {}
    for file in sorted(f for f in (top / "images").iterdir() if is_picture(f)):
        if pictures.setdefault(file.stem, file) != file:
            raise DataError(
                f"{file}: expected one picture of this name, received {pictures[file.stem].name} too. Rename one, and its mask."
            )
    if not pictures:
        raise DataError(
            f"{own.name}: expected pictures in {top / 'images'}, received none. Put them there, in no folder."
        )
    beside = sorted(f for f in (top / "masks").iterdir() if not f.name.startswith("."))
    masks = {f.stem: f for f in beside if f.suffix.lower() == ".png" and f.is_file()}
    lacking = [stem for stem in pictures if stem not in masks]
    if lacking:
        other = next((f.name for f in beside if f.stem == lacking[0]), "none")
        raise DataError(
            f"{pictures[lacking[0]]}: expected a mask {top / 'masks' / lacking[0]}.png, received {other} (and so for "
            f"{len(lacking)} of {len(pictures)} pictures). Add masks as PNG, or take the pictures out."
        )
    unused = [name for name in masks if name not in pictures]
    if unused:
        warn(f"{own.name}: {len(unused)} masks have no picture and are not used, the first {masks[unused[0]]}.")
    return [(stem, file, masks[stem]) for stem, file in pictures.items()]


def _values(top: Path, pairs: list[Pair], content: str, cache: Path | None) -> dict[int, Path]:
    """The first mask that has each value; masks that cannot be read have none, and are named when they are needed."""
    note = None if cache is None else cache / f"values-{content[:16]}.json"
    if note is not None and note.exists():
        names: Mapping[str, str] = read_record(note, {"masks": dict})["masks"]
    else:
        names = _first_of_each([Path(mask) for _, _, mask in pairs])
        if note is not None:
            write_json(note, {"masks": names})
    return {int(value): top / "masks" / name for value, name in names.items()}


def _first_of_each(masks: list[Path]) -> dict[str, str]:
    def values(mask: Path) -> list[int]:
        try:
            return np.flatnonzero(np.bincount(mask_values(mask).ravel())).tolist()
        except UnreadableError:
            return []

    found: dict[str, str] = {}
    pool = ThreadPoolExecutor(THREADS)
    try:
        for mask, its in zip(masks, pool.map(values, masks), strict=True):
            for value in its:
                found.setdefault(str(value), mask.name)
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def _refuse_one_class(own: OwnTask, half: _Half, named: Mapping[str, int]) -> None:
    if len(set(half.values) & set(named.values())) < 2:
        void = (
            f", of which {own.ignore} is ignored"
            if own.ignore in half.values and own.ignore not in named.values()
            else ""
        )
        raise DataError(
            f"{own.name}: expected pixels of at least two classes in its training masks, received the values "
            f"{_in_words(half.values)}{void}. Say which value is which class: classes = {{rest = 0, pet = 255}}."
        )


def _in_words(values: Iterable[int]) -> str:
    """Values in order, as a range where they are one.

    >>> _in_words([2, 0, 1]), _in_words([0, 255]), _in_words([])
    ('0 to 2', '0, 255', 'none')
    """
    found = sorted(values)
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        return f"{found[0]} to {found[-1]}"
    return ", ".join(map(str, found[:8])) + (", ..." if len(found) > 8 else "") if found else "none"
