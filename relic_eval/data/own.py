"""A task of one's own: folders of pictures, a folder and a list of its files, or pictures with masks, and what is said of them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from relic_eval.data.folder import FEWEST, read_superclasses, superclasses_of
from relic_eval.data.pictures import Pictures
from relic_eval.data.rows import Rows, label_digest, of_class_folders, of_files, together
from relic_eval.errors import ArgumentError, DataError, UnknownNameError, look_up

METRICS = {
    "top1": "share right",
    "mean_per_class": "mean of the classes' shares",
    "map11": "11-point mean average precision",
    "miou": "mean over classes of intersection over union, of pictures with masks",
}
VOID = 255  # what pixels of no class are called in a mask, unless it is said otherwise
FORMS = {  # which arguments say where the pictures are: with labels, or with masks
    False: (
        ({"train", "test"}, {"train", "valid", "test"}, {"folder", "listing"}),
        "train and test (and perhaps valid), or folder and listing",
        'Pictures with masks are a folder with metric "miou".',
    ),
    True: (
        ({"folder"},),
        "folder alone where the metric is miou",
        "It holds images/ and masks/, or train/ and test/ with both in each.",
    ),
}
SPLITS = ("train", "valid", "test", "all")
COLUMNS = ("file", "label", "split")


@dataclass(frozen=True)
class OwnTask:
    """What `task` was told. Folders hold class folders; with `listing`, `folder` holds the files that it names.

    Of a set with masks (metric miou), `folder` holds pictures and masks (own_scenes.py).
    """

    name: str
    title: str
    metric: str
    train: Path | None
    valid: Path | None
    test: Path | None
    folder: Path | None
    listing: Path | None
    superclasses: Mapping[str, str] | Path | None
    block_classes: tuple[str, ...]
    classes: Mapping[str, int] | Path | None = None  # the value of each in the masks, or a file of a name a line
    ignore: int = VOID  # the value of pixels that are of none

    @property
    def places(self) -> tuple[Path, ...]:
        """Every folder of pictures."""
        return tuple(p for p in (self.train, self.valid, self.test, self.folder) if p is not None)


def task(
    name: str,
    *,
    train: str | Path | None = None,
    test: str | Path | None = None,
    valid: str | Path | None = None,
    folder: str | Path | None = None,
    listing: str | Path | None = None,
    title: str = "",
    metric: str = "top1",
    superclasses: str | Path | Mapping[str, str] | None = None,
    block_classes: Sequence[str] = (),
    classes: str | Path | Sequence[str] | Mapping[str, int] | None = None,
    ignore: int = VOID,
) -> OwnTask:
    """A task of your own, which stands wherever a data set is asked for: `embed("pixels", data=task("birds", ...))`.

    Give `train` and `test` (and `valid`, if you have it), folders of class folders each; or a `folder` and a `listing`, a
    CSV file with the columns file, label and split (train, valid or test; without that column all rows are divided).
    `metric` is top1, mean_per_class or map11 (a file then has a line for each of its labels). `superclasses` is a CSV file
    of lines class,superclass, or a mapping. Raises ArgumentError for what does not fit together.

    Where the metric is miou, `folder` alone holds images/ and masks/, a PNG of the same name for each picture, or train/ and
    test/ with both in each. `classes` are names of the values 0, 1, ... in the masks, a file of a name a line (by default
    classes.txt in the folder), or a mapping from names to values; where none are named, the values are the names. Pixels of
    the value `ignore` are neither trained nor judged.

    >>> task("birds", train="pictures/train", test="pictures/test").title
    'birds'
    >>> task("my-pets", folder="pets", metric="miou", classes={"rest": 0, "pet": 255}).classes
    {'rest': 0, 'pet': 255}
    """
    if not name or "/" in name or "\\" in name:
        raise ArgumentError("name", "a name without slashes", repr(name))
    look_up("metric", metric, METRICS)
    given = {"train": train, "valid": valid, "test": test, "folder": folder, "listing": listing}
    said = [key for key, value in given.items() if value is not None]
    forms, expected, hint = FORMS[metric == "miou"]
    if set(said) not in forms:
        raise ArgumentError(name, expected, " and ".join(said) or "none of these", hint if "folder" in said else "")
    if metric == "map11" and listing is None:
        raise ArgumentError("metric", "a listing with map11, as a picture may have several labels", "folders")
    others: dict[str, object] = {"superclasses": superclasses, "block_classes": block_classes or None}
    if metric != "miou":
        others = {"classes": classes, "ignore": None if ignore == VOID else ignore}
    strange = next((key for key, value in others.items() if value is not None), None)
    if strange:
        kind = "labels" if metric == "miou" else 'masks (metric "miou")'
        raise ArgumentError(strange, f"it of sets with {kind} alone", f"it with metric {metric}", "Leave it out.")
    above = _path(superclasses) if isinstance(superclasses, (str, Path)) else superclasses
    places = {
        "train": _path(train),
        "valid": _path(valid),
        "test": _path(test),
        "folder": _path(folder),
        "listing": _path(listing),
    }
    blocks, named = tuple(block_classes), _values(classes)
    return OwnTask(
        name, title or name, metric, superclasses=above, block_classes=blocks, classes=named, ignore=ignore, **places
    )


def _values(classes: str | Path | Sequence[str] | Mapping[str, int] | None) -> Mapping[str, int] | Path | None:
    """The value of each class, or the file that names them; ArgumentError where two are alike, or a mask cannot hold one."""
    if classes is None or isinstance(classes, (str, Path)):
        return _path(classes)
    return class_values(classes, "classes")


def class_values(classes: Sequence[str] | Mapping[str, int], said: str) -> dict[str, int]:
    """The value in masks of each class, by name: those of a sequence are 0, 1, ...; `said` is where they stand.

    >>> class_values(["sky", "road"], "classes.txt")
    {'sky': 0, 'road': 1}
    """
    pairs = [*classes.items()] if isinstance(classes, Mapping) else [(name, n) for n, name in enumerate(classes)]
    names, values = [name for name, _ in pairs], [value for _, value in pairs]
    if len(names) < 2 or not all(names):
        received = f"{len(names)}" if all(names) else "one without a name"
        raise ArgumentError(said, "at least two classes, each with a name", received)
    for kind, its in (("name", names), ("value", values)):
        twice = next((repr(one) for n, one in enumerate(its) if one in its[:n]), None)
        if twice:
            raise ArgumentError(said, f"a {kind} of its own for each class", f"{twice} twice")
    wrong = next((value for value in values if isinstance(value, bool) or value not in range(256)), None)
    if wrong is not None:
        raise ArgumentError(said, "values from 0 to 255, as masks have 8 bits", repr(wrong))
    return dict(pairs)


def _path(text: str | Path | None) -> Path | None:
    return None if text is None else Path(text).expanduser()


def own_splits(own: OwnTask) -> tuple[str, ...]:
    """`("train", "test")`, or `("all",)` where a listing does not divide its files."""
    if own.listing is None:
        return ("train", "test")
    return ("train", "test") if any("split" in line for line in _lines(own)[:1]) else ("all",)


def own_pictures(own: OwnTask, split: str, cache: Path | None = None) -> Pictures:
    """A split of a task of one's own. Raises DataError for missing files, empty classes, a test class that never trains."""
    if split not in (there := own_splits(own)):
        raise UnknownNameError("split", split, there)
    rows = _from_listing(own, split) if own.listing is not None else _from_folders(own, split)
    rows = replace(rows, superclasses=_above(own, rows.classes))
    strange = [name for name in own.block_classes if name not in rows.classes]
    if strange:
        raise UnknownNameError(f"{own.name}, block_classes", strange[0], rows.classes)
    _refuse_few(own, split, rows)
    said = {"title": own.title, "metric": own.metric, "blocks": own.block_classes}
    return rows.pictures(own.name, split, label_digest(rows, cache, split), **said)


def _from_folders(own: OwnTask, split: str) -> Rows:
    train = _class_folders(own, "train")
    if split == "test":
        return _renamed(own, "test", train.classes)
    return train if own.valid is None else together([train, _renamed(own, "valid", train.classes)], 1)


def _class_folders(own: OwnTask, split: str) -> Rows:
    place: Path = getattr(own, split)
    rows = of_class_folders(place, ".", f"{own.name}/{split}")
    return replace(rows, ids=np.array([f"{split}/{name.removeprefix('./')}" for name in rows.ids]))


def _renamed(own: OwnTask, split: str, classes: tuple[str, ...]) -> Rows:
    """The rows of another folder with the class numbers of training."""
    rows = _class_folders(own, split)
    strange = [name for name in rows.classes if name not in classes]
    if strange:
        raise DataError(
            f"{own.name}: expected training pictures of every class, received none of {strange[0]!r}, which is in "
            f"{getattr(own, split)}. Add training pictures of it, or move its folder away."
        )
    number_C = np.array([classes.index(name) for name in rows.classes], np.int64)
    return replace(rows, y_N=number_C[rows.y_N], classes=classes)


def _lines(own: OwnTask) -> list[dict[str, str]]:
    assert own.listing is not None
    try:
        text = own.listing.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{own.name}: expected a file {own.listing}, received nothing there. Check the path.") from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise DataError(f"{own.listing}: expected UTF-8 text, received something else. Save it as UTF-8.") from None
    lines = list(csv.DictReader(text.splitlines()))
    names = list(lines[0]) if lines else []
    if not {"file", "label"} <= set(names):
        received = ", ".join(map(str, names)) or "none"
        raise DataError(f"{own.listing}: expected the columns {', '.join(COLUMNS)}, received {received}.")
    for number, line in enumerate(lines, 2):
        said = line.get("split", "all")
        if said not in SPLITS or not line["file"] or not line["label"]:
            raise DataError(
                f"{own.listing}, line {number}: expected a file, a label and, as split, train, valid or test, received "
                f"{', '.join(str(line.get(c)) for c in COLUMNS)}. Mend the line."
            )
    return lines


def _from_listing(own: OwnTask, split: str) -> Rows:
    lines, several = _lines(own), own.metric == "map11"
    wanted = ("train", "valid") if split == "train" else (split,)
    train = [line for line in lines if line.get("split", "all") in ("train", "all")]
    classes = tuple(sorted({line["label"] for line in train}))
    labels: dict[str, list[str]] = {}
    parts: dict[str, str] = {}
    for line in lines:
        if line["label"] not in classes:
            raise DataError(
                f"{own.listing}: expected training pictures of every class, received none of {line['label']!r} "
                f"({line['file']}). Add training pictures of it, or remove its lines."
            )
        said = line.get("split", "all")
        if parts.setdefault(line["file"], said) != said:
            raise DataError(
                f"{own.listing}: expected {line['file']} in one split, received {parts[line['file']]} and {said}."
            )
        labels.setdefault(line["file"], []).append(line["label"])
        if len(labels[line["file"]]) > 1 and not several:
            raise DataError(
                f"{own.listing}: expected one line for each file, received {len(labels[line['file']])} for {line['file']}. "
                'Remove one, or say metric = "map11" where a picture has several labels.'
            )
    files = [file for file, said in parts.items() if said in wanted]
    y_N = np.array([classes.index(labels[file][0]) for file in files], np.int64)
    valid_N = np.array([parts[file] == "valid" for file in files]) if "valid" in parts.values() else None
    return of_files(
        own.folder or Path(),
        files,
        y_N,
        classes,
        f"{own.name}/{split}",
        valid_N=valid_N if split == "train" else None,
        labels_NC=np.array([[c in labels[file] for c in classes] for file in files]) if several else None,
    )


def _above(own: OwnTask, classes: tuple[str, ...]) -> tuple[str, ...] | None:
    if own.superclasses is None:
        return None
    if not isinstance(own.superclasses, Path):
        return superclasses_of(own.superclasses, classes, f"{own.name}, superclasses", "one", "Add it.")
    if not own.superclasses.is_file():
        raise DataError(f"{own.name}: expected a file {own.superclasses}, received nothing there. Check the path.")
    return superclasses_of(read_superclasses(own.superclasses), classes, str(own.superclasses))


def _refuse_few(own: OwnTask, split: str, rows: Rows) -> None:
    """An error where a class has too few pictures for what a split is used for."""
    if len(rows.classes) < 2:
        raise DataError(f"{own.name}: expected at least two classes, received {len(rows.classes)}.")
    if rows.labels_NC is not None:
        return
    training_N = np.ones(len(rows), bool) if rows.valid_N is None else ~rows.valid_N
    fewest = FEWEST[split] if rows.valid_N is None else 1
    count_C = np.bincount(rows.y_N[training_N], minlength=len(rows.classes))
    if split != "test" and count_C.min() < fewest:
        raise DataError(
            f"{own.name} {split}: expected at least {fewest} pictures of every class, received {count_C.min()} of "
            f"{rows.classes[int(count_C.argmin())]!r}. Add pictures to this class or leave it out."
        )
    if not len(rows):
        raise DataError(f"{own.name} {split}: expected pictures, received none.")
