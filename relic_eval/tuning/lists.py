"""The published lists of ImageNet's labelled pictures: one file name a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relic_eval.errors import ArgumentError, DataError
from relic_eval.tuning.shots import Shots

COUNTS = {0.01: 12_811, 0.1: 128_116}  # of 1,281,167 pictures
WHERE = "They are 1percent.txt and 10percent.txt in imagenet_subsets of google-research/simclr; give the file's path."


def read_list(path: Path, share: float) -> tuple[str, ...]:
    """The names in a published list; a DataError for a missing file or another number of names than that share has.

    >>> read_list(Path("/nowhere/1percent.txt"), 0.01)
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected a list /nowhere/1percent.txt, received nothing there. ...
    """
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"expected a list {path}, received nothing there. {WHERE}") from None
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path}: expected names of pictures, one a line, received {error}. {WHERE}") from None
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    check_list(names, share, f"{path}: ")
    return names


def check_list(names: Sequence[str], share: float, where: str = "") -> None:
    """A DataError where these are not as many names as the published list of that share has, each once.

    >>> check_list(["a.JPEG"], 0.01)
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected the 12,811 names of the published list of 1%, received 1. ...
    """
    if share not in COUNTS:
        raise ArgumentError("share", " or ".join(map(str, COUNTS)), f"{share}", "Other shares have no published list.")
    if len(names) != COUNTS[share]:
        raise DataError(
            f"{where}expected the {COUNTS[share]:,} names of the published list of {share:.0%}, received {len(names):,}. {WHERE}"
        )
    if len(set(names)) != len(names):
        raise DataError(
            f"{where}expected each name once, received {len(names) - len(set(names))} of them again. {WHERE}"
        )


def rows_of_names(shots: Shots, names: Sequence[str]) -> np.ndarray:
    """Places of the pictures with these file names; a DataError that says how many are not there.

    >>> from relic_eval.data.pictures import from_array
    >>> p = from_array("toy", "train", np.zeros((2, 2, 2), np.uint8), np.array([0, 1]), ("a", "b"), digest="d")
    >>> rows_of_names(Shots(p, np.arange(2), p.y_N, p.classes), ["1"])
    array([1])
    """
    place = {str(p).rsplit("/", 1)[-1]: i for i, p in enumerate(shots.pictures.paths[shots.rows])}
    lacking = [name for name in names if name not in place]
    if lacking:
        raise DataError(
            f"expected all {len(names):,} pictures of the list among the training pictures, received {len(names) - len(lacking):,}: "
            f"{lacking[0]} is not there. Complete the download."
        )
    return np.sort([place[name] for name in names])
