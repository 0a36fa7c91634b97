"""Changes against the baseline, a group of bars a task, as the figure of RELICv2's paper has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from relic_eval.board import Board, Row
from reports.drawings.bars import Bars, grouped, panels
from reports.style import PLAIN, Look, title
from reports.tables import heads
from reports.words import PROTOCOLS, counted, several, signed, verb

GROUPED = 96  # bars in one drawing at most; more stand in a panel an encoder
ABREAST = 8  # encoders in one drawing at most
PANELS = 24  # panels at most; the shades and the CSV have all encoders
FAR = 4.0  # times the usual change of an encoder: those beyond it do not set the axis


@dataclass(frozen=True)
class Relative:
    """The drawing of one protocol, its finding, and what is not on it."""

    how: str
    title: str
    drawing: Markup
    note: str
    panels: bool


def relative(board: Board, look: Mapping[str, Look]) -> list[Relative]:
    """A drawing for each protocol in which any encoder can be set against the baseline, in the order of the columns.

    After the first, panels of a single task are left out: the shades show as much.
    """
    limit = axis_limit(board)
    found: list[Relative] = []
    for protocol in dict.fromkeys(c.protocol for c in board.columns):
        places = [i for i, c in enumerate(board.columns) if c.protocol == protocol]
        rows = [r for r in against(board) if any(_change(r, i) for i in places)]
        places = [i for i in places if any(_change(r, i) for r in rows)]
        its = _relative(board, rows, places, look, limit) if rows else None
        if its and not (found and its.panels and len(places) == 1):
            found.append(its)
    return found


def against(board: Board) -> list[Row]:
    """The rows of all encoders but the baseline."""
    return [r for r in board.rows if r.encoder != board.baseline]


def _relative(
    board: Board, rows: Sequence[Row], places: Sequence[int], look: Mapping[str, Look], limit: float
) -> Relative:
    few = len(rows) <= ABREAST and len(rows) * len(places) <= GROUPED
    drawn = rows if few else rows[:PANELS]
    names = [heads([board.columns[i] for i in places])[n] for n in range(len(places))]
    bars = [Bars(look[r.encoder], [_change(r, i) for i in places]) for r in drawn]
    protocol = board.columns[places[0]].protocol
    how, said = PROTOCOLS.get(protocol, protocol), finding(board, rows[0], places)
    make = grouped if few else panels
    drawing = make(names, bars, limit, f"Change against {title(board.baseline or '')}, %", said)
    return Relative(how, said, drawing, " ".join(_notes(board, rows, drawn, places, limit)), not few)


def _change(row: Row, place: int) -> tuple[float, float, float] | None:
    e = row.entries[place]
    if e is None or e.change is None or e.change_low is None or e.change_high is None:
        return None
    return e.change, e.change_low, e.change_high


def finding(board: Board, row: Row, places: Sequence[int]) -> str:
    """On how many tasks an encoder is above the baseline, and on how many certainly; where it is mostly below, that."""
    its = [(c[0], _certain(board, row.encoder, i)) for i in places if (c := _change(row, i))]
    above, below = [s for c, s in its if c > 0], [s for c, s in its if c < 0]
    side, where = ("below", below) if len(below) > len(above) else ("above", above)
    name, base = title(row.encoder), title(board.baseline or "")
    be = verb(name, "is", "are")
    if len(its) == len(where) == 1:
        return f"{name} {be} {side} {base} on the only task of both, {'certainly' if where[0] else 'not certainly'}"
    sure = f"certainly on {sum(where)}" if sum(where) else "on none certainly"
    return f"{name} {be} {side} {base} on {len(where)} of {counted(len(its), 'task')}" + (f", {sure}" if where else "")


def _certain(board: Board, encoder: str, place: int) -> bool:
    d = board.difference(encoder, board.baseline or "", place)
    return d is not None and d.certain


def _notes(board: Board, rows: Sequence[Row], drawn: Sequence[Row], places: Sequence[int], limit: float) -> list[str]:
    found = []
    far = {r.encoder: [c[0] for i in places if (c := _change(r, i)) and abs(c[0]) > limit] for r in drawn}
    beyond = [f"{title(e)} to {signed(max(its, key=abs))}%" for e, its in far.items() if its]
    if beyond:
        found.append(f"Arrows: beyond the axis, {several(beyond, 6)}.")
    if len(drawn) < len(rows):
        found.append(
            f"The first {len(drawn)} of {len(rows)} encoders of the board are drawn; the shades below have all."
        )
    lack = [title(r.encoder) for r in drawn if any(_change(r, i) is None for i in places)]
    if lack:
        found.append(f"No bar where there is no result: {several(lack)}.")
    return found


def axis_limit(board: Board) -> float:
    """The end of the axis of changes, the same for both sides: that of the encoders that are not far off, rounded up.

    Pixels and untrained networks do not set it where there are others, nor do encoders that change four times as much as is usual.

    >>> axis_limit(Board(None, (), (), ()))
    1.0
    """
    most = {
        r.encoder: max([abs(e.change) for e in r.entries if e and e.change is not None] or [0.0])
        for r in against(board)
    }
    learned = {e: m for e, m in most.items() if e.partition("-")[0] not in PLAIN and m} or {
        e: m for e, m in most.items() if m
    }
    if not learned:
        return 1.0
    usual = FAR * float(np.median(list(learned.values())))
    near = {e for e, m in learned.items() if m <= usual}
    entries = [e for r in board.rows if r.encoder in near for e in r.entries if e and e.change is not None]
    widest = max(abs(x) for e in entries for x in (e.change_low, e.change_high) if x is not None)
    return round_up(min(widest, 1.5 * max(learned[e] for e in near)))


def round_up(number: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8 and 10 times a power of ten.

    >>> round_up(0.4), round_up(2.1), round_up(37.0)
    (0.4, 3.0, 40.0)
    """
    power = 10.0 ** np.floor(np.log10(number))
    return float(round(next(f * power for f in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if f * power >= number * (1 - 1e-9)), 10))
