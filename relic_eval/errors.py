"""What was expected, what was received, what to do: one sentence each, and the command line prints just that."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


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


class UnreadableError(DataError):
    """A picture that cannot be read, or does not fit its mask: what on_error="skip" leaves out."""


class NewerError(DataError):
    """A file that a newer relic-eval wrote: it is left as it is, and never made anew."""


class UnknownNameError(ArgumentError, LookupError):
    """A name that is in no table; the nearest known one is offered, and `besides`, what else would do.

    Names in `unlisted` are offered too where they are near, but are too many to be listed.

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
        super().__init__(kind, f"one of {', '.join(names)}{besides}", repr(name), hint)


def look_up(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of `table` under `name`, or an UnknownNameError that offers the nearest known name.

    >>> look_up("colour", "red", {"red": 1})
    1
    """
    if name not in table:
        raise UnknownNameError(kind, name, table)
    return table[name]
