"""Pictures -> encoder -> store. Each picture is opened once, and not at all where the store is there."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.arrays import whole
from relic_eval.data.ahead import read_ahead
from relic_eval.data.beside import use_beside
from relic_eval.data.corruptions import NOTE, Corruptions, corrupted, first_of_each, held, library_version
from relic_eval.data.own import OwnTask
from relic_eval.data.pictures import Pictures, only, said_in_words
from relic_eval.data.sources import dataset_name, dataset_splits, pictures, refuse_inside, said_of, split_digest
from relic_eval.data.tasks import rows_that_test
from relic_eval.data.views import augmented, recipe_digest, use_views
from relic_eval.devices import device as find_device
from relic_eval.devices import float32, versions
from relic_eval.encoders.cost import gflops
from relic_eval.encoders.load import Encoder, find_encoder, renamed
from relic_eval.encoders.steady import refuse_unsteady
from relic_eval.errors import ArgumentError, DataError
from relic_eval.intake import refuse_twins
from relic_eval.progress import say, track, warn
from relic_eval.records import CorruptionRequest, EncodeRequest, Transform, ViewRequest, settings_key
from relic_eval.store import (
    complete,
    finish,
    has_part,
    note_task,
    note_training,
    part_rows,
    part_table,
    store_path,
    use_stores,
    write_part,
)
from relic_eval.tables import read_table, write_table
from relic_eval.timings import note_time

# Pictures that a CPU is given at once, in pixels: 8 of 224 x 224. An EfficientNet-Lite0 takes 40 ms a picture then and 75 ms
# where 64 go through together, whose activations no cache holds; at 96 pixels 32 are as good as any.
CPU_PIXELS = 8 * 224 * 224
THUMBNAIL = 64  # longest side kept; smaller pictures stay as they are


def find_encoders(texts: Sequence[str], name: str | None = None) -> list[Encoder]:
    """The encoders of these names or paths, no two of one name; a single one may be given another `name`.

    >>> [e.name for e in find_encoders(["pixels", "random:thin-resnet"])]
    ['pixels', 'random']
    """
    found = [renamed(find_encoder(text), name) for text in dict.fromkeys(texts)]
    refuse_twins({text: encoder.name for text, encoder in zip(dict.fromkeys(texts), found, strict=True)})
    return found


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
) -> list[Path]:
    """Embed every split of a data set into stores under `out`, skipping those that are there; returns their paths.

    With `views`, that many augmented views of each picture that may be tested (all splits but one called train that has
    others beside it) go into stores of their own, one a view; those of the whole pictures are what they are without.
    `corruptions` do the same with corrupted pictures, a store a kind and strength; of a set that is divided later, of the rows
    that test.
    """
    whole("views", views, 0)
    if on_error not in ("fail", "skip"):
        raise ArgumentError("on_error", "fail or skip", repr(on_error))
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
            _encode(encoder, pictures(data, split, notes), request, path)
        made[split] = path
        if split == "train" and len(dataset_splits(data)) > 1:
            continue
        if views:
            viewed[path] = [_view(encoder, data, request, out, number) for number in range(1, views + 1)]
        if corruptions:
            worse[path] = _corruptions(encoder, data, request, out, corruptions)
    use_stores(made)
    if viewed:
        use_views(viewed)
    if worse:
        use_beside(NOTE, worse)
    return list(made.values())


def _view(encoder: Encoder, data: str | OwnTask, request: EncodeRequest, out: Path, number: int) -> Path:
    """The store of an augmented view of a split: made where it is not there."""
    asked = ViewRequest(settings_key(request), number, recipe_digest())
    path = store_path(out, encoder.name, request.dataset, request.split, settings_key(asked))
    if complete(path):
        say(f"embed {encoder.name} {request.dataset} {request.split}, view {number}: already there")
    else:
        source = augmented(pictures(data, request.split, out / "data"), number, asked.seed)
        _encode(encoder, source, dataclasses.replace(request, thumbnails=0), path, asked, str(number))
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
        _encode(encoder, changed, dataclasses.replace(request, thumbnails=0), path, w, f"{w.kind} {w.strength}")
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


def _encode(
    encoder: Encoder,
    source: Pictures,
    request: EncodeRequest,
    path: Path,
    changed: ViewRequest | CorruptionRequest | None = None,
    view: str = "whole",
) -> None:
    channels, transform = encoder.channels or source.channels, encoder.transform or Transform(source.side)
    device = find_device(request.device)
    function = encoder.build(channels, device)

    at_once = request.batch if device != "cpu" else min(request.batch, max(1, CPU_PIXELS // transform.side**2))

    def features(pixels: np.ndarray) -> np.ndarray:
        pieces = (pixels[start : start + at_once] for start in range(0, len(pixels), at_once))
        made = [encode_batch(function, piece, channels, device) for piece in pieces]
        _refuse_other_widths(made)
        return np.concatenate(made)

    if changed or has_part(path, 0) or len(source) < 4:
        dims = features(source.read(np.arange(1), transform)[0]).shape[1]
    else:
        few = source.read(np.linspace(0, len(source) - 1, 4).astype(int), transform)[0]
        whole = lambda pixels: encode_batch(function, pixels, channels, device)  # noqa: E731  not in pieces, which would be alike
        dims = refuse_unsteady(encoder.name, whole, few, encoder.settings.get("precision", "float32"))
    rows_a_part = part_rows(dims)
    problems: dict[int, str] = {}
    began, pictures = time.perf_counter(), 0
    for number, start in enumerate(range(0, len(source), rows_a_part)):
        rows = np.arange(start, min(start + rows_a_part, len(source)))
        if has_part(path, number):
            problems.update(_left_out(path, number, source, rows))
        else:
            problems.update(_encode_part(features, source, request, path, number, rows, transform, view))
            pictures += len(rows)
    if pictures:
        what, out = f"embed {encoder.name} {source.dataset} {source.split}", path.parents[3]
        note_time(out, what, time.perf_counter() - began, encoder=encoder.name, pictures=pictures)
    lacking = sorted({source.classes[source.y_N[r]] for r in problems if _none_left(source, problems, source.y_N[r])})
    if lacking:
        raise DataError(f"{source.split}: expected a readable picture of every class, received none of {lacking[0]!r}.")
    if problems:
        warn(
            f"embed: left out {len(problems)} of {len(source)} pictures: {'; '.join([*problems.values()][:3])}. All are in manifest.json."
        )
    if request.thumbnails:
        # of a split that is divided later, the test images may be any: keep as many as five splits would
        per_class = request.thumbnails * (5 if source.split == "all" else 1)
        _write_thumbnails(source, path, per_class, set(problems))
    about = {
        "name": encoder.name,
        "kind": encoder.kind,
        "parameters": encoder.parameters if encoder.parameters is not None else _parameters(function),
        "gflops": gflops(function, channels, transform.side, device),
        "training": encoder.training,
        "settings": dict(encoder.settings),
    }
    wanted = changed or request
    asked = {"key": settings_key(wanted), "request": dataclasses.asdict(wanted), "versions": versions()}
    finish(path, {**asked, "encoder": about, "data": _about_data(source, problems)})


def _encode_part(
    features: Callable[[np.ndarray], np.ndarray],
    source: Pictures,
    request: EncodeRequest,
    path: Path,
    number: int,
    rows: np.ndarray,
    transform: Transform,
    view: str,
) -> dict[int, str]:
    """Write a part; returns what is wrong with the pictures that are left out, by row."""
    made: list[np.ndarray] = []
    shas: list[str] = []
    problems: dict[int, str] = {}
    title, total = f"embed {request.encoder} {source.dataset} {source.split}", -(-len(rows) // request.batch)
    with closing(read_ahead(source, rows, transform, request.batch)) as batches:
        for batch in track(batches, title, total, unit="batch"):
            if batch.problems and request.on_error == "fail":
                raise DataError(
                    f"expected readable pictures, received {len(batch.problems)} in this batch that are not: "
                    f"{'; '.join([*batch.problems.values()][:3])}. Mend or remove them, or use --on-error skip."
                )
            problems.update(batch.problems)
            made.append(features(batch.pixels))
            shas += batch.shas
    _refuse_other_widths(made)
    x_ND, kept_N = np.concatenate(made), ~np.isin(rows, list(problems))
    if not kept_N.any():
        raise DataError(f"expected readable pictures, received none: {next(iter(problems.values()))}.")
    kept = rows[kept_N]
    refuse_nonfinite(x_ND[kept_N], request.encoder, source.paths[kept])
    table = part_table(
        source.ids[kept],
        source.paths[kept],
        source.y_N[kept],
        source.classes,
        source.superclasses,
        view,
        np.array(shas)[kept_N],
        np.full(len(kept), transform.side, np.int32),
    )
    write_part(path, number, x_ND[kept_N], table)
    return problems


def _refuse_other_widths(made: list[np.ndarray]) -> None:
    if len({x.shape[1] for x in made}) > 1:
        raise ArgumentError("encoder", "as many features for every batch", f"{sorted({x.shape[1] for x in made})}")


def _parameters(function: Any) -> int | None:
    """Of a module, which is known only once it is built."""
    return sum(p.numel() for p in function.parameters()) if hasattr(function, "parameters") else None


def _about_data(source: Pictures, problems: dict[int, str]) -> dict[str, Any]:
    """What the manifest says of the pictures: what they are, what could not be read, and what is special about their task."""
    return {
        "name": source.dataset,
        "split": source.split,
        "digest": source.digest,
        "classes": list(source.classes),
        "superclasses": None if source.superclasses is None else list(source.superclasses),
        "unreadable": sorted(problems.values()),
        "absent": [[row, int(source.y_N[row])] for row in sorted(problems)],
        **_about_task(source),
    }


def _about_task(source: Pictures) -> dict[str, Any]:
    """What a set says of its own task, where that is not what any set has."""
    valid_N, labels_NC = source.valid_N, source.labels_NC
    said: dict[str, Any] = {
        **said_in_words(source.title, source.metric, source.blocks, source.trains_on),
        "valid": [] if valid_N is None else np.flatnonzero(valid_N).tolist(),
        "labels": [] if labels_NC is None else [np.flatnonzero(its_C).tolist() for its_C in labels_NC],
    }
    return {name: value for name, value in said.items() if value}


def _none_left(source: Pictures, problems: dict[int, str], label: int) -> bool:
    return bool(np.isin(np.flatnonzero(source.y_N == label), list(problems)).all())


def _left_out(path: Path, number: int, source: Pictures, rows: np.ndarray) -> dict[int, str]:
    """Pictures that a part made before could not read."""
    there = set(read_table(path / f"part-{number:05d}.parquet")["id"].tolist())
    return {r: f"{source.paths[r]}: unreadable" for r in rows.tolist() if source.ids[r] not in there}


def encode_batch(function: Any, pixels_NHWC: np.ndarray, channels: int, device: str) -> np.ndarray:
    """Features (N, D) float32 of uint8 pixels, grey made RGB or RGB made grey as the encoder wants it.

    >>> encode_batch(lambda x: x.flatten(1), np.full((1, 1, 1, 1), 255, np.uint8), 1, "cpu")
    array([[1.]], dtype=float32)
    """
    import torch

    x = torch.from_numpy(np.ascontiguousarray(pixels_NHWC)).to(device).permute(0, 3, 1, 2).float().div_(255)
    if x.shape[1] != channels:
        weights = x.new_tensor([0.2989, 0.5870, 0.1140]).view(1, 3, 1, 1)
        x = x.expand(-1, 3, -1, -1) if channels == 3 else (x * weights).sum(1, keepdim=True)
    try:
        with torch.inference_mode(), float32():
            features = function(x)
    except Exception as error:
        error.add_note(
            f"The encoder was given pictures {tuple(x.shape)} in [0, 1]; side= and channels= of embed() change that."
        )
        raise
    try:
        features = torch.as_tensor(features).float().cpu().numpy()
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            "encoder",
            f"a tensor of features ({len(pixels_NHWC)}, D)",
            type(features).__name__,
            "Return the tensor alone.",
        ) from None
    if features.ndim != 2 or len(features) != len(pixels_NHWC):
        raise ArgumentError(
            "encoder", f"features ({len(pixels_NHWC)}, D)", f"shape {features.shape}", "Pool the feature map."
        )
    return features


def refuse_nonfinite(x_ND: np.ndarray, name: str, paths_N: np.ndarray) -> None:
    """An error that names the first picture whose embedding is not finite."""
    bad_N = ~np.isfinite(x_ND).all(1)
    if bad_N.any():
        raise DataError(
            f"{name}: expected finite embeddings, received NaN or infinity for {int(bad_N.sum())} pictures "
            f"(the first is {paths_N[bad_N][0]}). Check the encoder's weights and precision."
        )


def _write_thumbnails(source: Pictures, path: Path, per_class: int, left_out: set[int]) -> None:
    from PIL import Image

    rows = np.concatenate([np.flatnonzero(source.y_N == c)[:per_class] for c in range(len(source.classes))])
    rows = np.array([r for r in rows.tolist() if r not in left_out], int)
    pixels, _ = source.read(rows, min(source.side, THUMBNAIL))
    files = []
    for picture in pixels:
        file = io.BytesIO()
        Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB").save(
            file, "WEBP", quality=80
        )
        files.append(file.getvalue())
    content = np.empty(len(files), object)
    content[:] = files
    write_table(path / "thumbnails.parquet", {"id": source.ids[rows], "webp": content})
