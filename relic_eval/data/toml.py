"""A task of one's own in a TOML file: the arguments of `own.task`, a line each, with paths relative to the file."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from relic_eval.data.own import OwnTask, task
from relic_eval.errors import ArgumentError, DataError, UnknownNameError

KEYS = tuple(inspect.signature(task).parameters)
PATHS = ("train", "valid", "test", "folder", "listing")
FILES = ("superclasses", "classes")  # which may be written out in their place


def read_task(file: Path) -> OwnTask:
    """The task that a TOML file describes.

    Raises DataError for a file that is missing or no TOML, UnknownNameError, with the nearest key, for an unknown one, and
    ArgumentError for values that do not fit.
    """
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"expected a file {file}, received nothing there. Check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: expected TOML, received something else: {error}. Mend it.") from None
    for key, value in said.items():
        if key not in KEYS:
            raise UnknownNameError(f"{file}, key", key, KEYS)
        _check(file, key, value)
    if "name" not in said:
        raise ArgumentError(str(file), "a line name = ...", ", ".join(said) or "an empty file")
    paths = {key: _from(file, said[key]) for key in PATHS if key in said}
    paths |= {key: _from(file, said[key]) for key in FILES if isinstance(said.get(key), str)}
    try:
        return task(**{**said, **paths})
    except ArgumentError as error:  # says which key, and not of which file
        error.args = (f"{file}: {error}",)
        raise


def _from(file: Path, text: str) -> Path:
    return file.parent / Path(text).expanduser()


def _texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _check(file: Path, key: str, value: Any) -> None:
    if key == "block_classes":
        fits, expected = isinstance(value, list) and _texts(value), "a list of class names"
    elif key == "superclasses":
        fits = isinstance(value, str) or (isinstance(value, dict) and _texts(value.values()))
        expected = "the name of a CSV file, or a table of class = superclass"
    elif key == "classes":
        numbers = isinstance(value, dict) and all(isinstance(number, int) for number in value.values())
        fits = isinstance(value, str) or numbers or (isinstance(value, list) and _texts(value))
        expected = "a list of names, the name of a file of them, or a table of name = value in the masks"
    elif key == "ignore":
        fits, expected = isinstance(value, int), "a number"
    else:
        fits, expected = isinstance(value, str), "text in quotes"
    if not fits:
        raise ArgumentError(f"{file}, {key}", expected, repr(value))
