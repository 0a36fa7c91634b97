"""Results of several people or machines put together: cells, and of embeddings what the board and the report need."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from relic_eval.cells import TABLES, cell_path, failure_path, read_cell, read_failures, write_failure
from relic_eval.errors import ArgumentError, DataError
from relic_eval.files import whole_folder, write_json
from relic_eval.progress import warn
from relic_eval.results import outdated
from relic_eval.store import in_use, read_manifest, store_path

STORE_FILES = ("manifest.json", "thumbnails.parquet")  # without the numbers: they are large, and no cell is made anew
CELL_FILES = ("cell.json", "rows.parquet", *(f"{name}.parquet" for name in TABLES))
Name = tuple[str, str, str]  # encoder, task, protocol; or encoder, data set, split


@dataclass(frozen=True)
class Merged:
    """How many cells and stores were copied and how many cells were there already, and what was left behind: a sentence each."""

    cells: int
    there: int
    stores: int
    left: tuple[str, ...]


@dataclass
class _Found:
    """What there is to put together, by name: a key or content, and the folder."""

    cells: dict[Name, tuple[str, Path]] = field(default_factory=dict)
    stores: dict[Name, tuple[str, Path]] = field(default_factory=dict)
    failures: dict[Name, str] = field(default_factory=dict)
    embedded: set[tuple[str, str]] = field(default_factory=set)  # of folders that note no failure of it
    left: list[str] = field(default_factory=list)


def merge(sources: Sequence[Path], out: Path) -> Merged:
    """Copy the cells of `sources` that stand, whole or not at all, and the manifests and thumbnails behind them, into `out`.

    No cell, store or source is changed: what has the same key is kept once. Where two cells of one encoder, task and protocol
    have different keys, or embeddings of one name differ, a DataError names both before anything is written. Cells that are
    damaged, outdated or made by a newer version are left behind and named, as is one whose place is taken. A failure is noted
    where no folder has the cell, one of 'embed' where none embedded that data set without one. The numbers of the embeddings are not copied: 'embed' makes them again where they are wanted.
    """
    if not sources:
        raise ArgumentError("sources", "at least one folder of results", "none")
    for source in sources:
        if not (source / "cells").is_dir() and not (source / "failures").is_dir():
            raise DataError(f"{source}: expected a folder of results with cells/, received none.")
    found = _Found()
    _take(found, out)
    found.left.clear()  # what is no good in `out` stays there
    own_cells, own_stores = set(found.cells), set(found.stores)
    for source in sources:
        if source.resolve() != out.resolve():
            _take(found, source)
    stores = {n: path for n, (_, path) in found.stores.items() if n not in own_stores}
    copied = [name for name, path in stores.items() if _copy_store(found, name, path, out)]
    _note_in_use(out, {name: stores[name] for name in copied})
    cells = {n: path for n, (_, path) in found.cells.items() if n not in own_cells}
    made = [name for name, path in cells.items() if _copy_cell(found, name, path, out)]
    for name, message in found.failures.items():
        if name[2] == "embed" and name[:2] in found.embedded:
            failure_path(out, *name).unlink(missing_ok=True)
        elif name not in found.cells and not failure_path(out, *name).exists():
            write_failure(out, *name, message)
    for line in found.left:
        warn(f"left behind: {line}")
    return Merged(len(made), len(own_cells & set(found.cells)), len(copied), tuple(found.left))


def _take(found: _Found, source: Path) -> None:
    """Add what stands under `source`; a DataError where it contradicts what was found before."""
    current, contents = in_use(source), {}
    for (encoder, dataset), splits in current.items():
        for split, path in splits.items():
            content = _content(found, dataset, path)
            if content is not None:
                contents[(encoder, dataset, split)] = content
                _add(found.stores, "embeddings", (encoder, dataset, split), f"{path.name} {content}", path)
    _refuse_mixed(found)
    failures = {(f["encoder"], f["task"], f["protocol"]): f["error"] for f in read_failures(source)}
    found.embedded |= {name[:2] for name in contents if (*name[:2], "embed") not in failures}
    for file in sorted(source.glob("cells/*/*/*/cell.json")):
        try:
            result = read_cell(file.parent)
        except DataError as error:
            found.left.append(str(error))
            continue
        name = (result.encoder, result.task, result.protocol)
        if name in failures or outdated(result, current, contents):
            found.left.append(f"{file.parent}: of older embeddings or settings, or of a run that has failed since.")
        else:
            _add(found.cells, "cell", name, str(result.about["key"]), file.parent)
    found.failures |= failures


def _content(found: _Found, dataset: str, path: Path) -> str | None:
    """What a store holds, as its manifest says; None where there is none, and named where it cannot be read."""
    if unquote(path.parent.name) != dataset:  # results of others may say anything
        found.left.append(f"{path}: expected a store beside its current.json, received another place.")
    elif (path / "manifest.json").exists():
        try:
            return str(read_manifest(path)["content"])
        except DataError as error:
            found.left.append(str(error))
    return None


def _add(place: dict[Name, tuple[str, Path]], what: str, name: Name, key: str, path: Path) -> None:
    before = place.setdefault(name, (key, path))
    if before[0] != key:
        raise _conflict(what, " ".join(name), before[1], path)


def _refuse_mixed(found: _Found) -> None:
    """A set that is divided later never stands beside one that was divided before."""
    splits: dict[tuple[str, str], dict[str, Path]] = {}
    for (encoder, dataset, split), (_, path) in found.stores.items():
        splits.setdefault((encoder, dataset), {})[split] = path
    for names, its in splits.items():
        if "all" in its and len(its) > 1:
            other = next(split for split in its if split != "all")
            raise _conflict("division", " ".join(names), its["all"], its[other])


def _conflict(what: str, name: str, one: Path, other: Path) -> DataError:
    return DataError(
        f"{name}: expected the same {what} in both folders, received different ones: {one} and {other}. "
        "Evaluate both from the same embeddings, give one encoder another name (--name), or leave one folder out."
    )


def _copy_store(found: _Found, name: Name, path: Path, out: Path) -> bool:
    place = store_path(out, *name, "").parent / path.name
    if place.exists():
        found.left.append(f"{path}: {place} is there already, without a manifest that can be read.")
        return False
    _copy(path, place, STORE_FILES)
    return True


def _copy_cell(found: _Found, name: Name, path: Path, out: Path) -> bool:
    place = cell_path(out, *name)
    if place.exists():
        found.left.append(f"{path}: {place} is there already, and stands no longer. Remove it, or evaluate again.")
        return False
    _copy(path, place, CELL_FILES)
    failure_path(out, *name).unlink(missing_ok=True)
    return True


def _copy(path: Path, place: Path, names: Sequence[str]) -> None:
    with whole_folder(place) as new:
        for name in names:
            if (path / name).is_file():
                shutil.copyfile(path / name, new / name)


def _note_in_use(out: Path, stores: Mapping[Name, Path]) -> None:
    """Name copied stores in the current.json of their encoder and data set, beside those that it names already."""
    there = in_use(out)
    for encoder, dataset in sorted({name[:2] for name in stores}):
        names = {split: path.name for (e, d, split), path in stores.items() if (e, d) == (encoder, dataset)}
        names |= {split: path.name for split, path in there.get((encoder, dataset), {}).items()}
        write_json(store_path(out, encoder, dataset, "all", "").parent / "current.json", names)
