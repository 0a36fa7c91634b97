"""Progress: a bar on a terminal, plain lines elsewhere; on stderr, so that stdout holds results only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")

LINE_EVERY = 15.0  # seconds between plain lines
quiet = False  # set once by the command line (--quiet)
_warned: set[str] = set()


def say(text: str) -> None:
    """A line for people, on stderr.

    >>> say("nothing of this is on stdout")
    """
    if not quiet:
        print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """A line on stderr that quiet does not silence, once however often it is met: what is left out must be known.

    >>> warn("nothing of this is on stdout")
    """
    if text not in _warned:
        _warned.add(text)
        print(f"warning: {text}", file=sys.stderr, flush=True)


def heartbeat() -> Callable[[str], None]:
    """A function that says what it is given, at most every LINE_EVERY seconds: for long work without an end to count to.

    >>> heartbeat()("too early to be said")
    """
    last = time.monotonic()

    def beat(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            say(text)

    return beat


def track(items: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar on a terminal or a line now and then elsewhere. Never changes what is computed.

    >>> list(track([1, 2], "counting"))
    [1, 2]
    """
    if quiet:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            yield from bar.track(items, total=total, description=text)
        return
    last = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            say(f"{text}: {done}" + (f" of {total}" if total else ""))
        yield item
