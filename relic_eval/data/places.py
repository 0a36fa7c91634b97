"""Where named data sets lie: below the folder that RELIC_EVAL_DATA names."""

from __future__ import annotations

import os
from pathlib import Path

from relic_eval.errors import DataError

VARIABLE = "RELIC_EVAL_DATA"


def data_root(name: str) -> Path:
    """The folder of image sets; `name` is the set that is asked for. Raises DataError where none is named, or none is there.

    >>> before = os.environ.pop(VARIABLE, None)
    >>> data_root("mini-mnist")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: mini-mnist: expected RELIC_EVAL_DATA to name the folder of image sets, received no value. ...
    >>> if before is not None: os.environ[VARIABLE] = before
    """
    said = os.environ.get(VARIABLE, "")
    if not said:
        raise DataError(
            f"{name}: expected {VARIABLE} to name the folder of image sets, received no value. "
            f"Type: export {VARIABLE}=/path/to/folder"
        )
    root = Path(said).expanduser()
    if not root.is_dir():
        raise DataError(
            f"{name}: expected {VARIABLE} to name a folder, received {said}, where there is none. Check the path."
        )
    return root


def data_file(name: str, file: str, hint: str) -> Path:
    """A file below the folder of image sets; a DataError that says where to put it, and `hint`, where it is missing."""
    place = data_root(name) / file
    if not place.is_file():
        raise DataError(f"{name}: expected a file {place}, received nothing there. {hint}")
    return place
