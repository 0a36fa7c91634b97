"""The suite `mini`: eleven small, real tasks that run offline, and two sets beside them, each read from a tar of its own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from relic_eval.data.archive import Archive, archive_digest, open_archive
from relic_eval.data.folder import SIDE
from relic_eval.data.named import SEED, Counts, Named
from relic_eval.data.opening import is_picture_name
from relic_eval.data.rows import Rows, of_archive
from relic_eval.errors import DataError
from relic_eval.files import digest_json

VERSION = 1  # of how rows, validation rows and superclasses come out of a tar; raise it when they change
VALID_SHARE = 0.2
SIDES = {"cifar10": 32, "cifar10-full": 32, "mnist": 28}  # natural sides; of the others: SIDE
WITH_WNIDS = "tinyimagenet40"  # whose classes are called WNID_name; people read the name
ABOVE = ("pets4", "pets9")  # whose classes are called SUPERCLASS_NAME
# title, classes, train, test, as the table of the sets says
TABLE = {
    "cifar10": ("CIFAR-10, small", 10, 2000, 1000),
    "food10": ("Food-101, ten classes", 10, 890, 440),
    "dtd10": ("Textures, ten classes", 10, 800, 400),
    "caltech40": ("Caltech-101, forty classes", 40, 800, 400),
    "oxfordpets37": ("Oxford pets, small", 37, 222, 148),
    "gtsrb40": ("Traffic signs, forty classes", 40, 2400, 1200),
    "rsscn7": ("Aerial scenes", 7, 595, 280),
    "flowers5": ("Flowers, five classes", 5, 500, 250),
    "tinyimagenet40": ("Tiny ImageNet, forty classes", 40, 2800, 1400),
    "pets9": ("Cats and dogs, nine breeds", 9, 900, 450),
    "mnist": ("Digits, small MNIST", 10, 1000, 500),
    "pets4": ("Cats and dogs, four breeds", 4, 400, 200),
    "cifar10-full": ("CIFAR-10 as JPEG", 10, 50000, 10000),
}
BESIDE = ("pets4", "cifar10-full")  # there by name, but no part of the suite


def _tar(place: Path, name: str) -> Path:
    file = place / f"{name}.tar"
    if not file.is_file():
        raise DataError(f"expected a file {file}, received nothing there.")
    return file


def _rows(place: Path, name: str, split: str) -> Rows:
    archive = open_archive(_tar(place, name))
    names = sorted(n for n in archive.spans if n.startswith(f"{split}/") and n.count("/") == 2 and is_picture_name(n))
    classes = sorted({n.split("/")[1] for n in names})
    number = {label: i for i, label in enumerate(classes)}
    y_N = np.array([number[n.split("/")[1]] for n in names], np.int64)
    valid_N = _valid_by_track(archive, names) if name == "gtsrb40" and split == "train" else None
    above = tuple(label.split("_")[0] for label in classes) if name in ABOVE else None
    side = SIDES.get(name, SIDE)
    called = [re.sub(r"^n\d{8}_", "", label).replace("_", " ") if name == WITH_WNIDS else label for label in classes]
    return of_archive(archive, names, y_N, called, superclasses=above, valid_N=valid_N, side=side)


def _valid_by_track(archive: Archive, names: list[str]) -> np.ndarray:
    sources = {row["file"]: row["source_path"] for row in archive.table("index.csv")}
    tracks = [f"{n.split('/')[1]}/{Path(sources[n]).name.split('_')[0]}" for n in names]
    return whole_tracks(np.array(tracks), SEED)


def whole_tracks(tracks_N: np.ndarray, seed: int) -> np.ndarray:
    """Which rows (N,) validate when tracks `CLASS/TRACK` stay whole: of each class, drawn tracks until a fifth of its rows is there.

    The last track of a class always trains, so that a class of one track has no validation rows.

    >>> whole_tracks(np.array(["a/1", "a/1", "a/2", "b/1"]), 0)
    array([ True,  True, False, False])
    """
    rng, valid_N = np.random.default_rng(seed), np.zeros(len(tracks_N), bool)
    label_N = np.array([track.rsplit("/", 1)[0] for track in tracks_N])
    for label in np.unique(label_N):
        its_N = label_N == label
        for track in rng.permutation(np.unique(tracks_N[its_N]))[:-1]:
            if valid_N[its_N].sum() < VALID_SHARE * its_N.sum():
                valid_N |= tracks_N == track
    return valid_N


def _named(name: str) -> Named:
    title, classes, train, test = TABLE[name]

    def quick(place: Path, split: str, cache: Path | None) -> str:
        return digest_json([archive_digest(_tar(place, name), cache), name, split, VERSION])

    return Named(
        f"mini-{name}",
        title,
        Counts(classes, train=train, test=test),
        lambda place, split: _rows(place, name, split),
        f"Put {name}.tar of the suite mini into the folder that RELIC_EVAL_DATA names.",
        official=name == "gtsrb40",
        below=".",
        quick=quick,
    )


MINI = {f"mini-{name}": _named(name) for name in TABLE}
SUITE = tuple(f"mini-{name}" for name in TABLE if name not in BESIDE)
