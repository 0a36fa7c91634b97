"""From the name of a data set to its splits: a bundled or named set, a folder of class folders, a file that describes a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relic_eval.data.own import OwnTask
from relic_eval.data.pictures import Pictures
from relic_eval.data.registry import find_source
from relic_eval.data.scenes import Scenes
from relic_eval.errors import ArgumentError


def dataset_splits(name: str | OwnTask) -> tuple[str, ...]:
    """The splits of a data set by name (`fashion`, `mini-cifar10`, `NAME:FOLDER`) or path.

    >>> dataset_splits("fashion")
    ('train', 'test', 'test-shifted')
    """
    return find_source(name).splits()


def pictures(name: str | OwnTask, split: str, cache: Path | None = None) -> Pictures:
    """One split of a data set by name or path; `cache` is a folder for notes on digests of your own files.

    >>> pictures("fashion", "test").classes[1]
    'Trouser'
    """
    return find_source(name).open(split, cache)


def has_masks(name: str | OwnTask) -> bool:
    """Whether a data set has masks in place of labels: `masked_pictures` opens it then, and `pictures` does not.

    >>> has_masks("mini-petmask"), has_masks("fashion")
    (True, False)
    """
    return find_source(name).scenes is not None


def masked_pictures(name: str | OwnTask, split: str, cache: Path | None = None) -> Scenes:
    """One split of a data set with masks; ArgumentError for a set that has labels."""
    source = find_source(name)
    if source.scenes is None:
        raise ArgumentError("--data", "a set with masks", f"{source.name()}, which has labels")
    return source.scenes(split, cache)


def split_digest(name: str | OwnTask, split: str, cache: Path | None = None) -> str:
    """The digest of a split's pictures and labels, decoding none of them: for the path that skips what exists.

    >>> split_digest("fashion", "test") == pictures("fashion", "test").digest
    True
    """
    return find_source(name).digest(split, cache)


def dataset_name(name: str | OwnTask) -> str:
    """What people see: the name, or the last part of the path, which must not be the name of a set that is known.

    >>> dataset_name("fashion"), dataset_name("/data/my birds")
    ('fashion', 'my birds')
    """
    return find_source(name).name()


def said_of(name: str | OwnTask) -> dict[str, Any]:
    """What a data set says of its task (title, metric, blocks, trains_on), as a manifest has it; empty where it says nothing.

    >>> said_of("fashion"), said_of("mini-mnist")["title"]
    ({}, 'Digits, small MNIST')
    """
    return find_source(name).said()


def refuse_inside(out: Path, data: str | OwnTask) -> None:
    """An error where results would be written among the pictures of a set, and become one of its classes.

    >>> refuse_inside(Path("/data/birds/out"), "/data/birds")
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: --out: expected a folder outside of the data in /data/birds, received /data/birds/out. ...
    """
    place = out.resolve()
    for root in find_source(data).roots():
        if root.resolve() in (place, *place.parents):
            raise ArgumentError(
                "--out", f"a folder outside of the data in {root}", str(out), "It would become one of the classes."
            )
