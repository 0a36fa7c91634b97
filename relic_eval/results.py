"""Cells on disk: one folder each, whole or absent, and the failures beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.errors import DataError
from relic_eval.files import folder_name, read_json, read_record, whole_folder, write_json
from relic_eval.progress import say
from relic_eval.records import FORMAT, Cell, Measurement, Table
from relic_eval.store import find_stores, read_manifest, read_table, write_table

CELL_KEYS = ("format", "key", "encoder", "task", "protocol", "stores", "data", "task_settings", "counts")
TABLES = ("predictions", "curves", "neighbours")


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
        content = {**about, "format": FORMAT, "encoder": encoder, "task": task, "protocol": protocol}
        write_json(new / "cell.json", content)
    failure_path(out, encoder, task, protocol).unlink(missing_ok=True)
    return path


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
    """The failures under `out`.

    >>> read_failures(Path("/nowhere"))
    []
    """
    return [read_json(path) for path in sorted(out.glob("failures/*/*/*.json"))]


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
    about = migrate(read_record(path / "cell.json", CELL_KEYS), path)
    try:
        table = read_table(path / "rows.parquet")
        others = {n: read_table(f) if (f := path / f"{n}.parquet").exists() else None for n in TABLES}
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: expected a whole cell, received a damaged one ({error}). Delete it and evaluate again."
        ) from None
    rows = tuple(_measurement(table, i) for i in range(len(table["metric"])))
    return Result(about["encoder"], about["task"], about["protocol"], Cell(rows, **others), about)


def key_of(file: Path) -> str:
    """The key in a cell.json; empty where there is none or a damaged one, which is made anew. Newer ones are an error.

    >>> key_of(Path("/nowhere/cell.json"))
    ''
    """
    try:
        about = read_record(file, ("format", "key"))
    except DataError:
        return ""
    return str(migrate(about, file.parent)["key"])


def _measurement(table: Table, i: int) -> Measurement:
    value, low, high = (None if np.isnan(v := float(table[name][i])) else v for name in ("value", "low", "high"))
    converged = None if table["converged"][i] == "" else bool(table["converged"][i] == "True")
    params = json.loads(table["params"][i])
    return Measurement(str(table["metric"][i]), value, low, high, int(table["n"][i]), params, converged)


def migrate(about: dict[str, Any], path: Path) -> dict[str, Any]:
    """The content of cell.json in today's format; steps for older formats stand here.

    >>> migrate({"format": 1}, Path("x"))
    {'format': 1}
    """
    if about.get("format", 0) > FORMAT:
        raise DataError(
            f"{path}: expected format {FORMAT} or older, received {about['format']}, made by a newer relic-eval. "
            "Update relic-eval; the cell is left as it is."
        )
    return about


def read_results(out: Path) -> list[Result]:
    """All cells under `out` that stand, in the order of their names; a DataError where there are none.

    A cell of embeddings that have been made anew since, or one that could not be made again, stands no longer.
    """
    results = [read_cell(path.parent) for path in sorted(out.glob("cells/*/*/*/cell.json"))]
    stores = {(s.encoder, s.dataset, s.split): read_manifest(s.path)["content"] for s in find_stores(out)}
    old = [r for r in results if _outdated(r, stores) or failure_path(out, r.encoder, r.task, r.protocol).exists()]
    if old:
        names = f"{old[0].encoder} {old[0].task} {old[0].protocol}"
        say(
            f"{len(old)} cells of older embeddings or of failed runs are left out, first {names}: 'relic-eval evaluate --out {out}'"
        )
        results = [r for r in results if not any(r is o for o in old)]
    if not results:
        raise DataError(f"{out}: expected cells, received none. Run 'relic-eval evaluate --out {out}' first.")
    return results


def _outdated(result: Result, stores: Mapping[tuple[str, str, str], str]) -> bool:
    """Whether the embeddings behind a cell are no longer those in use; a store that is gone says nothing."""
    task = result.about["task_settings"]
    return any(
        stores.get((result.encoder, task["dataset"], task[half]), content) != content
        for half, content in result.about["stores"].items()
    )
