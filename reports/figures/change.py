"""Changes against the baseline, task by task, as bars: a panel an encoder."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from relic_eval.board import Board, Row
from reports.figures.style import DIM, INK, LETTER, LINE, SMALL, WIDTH, in_style, look_of, new_figure, wrapped
from reports.style import Look, short, title
from reports.tables import heads

NARROWEST = 1.15  # inches of a panel
LONGEST = 26  # letters of a task's name
SAID = "Bars: change of each task's metric; lines: 95% intervals; hollow: the interval includes 0."


@in_style
def change_figure(board: Board, look: Mapping[str, Look] | None = None, width: float = WIDTH) -> Figure | None:
    """In per cent of the baseline's value; None where there is no other encoder. Beneath the tasks the mean over them."""
    rows = [r for r in board.rows if r.encoder != board.baseline]
    names = [_two_lines(n, LONGEST if width > 4 else 19) for n in heads(board.columns)]
    if not rows or not any(e and e.change is not None for r in rows for e in r.entries):
        return None
    look, beside = (
        look_of(look, [r.encoder for r in board.rows]),
        LETTER * max(len(p) for n in names for p in n.split("\n")),
    )
    across = max(1, min(len(rows), int((width - beside) / NARROWEST)))
    lines = -(-len(rows) // across)
    across = -(-len(rows) // lines)
    each = LINE * max(len(n.split("\n")) for n in names)
    height = lines * (each * len(names) + 2 * LINE + 0.42) + 0.3
    figure, every = new_figure(across, width, height, lines, sharex=True, sharey=True)
    low, high = _limits(rows)
    for spare in every[len(rows) :]:
        spare.set_visible(False)
    for place, (axes, row) in enumerate(zip(every, rows, strict=False)):
        _bars(axes, row, look[row.encoder], len(names), low, high)
        axes.set_title(short(row.encoder, int((width - beside) / across / LETTER * 0.9)), loc="left")
        if place >= len(rows) - across:
            axes.tick_params(axis="x", labelbottom=True)
    every[0].set(
        xlim=(low, high),
        ylim=(len(names) + 0.8, -0.6),
        yticks=[*range(len(names)), len(names) + 0.2],
        yticklabels=[*names, "mean of tasks"],
    )
    said = wrapped(f"change against {title(board.baseline or '')}, %. {SAID}", width)
    figure.supxlabel(said, fontsize=SMALL, x=0.01, ha="left", color=DIM)
    return figure


def _two_lines(name: str, longest: int) -> str:
    return "\n".join(textwrap.wrap(name, longest, max_lines=2, placeholder=" …"))


def _limits(rows: list[Row]) -> tuple[float, float]:
    """From the lowest to the highest end of an interval that is finite, 0 included."""
    ends = [v for r in rows for e in r.entries if e for v in (e.change, e.change_low, e.change_high)]
    ends += [v for r in rows for v in (r.change_low, r.change_high)]
    known = [0.0, *(v for v in ends if v is not None and math.isfinite(v))]
    low, high = min(known), max(known)
    if low == high:
        return -1.0, 1.0
    room = 0.04 * (high - low)
    return low - room * (low < 0), high + room * (high > 0)


def _bars(axes: Any, row: Row, look: Look, count: int, low: float, high: float) -> None:
    places, changes, starts, ends, faces = [], [], [], [], []  # one call for all bars, which are many
    for place, entry in enumerate(row.entries):
        if entry is None or entry.change is None:
            axes.annotate(
                "no value", (0, place), (2, 0), textcoords="offset points", va="center", size=SMALL, color=DIM
            )
            continue
        a, b = (v if v is not None else entry.change for v in (entry.change_low, entry.change_high))
        places.append(place)
        changes.append(entry.change)
        faces.append(look.colour if a > 0 or b < 0 else "white")
        starts.append(max(a, low))
        ends.append(min(b, high))
    axes.barh(places, changes, 0.62, color=faces, edgecolor=look.colour, linewidth=0.9)
    axes.hlines(places, starts, ends, color=INK, lw=0.8, zorder=2)
    axes.axhline(count - 0.4, color=DIM, lw=0.4)
    if row.change is not None and row.change_low is not None and row.change_high is not None:
        axes.plot([max(row.change_low, low), min(row.change_high, high)], [count + 0.2] * 2, color=look.colour, lw=1.4)
        axes.plot(row.change, count + 0.2, "D", ms=4, color=look.colour)
    axes.axvline(0, color=DIM, lw=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
