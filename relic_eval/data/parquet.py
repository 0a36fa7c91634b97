"""Pictures in Parquet files as hub repositories hold them: `data/train-*.parquet`, with columns image {bytes, path} and label."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.data.folder import digest_files, folder_title
from relic_eval.data.opening import read_each, stored_size
from relic_eval.data.pictures import Pictures
from relic_eval.data.rows import Rows, label_digest, together
from relic_eval.errors import DataError, UnknownNameError
from relic_eval.records import Transform

VALID = ("validation", "valid", "val")
LABELS = ("label", "fine_label", "labels")


def parquet_parts(folder: Path) -> dict[str, list[Path]]:
    """The Parquet files of a folder by the name of their split; empty where it holds none.

    Files are `SPLIT-00000-of-00001.parquet` or `SPLIT.parquet`, in `data` or another single folder below.
    """
    files = sorted(f for f in folder.glob("*/*.parquet") if not f.name.startswith("."))
    parts: dict[str, list[Path]] = {}
    for file in files:
        parts.setdefault(file.stem.split("-")[0], []).append(file)
    return parts if "train" in parts or "test" in parts else {}


def parquet_splits(folder: Path) -> tuple[str, ...]:
    """`("train", "test")` where there is something to test on, otherwise `("all",)`."""
    parts = parquet_parts(folder)
    return ("train", "test") if set(parts) & {"test", *VALID} and "train" in parts else ("all",)


def parquet_rows(folder: Path, split: str) -> Rows:
    """The rows of a split; where there are test and validation files, the latter are validation rows of `train`.

    Raises DataError where the files are none, damaged, of several configurations, or without pictures or labels.
    """
    parts = parquet_parts(folder)
    its_valid = next((parts[name] for name in VALID if name in parts), None)
    test = parts.get("test", its_valid)
    files = {"train": parts.get("train"), "test": test, "all": parts.get("train") or parts.get("test")}[split]
    if not files:
        raise DataError(f"expected Parquet files {split}-*.parquet in {folder / 'data'}, received none.")
    rows = _rows(folder, split, files)
    if split == "train" and "test" in parts and its_valid:
        return together([rows, _rows(folder, "validation", its_valid)], 1)
    return rows


def parquet_pictures(folder: Path, split: str, cache: Path | None = None) -> Pictures:
    """A split of a folder of Parquet files, as a set of one's own."""
    if split not in (there := parquet_splits(folder)):
        raise UnknownNameError("split", split, there)
    rows = parquet_rows(folder, split)
    return rows.pictures(folder_title(folder), split, label_digest(rows, cache))


def _rows(folder: Path, split: str, files: list[Path]) -> Rows:
    import pyarrow
    import pyarrow.parquet

    above = sorted({file.parent.name for file in files})
    if len(above) > 1:
        raise DataError(f"{folder}: expected the files of one configuration, received {', '.join(above)}. Keep one.")
    labels, places = [], []
    try:
        schema = pyarrow.parquet.read_schema(files[0])
        image, label = _columns(files[0], schema)
        for number, file in enumerate(files):
            with pyarrow.parquet.ParquetFile(file) as opened:
                labels.append(opened.read(columns=[label]).column(0).to_numpy())
                for group in range(opened.metadata.num_row_groups):
                    count = opened.metadata.row_group(group).num_rows
                    places.append(np.stack([np.full(count, number), np.full(count, group), np.arange(count)], 1))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{folder}: expected Parquet files, received a damaged one ({error}). Get it anew.") from None
    y_N, place_N3 = np.concatenate(labels), np.concatenate(places)
    names = _class_names(schema, label)
    if not np.issubdtype(y_N.dtype, np.integer):
        names = names or tuple(sorted(set(map(str, y_N))))
        y_N = np.array([names.index(str(value)) for value in y_N])
    names = names or tuple(str(n) for n in range(int(y_N.max()) + 1))
    if y_N.min() < 0 or y_N.max() >= len(names):
        raise DataError(
            f"{files[0].name}: expected labels from 0 to {len(names) - 1}, received {y_N.min()} to {y_N.max()}. "
            "A hidden test set has no labels."
        )
    ids = np.array([f"{split}/{row:06d}" for row in range(len(y_N))])
    paths = np.array([f"{files[n].name}, row group {g}, row {r}" for n, g, r in place_N3.tolist()])

    def source(row: int) -> BytesIO:
        number, group, place = place_N3[row].tolist()
        content = _group(files[number], group, image)[place]
        if content is None:
            raise DataError("no bytes: the file names a picture elsewhere")
        return BytesIO(content)

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        return read_each(rows, side, source, lambda row: str(paths[row]))

    def digest(cache: Path | None) -> str:
        return digest_files(folder, files, f"parquet/{split}", cache)

    return Rows(ids, paths, y_N.astype(np.int64), names, read, digest, size=lambda row: stored_size(source(row)))


@lru_cache(maxsize=4)  # batches follow the order of the rows, so that a group is read once
def _group(file: Path, group: int, image: str) -> list[bytes | None]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(file) as opened:
        column = opened.read_row_group(group, columns=[f"{image}.bytes"]).column(0).combine_chunks()
    found: list[bytes | None] = column.field("bytes").to_pylist()
    return found


def _columns(file: Path, schema: Any) -> tuple[str, str]:
    """The names of the columns of pictures and of labels."""
    import pyarrow

    images = [f.name for f in schema if pyarrow.types.is_struct(f.type) and "bytes" in [c.name for c in f.type]]
    label = next((name for name in LABELS if name in schema.names), None)
    if len(images) != 1 or label is None:
        raise DataError(
            f"{file}: expected a column image {{bytes, path}} and a column label, received {', '.join(schema.names)}."
        )
    return images[0], label


def _class_names(schema: Any, label: str) -> tuple[str, ...]:
    """The names that the hub's metadata gives the classes; empty where it gives none."""
    said = (schema.metadata or {}).get(b"huggingface")
    try:
        names = json.loads(said)["info"]["features"][label]["names"] if said else ()
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(map(str, names))
