"""Stores that lie beside those of the whole pictures: of the same pictures, changed. A note says which were asked for last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from relic_eval.errors import DataError
from relic_eval.files import read_record, write_json
from relic_eval.progress import warn
from relic_eval.records import Embeddings
from relic_eval.store import read_manifest, read_store


def use_beside(note: str, stores: Mapping[Path, Sequence[Path]]) -> None:
    """Note, for stores of whole pictures of one encoder and set, the stores beside them that are in use, in order."""
    place = next(iter(stores)).parent / note
    before = _named(place)
    names = {**before, **{whole.name: [path.name for path in paths] for whole, paths in stores.items()}}
    if names != before:
        write_json(place, names)


def beside(note: str, path: Path) -> list[Path]:
    """The stores that a note names beside a store of whole pictures, in order; none where one of them is not complete.

    >>> beside("views.json", Path("/nowhere/test.0"))
    []
    """
    found = [path.parent / name for name in _named(path.parent / note).get(path.name, [])]
    return found if all((place / "manifest.json").exists() for place in found) else []


def read_beside(place: Path, path: Path) -> Embeddings:
    """The rows of a store beside `path`; a DataError where it was made beside a store of another key."""
    if read_manifest(place).get("request", {}).get("whole") != read_manifest(path).get("key"):
        raise not_of(place, path)
    return read_store(place)


def not_of(place: Path, path: Path) -> DataError:
    """The error for a store that does not belong beside another.

    >>> not_of(Path("a"), Path("b"))
    DataError('a: expected views of the rows of b, received others. Delete it and embed again.')
    """
    return DataError(f"{place}: expected views of the rows of {path}, received others. Delete it and embed again.")


def _named(file: Path) -> dict[str, list[str]]:
    """What a note says; nothing, and a warning, where it is damaged."""
    if not file.exists():
        return {}
    try:
        names = read_record(file, {})
        if not all(isinstance(v, list) and all(isinstance(name, str) for name in v) for v in names.values()):
            raise DataError(f"{file}: expected lists of stores, received something else. Delete it and embed again.")
    except DataError as error:
        warn(f"{error} It is passed over.")
        return {}
    return names
