"""The suite `transfer`: the eleven tasks of the paper, and VOC2007 beside them, with the sizes that its protocol states.

Sizes and metrics are those of BYOL's appendix (Grill 2020, Table 10), whose protocol RELICv2 follows. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from relic_eval.data import layouts
from relic_eval.data.named import Counts, Named
from relic_eval.data.parquet import parquet_parts
from relic_eval.data.rows import Rows, label_digest
from relic_eval.files import digest_json

VERSION = 1  # of how rows come out of the files of CIFAR, whose digest is of the files alone
BESIDE = ("voc2007",)  # there by name, but no part of the suite


def _where(name: str, call: str) -> str:
    """What to type, or where to go, and where to put it."""
    return (
        f"{call} Or put there Parquet files as data/train-*.parquet, or class folders below train/ and test/. "
        f"{name}:FOLDER names another place."
    )


def _call(name: str, call: str) -> str:
    place = f"root=RELIC_EVAL_DATA + '/{name}'"
    return _where(name, f"Type in Python, with the path of that folder: torchvision.datasets.{call.format(place)}.")


def _named(
    name: str,
    title: str,
    counts: Counts,
    published: Callable[[Path, str], Rows],
    where: str,
    metric: str = "top1",
    official: bool = False,
) -> Named:
    return Named(name, title, counts, partial(layouts.read_any, published), where, metric=metric, official=official)


def _cifar(name: str, kind: str, title: str, counts: Counts) -> Named:
    published = partial(layouts.cifar, kind)

    def quick(place: Path, split: str, cache: Path | None) -> str:
        if parquet_parts(place) or (place / "train").is_dir():
            return label_digest(layouts.read_any(published, place, split), cache)
        return digest_json([layouts.cifar_digest(kind, place, split, cache), name, split, VERSION])

    read, where = partial(layouts.read_any, published), _call(name, kind + "({}, download=True)")
    return Named(name, title, counts, read, where, quick=quick)


_PER_CLASS = "mean_per_class"
TABLE = (
    _named(
        "food101",
        "Food-101",
        Counts(101, 75_750, 7_575, 25_250),
        layouts.food101,
        _call("food101", "Food101({}, download=True)"),
    ),
    _cifar("cifar10", "CIFAR10", "CIFAR-10", Counts(10, 50_000, 5_000, 10_000)),
    _cifar("cifar100", "CIFAR100", "CIFAR-100", Counts(100, 50_000, 5_067, 10_000)),
    _named(
        "birdsnap",
        "Birdsnap",
        Counts(500, 47_386, 4_981, 2_443),
        layouts.birdsnap,
        _where("birdsnap", "Get birdsnap.tgz from thomasberg.org, unpack it there and run its get_birdsnap.py."),
    ),
    _named(
        "sun397",
        "SUN397, division 1",
        Counts(397, 19_850, 3_970, 19_850),
        layouts.sun397,
        _call(
            "sun397",
            "SUN397({}, download=True), and unpack Partitions.zip of vision.princeton.edu/projects/2010/SUN there",
        ),
    ),
    _named(
        "cars",
        "Stanford Cars",
        Counts(196, 8_144, 1_650, 8_041),
        layouts.cars,
        _where(
            "cars",
            "Its authors' page is gone: get a copy laid out as torchvision.datasets.StanfordCars wants it (stanford_cars/).",
        ),
    ),
    _named(
        "aircraft",
        "FGVC Aircraft",
        Counts(100, 6_667, 3_333, 3_333),
        layouts.aircraft,
        _call("aircraft", "FGVCAircraft({}, download=True)"),
        _PER_CLASS,
        official=True,
    ),
    _named(
        "dtd",
        "Describable Textures, division 1",
        Counts(47, 3_760, 1_880, 1_880),
        layouts.dtd,
        _call("dtd", "DTD({}, download=True)"),
        official=True,
    ),
    _named(
        "pets",
        "Oxford-IIIT Pets",
        Counts(37, 3_680, 740, 3_669),
        layouts.pets,
        _call("pets", "OxfordIIITPet({}, download=True)"),
        _PER_CLASS,
    ),
    _named(
        "caltech101",
        "Caltech-101, with its background class",
        Counts(102, 3_060, 510, 6_084),
        layouts.caltech101,
        _call("caltech101", "Caltech101({}, download=True)"),
        _PER_CLASS,
    ),
    _named(
        "flowers102",
        "Oxford Flowers",
        Counts(102, 2_040, 1_020, 6_149),
        layouts.flowers102,
        _call("flowers102", "Flowers102({}, split='test', download=True)"),
        _PER_CLASS,
        official=True,
    ),
    _named(
        "voc2007",
        "PASCAL VOC 2007, classification",
        Counts(20, 5_011, 2_510, 4_952),
        layouts.voc2007,
        _call(
            "voc2007",
            "VOCDetection({}, year='2007', image_set='trainval', download=True), and the same with image_set='test'",
        ),
        "map11",
        official=True,
    ),
)
TRANSFER = {named.name: named for named in TABLE}
SUITE = tuple(name for name in TRANSFER if name not in BESIDE)
