"""What was expected, what was received, what to do: one sentence each, and the command line prints just that."""

from __future__ import annotations

import difflib
import sysconfig
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

LISTED = 20  # names that an error lists whole; of more, the NEAREST
NEAREST = 5


class RelicError(Exception):
    """Anything the user can mend. The command line shows its text in one line and no traceback."""


class ArgumentError(RelicError, ValueError):
    """An argument that does not fit.

    >>> raise ArgumentError("x_ND", "a 2-D array", "shape (3,)", "Pass one row per image.")
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: x_ND: expected a 2-D array, received shape (3,). Pass one row per image.
    """

    def __init__(self, argument: str, expected: str, received: str, hint: str = ""):
        super().__init__(f"{argument}: expected {expected}, received {received}. {hint}".strip())


class DataError(RelicError):
    """A file or folder that is missing, damaged or of another format."""


def told(error: BaseException) -> str:
    """An error of somebody else's code in one line: its kind and words, where in their code, and what was noted on it.

    >>> error = ValueError("no such layer"); error.add_note("net() was called to make the encoder."); told(error)
    'ValueError: no such layer. net() was called to make the encoder.'
    """
    place = _place(error)
    words = " ".join((error.msg if isinstance(error, SyntaxError) else str(error)).split()).rstrip(".")
    line = f"{type(error).__name__}{': ' if words else ''}{words}{f' ({place})' if place else ''}."
    return " ".join([line, *getattr(error, "__notes__", ())])


def _place(error: BaseException) -> str:
    """The file and line that an error comes from, of the last code that ours called and that is not installed; empty for none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    ours, installed = Path(__file__).parent, (sysconfig.get_paths()["stdlib"], "site-packages", "dist-packages", "<")
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if ours in Path(file).parents:
            place = ""
        elif not any(part in file for part in installed):
            place = f"{file}:{line}"
    return place


class UnreadableError(DataError):
    """A picture that cannot be read, or does not fit its mask: what on_error="skip" leaves out."""


class NewerError(DataError):
    """A file that a newer relic-eval wrote: it is left as it is, and never made anew."""


class UnknownNameError(ArgumentError, LookupError):
    """A name that is in no table; the nearest known one is offered, and `besides`, what else would do.

    Of many known names the nearest are listed. Names in `unlisted` are offered too where they are near, but are too many to be listed.

    >>> raise UnknownNameError("protocol", "linear-bylo", ["knn", "linear-byol"])
    Traceback (most recent call last):
    ...
    relic_eval.errors.UnknownNameError: protocol: expected one of knn, linear-byol, received 'linear-bylo'.
    Did you mean 'linear-byol'?
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], besides: str = "", unlisted: Iterable[str] = ()):
        names = sorted(known)
        near = difflib.get_close_matches(name.lower(), [*names, *unlisted], n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]!r}?" if near else ""
        listed = names if len(names) <= LISTED else _nearest(name, names)
        more = "" if len(names) <= LISTED else f" and {len(names) - len(listed)} more"
        super().__init__(kind, f"one of {', '.join(listed)}{more}{besides}", repr(name), hint)


def _nearest(name: str, names: list[str]) -> list[str]:
    """A few of many names: those that are like `name`, else the first."""
    return difflib.get_close_matches(name.lower(), names, n=NEAREST, cutoff=0.4) or names[:NEAREST]


def look_up(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of `table` under `name`, or an UnknownNameError that offers the nearest known name.

    >>> look_up("colour", "red", {"red": 1})
    1
    """
    if name not in table:
        raise UnknownNameError(kind, name, table)
    return table[name]
