"""Embeddings on disk: parts of at most 2 GB, each whole or absent, and a manifest, written last, that means complete."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from relic_eval.errors import ArgumentError, DataError, NewerError
from relic_eval.files import (
    differing,
    digest_file,
    digest_json,
    folder_name,
    read_record,
    write_bytes,
    write_json,
)
from relic_eval.progress import say, warn
from relic_eval.records import FORMAT, Embeddings, Table, read_versioned
from relic_eval.tables import read_table, write_table

PART_BYTES = 2 << 30
PART_ROWS = 65_536
MANIFEST = {
    "rows": int,
    "dims": int,
    "parts": dict,
    "bytes": dict,
    "content": str,
    "encoder": {"name": str, "kind": str},
    "data": {"name": str, "split": str, "digest": str, "classes": list, "unreadable": list, "absent": list},
}
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


def find_stores(out: Path, encoders: Sequence[str] = (), datasets: Sequence[str] = ()) -> list[StoreName]:
    """The stores in use under `out`, of these encoders and data sets or of all: those asked for last, and complete.

    What cannot be read is warned of and passed over: it costs its own encoder and data set, nothing else.

    >>> find_stores(Path("/nowhere"))
    []
    """
    found = []
    for (encoder, dataset), splits in in_use(out).items():
        if (encoders and encoder not in encoders) or (datasets and dataset not in datasets):
            continue
        for split, path in splits.items():
            if not (path / "manifest.json").exists():
                continue
            try:
                read_manifest(path)
            except DataError as error:
                warn(f"{error} It is passed over.")
                continue
            found.append(StoreName(path, encoder, dataset, split))
    return sorted(found, key=lambda s: (s.encoder, s.dataset, s.split))


def in_use(out: Path) -> dict[tuple[str, str], dict[str, Path]]:
    """By encoder and data set: the stores in use by split, whole or damaged.

    >>> in_use(Path("/nowhere"))
    {}
    """
    files = sorted(out.glob("embeddings/*/*/current.json"))
    return {(unquote(f.parents[1].name), unquote(f.parent.name)): _in_use(f) for f in files}


def _in_use(file: Path) -> dict[str, Path]:
    """What a current.json names, by split; nothing, and a warning, where it is damaged."""
    try:
        names = read_record(file, {})
        wrong = [name for name in names.values() if not isinstance(name, str)]
        if wrong:
            raise DataError(f"{file}: expected names of stores, received {wrong[0]!r}. Delete it and embed again.")
    except DataError as error:
        warn(f"{error} It is passed over.")
        return {}
    return {split: file.parent / name for split, name in sorted(names.items())}


def use_stores(paths: Mapping[str, Path], *, beside: bool = False) -> bool:
    """Note the stores of an encoder and data set, by split, as those in use, and whether others were; those stay, unused.

    Written when all are complete: what stops half-way leaves the older ones in use, never some of each. `beside` keeps other
    splits in use, since arrays that were taken in do not say whether their weights are the same; `all`, which is divided
    later, and splits that were divided before never stand beside each other.
    """
    place = next(iter(paths.values())).parent / "current.json"
    before = _in_use(place) if place.exists() else {}
    kept = {s: p for s, p in before.items() if beside and ("all" in paths) == (s == "all")}
    names = {split: path.name for split, path in {**kept, **paths}.items()}
    if set(before) - set(names) or any(split in before and before[split].name != name for split, name in names.items()):
        encoder, dataset = unquote(place.parents[1].name), unquote(place.parent.name)
        say(f"{encoder} {dataset}: takes the place of other embeddings of that name, whose cells stand no longer")
    changed = not place.exists() or {split: path.name for split, path in before.items()} != names
    if changed:
        write_json(place, names)
    return changed


def weights_in_use(out: Path, encoder: str) -> dict[str, set[str]]:
    """By data set: the digests of the weights behind the stores in use of an encoder, as far as they say theirs.

    >>> weights_in_use(Path("/nowhere"), "mine")
    {}
    """
    found: dict[str, set[str]] = {}
    for file in sorted((out / "embeddings" / folder_name(encoder)).glob("*/current.json")):
        for path in _in_use(file).values():
            with contextlib.suppress(DataError):  # a damaged one is warned of where it is wanted
                found.setdefault(unquote(file.parent.name), set()).add(weights_of(read_manifest(path)))
    return {dataset: its - {""} for dataset, its in found.items() if its - {""}}


def weights_of(manifest: Mapping[str, Any]) -> str:
    """The digest of the encoder that a store was made with; empty for arrays that were taken in, which do not say it.

    It holds network, weights, code and settings and nothing of the pictures, so that it is one for all data sets.

    >>> weights_of({"request": {"encoder": "mine"}})
    ''
    """
    return str(manifest.get("request", {}).get("weights", ""))


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a complete store; a DataError where it is missing, or made by a newer version."""
    if not (path / "manifest.json").exists():
        raise DataError(
            f"{path}: expected a complete store with manifest.json, received none. Run 'relic-eval embed' again."
        )
    return read_versioned(path / "manifest.json", MANIFEST)


def complete(path: Path) -> bool:
    """Whether a store is there with every file in its full length; one that is damaged is cleared of what is not whole.

    Raises DataError for a store that a newer version made, which is left as it is. Contents are checked by `verify`.

    >>> complete(Path("/nowhere"))
    False
    """
    if not (path / "manifest.json").exists():
        return False
    try:
        sizes, reason = read_manifest(path)["bytes"], ""
    except NewerError:
        raise
    except DataError:
        sizes, reason = {f.name: -1 for f in path.glob("part-*")}, "manifest.json"
    wrong = [name for name, size in sizes.items() if not (f := path / name).exists() or f.stat().st_size != size]
    if not wrong and not reason:
        return True
    warn(f"{path}: expected a whole store, received a damaged {reason or wrong[0]}. It is made again.")
    (path / "manifest.json").unlink()
    for name in wrong:
        (path / name).unlink(missing_ok=True)
    return False


def part_rows(dims: int, itemsize: int = 4) -> int:
    """Rows in a part: at most 2 GB and 65,536 rows, the work that a killed run may lose.

    >>> part_rows(128)
    65536
    """
    return max(1, min(PART_ROWS, PART_BYTES // (dims * itemsize)))


def has_part(path: Path, number: int) -> bool:
    """Whether a part is whole: its table is written after its numbers, and has as many rows.

    >>> has_part(Path("/nowhere"), 0)
    False
    """
    file = path / f"part-{number:05d}.npy"
    try:
        rows = len(np.load(file, mmap_mode="r", allow_pickle=False))
        return rows == len(read_table(file.with_suffix(".parquet"), COLUMNS)["id"])
    except (OSError, ValueError, DataError):
        return False


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
    files = [f for p in parts for f in (p, p.with_suffix(".parquet"))]
    shapes = [np.load(part, mmap_mode="r", allow_pickle=False).shape for part in parts]
    content = {
        **about,
        "format": FORMAT,
        "rows": sum(s[0] for s in shapes),
        "dims": shapes[0][1],
        "parts": {f.name: digest_file(f) for f in files},
        "bytes": {f.name: f.stat().st_size for f in files},
    }
    content["content"] = digest_json(content["parts"])
    write_json(path / "manifest.json", content)


def note_training(path: Path, training: Mapping[str, Any] | None) -> None:
    """Put what training says of itself into the manifest of a complete store where it is another than when that was made.

    The same weights may be trained again with more measured on the way; neither key nor content change.
    """
    manifest = read_manifest(path)
    if manifest["encoder"].get("training") != training:
        write_json(path / "manifest.json", {**manifest, "encoder": {**manifest["encoder"], "training": training}})


def note_task(path: Path, said: Mapping[str, Any]) -> None:
    """Put what a set says of its task (title, metric, blocks, trains_on) into the manifest of a complete store; empty values take it out.

    Neither key nor content depend on it, so that a new title embeds nothing anew.
    """
    manifest = read_manifest(path)
    data = {name: value for name, value in {**manifest["data"], **said}.items() if value or name not in said}
    if data != manifest["data"]:
        write_json(path / "manifest.json", {**manifest, "data": data})


def read_store(path: Path) -> Embeddings:
    """The rows of a complete store; numbers are memory-mapped where there is one part. No pickle is read."""
    manifest, arrays, tables = read_manifest(path), [], []
    for number in range(sum(name.endswith(".npy") for name in manifest["parts"])):
        file = path / f"part-{number:05d}.npy"
        try:
            arrays.append(np.load(file, mmap_mode="r", allow_pickle=False))
            tables.append(read_table(file.with_suffix(".parquet"), COLUMNS))
        except (OSError, ValueError, DataError) as error:
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
    superclasses = tuple(data["superclasses"]) if data.get("superclasses") else None
    absent_M2 = np.array(data["absent"], np.int64).reshape(-1, 2)
    there = np.setdiff1d(np.arange(len(x_ND) + len(absent_M2)), absent_M2[:, 0])  # places in the whole listing
    labels_NC = None
    if data.get("labels"):
        labels_NC = np.zeros((len(there) + len(absent_M2), len(data["classes"])), bool)
        for row, its in enumerate(data["labels"]):
            labels_NC[row, its] = True
    return Embeddings(
        x_ND,
        column["label"].astype(np.int64),
        tuple(data["classes"]),
        superclasses,
        column["id"].astype(str),
        absent_M2,
        valid_N=np.isin(there, data["valid"]) if data.get("valid") else None,
        labels_NC=None if labels_NC is None else labels_NC[there],
    )


def verify(path: Path) -> list[str]:
    """Names of the files of a store that differ from their digest in the manifest.

    >>> import tempfile; verify(Path(tempfile.mkdtemp()))
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: ...expected a complete store with manifest.json...
    """
    return differing(path, read_manifest(path)["parts"])


def read_thumbnails(path: Path) -> dict[str, bytes]:
    """Small pictures (WebP) kept beside a store, by id; empty where there are none, with a warning where they are damaged.

    >>> read_thumbnails(Path("/nowhere"))
    {}
    """
    file = path / "thumbnails.parquet"
    if not file.exists():
        return {}
    try:
        table = read_table(file, ("id", "webp"))
    except DataError as error:
        warn(f"{error} The page does without these pictures; delete {path} and embed again for them.")
        return {}
    return dict(zip(table["id"].tolist(), table["webp"].tolist(), strict=True))


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
