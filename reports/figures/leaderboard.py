"""The board as points with intervals, a panel a task."""

from __future__ import annotations

from matplotlib.figure import Figure

from relic_eval.board import Board
from reports.figures.style import new_figure
from reports.style import colours, short


def leaderboard_figure(board: Board) -> Figure:
    """Top-1 accuracy with its 95% interval, encoders in the order of the board."""
    figure, every = new_figure(len(board.columns), width=1.9 * len(board.columns) + 1.2, height=2.6)
    colour = colours([r.encoder for r in board.rows])
    for number, (axes, column) in enumerate(zip(every, board.columns, strict=True)):
        for place, row in enumerate(board.rows):
            entry = row.entries[number]
            if entry is not None:
                axes.plot([100 * entry.low, 100 * entry.high], [place, place], color=colour[row.encoder])
                axes.plot(100 * entry.value, place, "o", color=colour[row.encoder], ms=4)
        axes.set(
            ylim=(len(board.rows) - 0.5, -0.5), yticks=range(len(board.rows)) if number == 0 else [], xlabel="top-1, %"
        )
        axes.set_title("\n".join(column.title.split(", ")), fontsize=8)
        if number == 0:
            axes.set_yticklabels([short(r.encoder) for r in board.rows])
    return figure
