"""The board as shades: what each encoder changes in each column, a table a protocol."""

from __future__ import annotations

from dataclasses import dataclass

from relic_eval.board import Board, Entry
from reports.style import title
from reports.tables import heads
from reports.words import PROTOCOLS, percent, signed

STEPS = 5  # shades to either side of white


@dataclass(frozen=True)
class Shades:
    """One protocol: heads of its columns, and of each encoder a class, words and whether best or tied, or None."""

    how: str
    heads: list[str]
    rows: list[tuple[str, list[tuple[str, str, bool] | None]]]


def shades(board: Board, limit: float) -> list[Shades]:
    """A table for each protocol, in the order of the columns."""
    found = []
    for protocol in dict.fromkeys(c.protocol for c in board.columns):
        places = [i for i, c in enumerate(board.columns) if c.protocol == protocol]
        rows = [(title(r.encoder), [_cell(r.entries[i], limit) for i in places]) for r in board.rows]
        names = heads([board.columns[i] for i in places])
        found.append(Shades(PROTOCOLS.get(protocol, protocol), names, rows))
    return found


def _cell(entry: Entry | None, limit: float) -> tuple[str, str, bool] | None:
    if entry is None:
        return None
    if entry.change is None:  # the baseline has nothing here that a change could be taken of
        return "s0", percent(entry.value) + "%", entry.tied_with_best
    return shade(entry.change, limit), signed(entry.change), entry.tied_with_best


def shade(change: float, limit: float) -> str:
    """The class of a change: u for better and d for worse, with a step from 1 to 5 of equal parts of the limit; s0 for none.

    >>> shade(0.0, 10), shade(0.1, 10), shade(-4.1, 10), shade(99, 10)
    ('s0', 'u1', 'd3', 'u5')
    """
    if signed(change) == "0.0":
        return "s0"
    step = min(STEPS, 1 + int(abs(change) / limit * STEPS))
    return f"{'u' if change > 0 else 'd'}{step}"


def legend(limit: float) -> list[tuple[str, str]]:
    """Each shade with the changes that it stands for, from the worst up.

    >>> legend(10)[0], legend(10)[5], legend(10)[6]
    (('d5', '−8 and further'), ('s0', '0'), ('u1', 'to +2'))
    """
    ends = [f"{limit * s / STEPS:g}" for s in range(STEPS + 1)]
    worse = [("d5", f"−{ends[4]} and further"), *((f"d{s}", f"to −{ends[s]}") for s in range(STEPS - 1, 0, -1))]
    return [
        *worse,
        ("s0", "0"),
        *((f"u{s}", f"to +{ends[s]}") for s in range(1, STEPS)),
        ("u5", f"+{ends[4]} and further"),
    ]
