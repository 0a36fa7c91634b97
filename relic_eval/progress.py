"""Progress: a bar on a terminal, plain lines elsewhere; on stderr, so that stdout holds results only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")

LINE_EVERY = 30.0  # seconds between plain lines, at least
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


def short(names: Collection[str], most: int = 3) -> str:
    """The first names in their order, and how many more there are.

    >>> short("dbca"), short("ba"), short("a")
    ('a, b, c and 1 more', 'a and b', 'a')
    """
    first, more = sorted(names)[:most], len(names) - most
    if more > 0:
        return f"{', '.join(first)} and {more} more"
    return " and ".join([*([", ".join(first[:-1])] if first[1:] else []), *first[-1:]])


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


def track(
    items: Iterable[T],
    text: str,
    total: int | None = None,
    *,
    unit: str = "",
    before: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """The items, with a bar on a terminal or a line now and then elsewhere. Never changes what is computed.

    `total` counts the items; `before` are those that an earlier run has done, which are counted but tell nothing of the speed.

    >>> list(track([1, 2], "counting"))
    [1, 2]
    """
    if quiet:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    whole = None if total is None else before + total
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(text, total=whole, completed=before)  # its own `track` would count from 0 again
            for item in items:
                yield item
                bar.advance(task)
        return
    began = last = clock()
    for done, item in enumerate(items):
        now = clock()
        if now - last >= LINE_EVERY:
            last = now
            place = f"{unit} {before + done:,}".strip() + (f" of {whole:,}" if whole else "")
            left = remaining((now - began) / done * (total - done)) if total and done else ""
            say(f"{text}: {place}" + (f", about {left} left" if left else ""))
        yield item


def remaining(seconds: float) -> str:
    """A guess of time in one unit or two, no finer than it can be.

    >>> remaining(3), remaining(47), remaining(250), remaining(5405), remaining(200_000)
    ('10 s', '50 s', '4 min', '1 h 30 min', '56 h')
    """
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(10 * round(minutes / 10), 60)
    return f"{hours} h {rest} min" if rest and hours < 10 else f"{round(minutes / 60)} h"
