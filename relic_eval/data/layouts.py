"""The transfer sets as their authors publish them, unpacked where torchvision puts them. Only lists are read here, no picture.

Each function lists a split of the set in a folder; validation rows are marked where the authors name them.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.data.classes import column
from relic_eval.data.folder import digest_files
from relic_eval.data.parquet import parquet_parts, parquet_rows
from relic_eval.data.pictures import resize
from relic_eval.data.rows import Rows, of_class_folders, of_files, together
from relic_eval.errors import DataError

SEED = 0  # of Caltech-101's division into training and test pictures
CALTECH_TRAIN = 30  # a class, of which 5 validate


def read_any(published: Callable[[Path, str], Rows], place: Path, split: str) -> Rows:
    """A split in the form in which it lies there: Parquet files, class folders below train/ and test/, or as published."""
    if parquet_parts(place):
        return parquet_rows(place, split)
    tests = [name for name in ("test", "val", "valid", "validation") if (place / name).is_dir()]
    if not (place / "train").is_dir() or not tests:
        return published(place, split)
    if split == "test":
        return of_class_folders(place, tests[0], "test")
    train = of_class_folders(place, "train", "train")
    return together([train, of_class_folders(place, tests[1], "valid")], 1) if len(tests) > 1 else train


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"expected a file {file}, received nothing there.") from None


def food101(place: Path, split: str) -> Rows:
    root = place / "food-101"
    said = json.loads("\n".join(_lines(root / "meta" / f"{split}.json")))
    classes = sorted(said)
    pairs = [(f"images/{name}.jpg", classes.index(label)) for label, names in said.items() for name in names]
    return of_files(root, [f for f, _ in pairs], np.array([y for _, y in pairs]), classes, split)


def aircraft(place: Path, split: str) -> Rows:
    root = place / "fgvc-aircraft-2013b" / "data"
    classes = _lines(root / "variants.txt")

    def part(name: str) -> Rows:
        pairs = [line.split(" ", 1) for line in _lines(root / f"images_variant_{name}.txt")]
        return of_files(
            root, [f"images/{i}.jpg" for i, _ in pairs], _numbers([v for _, v in pairs], classes), classes, name
        )

    return part("test") if split == "test" else together([part("train"), part("val")], 1)


def dtd(place: Path, split: str) -> Rows:
    root = place / "dtd" / "dtd"

    def part(name: str) -> Rows:
        files = _lines(root / "labels" / f"{name}1.txt")  # division 1 of ten
        labels = [file.split("/")[0] for file in files]
        classes = sorted(set(labels))
        return of_files(root / "images", files, _numbers(labels, classes), classes, name)

    return part("test") if split == "test" else together([part("train"), part("val")], 1)


def pets(place: Path, split: str) -> Rows:
    root = place / "oxford-iiit-pet"
    lines = [
        line.split() for line in _lines(root / "annotations" / f"{'trainval' if split == 'train' else 'test'}.txt")
    ]
    name = {int(label): picture.rsplit("_", 1)[0] for picture, label, *_ in lines}
    classes = [name[number] for number in sorted(name)]
    files = [f"images/{picture}.jpg" for picture, *_ in lines]
    return of_files(root, files, _numbers([p.rsplit("_", 1)[0] for p, *_ in lines], classes), classes, split)


def flowers102(place: Path, split: str) -> Rows:
    from scipy.io import loadmat

    root = place / "flowers-102"
    files = [root / "setid.mat", root / "imagelabels.mat"]
    for file in files:
        if not file.is_file():
            raise DataError(f"expected a file {file}, received nothing there.")
    sets, label_N = loadmat(files[0], squeeze_me=True), np.atleast_1d(loadmat(files[1], squeeze_me=True)["labels"])
    classes = column("flowers102.csv", "name")

    def part(key: str) -> Rows:
        numbers = np.atleast_1d(sets[key])
        return of_files(root, [f"jpg/image_{n:05d}.jpg" for n in numbers], label_N[numbers - 1] - 1, classes, key)

    return part("tstid") if split == "test" else together([part("trnid"), part("valid")], 1)


def cars(place: Path, split: str) -> Rows:
    from scipy.io import loadmat

    root = place / "stanford_cars"
    annotated = root / ("devkit/cars_train_annos.mat" if split == "train" else "cars_test_annos_withlabels.mat")
    for file in (annotated, root / "devkit" / "cars_meta.mat"):
        if not file.is_file():
            raise DataError(f"expected a file {file}, received nothing there.")
    classes = [
        str(name) for name in np.atleast_1d(loadmat(root / "devkit" / "cars_meta.mat", squeeze_me=True)["class_names"])
    ]
    rows = np.atleast_1d(loadmat(annotated, squeeze_me=True)["annotations"])
    files = [f"cars_{split}/{row['fname']}" for row in rows]
    return of_files(root, files, np.array([int(row["class"]) - 1 for row in rows]), classes, split)


def sun397(place: Path, split: str) -> Rows:
    root = place / "SUN397"
    name = "Training_01.txt" if split == "train" else "Testing_01.txt"  # division 1 of ten
    lists = [folder / name for folder in (place / "Partitions", root, place)]
    files = [line.lstrip("/") for line in _lines(next((file for file in lists if file.is_file()), lists[0]))]
    classes = [line[3:] for line in _lines(root / "ClassName.txt")]  # /a/abbey
    return of_files(root, files, _numbers([file[2:].rsplit("/", 1)[0] for file in files], classes), classes, split)


def caltech101(place: Path, split: str) -> Rows:
    """All 102 folders: the published sizes are those with the background class, and its file `tmp` is no picture."""
    whole = of_class_folders(place / "caltech101", "101_ObjectCategories", "all")
    rng, train_N = np.random.default_rng(SEED), np.zeros(len(whole), bool)
    for label in range(len(whole.classes)):
        train_N[rng.permutation(np.flatnonzero(whole.y_N == label))[:CALTECH_TRAIN]] = True
    rows = np.flatnonzero(train_N == (split == "train"))
    return of_files(place / "caltech101", list(whole.ids[rows]), whole.y_N[rows], whole.classes, split)


def birdsnap(place: Path, split: str) -> Rows:
    """What get_birdsnap.py leaves: tab-delimited species.txt, images.txt and test_images.txt, pictures in download/images."""

    def table(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(_lines(place / name), delimiter="\t"))

    species = {row["id"]: row["dir"] for row in table("species.txt")}
    classes = list(species.values())
    tested = {row["path"] for row in table("test_images.txt")}
    rows = [row for row in table("images.txt") if (row["path"] in tested) == (split == "test")]
    root = next(
        (p for p in (place / "download" / "images", place / "images") if p.is_dir()), place / "download" / "images"
    )
    return of_files(
        root, [r["path"] for r in rows], _numbers([species[r["species_id"]] for r in rows], classes), classes, split
    )


def voc2007(place: Path, split: str) -> Rows:
    """A picture has a class where it shows an object of it that is not marked difficult (1 in `CLASS_SPLIT.txt`, not 0).

    A picture of difficult objects alone has no class; its number is then that of the first difficult one.
    """
    root = place / "VOCdevkit" / "VOC2007"
    lists = root / "ImageSets" / "Main"

    def part(name: str) -> Rows:
        keys = _lines(lists / f"{name}.txt")
        classes = sorted(f.name.removesuffix(f"_{name}.txt") for f in lists.glob(f"*_{name}.txt"))
        if not classes:
            raise DataError(f"expected lists {lists}/CLASS_{name}.txt, received none.")
        said_CN = []
        for label in classes:
            said = dict(line.split() for line in _lines(lists / f"{label}_{name}.txt"))
            said_CN.append([int(said[key]) for key in keys])
        said_NC = np.array(said_CN).T
        y_N = np.where((said_NC == 1).any(1), (said_NC == 1).argmax(1), (said_NC == 0).argmax(1))
        files = [f"JPEGImages/{key}.jpg" for key in keys]
        return of_files(root, files, y_N, classes, name, labels_NC=said_NC == 1)

    return part("test") if split == "test" else together([part("train"), part("val")], 1)


def cifar(kind: str, place: Path, split: str, reader: Callable[..., Any] | None = None) -> Rows:
    """CIFAR10 or CIFAR100 through torchvision, which opens its files only where their checksums are the published ones."""
    import torchvision

    try:
        found = (reader or getattr(torchvision.datasets, kind))(str(place), train=split == "train")
    except RuntimeError as error:
        raise DataError(f"expected the files of {kind} in {place}, received none or others ({error}).") from None
    images = found.data
    classes, y_N = found.classes, np.array(found.targets, np.int64)
    ids = np.array([f"{split}/{row:05d}" for row in range(len(y_N))])
    above = column("cifar100.csv", "superclass") if len(classes) == 100 else None
    return Rows(
        ids,
        ids,
        y_N,
        tuple(classes),
        lambda rows, side: (resize(images[rows], side), {}),
        partial(cifar_digest, kind, place, split),
        superclasses=above,
        side=32,
        size=lambda row: (32, 32),
    )


CIFAR_FILES = {
    ("CIFAR10", "train"): [f"cifar-10-batches-py/data_batch_{n}" for n in range(1, 6)],
    ("CIFAR10", "test"): ["cifar-10-batches-py/test_batch"],
    ("CIFAR100", "train"): ["cifar-100-python/train"],
    ("CIFAR100", "test"): ["cifar-100-python/test"],
}


def cifar_digest(kind: str, place: Path, split: str, cache: Path | None) -> str:
    """The digest of a split's files, without opening them."""
    files = [place / name for name in CIFAR_FILES[kind, split]]
    lacking = next((file for file in files if not file.is_file()), None)
    if lacking:
        raise DataError(f"expected a file {lacking}, received nothing there.")
    return digest_files(place, files, split, cache)


def _numbers(labels: list[str], classes: list[str]) -> np.ndarray:
    number = {name: i for i, name in enumerate(classes)}
    strange = next((name for name in labels if name not in number), None)
    if strange is not None:
        raise DataError(f"expected labels among the {len(classes)} classes, received {strange!r}.")
    return np.array([number[name] for name in labels], np.int64)
