"""The board as points with intervals, a panel a column."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from relic_eval.board import Board
from reports.figures.style import DIM, LETTER, LINE, SMALL, WIDTH, dot, in_style, look_of, new_figure, wrapped
from reports.style import Look, short
from reports.words import METRICS

ACROSS = 4  # panels side by side, at most
NARROWEST = 1.2  # inches of a panel
SAID = "Lines: 95% intervals; filled: best of its column or tied with it."


@in_style
def leaderboard_figure(board: Board, look: Mapping[str, Look] | None = None, width: float = WIDTH) -> Figure:
    """The metric of each task with its 95% interval, encoders in the order of the board; filled in: tied with the best."""
    count, longest = max(1, len(board.columns)), 24 if width > 4 else 18
    names = [short(r.encoder, longest) for r in board.rows]
    beside = LETTER * max(map(len, names), default=1) + 0.1
    across = min(ACROSS, count, max(1, int((width - beside) / NARROWEST)))
    rows = -(-count // across)
    across = -(-count // rows)
    height = rows * (0.85 + LINE * max(3, len(board.rows))) + LINE
    figure, every = new_figure(across, width, height, rows, sharey=True)
    look = look_of(look, [r.encoder for r in board.rows])
    for spare in every[count:]:
        spare.set_visible(False)
    wide = int((width - beside) / across / LETTER * 0.92)
    for number, column in enumerate(board.columns):
        axes = every[number]
        here = [(p, look[r.encoder], e) for p, r in enumerate(board.rows) if (e := r.entries[number]) is not None]
        lows, highs = ([100 * getattr(entry, end) for *_, entry in here] for end in ("low", "high"))
        colours = [its.colour for _, its, _ in here]
        axes.hlines([place for place, *_ in here], lows, highs, colors=colours, lw=1.2, zorder=2)
        for place, its, entry in here:
            face = its.colour if entry.tied_with_best else "white"
            axes.plot(100 * entry.value, place, ms=4.5, mfc=face, mew=1, **dot(its))
        axes.set_title("\n".join(textwrap.wrap(column.title, wide, max_lines=3, placeholder=" …")), loc="left")
        axes.set_xlabel(f"{METRICS.get(column.metric, column.metric)}, % (n = {column.n:,})", size=SMALL)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.tick_params(axis="y", length=0)
        for side in axes.spines.values():
            side.set_visible(side.spine_type == "bottom")
    every[0].set(ylim=(len(board.rows) - 0.5, -0.5), yticks=range(len(board.rows)), yticklabels=names)
    figure.supxlabel(wrapped(SAID, width), fontsize=SMALL, x=0.01, ha="left", color=DIM)
    return figure
