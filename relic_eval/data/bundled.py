"""Sets that come with the installation: `fashion` (package data) and `digits` (scikit-learn's)."""

from __future__ import annotations

import csv
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np

from relic_eval.data.demo.make_fashion import COLUMNS, SIDE
from relic_eval.data.pictures import Pictures, from_array, shifted
from relic_eval.errors import DataError, UnknownNameError
from relic_eval.files import digest_file, digest_json

FASHION = Path(__file__).parent / "demo" / "fashion"
SPLITS = {"fashion": ("train", "test", "test-shifted"), "digits": ("all",)}


@cache
def fashion_digest(split: str) -> str:
    """Digest of the bundled files behind a split.

    >>> len(fashion_digest("test"))
    64
    """
    half = split.split("-")[0]
    return digest_json([digest_file(FASHION / f"{half}.webp"), digest_file(FASHION / "index.csv"), half])


@cache
def digits_digest() -> str:
    """Digest of scikit-learn's digits, without importing scikit-learn.

    >>> len(digits_digest())
    64
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("expected scikit-learn to be installed, received none. Type: pip install scikit-learn")
    return digest_file(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz")


def bundled(name: str, split: str) -> Pictures:
    """A split of a bundled set: fashion has train (10,000), test (2,000) and test-shifted; digits has all (1,797).

    >>> len(bundled("fashion", "test"))
    2000
    """
    if name not in SPLITS:
        raise UnknownNameError("dataset", name, SPLITS)
    if split not in SPLITS[name]:
        raise UnknownNameError("split", split, SPLITS[name])
    if name == "digits":
        return _digits()
    pictures = _fashion(split.split("-")[0])
    return shifted(pictures) if split == "test-shifted" else pictures


@cache
def _digits() -> Pictures:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    names = tuple(str(n) for n in range(10))
    return from_array("digits", "all", images, bunch.target.astype(np.int64), names, digest=digits_digest())


@cache
def _fashion(split: str) -> Pictures:
    from PIL import Image

    with open(FASHION / "index.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    classes = tuple(dict.fromkeys(row["class"] for row in rows))
    above = {row["class"]: row["superclass"] for row in rows}
    with Image.open(FASHION / f"{split}.webp", formats=["WEBP"]) as sheet:
        pixels = np.asarray(sheet.convert("L"))
    images = pixels.reshape(-1, SIDE, COLUMNS, SIDE).transpose(0, 2, 1, 3).reshape(-1, SIDE, SIDE)
    y_N = np.array([classes.index(row["class"]) for row in rows])
    superclasses = tuple(above[name] for name in classes)
    digest = fashion_digest(split)
    return from_array("fashion", split, images[: len(rows)], y_N, classes, digest=digest, superclasses=superclasses)
