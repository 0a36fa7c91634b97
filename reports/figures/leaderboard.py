"""The board as points with intervals, a panel a column."""

from __future__ import annotations

import textwrap

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from relic_eval.board import Board
from reports.figures.style import dot, new_figure
from reports.style import looks, short
from reports.words import METRICS

ACROSS = 4  # panels side by side, at most


def leaderboard_figure(board: Board) -> Figure:
    """The metric of each task with its 95% interval, encoders in the order of the board; filled in: tied with the best."""
    count = max(1, len(board.columns))
    rows = -(-count // ACROSS)
    across = -(-count // rows)
    height = rows * (1.0 + 0.24 * max(3, len(board.rows)))
    figure, every = new_figure(across, 1.6 + 1.9 * across, height, rows, sharey=True)
    look = looks(r.encoder for r in board.rows)
    for spare in every[count:]:
        spare.set_visible(False)
    for number, column in enumerate(board.columns):
        axes = every[number]
        for place, row in enumerate(board.rows):
            entry = row.entries[number]
            if entry is not None:
                its = look[row.encoder]
                face = its.colour if entry.tied_with_best else "white"
                axes.plot([100 * entry.low, 100 * entry.high], [place, place], color=its.colour, lw=1.4)
                axes.plot(100 * entry.value, place, ms=6, mfc=face, mew=1.2, **dot(its))
        axes.set_title("\n".join(textwrap.wrap(column.title, 22)), loc="left")
        axes.set_xlabel(f"{METRICS.get(column.metric, column.metric)}, % (n = {column.n:,})")
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.tick_params(axis="y", length=0)
        for side in axes.spines.values():
            side.set_visible(side.spine_type == "bottom")
    every[0].set(
        ylim=(len(board.rows) - 0.5, -0.5),
        yticks=range(len(board.rows)),
        yticklabels=[short(r.encoder) for r in board.rows],
    )
    figure.supxlabel(
        "Lines are 95% intervals; filled marks are best of their column or tied with the best.",
        fontsize=8,
        x=0.01,
        ha="left",
    )
    return figure
