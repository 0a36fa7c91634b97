"""Embeddings made elsewhere are taken in here: arrays, .npy files and label columns become stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relic_eval.arrays import BLOCK_ROWS, asarray, class_numbers, digest_array, matrix
from relic_eval.data.tasks import refuse_bundled_name
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.files import digest_json
from relic_eval.progress import warn
from relic_eval.store import complete, finish, part_rows, part_table, store_path, use_stores, write_part

if TYPE_CHECKING:
    import pandas as pd


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
    called: str = "embeddings",
) -> Path:
    """Make a store from embeddings computed elsewhere: an array and one label a row. Returns its path.

    >>> import tempfile; out = Path(tempfile.mkdtemp())
    >>> import_arrays(out, "mine", "birds", np.eye(2), ["owl", "tit"]).parent.name
    'birds'
    """
    refuse_bundled_name("dataset", dataset, split)
    if not isinstance(encoder, str):
        raise ArgumentError("name", "text", repr(encoder))
    x_ND = matrix(called, x_ND)
    with np.errstate(over="ignore"):
        x_ND = matrix(f"{called}, as float32", x_ND.astype(np.float32, copy=False))
    y_N, classes = class_numbers(f"labels of {called}", labels, len(x_ND))
    _warn_of_spaces(classes)
    _warn_of_zeros(called, x_ND)
    names = (
        np.array([f"{dataset}/{split}/{row}" for row in range(len(x_ND))]) if ids is None else asarray(ids).astype(str)
    )
    above = None if superclasses is None else _above(superclasses, classes)
    content = digest_array(x_ND)
    data_digest = digest_json([classes, y_N.tolist(), names.tolist(), above])
    path = store_path(out, encoder, dataset, split, digest_json([content, data_digest]))
    if complete(path):
        use_stores({split: path}, beside=True)
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
            "absent": [],
        },
        "key": digest_json([content, data_digest]),
        "request": {"encoder": encoder, "dataset": dataset, "split": split},
        "versions": {},
    }
    finish(path, about)
    use_stores({split: path}, beside=True)
    return path


def _warn_of_spaces(classes: tuple[str, ...]) -> None:
    first: dict[str, str] = {}
    for name in classes:
        other = first.setdefault(name.strip(), name)
        if other != name:
            warn(f"labels {other!r} and {name!r} differ in spaces only: they are two classes")


def zero_rows(x_ND: np.ndarray) -> np.ndarray:
    """Numbers of the rows that are all zero: they have no direction, so that a cosine with them is no number.

    >>> zero_rows(np.array([[0.0, 1.0], [0.0, 0.0]]))
    array([1])
    """
    parts = range(0, len(x_ND), BLOCK_ROWS)
    return np.concatenate([start + np.flatnonzero(~x_ND[start : start + BLOCK_ROWS].any(axis=1)) for start in parts])


def _warn_of_zeros(called: str, x_ND: np.ndarray) -> None:
    rows = zero_rows(x_ND)
    if len(rows):
        warn(
            f"{called}: {len(rows)} of {len(x_ND)} rows are all zero (the first is row {rows[0]}): protocols that search by "
            "cosine will fail. Leave these rows and their labels out, or embed those images again."
        )


def _above(superclasses: Mapping[str, str], classes: tuple[str, ...]) -> list[str]:
    missing = [name for name in classes if name not in superclasses]
    if missing:
        raise ArgumentError("superclasses", "one for every class", f"none for {', '.join(map(repr, missing[:3]))}")
    return [str(superclasses[name]) for name in classes]


def import_files(
    out: Path, files: Sequence[str], labels: str, *, name: str | None = None, dataset: str = "mine"
) -> list[Path]:
    """A store of each .npy file, all with the same labels (see `read_labels`), called `name` or after the file."""
    names = [name or Path(file).stem for file in files]
    refuse_twins(dict(zip(files, names, strict=True)))
    its = read_labels(labels)
    return [
        import_arrays(out, n, dataset, read_npy(file), its, called=file) for file, n in zip(files, names, strict=True)
    ]


def refuse_twins(names: Mapping[str, str]) -> None:
    """An error where two of several encoders, by what was typed, have one name: each would take the other's place.

    >>> refuse_twins({"a.npy": "a", "old/a.npy": "a"})
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: encoders: expected different names, received a.npy and old/a.npy, both called 'a'. ...
    """
    first: dict[str, str] = {}
    for text, name in names.items():
        if name in first:
            raise ArgumentError(
                "encoders",
                "different names",
                f"{first[name]} and {text}, both called {name!r}",
                "Embed them one at a time with --name; an encoder of pictures may be given one with ,name=NAME.",
            )
        first[name] = text


def read_npy(file: str | Path) -> np.ndarray:
    """The array in a .npy file, memory-mapped; no pickle is read.

    >>> read_npy("/nowhere/x.npy")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected a file /nowhere/x.npy, received nothing there. Check the path.
    """
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"expected a file {file}, received nothing there. Check the path.") from None
    except (ValueError, EOFError):  # numpy's own words would advise to load a pickle
        raise DataError(
            f"{file}: expected an array as numpy.save writes it, received a damaged file or one of Python objects. "
            "Save numbers, or text with dtype=str."
        ) from None


def read_labels(text: str) -> np.ndarray | pd.Series:
    """Labels from `FILE.npy` or from a column of a table, `FILE.csv:COLUMN`; without a column, from the one called `label`.

    >>> read_labels("/nowhere/l.csv:kind")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected a file /nowhere/l.csv, received nothing there. Check the path.
    """
    if text.lower().endswith(".npy"):
        return read_npy(text)
    if ".npy:" in text.lower():
        raise ArgumentError("--labels", "FILE.npy without a column", repr(text))
    file, _, column = text.rpartition(":") if ":" in text else (text, "", "label")
    import pandas as pd

    try:
        table = pd.read_csv(file, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"expected a file {file}, received nothing there. Check the path.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        raise DataError(
            f"{file}: expected comma-separated UTF-8 text with a header line, received something else ({message})."
        ) from None
    if column not in table:
        raise UnknownNameError(f"column of {file}", column, [str(c) for c in table.columns])
    return table[column]
