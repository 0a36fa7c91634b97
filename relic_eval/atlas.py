"""A store as one Parquet file that embedding-atlas and other viewers open: a row a picture, in the order of the store."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from relic_eval.cells import Result, read_cell
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.files import folder_name, whole_file
from relic_eval.progress import say, warn
from relic_eval.store import COLUMNS, find_stores, read_manifest, read_thumbnails, verify
from relic_eval.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa

LARGE = 1 << 30  # bytes above which a file is said to be large: a viewer holds it in memory
ROWS = 4096  # in one group of the file: what is held in memory
MAPS = ("pca", "umap", "tsne")  # curves of a cell of the protocol `map` that may give x and y, the first that is there


def export(
    store: str | Path, to: str | Path, *, encoder: str | None = None, dataset: str | None = None, split: str = "test"
) -> Path:
    """Write a store's rows to a Parquet file `to`; returns the file.

    `store` is the folder of a store, or a folder of results, of which `encoder`, `dataset` and `split` name one. Columns: id,
    path, class, label, superclass, split, image (PNG of the thumbnail that is kept, null for others), vector; x and y where a
    cell of the protocol `map` has them; neighbors where the cell of `blocks` has those of every row. Raises DataError for a
    damaged store, UnknownNameError for one that is not there.

    >>> export("/nowhere", "x.parquet", encoder="pixels", dataset="digits")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected embeddings, received none. ...
    """
    place, target = Path(store), Path(to)
    if target.suffix.lower() != ".parquet":
        raise ArgumentError("to", "a file ending in .parquet", str(to))
    path = place if (place / "manifest.json").exists() else _find(place, encoder, dataset, split)
    manifest = read_manifest(path)
    wrong = verify(path)
    if wrong:
        raise DataError(f"{path / wrong[0]}: expected the file of the manifest, received another or none. Embed again.")
    pictures = read_thumbnails(path)
    rows, dims = int(manifest["rows"]), int(manifest["dims"])
    size = rows * dims * 4 + sum(map(len, pictures.values())) * 3
    if size > LARGE:
        warn(f"{target}: about {size / (1 << 30):.1f} GB, which a viewer holds in memory.")
    say(_how(target, rows, _write(path, manifest, pictures, _beside(path, manifest), target), bool(pictures)))
    return target


def _find(out: Path, encoder: str | None, dataset: str | None, split: str) -> Path:
    """The store in use of these names; where only one would do, a name may be left out."""
    stores = find_stores(out)
    if not stores:
        raise DataError(f"{out}: expected embeddings, received none. Run 'relic-eval embed' first.")
    asked = {"encoder": encoder, "dataset": dataset}
    for kind, name in asked.items():
        known = sorted({getattr(s, kind) for s in stores})
        if name is None and len(known) > 1:
            raise ArgumentError(kind, f"one of {', '.join(known[:20])}", "none")
        if name is not None and name not in known:
            raise UnknownNameError(kind, name, known)
        stores = [s for s in stores if name in (None, getattr(s, kind))]
    splits = {s.split: s.path for s in stores}
    if split == "test" and "test" not in splits and "all" in splits:
        split = "all"  # a set that is divided later
    if split not in splits:
        raise UnknownNameError("split", split, splits)
    return splits[split]


def _beside(path: Path, manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What cells say of the rows, by column and id: x and y of a map, neighbours of blocks."""
    found: dict[str, dict[str, Any]] = {}
    cells = _cells(path, manifest)
    for name in MAPS:
        its = next((r for r in cells if r.protocol.startswith("map") and name in _curves(r)), None)
        if its is not None:
            table = its.cell.curves or {}
            chosen = table["name"] == name
            ids = (its.cell.predictions or {})["item"].tolist()
            if len(ids) == int(chosen.sum()):
                found["x"] = dict(zip(ids, table["x"][chosen].tolist(), strict=True))
                found["y"] = dict(zip(ids, table["y"][chosen].tolist(), strict=True))
                break
    blocks = next((r for r in cells if r.protocol == "blocks" and r.cell.neighbours is not None), None)
    if blocks is not None:
        found["neighbors"] = _neighbours(blocks.cell.neighbours or {})
    return found


def _curves(result: Result) -> set[str]:
    return set((result.cell.curves or {}).get("name", np.array([], str)).tolist()) if result.cell.predictions else set()


def _cells(path: Path, manifest: Mapping[str, Any]) -> list[Result]:
    """The cells of the maps and blocks that were made of these embeddings."""
    out, encoder, found = path.parents[3], unquote(path.parents[1].name), []
    for file in sorted((out / "cells" / folder_name(encoder)).glob("*/*/cell.json")):
        if file.parent.name == "blocks" or file.parent.name.startswith("map"):
            try:
                result = read_cell(file.parent)
            except DataError as error:
                warn(f"{error} It is passed over.")
                continue
            if manifest["content"] in (result.about["stores"].get("test"), result.about["stores"].get("all")):
                found.append(result)
    return found


def _neighbours(table: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """By id of the query: ids of its neighbours and their distances, nearest first."""
    order = np.lexsort((table["rank"], table["query"]))
    found: dict[str, Any] = {}
    for query, item, far in zip(*(table[n][order].tolist() for n in ("query", "item", "distance")), strict=True):
        ids, distances = found.setdefault(query, ([], []))
        ids.append(item)
        distances.append(far)
    return found


def _write(
    path: Path, manifest: Mapping[str, Any], pictures: Mapping[str, bytes], beside: Mapping[str, dict], target: Path
) -> list[str]:
    """The file, whole or not at all, a group of rows at a time; returns the names of its columns."""
    import pyarrow.parquet as pq

    parts = [path / name for name in sorted(manifest["parts"]) if name.endswith(".npy")]
    tables = [read_table(part.with_suffix(".parquet"), COLUMNS) for part in parts]
    place = {item: row for row, item in enumerate(i for t in tables for i in t["id"].tolist())}
    counts = {len(ids) for ids, _ in beside.get("neighbors", {}).values()}
    # a viewer stacks them: every row must have as many
    if "neighbors" in beside and (len(counts) != 1 or set(beside["neighbors"]) != set(place)):
        beside = {name: its for name, its in beside.items() if name != "neighbors"}
    made = _groups(parts, tables, manifest, pictures, beside, place)
    first = next(made)
    with whole_file(target) as new, pq.ParquetWriter(new, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in made:
            writer.write_table(table)
    return list(first.column_names)


def _groups(
    parts: Sequence[Path],
    tables: Sequence[Mapping[str, np.ndarray]],
    manifest: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    beside: Mapping[str, dict],
    place: Mapping[str, int],
) -> Iterator[pa.Table]:
    for part, table in zip(parts, tables, strict=True):
        x_ND = np.load(part, mmap_mode="r", allow_pickle=False)
        for start in range(0, len(x_ND), ROWS):
            rows = slice(start, start + ROWS)
            yield _table({n: table[n][rows] for n in COLUMNS}, x_ND[rows], manifest, pictures, beside, place)


def _table(
    table: Mapping[str, np.ndarray],
    x_ND: np.ndarray,
    manifest: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    beside: Mapping[str, dict],
    place: Mapping[str, int],
) -> pa.Table:
    import pyarrow as pa

    ids, n = table["id"].tolist(), len(x_ND)
    flat = pa.array(np.ascontiguousarray(x_ND, np.float32).ravel())
    ends = pa.array(np.arange(0, len(flat) + 1, x_ND.shape[1], dtype=np.int32))
    columns: dict[str, Any] = {
        "id": pa.array(ids, pa.string()),
        "path": pa.array(table["path"].tolist(), pa.string()),
        "class": pa.array(table["class"].tolist(), pa.string()),
        "label": pa.array(table["label"].astype(np.int64)),
        "superclass": pa.array([name or None for name in table["superclass"].tolist()], pa.string()),
        "split": pa.array([manifest["data"]["split"]] * n, pa.string()),
        "image": pa.array(
            [_image(pictures.get(item), item) for item in ids], _struct(bytes=pa.binary(), path=pa.string())
        ),
        "vector": pa.ListArray.from_arrays(ends, flat),
    }
    for name in ("x", "y"):
        if name in beside:
            columns[name] = pa.array([beside[name].get(item) for item in ids], pa.float64())
    if "neighbors" in beside:
        its = [beside["neighbors"][item] for item in ids]
        near = [{"ids": [place[i] for i in found], "distances": far} for found, far in its]
        kind = _struct(ids=pa.list_(pa.int64()), distances=pa.list_(pa.float64()))
        columns["neighbors"] = pa.array(near, kind)
    return pa.table(columns)


def _struct(**fields: Any) -> Any:
    import pyarrow as pa

    return pa.struct(list(fields.items()))


def _image(webp: bytes | None, item: str) -> dict[str, Any] | None:
    """A thumbnail as PNG: embedding-atlas does not show WebP."""
    from PIL import Image

    if webp is None:
        return None
    file = io.BytesIO()
    try:
        with Image.open(io.BytesIO(webp), formats=["WEBP"]) as picture:
            picture.save(file, "PNG")
    except (OSError, SyntaxError, ValueError):
        warn(f"{item}: expected a thumbnail, received a damaged one. The row is without.")
        return None
    return {"bytes": file.getvalue(), "path": f"{Path(item).stem}.png"}


def _how(target: Path, rows: int, more: Sequence[str], pictures: bool) -> str:
    """How many rows there are, and what opens them."""
    words = ["embedding-atlas", str(target), *(["--image", "image"] if pictures else [])]
    words += ["--x", "x", "--y", "y"] if "x" in more else ["--vector", "vector"]
    words += ["--neighbors", "neighbors"] if "neighbors" in more else []
    return f"{rows:,} rows; open them with: {shlex.join(words)}"
