"""Embeddings on disk: parts of at most 2 GB, each whole or absent, and a manifest, written last, that means complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from relic_eval.errors import ArgumentError, DataError
from relic_eval.files import (
    digest_bytes,
    digest_file,
    digest_json,
    folder_name,
    read_json,
    read_record,
    write_bytes,
    write_json,
)
from relic_eval.records import FORMAT, Embeddings, Table

PART_BYTES = 2 << 30
PART_ROWS = 65_536
COLUMNS = ("id", "path", "label", "class", "superclass", "view", "sha256", "width", "height", "status")


@dataclass(frozen=True)
class StoreName:
    """Where a store lies and what it holds, from its path alone."""

    path: Path
    encoder: str
    dataset: str
    split: str


def store_path(out: Path, encoder: str, dataset: str, split: str, key: str) -> Path:
    """`out`/embeddings/ENCODER/DATASET/SPLIT.KEY, names quoted so that any of them is one folder.

    >>> store_path(Path("o"), "file:a/b", "birds", "test", "0123456789abcdef").as_posix()
    'o/embeddings/file%3Aa%2Fb/birds/test.0123456789ab'
    """
    for kind, name in (("encoder", encoder), ("dataset", dataset)):
        if name in ("", ".", ".."):
            raise ArgumentError(f"name of the {kind}", "a name", repr(name))
    return out / "embeddings" / folder_name(encoder) / folder_name(dataset) / f"{folder_name(split)}.{key[:12]}"


def find_stores(out: Path) -> list[StoreName]:
    """The stores in use under `out`: of each encoder and data set those that were asked for last, and are complete.

    >>> find_stores(Path("/nowhere"))
    []
    """
    found = []
    for file in sorted(out.glob("embeddings/*/*/current.json")):
        for split, name in sorted(read_record(file, ()).items()):
            if not isinstance(name, str):
                raise DataError(f"{file}: expected names of stores, received {name!r}. Delete it and embed again.")
            path = file.parent / name
            if (path / "manifest.json").exists():
                found.append(StoreName(path, unquote(file.parents[1].name), unquote(file.parent.name), split))
    return sorted(found, key=lambda s: (s.encoder, s.dataset, s.split))


def use_stores(paths: Mapping[str, Path]) -> None:
    """Note the stores of an encoder and data set, by split, as those in use; others of other weights stay, unused.

    Written when all are complete: what stops half-way leaves the older ones in use, never some of each.
    """
    place = next(iter(paths.values())).parent / "current.json"
    names = {split: path.name for split, path in paths.items()}
    if not place.exists() or read_json(place) != names:
        write_json(place, names)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a complete store; a DataError where it is missing, or made by a newer version."""
    if not (path / "manifest.json").exists():
        raise DataError(
            f"{path}: expected a complete store with manifest.json, received none. Run 'relic-eval embed' again."
        )
    manifest = read_record(path / "manifest.json", ("format", "rows", "dims", "parts", "data", "encoder", "content"))
    if not isinstance(manifest["format"], int) or manifest["format"] > FORMAT:
        raise DataError(
            f"{path}: expected format {FORMAT} or older, received {manifest['format']}, made by a newer relic-eval. "
            "Update relic-eval; the store is left as it is."
        )
    return manifest


def part_rows(dims: int, itemsize: int = 4) -> int:
    """Rows in a part: at most 2 GB and 65,536 rows, the work that a killed run may lose.

    >>> part_rows(128)
    65536
    """
    return max(1, min(PART_ROWS, PART_BYTES // (dims * itemsize)))


def has_part(path: Path, number: int) -> bool:
    """Whether a part is whole: its table is written after its numbers.

    >>> has_part(Path("/nowhere"), 0)
    False
    """
    return (path / f"part-{number:05d}.parquet").exists() and (path / f"part-{number:05d}.npy").exists()


def write_part(path: Path, number: int, x_ND: np.ndarray, table: Table) -> None:
    """Write one part, whole or not at all; the table has the columns of COLUMNS."""
    import io

    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(x_ND), allow_pickle=False)
    write_bytes(path / f"part-{number:05d}.npy", file.getvalue())
    write_table(path / f"part-{number:05d}.parquet", {name: table[name] for name in COLUMNS})


def finish(path: Path, about: Mapping[str, Any]) -> None:
    """Write the manifest: the digest of every part, counts, and what `about` says. From here on the store is complete."""
    parts = sorted(path.glob("part-*.npy"))
    shapes = [np.load(part, mmap_mode="r", allow_pickle=False).shape for part in parts]
    content = {
        **about,
        "format": FORMAT,
        "rows": sum(s[0] for s in shapes),
        "dims": shapes[0][1],
        "parts": {f.name: digest_file(f) for p in parts for f in (p, p.with_suffix(".parquet"))},
    }
    content["content"] = digest_json(content["parts"])
    write_json(path / "manifest.json", content)


def read_store(path: Path) -> Embeddings:
    """The rows of a complete store; numbers are memory-mapped where there is one part. No pickle is read."""
    manifest, arrays, tables = read_manifest(path), [], []
    for number in range(sum(name.endswith(".npy") for name in manifest["parts"])):
        file = path / f"part-{number:05d}.npy"
        try:
            arrays.append(np.load(file, mmap_mode="r", allow_pickle=False))
            tables.append(read_table(file.with_suffix(".parquet")))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{file}: expected a whole part, received a damaged one ({error}). Delete {path} and embed again."
            ) from None
    x_ND = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    if x_ND.shape != (manifest["rows"], manifest["dims"]):
        raise DataError(
            f"{path}: expected {manifest['rows']} x {manifest['dims']} numbers, received {x_ND.shape}. Delete it and embed again."
        )
    column = {name: np.concatenate([t[name] for t in tables]) for name in ("id", "label")}
    data = manifest["data"]
    superclasses = None if data["superclasses"] is None else tuple(data["superclasses"])
    return Embeddings(
        x_ND, column["label"].astype(np.int64), tuple(data["classes"]), superclasses, column["id"].astype(str)
    )


def verify(path: Path) -> list[str]:
    """Names of the files of a store that differ from their digest in the manifest.

    >>> import tempfile; verify(Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: ...expected a complete store with manifest.json...
    """
    parts = read_manifest(path)["parts"]
    return [name for name, digest in parts.items() if not (path / name).exists() or digest_file(path / name) != digest]


def write_table(path: Path, table: Table) -> None:
    """A table as Parquet, whole or not at all; same table, same bytes.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "t.parquet"
    >>> write_table(place, {"a": np.array([1, 2])}); read_table(place)["a"]
    array([1, 2])
    """
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    columns = {name: pa.array(list(a) if a.dtype == object else a) for name, a in table.items()}
    pq.write_table(pa.table(columns), file, compression="zstd")
    write_bytes(path, file.getvalue())


def read_table(path: Path) -> dict[str, np.ndarray]:
    """The columns of a Parquet file."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def read_thumbnails(path: Path) -> dict[str, bytes]:
    """Small pictures (WebP) kept beside a store, by id; empty where there are none.

    >>> read_thumbnails(Path("/nowhere"))
    {}
    """
    file = path / "thumbnails.parquet"
    if not file.exists():
        return {}
    table = read_table(file)
    return dict(zip(table["id"].tolist(), table["webp"].tolist(), strict=True))


def _use_import(path: Path, split: str) -> None:
    """Beside the other splits that were taken in: arrays do not say whether their weights are the same."""
    place = path.parent / "current.json"
    others = {name: path.parent / store for name, store in read_json(place).items()} if place.exists() else {}
    use_stores({**others, split: path})


def import_arrays(
    out: Path,
    encoder: str,
    dataset: str,
    x_ND: Any,
    labels: Any,
    *,
    split: str = "all",
    ids: Any = None,
    superclasses: Mapping[str, str] | None = None,
) -> Path:
    """Make a store from embeddings computed elsewhere: an array and one label a row. Returns its path.

    >>> import tempfile; out = Path(tempfile.mkdtemp())
    >>> read_store(import_arrays(out, "mine", "birds", np.eye(2), ["owl", "tit"])).classes
    ('owl', 'tit')
    """
    from relic_eval.arrays import asarray, class_numbers, matrix

    x_ND = matrix("embeddings", x_ND)
    with np.errstate(over="ignore"):
        x_ND = matrix("embeddings, as float32", x_ND.astype(np.float32, copy=False))
    y_N, classes = class_numbers("labels", labels, len(x_ND))
    names = (
        np.array([f"{dataset}/{split}/{row}" for row in range(len(x_ND))]) if ids is None else asarray(ids).astype(str)
    )
    above = None if superclasses is None else [superclasses[name] for name in classes]
    content = digest_bytes(np.ascontiguousarray(x_ND).tobytes())
    data_digest = digest_json([classes, y_N.tolist(), names.tolist(), above])
    path = store_path(out, encoder, dataset, split, digest_json([content, data_digest]))
    if (path / "manifest.json").exists():
        _use_import(path, split)
        return path
    rows = part_rows(x_ND.shape[1])
    for number, start in enumerate(range(0, len(x_ND), rows)):
        part = slice(start, start + rows)
        write_part(
            path, number, x_ND[part], part_table(names[part], names[part], y_N[part], classes, above, "imported")
        )
    about = {
        "encoder": {"name": encoder, "kind": "imported", "parameters": None, "training": None},
        "data": {
            "name": dataset,
            "split": split,
            "digest": data_digest,
            "classes": list(classes),
            "superclasses": above,
            "unreadable": [],
        },
        "key": digest_json([content, data_digest]),
        "request": {"encoder": encoder, "dataset": dataset, "split": split},
        "versions": {},
    }
    finish(path, about)
    _use_import(path, split)
    return path


def part_table(ids, paths, y_N, classes, superclasses, view: str, shas=None, sides=None) -> Table:
    """The table beside a part: one row an embedding.

    >>> part_table(np.array(["i"]), np.array(["p"]), np.array([0]), ("a",), None, "whole")["class"].tolist()
    ['a']
    """
    n, sides = len(y_N), np.zeros(len(y_N), np.int32) if sides is None else sides
    above = np.full(n, "") if superclasses is None else np.array(superclasses)[y_N]
    return {
        "id": ids,
        "path": paths,
        "label": y_N,
        "class": np.array(classes)[y_N],
        "superclass": above,
        "view": np.full(n, view),
        "sha256": np.full(n, "") if shas is None else shas,
        "width": sides,
        "height": sides,
        "status": np.full(n, "ok"),
    }
