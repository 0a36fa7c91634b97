"""One store: pictures -> encoder -> parts, thumbnails, manifest. What was written before a stop is kept."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable, Container
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.data.ahead import read_ahead
from relic_eval.data.opening import UNREADABLE
from relic_eval.data.pictures import Pictures, said_in_words
from relic_eval.devices import device as find_device
from relic_eval.devices import versions
from relic_eval.encoders.cost import gflops
from relic_eval.encoders.load import Encoder
from relic_eval.encoders.steady import refuse_unsteady
from relic_eval.errors import DataError
from relic_eval.features import encode_batch, refuse_nonfinite, refuse_other_widths
from relic_eval.progress import track, warn
from relic_eval.records import CorruptionRequest, EncodeRequest, Transform, ViewRequest, settings_key
from relic_eval.store import finish, has_part, part_rows, part_table, write_part
from relic_eval.tables import read_table, write_table
from relic_eval.timings import note_time

# Pictures that a CPU is given at once, in pixels: 8 of 224 x 224. An EfficientNet-Lite0 takes 40 ms a picture then and 75 ms
# where 64 go through together, whose activations no cache holds; at 96 pixels 32 are as good as any.
CPU_PIXELS = 8 * 224 * 224
SIZED, STRETCH = 500, 20  # pictures at most whose sizes are noted, side by side in stretches: they are opened once more
THUMBNAIL = 64  # longest side kept; smaller pictures stay as they are


def fill(
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
        refuse_other_widths(made)
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
    sizes = {} if changed else _sizes(source, problems)
    finish(path, {**asked, "encoder": about, "data": {**_about_data(source, problems), **sizes}})


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
    refuse_other_widths(made)
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


def _sizes(source: Pictures, problems: Container[int]) -> dict[str, Any]:
    """Least, median and largest shorter and longer side of some pictures as they lie, in pixels; nothing where none is known."""
    if source.size is None:
        return {}
    sides = []
    for row in _spread(len(source)):
        try:
            if row not in problems:
                sides.append(sorted(source.size(row)))
        except UNREADABLE:  # it could be read a while ago; no embedding depends on this
            continue
    if not sides:
        return {}
    shorter, longer = ([int(f(its_N)) for f in (np.min, np.median, np.max)] for its_N in np.array(sides).T)
    return {"sizes": {"of": len(sides), "shorter": shorter, "longer": longer}}


def _spread(count: int) -> list[int]:
    """SIZED rows at most, in stretches that are spread evenly: what lies side by side is read together.

    >>> _spread(3), len(_spread(10_000)), _spread(10_000)[18:22]
    ([0, 1, 2], 500, [18, 19, 415, 416])
    """
    if count <= SIZED:
        return list(range(count))
    starts = np.linspace(0, count - STRETCH, SIZED // STRETCH).astype(int)
    return (starts[:, None] + np.arange(STRETCH)).ravel().tolist()


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
