"""The stores that a data set needs: made where they are not there. Each picture is opened once, and not at all otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from relic_eval.arrays import whole
from relic_eval.data.beside import use_beside
from relic_eval.data.corruptions import NOTE, Corruptions, corrupted, first_of_each, held, library_version
from relic_eval.data.own import OwnTask
from relic_eval.data.pictures import only
from relic_eval.data.sources import dataset_name, dataset_splits, pictures, refuse_inside, said_of, split_digest
from relic_eval.data.tasks import rows_that_test
from relic_eval.data.views import augmented, recipe_digest, use_views
from relic_eval.encoders.load import Encoder, find_encoder, renamed
from relic_eval.errors import ArgumentError
from relic_eval.fill import fill
from relic_eval.intake import refuse_twins
from relic_eval.progress import say, short, warn
from relic_eval.records import CorruptionRequest, EncodeRequest, ViewRequest, settings_key
from relic_eval.store import (
    complete,
    note_task,
    note_training,
    store_path,
    use_stores,
    weights_in_use,
)


def find_encoders(texts: Sequence[str], name: str | None = None) -> list[Encoder]:
    """The encoders of these names or paths, no two of one name; a single one may be given another `name`.

    >>> [e.name for e in find_encoders(["pixels", "random:thin-resnet"])]
    ['pixels', 'random']
    """
    found = [renamed(find_encoder(text), name) for text in dict.fromkeys(texts)]
    refuse_twins({text: encoder.name for text, encoder in zip(dict.fromkeys(texts), found, strict=True)})
    return found


def check_on_error(value: str) -> str:
    """What is done about an unreadable picture, or an ArgumentError.

    >>> check_on_error("skip")
    'skip'
    """
    if value not in ("fail", "skip"):
        raise ArgumentError("on_error", "fail or skip", repr(value))
    return value


def embed(
    encoder: Encoder,
    data: str | OwnTask,
    out: Path,
    *,
    device: str = "auto",
    batch: int = 256,
    on_error: str = "fail",
    views: int = 0,
    corruptions: Corruptions | None = None,
    alone: bool = True,
) -> list[Path]:
    """Embed every split of a data set into stores under `out`, skipping those that are there; returns their paths.

    With `views`, that many augmented views of each picture that may be tested (all splits but one called train that has
    others beside it) go into stores of their own, one a view; those of the whole pictures are what they are without.
    `corruptions` do the same with corrupted pictures, a store a kind and strength; of a set that is divided later, of the rows
    that test.

    Where other data sets hold embeddings of that encoder with other weights, that is said; not so if it is not `alone`,
    since other sets follow.
    """
    whole("views", views, 0)
    check_on_error(on_error)
    refuse_inside(out, data)
    device = encoder.device or device
    made: dict[str, Path] = {}
    viewed: dict[Path, list[Path]] = {}
    worse: dict[Path, list[Path]] = {}
    encoder = dataclasses.replace(encoder, build=lru_cache(maxsize=1)(encoder.build))  # one network for all stores
    for split in dataset_splits(data):
        notes = out / "data"
        digest = split_digest(data, split, notes)
        request = EncodeRequest(
            encoder=encoder.name,
            weights=encoder.digest,
            dataset=dataset_name(data),
            split=split,
            data=digest,
            resolution=encoder.transform.side if encoder.transform else 0,
            batch=batch,
            device=device,
            on_error=on_error,
        )
        _warn_of_another_state(encoder, request)
        path = store_path(out, encoder.name, request.dataset, split, settings_key(request))
        if complete(path):
            say(f"embed {encoder.name} {request.dataset} {split}: already there")
            note_training(path, encoder.training)
            note_task(path, said_of(data))
        else:
            fill(encoder, pictures(data, split, notes), request, path)
        made[split] = path
        if split == "train" and len(dataset_splits(data)) > 1:
            continue
        if views:
            viewed[path] = [_view(encoder, data, request, out, number) for number in range(1, views + 1)]
        if corruptions:
            worse[path] = _corruptions(encoder, data, request, out, corruptions)
    if use_stores(made) and alone:
        warn_of_other_weights(encoder, out)
    if viewed:
        use_views(viewed)
    if worse:
        use_beside(NOTE, worse)
    return list(made.values())


def warn_of_other_weights(encoder: Encoder, out: Path) -> None:
    """Say which data sets hold embeddings of that encoder's name, in use under `out`, with other weights than its own.

    >>> from relic_eval.encoders.load import find_encoder
    >>> warn_of_other_weights(find_encoder("pixels"), Path("/nowhere"))
    """
    sets = weights_in_use(out, encoder.name)
    others = [dataset for dataset, its in sets.items() if its != {encoder.digest}]
    if others and any(encoder.digest in its for its in sets.values()):
        warn(
            f"{encoder.name}: its embeddings of {short(others)} under {out} are of other weights or settings than these, and "
            "the board would show both as one encoder. Embed these sets again too, or give this one another name (name=). A "
            "network that is made without a seed has other weights in every run: save it and use file:."
        )


def _view(encoder: Encoder, data: str | OwnTask, request: EncodeRequest, out: Path, number: int) -> Path:
    """The store of an augmented view of a split: made where it is not there."""
    asked = ViewRequest(settings_key(request), number, recipe_digest())
    path = store_path(out, encoder.name, request.dataset, request.split, settings_key(asked))
    if complete(path):
        say(f"embed {encoder.name} {request.dataset} {request.split}, view {number}: already there")
    else:
        source = augmented(pictures(data, request.split, out / "data"), number, asked.seed)
        fill(encoder, source, dataclasses.replace(request, thumbnails=0), path, asked, str(number))
    return path


def _corruptions(
    encoder: Encoder, data: str | OwnTask, request: EncodeRequest, out: Path, asked: Corruptions
) -> list[Path]:
    """The stores of the corrupted pictures of a split, by kind and strength: made where they are not there."""
    whole, library = settings_key(request), library_version()
    wanted = [
        CorruptionRequest(whole, kind, strength, asked.most, asked.seed, library)
        for kind in asked.kinds
        for strength in asked.strengths
    ]
    place = [store_path(out, encoder.name, request.dataset, request.split, settings_key(w)) for w in wanted]
    missing = [(w, path) for w, path in zip(wanted, place, strict=True) if not complete(path)]
    say(
        f"embed {encoder.name} {request.dataset} {request.split}: {len(wanted) - len(missing)} of {len(wanted)} corruptions already there"
    )
    if not missing:
        return place
    source = pictures(data, request.split, out / "data")
    rows = rows_that_test(source.split, source.y_N, source.classes)
    rows = rows[first_of_each(source.y_N[rows], asked.most)]
    source = held(only(source, rows), source.corrupted_at)
    for w, path in missing:
        changed = corrupted(source, w.kind, w.strength, w.seed)
        fill(encoder, changed, dataclasses.replace(request, thumbnails=0), path, w, f"{w.kind} {w.strength}")
    return place


def _warn_of_another_state(encoder: Encoder, request: EncodeRequest) -> None:
    """Say where a run was trained on this set when it was another: divided anew, its training rows may now test."""
    trained = (encoder.training or {}).get("data", {})
    same_set = trained.get("name") == request.dataset and trained.get("split") == request.split == "all"
    if same_set and trained.get("digest") != request.data:
        warn(
            f"{encoder.name} was trained on {request.dataset} before it changed: some of its test images may have been "
            "trained on. Train again for numbers that hold."
        )
