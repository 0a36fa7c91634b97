"""The splits of ImageNet-C as one set: the same pictures, each under another corruption or severity."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relic_eval.data.corruptions import KINDS, STRENGTHS
from relic_eval.errors import DataError
from relic_eval.progress import warn
from relic_eval.records import CLEAN, Embeddings
from relic_eval.store import read_manifest, read_store

WHOLE = tuple(
    f"{kind}-{strength}" for kind in KINDS for strength in STRENGTHS
)  # the splits that the benchmark averages


def lacking(splits: set[str]) -> tuple[str, ...]:
    """The splits that a partly there ImageNet-C lacks of the benchmark's 75.

    >>> lacking(set(WHOLE) - {"fog-3", "snow-1"})
    ('snow-1', 'fog-3')
    """
    return tuple(split for split in WHOLE if split not in splits)


def with_severities(test: Embeddings, path: Path, others: Sequence[Path]) -> Embeddings:
    """The rows of the store `path` with all splits as `views`, its own first; `corruptions` names the kind and strength of each.

    Views stay memory-mapped where their pictures stand in the same order. A picture that could not be read in one split is left
    out of all. A store of another set holds the clean pictures, "clean 0", found by file name; where one is missing they are left
    out, with a warning. Raises DataError where splits have no picture in common, or label one differently.
    """
    own = read_manifest(path)["data"]
    places = {own["split"]: path}
    clean = None
    for place in others:
        data = read_manifest(place)["data"]
        if data["name"] == own["name"]:
            places[data["split"]] = place
        else:
            clean = place
    parts = {split: test if place == path else read_store(place) for split, place in places.items()}
    ids, kept = {split: _ids(part, places[split]) for split, part in parts.items()}, _ids(test, path)
    for its_ids in ids.values():
        kept = kept[np.isin(kept, its_ids)]
    if not len(kept):
        raise DataError(f"{path}: expected pictures that are in every split, received none. Embed the set again.")
    rows = _in_order(test, _ids(test, path), kept)
    views, names = [], []
    for split, part in parts.items():
        its = _in_order(part, ids[split], kept)
        if not np.array_equal(its.y_N, rows.y_N):
            raise DataError(f"{places[split]}: expected the labels of {path}, received others. Embed the set again.")
        views.append(its.x_ND)
        names.append(split.replace("-", " "))
    if clean is not None and (untouched := _clean(read_store(clean), kept, clean)) is not None:
        views.append(untouched)
        names.append(CLEAN)
    return dataclasses.replace(rows, views=tuple(views), corruptions=tuple(names))


def _clean(clean: Embeddings, kept: np.ndarray, place: Path) -> np.ndarray | None:
    """The clean pictures of these names; None, with a warning, where one is missing."""
    have, wanted = _file_names(_ids(clean, place)), _file_names(kept)
    missing = int((~np.isin(wanted, have)).sum())
    if missing:
        warn(f"{place}: expected the clean picture of each, received none of {missing}. There is no relative mCE.")
        return None
    return _in_order(clean, have, wanted).x_ND


def _ids(rows: Embeddings, place: Path) -> np.ndarray:
    if rows.ids is None:
        raise DataError(f"{place}: expected ids of the test pictures, received none. Embed again.")
    return rows.ids


def _file_names(ids: np.ndarray) -> np.ndarray:
    return np.array([name.rsplit("/", 1)[-1] for name in ids.tolist()])


def _in_order(rows: Embeddings, have: np.ndarray, wanted: np.ndarray) -> Embeddings:
    """The rows whose names are `wanted`, in that order: the same object where they stand so already."""
    if np.array_equal(have, wanted):
        return rows
    order = np.argsort(have)
    return rows.take(order[np.searchsorted(have, wanted, sorter=order)])
