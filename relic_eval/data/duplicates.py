"""The search for leaks: exact and re-encoded pictures without any encoder, near ones in an encoder's embeddings."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relic_eval.data.fingerprints import SEEN, VERSION, Fingerprints, fingerprints
from relic_eval.data.leaks import MOST_PAIRS, OWN, Leaks, key_of_leaks, leaks_path, read_leaks_at, write_leaks
from relic_eval.data.own import OwnTask
from relic_eval.data.pictures import Pictures
from relic_eval.data.scenes import unmasked
from relic_eval.data.sources import (
    dataset_name,
    dataset_splits,
    has_masks,
    masked_pictures,
    pictures,
    said_of,
    split_digest,
)
from relic_eval.data.tasks import Task, pretraining_rows, split_task, tasks_of
from relic_eval.errors import DataError, UnknownNameError
from relic_eval.files import digest_json
from relic_eval.metrics.hashes import MOST as MOST_APART
from relic_eval.metrics.hashes import NOISE, REACH, SHARE, first_of_each, near_hashes, same_picture
from relic_eval.metrics.neighbours import nearest
from relic_eval.progress import say, warn
from relic_eval.records import Table
from relic_eval.store import find_stores, read_manifest, read_store

MOST = 20  # pairs kept of each test picture, nearest first
SIDE = 64  # of those pictures
COSINE = 0.99  # from here on embeddings are near
TELLS_NOTHING = 0.5  # share of test pictures beyond which an encoder's cosine tells no duplicates
_LIKENESS = {"reach": REACH, "share": SHARE, "noise": NOISE, "most": MOST_APART, "side": SEEN.side, "version": VERSION}


def find_leaks(data: str | OwnTask, out: Path, *, against: str | None = None) -> list[Leaks]:
    """Test pictures of each task of a data set that are among its training pictures too, or among those of the set `against`.

    `against` is what an encoder was pretrained on: its `train` split, or of a whole set what pretraining sees. Records go to
    `out`/leaks and are read from there while the pictures are the same. Where a set is divided later, leaks are those
    between the parts of the division. One pass over the pictures, kept for other searches; then every pair is compared.
    Of a set with masks its pictures are compared, and those that validate are among those that train.
    """
    notes, found = out / "data", []
    head = said_of(data).get("trains_on")
    if head and against is None:
        say(f"leaks {dataset_name(data)}: it has no training pictures of its own; --against {head} searches those")
        return []
    source = _sources(data, notes)
    other = None if against is None else _pretrained_on(against, notes)
    name = OWN if other is None or against is None else dataset_name(against)
    done: dict[tuple[str, str], Leaks] = {}
    splits = set(source) if has_masks(data) else set(dataset_splits(data))
    for task in tasks_of(dataset_name(data), splits, _levels(next(iter(source.values())))):
        train, test = other or source[task.train], source[_unmoved(task.test)]
        moved = task.test not in source
        digests = {"train": train.digest, "test": split_digest(data, task.test, notes) if moved else test.digest}
        key = digest_json([digests, task.train == task.test, other is None, _LIKENESS])
        path = leaks_path(out, task.name, name)
        if key_of_leaks(path) == key:
            say(f"leaks {task.name} against {name}: already there")
            found.append(read_leaks_at(path))
            continue
        if (train.split, test.split) not in done:  # superclasses, and moved pictures, are the same pictures
            done[(train.split, test.split)] = _search(task, name, train, test, out)
        leaks = dataclasses.replace(done[(train.split, test.split)], task=task.name, data=digests)
        write_leaks(out, leaks, key)
        found.append(leaks)
    return found


def _sources(data: str | OwnTask, notes: Path) -> dict[str, Pictures]:
    """Every split but moved ones."""
    splits = sorted(dataset_splits(data))
    if has_masks(data):
        return unmasked({split: masked_pictures(data, split, notes) for split in splits})
    return {split: pictures(data, split, notes) for split in splits if split == _unmoved(split)}


def _levels(source: Pictures) -> bool:
    return source.superclasses is not None and 1 < len(set(source.superclasses)) < len(source.classes)


def _unmoved(split: str) -> str:
    """The split whose pictures these are: moved ones keep their ids."""
    return split.removesuffix("-shifted")


def _pretrained_on(name: str, notes: Path) -> Pictures:
    source = _sources(name, notes)
    return source.get("train") or source["all"]


def _search(task: Task, against: str, train: Pictures, test: Pictures, out: Path) -> Leaks:
    its, theirs = fingerprints(test, out), fingerprints(train, out)
    seen = theirs.take(np.isin(theirs.row_N, pretraining_rows(train.split, train.y_N, train.classes)))
    if test.split == "all":  # divided later: only what will test
        its = its.take(~np.isin(its.row_N, pretraining_rows(test.split, test.y_N, test.classes)))
    if not len(its) or not len(seen):
        raise DataError(f"{task.name}: expected readable pictures to test and to train on, received none.")
    query_P, item_P, kind_P, distance_P, leaked_N = _pairs(its, seen)
    pairs = {
        "test": its.ids[query_P],
        "train": seen.ids[item_P],
        "kind": kind_P,
        "distance": distance_P,
        "test_path": its.paths[query_P],
        "train_path": seen.paths[item_P],
        "test_class": _class_of(test, its.row_N[query_P]),
        "train_class": _class_of(train, seen.row_N[item_P]),
    }
    rows = np.flatnonzero(leaked_N != "")
    shown = range(min(MOST_PAIRS, len(query_P)))
    small = {
        **_thumbnails(test, "test", [(its.ids[query_P[i]], its.row_N[query_P[i]]) for i in shown]),
        **_thumbnails(train, "train", [(seen.ids[item_P[i]], seen.row_N[item_P[i]]) for i in shown]),
    }
    return Leaks(
        task.name,
        against,
        "",
        {"test": len(its), "train": len(seen)},
        {"train": train.digest, "test": test.digest},
        dict(_LIKENESS),
        pairs,
        {"id": seen.ids[rows], "kind": leaked_N[rows]},
        small,
    )


def _class_of(source: Pictures, rows: np.ndarray) -> np.ndarray:
    return np.array(source.classes)[source.y_N[rows]]


def _pairs(test: Fingerprints, train: Fingerprints) -> tuple[np.ndarray, ...]:
    """Test rows, training rows, kinds and distances of pairs, by test row and distance; and the kind of each leaked training row.

    Equal digests are sorted together; of all others every pair of hashes is looked at, a block at a time.
    """
    leaked_N = np.full(len(train), "", "<U10")
    order = np.argsort(train.sha256, kind="stable")
    left_Q, right_Q = (np.searchsorted(train.sha256[order], test.sha256, side) for side in ("left", "right"))
    leaked_N[np.isin(train.sha256, test.sha256)] = "exact"
    many_Q = np.minimum(right_Q - left_Q, MOST)
    query_P = np.repeat(np.arange(len(test)), many_Q)
    step_P = np.arange(len(query_P)) - np.repeat(np.cumsum(many_Q) - many_Q, many_Q)
    parts = [(query_P, order[left_Q[query_P] + step_P], np.full(len(query_P), "exact", "<U10"), np.zeros(len(query_P)))]
    for query, item, bits in near_hashes(test.phash_N, train.phash_N):
        other = test.sha256[query] != train.sha256[item]
        query, item, bits = query[other], item[other], bits[other]
        same, _ = same_picture(test.small_NSS[query], train.small_NSS[item])
        query, item, bits = query[same], item[same], bits[same]
        new = item[leaked_N[item] == ""]
        leaked_N[new] = "re-encoded"
        by = np.lexsort((item, bits, query))
        by = by[first_of_each(query[by], MOST)]
        parts.append((query[by], item[by], np.full(len(by), "re-encoded", "<U10"), bits[by].astype(float)))
    query, item, kind, distance = (np.concatenate(column) for column in zip(*parts, strict=True))
    by = np.lexsort((item, distance, kind, query))  # "exact" comes before "re-encoded"
    by = by[first_of_each(query[by], MOST)]
    return query[by], item[by], kind[by], distance[by], leaked_N


def _thumbnails(source: Pictures, half: str, wanted: Sequence[tuple[str, int]]) -> dict[str, bytes]:
    from PIL import Image

    rows = dict(wanted)
    if not rows:
        return {}
    pixels, _ = source.read(np.array([*rows.values()]), min(source.side, SIDE))
    made = {}
    for name, picture in zip(rows, pixels, strict=True):
        file = io.BytesIO()
        flat = picture[..., 0] if picture.shape[2] == 1 else picture
        Image.fromarray(flat).convert("RGB").save(file, "WEBP", quality=80)
        made[f"{half} {name}"] = file.getvalue()
    return made


def near_leaks(out: Path, dataset: str, encoders: Sequence[str] = ()) -> list[Leaks]:
    """Of each encoder whose embeddings of a data set are under `out`: test pictures that lie near a training picture.

    Near is a cosine of at least 0.99, as the exact search finds it; of each test picture at most 20 neighbours are looked at.
    An encoder that puts half of all test pictures so near tells no duplicates by it, which is said. Raises DataError where
    there are no embeddings, UnknownNameError for an encoder that has none.
    """
    stores: dict[str, dict[str, Path]] = {}
    for store in find_stores(out):
        if store.dataset == dataset:
            stores.setdefault(store.encoder, {})[store.split] = store.path
    if not stores:
        raise DataError(f"{out}: expected embeddings of {dataset}, received none. Run 'relic-eval embed' first.")
    for name in encoders:
        if name not in stores:
            raise UnknownNameError("encoder", name, stores)
    found = []
    for encoder in encoders or sorted(stores):
        splits = {s for s in stores[encoder] if not s.endswith("-shifted")}
        task = next(t for t in tasks_of(dataset, splits) if t.level == "class")
        found.append(_near(out, encoder, task, stores[encoder][task.train], stores[encoder][task.test]))
    return found


def _near(out: Path, encoder: str, task: Task, train_path: Path, test_path: Path) -> Leaks:
    manifests = [read_manifest(path) for path in (train_path, test_path)]
    key = digest_json([[m["content"] for m in manifests], COSINE, MOST, task.name])
    path = leaks_path(out, task.name, OWN, encoder)
    if key_of_leaks(path) == key:
        say(f"leaks {task.name} by {encoder}: already there")
        return read_leaks_at(path)
    whole_test = read_store(test_path)
    train, valid, test = split_task(task, whole_test if train_path == test_path else read_store(train_path), whole_test)
    seen_ND, ids = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([_ids(train), _ids(valid)])
    classes = np.array(train.classes)
    labels = classes[np.concatenate([train.y_N, valid.y_N])]
    index_QK, score_QK = nearest(seen_ND, test.x_ND, min(MOST, len(seen_ND)))
    query_P, place_P = np.nonzero(score_QK >= COSINE)
    item_P = index_QK[query_P, place_P]
    rows = np.unique(item_P)
    pairs: Table = {
        "test": _ids(test)[query_P],
        "train": ids[item_P],
        "kind": np.full(len(query_P), "near", "<U10"),
        "distance": np.maximum(1 - score_QK[query_P, place_P].astype(float), 0),
        "test_path": _ids(test)[query_P],
        "train_path": ids[item_P],
        "test_class": classes[test.y_N[query_P]],
        "train_class": labels[item_P],
    }
    settings = {"cosine": COSINE, "most": MOST}
    counts = {"test": len(test), "train": len(seen_ND)}
    digests = {"train": manifests[0]["data"]["digest"], "test": manifests[1]["data"]["digest"]}
    leaked = {"id": ids[rows], "kind": np.full(len(rows), "near", "<U10")}
    leaks = Leaks(task.name, OWN, encoder, counts, digests, settings, pairs, leaked, {})
    if leaks.share()[0] > TELLS_NOTHING:
        warn(
            f"{encoder} on {task.name}: {100 * leaks.share()[0]:.0f}% of test pictures have a cosine of {COSINE} or more with a "
            "training picture. That tells how narrow its cone of embeddings is, not which pictures are the same."
        )
    write_leaks(out, leaks, key)
    return leaks


def _ids(rows) -> np.ndarray:
    return rows.ids.astype(str)
