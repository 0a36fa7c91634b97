"""Cells on disk: one encoder, task and protocol, whole or absent; and why one could not be made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from relic_eval.errors import DataError, NewerError
from relic_eval.files import differing, digest_file, folder_name, read_record, whole_folder, write_json
from relic_eval.records import FORMAT, Cell, Measurement, Table, read_versioned
from relic_eval.tables import read_table, write_table

CELL = {
    "key": str,
    "encoder": str,
    "task": str,
    "protocol": str,
    "title": str,
    "classes": list,
    "settings": dict,
    "versions": dict,
    "stores": dict,
    "files": dict,
    "data": {"train": str, "test": str},
    "counts": {"train": int, "valid": int, "test": int},
    "task_settings": {"title": str, "dataset": str, "train": str, "test": str, "level": str, "seed": int},
}
TABLES = {
    "predictions": ("item", "true", "predicted", "correct", "score"),
    "curves": ("name", "x", "y"),
    "neighbours": ("query", "item", "rank", "distance"),
    "overlaps": ("item", "class", "both", "true", "predicted"),
    "overlays": ("item", "picture", "true", "predicted"),
}
NO_NOTE = "why is no longer known: the note is damaged. Evaluate again."
ROWS = ("metric", "value", "low", "high", "n", "params", "converged")


@dataclass(frozen=True)
class Result:
    """A cell and what it is about; `about` is the content of cell.json."""

    encoder: str
    task: str
    protocol: str
    cell: Cell
    about: Mapping[str, Any]


def cell_path(out: Path, encoder: str, task: str, protocol: str) -> Path:
    """`out`/cells/ENCODER/TASK/PROTOCOL, names quoted.

    >>> cell_path(Path("o"), "a/b", "fashion", "knn").as_posix()
    'o/cells/a%2Fb/fashion/knn'
    """
    return out / "cells" / folder_name(encoder) / folder_name(task) / folder_name(protocol)


def write_cell(out: Path, encoder: str, task: str, protocol: str, cell: Cell, about: Mapping[str, Any]) -> Path:
    """Write a cell whole or not at all, in the place of an older one, and forget an earlier failure."""
    path = cell_path(out, encoder, task, protocol)
    with whole_folder(path) as new:
        write_table(new / "rows.parquet", rows_table(cell.rows))
        for name in TABLES:
            table = getattr(cell, name)
            if table is not None:
                write_table(new / f"{name}.parquet", table)
        names = {"encoder": encoder, "task": task, "protocol": protocol}
        files = {f.name: digest_file(f) for f in sorted(new.glob("*.parquet"))}
        write_json(new / "cell.json", {**about, **names, "format": FORMAT, "files": files})
    failure_path(out, encoder, task, protocol).unlink(missing_ok=True)
    return path


def forget_cell(out: Path, encoder: str, task: str, protocol: str) -> None:
    """Remove a cell that nothing stands behind any more, and the note of its failure."""
    shutil.rmtree(cell_path(out, encoder, task, protocol), ignore_errors=True)
    failure_path(out, encoder, task, protocol).unlink(missing_ok=True)


def failure_path(out: Path, encoder: str, task: str, protocol: str) -> Path:
    """Where the message of a failed cell lies.

    >>> failure_path(Path("o"), "e", "t", "p").as_posix()
    'o/failures/e/t/p.json'
    """
    path = cell_path(out, encoder, task, protocol).relative_to(out / "cells")
    return out / "failures" / path.with_name(path.name + ".json")


def write_failure(out: Path, encoder: str, task: str, protocol: str, message: str) -> None:
    """Note why a cell failed; it is tried again in the next run."""
    content = {"encoder": encoder, "task": task, "protocol": protocol, "error": message}
    write_json(failure_path(out, encoder, task, protocol), content)


def read_failures(out: Path) -> list[dict[str, str]]:
    """The failures under `out`; of a damaged note only what its place says.

    >>> read_failures(Path("/nowhere"))
    []
    """
    found = []
    for file in sorted(out.glob("failures/*/*/*.json")):
        try:
            found.append(read_record(file, {"encoder": str, "task": str, "protocol": str, "error": str}))
        except DataError:
            names = (unquote(part) for part in (*file.parts[-3:-1], file.stem))
            found.append({**dict(zip(("encoder", "task", "protocol"), names, strict=True)), "error": NO_NOTE})
    return found


def rows_table(rows: tuple[Measurement, ...]) -> Table:
    """Measurements as columns; a missing number is NaN in the file and None in the record.

    >>> rows_table((Measurement("top1", 0.5, n=2),))["metric"].tolist()
    ['top1']
    """
    number = {name: np.array([_nan(getattr(r, name)) for r in rows]) for name in ("value", "low", "high")}
    converged = np.array(["" if r.converged is None else str(bool(r.converged)) for r in rows])
    params = np.array([json.dumps(dict(r.params), sort_keys=True) for r in rows])
    n = np.array([r.n for r in rows], np.int64)
    return {"metric": np.array([r.metric for r in rows]), **number, "n": n, "params": params, "converged": converged}


def _nan(value: float | None) -> float:
    return np.nan if value is None else float(value)


def read_cell(path: Path) -> Result:
    """A cell with its tables; a DataError where it is damaged or made by a newer version."""
    about = read_versioned(path / "cell.json", CELL)
    if not _in_place(path, about):
        raise DataError(
            f"{path}: expected the cell of that place, received that of {about['encoder']} {about['task']}."
        )
    wrong = differing(path, about["files"])
    if wrong:
        raise DataError(f"{path / wrong[0]}: expected the table that cell.json describes, received another or none.")
    table = read_table(path / "rows.parquet", ROWS)
    others = {
        n: read_table(f, columns) if (f := path / f"{n}.parquet").exists() else None for n, columns in TABLES.items()
    }
    for name, its in (("rows", table), ("predictions", others["predictions"]), ("overlaps", others["overlaps"])):
        if its is not None and not len(next(iter(its.values()))):
            raise DataError(f"{path / name}.parquet: expected a table with rows, received an empty one.")
    rows = tuple(_measurement(table, i) for i in range(len(table["metric"])))
    return Result(about["encoder"], about["task"], about["protocol"], Cell(rows, **others), about)


def key_of(path: Path) -> str:
    """The key of a whole cell; empty where there is none or a damaged one, which is made anew. Newer ones are an error.

    >>> key_of(Path("/nowhere"))
    ''
    """
    if not (path / "cell.json").exists():
        return ""
    try:
        about = read_versioned(path / "cell.json", CELL)
    except NewerError:
        raise
    except DataError:
        return ""
    return str(about["key"]) if _in_place(path, about) and not differing(path, about["files"]) else ""


def was_without_leaks(path: Path) -> bool:
    """Whether the cell that lies there was made without training pictures that are tested too.

    >>> was_without_leaks(Path("/nowhere"))
    False
    """
    try:
        return bool(read_versioned(path / "cell.json", CELL)["data"].get("dropped"))
    except DataError:
        return False


def _in_place(path: Path, about: Mapping[str, Any]) -> bool:
    """Whether a cell lies where it says that it belongs: one may have been copied to another's place."""
    return path.parts[-3:] == cell_path(Path(), about["encoder"], about["task"], about["protocol"]).parts[-3:]


def _measurement(table: Table, i: int) -> Measurement:
    value, low, high = (None if np.isnan(v := float(table[name][i])) else v for name in ("value", "low", "high"))
    converged = None if table["converged"][i] == "" else bool(table["converged"][i] == "True")
    params = json.loads(table["params"][i])
    return Measurement(str(table["metric"][i]), value, low, high, int(table["n"][i]), params, converged)
