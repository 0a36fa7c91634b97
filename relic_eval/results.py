"""Cells on disk: one folder each, whole or absent, and the failures beside them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from relic_eval.data.corruptions import corruptions_of
from relic_eval.data.tasks import tasks_of
from relic_eval.data.views import views_of
from relic_eval.errors import DataError, NewerError, UnknownNameError
from relic_eval.evaluators.table import DEFAULT, PROTOCOLS, describe
from relic_eval.files import differing, digest_file, digest_json, folder_name, read_record, whole_folder, write_json
from relic_eval.progress import short, warn
from relic_eval.records import FORMAT, Cell, Measurement, Table, read_versioned
from relic_eval.store import find_stores, in_use, read_manifest, weights_of
from relic_eval.tables import read_table, write_table
from relic_eval.tuning.table import PROTOCOLS as TUNED
from relic_eval.tuning.table import describe as describe_tuned

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


def read_results(out: Path, encoders: Sequence[str] = (), tasks: Sequence[str] = ()) -> list[Result]:
    """The cells under `out` that stand, of these encoders and tasks or of all, in the order of their names.

    A cell of embeddings or of settings of a protocol that have changed since, or one that could not be made again, stands no
    longer; a damaged one is warned of and left out. Raises DataError where none is left, UnknownNameError for a name that no cell has.
    """
    manifests = {(s.encoder, s.dataset, s.split): read_manifest(s.path) for s in find_stores(out)}
    contents, current = {name: m["content"] for name, m in manifests.items()}, in_use(out)
    weights: dict[str, set[str]] = {}
    for (encoder, *_), m in manifests.items():
        weights.setdefault(encoder, set()).add(weights_of(m))
    results: list[Result] = []
    old: list[Result] = []
    for path in sorted(p.parent for p in out.glob("cells/*/*/*/cell.json")):
        try:
            result = read_cell(path)
        except DataError as error:
            its = [(unquote(path.parts[-3]), unquote(path.parts[-1]))]
            warn(f"{error} Left out; {made_again(out, its)} makes it again.")
            continue
        failed = failure_path(out, result.encoder, result.task, result.protocol).exists()
        other = _tuned_of_others(result, weights.get(result.encoder, set()), manifests)
        (old if failed or other or outdated(result, current, contents) else results).append(result)
    if old:
        names = f"{old[0].encoder} {old[0].task} {old[0].protocol}"
        what = "1 cell" if len(old) == 1 else f"{len(old)} cells"
        left = f"{'is' if len(old) == 1 else 'are'} left out{'' if len(old) == 1 else ', first'}"
        again = made_again(out, [(r.encoder, r.protocol) for r in old])
        warn(f"{what} of older embeddings or settings, or of failed runs, {left} {names}: {again}")
    if not results:
        notes = read_failures(out)
        if notes:
            raise DataError(
                f"{out}: expected cells, received none: {len(notes)} failed, first {notes[0]['encoder']} on {notes[0]['task']} "
                f"({notes[0]['protocol']}): {notes[0]['error']}"
            )
        raise DataError(f"{out}: expected cells, received none. Run 'relic-eval evaluate --out {out}' first.")
    known = {"encoder": {r.encoder for r in results}, "task": {r.task for r in results}}
    for kind, asked in (("encoder", encoders), ("task", tasks)):
        for name in asked:
            if name not in known[kind]:
                raise UnknownNameError(kind, name, known[kind])
    chosen = [r for r in results if (not encoders or r.encoder in encoders) and (not tasks or r.task in tasks)]
    _warn_of_other_weights(chosen, manifests)
    return chosen


def _warn_of_other_weights(results: Sequence[Result], manifests: Mapping[tuple, Mapping[str, Any]]) -> None:
    """Say where the cells of one encoder were made with different weights: they would stand in one row as if of one network."""
    sets: dict[str, dict[str, set[str]]] = {}  # by encoder and weights: its data sets
    for r in results:
        task = r.about["task_settings"]
        places = {(task["dataset"], task["train"]), (task["dataset"], task["test"]), (task.get("trains_on"), "train")}
        its = {weights_of(m) for place in places if (m := manifests.get((r.encoder, *place))) is not None}
        for digest in {str(r.about.get("weights") or "")} - {""} or its - {""}:
            sets.setdefault(r.encoder, {}).setdefault(digest, set()).add(task["dataset"])
    for encoder, by_weights in sets.items():
        if len(by_weights) > 1:
            groups = "; ".join(sorted(short(its) for its in by_weights.values()))
            warn(
                f"{encoder}: its cells are of {len(by_weights)} encoders with different weights or settings ({groups}), and "
                "stand in one row as if they were one. Embed all of these sets again with the same weights, or give each its "
                "own name (name=)."
            )


def made_again(out: Path, cells: Iterable[tuple[str, str]]) -> str:
    """The command that makes cells of these encoders and protocols again; protocols that are not run by default are named.

    >>> made_again(Path("o"), [("a", "knn")]), made_again(Path("o"), [("a", "fewshot"), ("a", "knn")])
    ("'relic-eval evaluate --out o'", "'relic-eval evaluate --encoder a --protocol fewshot --protocol knn --out o'")
    >>> made_again(Path("o"), [("a", "finetune-small")])
    "'relic-eval transfer ENCODER --data SET --protocol finetune-small --out o', with the encoder and the set as they were named"
    """
    cells = list(cells)
    measured, trained = (sorted({c for c in cells if c[1] in table}) for table in (PROTOCOLS, TUNED))
    texts = []
    if measured or not trained:
        encoders, protocols = (sorted({cell[place] for cell in measured}) for place in (0, 1))
        words = [] if set(protocols) <= set(DEFAULT) else [w for e in encoders for w in ("--encoder", e)]
        words += [w for p in protocols for w in ("--protocol", p)] if words else []
        texts.append(f"'{shlex.join(['relic-eval', 'evaluate', *words, '--out', str(out)])}'")
    if trained:
        words = [w for p in sorted({p for _, p in trained}) for w in ("--protocol", p)]
        line = shlex.join(["relic-eval", "transfer", "ENCODER", "--data", "SET", *words, "--out", str(out)])
        texts.append(f"'{line}', with the encoder and the set as they were named")
    return " and ".join(texts)


def _tuned_of_others(result: Result, weights: set[str], manifests: Mapping[tuple, Mapping[str, Any]]) -> bool:
    """Whether a cell that no store stands behind is of weights or pictures that are not those in use."""
    if not result.about.get("weights"):
        return False
    task, data = result.about["task_settings"], result.about["data"]
    there = {half: manifests.get((result.encoder, task["dataset"], task[half])) for half in ("train", "test")}
    changed = any(m is not None and m["data"]["digest"] != data[half] for half, m in there.items())
    return changed or bool(weights and result.about["weights"] not in weights)


def _numbers(settings: Mapping[str, Any]) -> Any:
    """What a protocol's settings say of its numbers, as JSON has them."""
    return json.loads(json.dumps({name: v for name, v in settings.items() if name != "source"}))


def outdated(result: Result, current: Mapping, contents: Mapping) -> bool:
    """Whether the embeddings behind a cell, or the settings of its protocol, are no longer those in use.

    `current` is what `in_use` says, `contents` the content of the manifest of each (encoder, data set, split).

    Embeddings that are gone with their whole folder, or damaged, say nothing: the cell was made when they were whole.
    """
    told = describe if result.protocol in PROTOCOLS else describe_tuned if result.protocol in TUNED else None
    if told and _numbers(result.about["settings"]) != _numbers(told(result.protocol)):
        return True
    task = result.about["task_settings"]
    splits = current.get((result.encoder, task["dataset"]))
    place = dict.fromkeys(("train", "test"), task["dataset"])
    if task.get("trains_on"):  # the head is fitted on another set's rows
        place["train"] = place["clean"] = task["trains_on"]
        # a set of several splits is one task where all are there, and else one a split
        given = tasks_of(task["dataset"], set(splits or {}), trains_on=task["trains_on"])
        if splits is not None and result.task not in {t.name for t in given}:
            return True
    for half, content in result.about["stores"].items():
        dataset = place.get(half, task["dataset"])
        split = task[half] if half in ("train", "test") else "test" if half == "clean" else half
        its = current.get((result.encoder, dataset))
        if its is not None and split not in its:
            return True
        if contents.get((result.encoder, dataset, split), content) != content:
            return True
    test = (splits or {}).get(task["test"])
    beside = result.about.get("beside")
    return bool(beside and test is not None and beside_digest(stores_beside(result.protocol, test)) not in ("", beside))


def stores_beside(protocol: str, test: Path) -> list[Path]:
    """The stores beside that of the test pictures which a protocol measures: augmented views, or corrupted pictures.

    >>> stores_beside("knn", Path("/nowhere/test.0"))
    []
    """
    its = PROTOCOLS.get(protocol)
    if getattr(its, "needs_views", False):
        return views_of(test)
    return corruptions_of(test) if getattr(its, "needs_corruptions", False) else []


def beside_digest(stores: Sequence[Path]) -> str:
    """Which stores a cell was made of beside those of whole pictures; empty where there are none.

    >>> beside_digest([])
    ''
    """
    return digest_json([read_manifest(store)["content"] for store in stores]) if stores else ""
