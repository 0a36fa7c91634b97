"""Values over training steps of checkpoints of one run, a panel a column of the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from relic_eval.board import Board
from relic_eval.board.steps import History
from reports.figures.style import WIDTH, dot, new_figure, pen
from reports.sections.training.history import finding, panels, run_names
from reports.style import Look, looks, short
from reports.words import scale

ACROSS = 4
MOST = 24


def history_figure(
    board: Board, runs: Sequence[History], look: Mapping[str, Look] | None = None, width: float = WIDTH
) -> Figure:
    """A panel a column, every one as many points high; whiskers are 95% intervals over images.

    `runs` come from `relic_eval.board.steps.histories`.
    """
    names = run_names(runs)
    look = look or looks(names)
    shown = panels(board, runs, look, MOST)
    across = min(ACROSS, len(shown), max(1, int(width / 1.6)))
    down = -(-len(shown) // across)
    figure, every = new_figure(across, width, 1.55 * down + 0.6, down)
    ends = [(max(h for p in points for h in p.high), min(v for p in points for v in p.low)) for _, points in shown]
    span = 1.12 * max(high - low for high, low in ends) or 1.0
    factor, unit = scale(max(x for _, points in shown for p in points for x in p.x))
    for place, axes in enumerate(every):
        if place >= len(shown):
            axes.set_axis_off()
            continue
        title, points = shown[place]
        for p in points:
            x = [v / factor for v in p.x]
            apart = [  # a value may lie outside the percentiles of its resamples, and no whisker is shorter than 0
                [max(0.0, y - v) for y, v in zip(p.y, p.low, strict=True)],
                [max(0.0, h - y) for y, h in zip(p.y, p.high, strict=True)],
            ]
            axes.plot(x, p.y, lw=1.4, **pen(p.look))
            axes.errorbar(x, p.y, apart, ms=4, elinewidth=0.9, **dot(p.look))
        middle = sum(ends[place]) / 2
        axes.set_ylim(middle - span / 2, middle + span / 2)
        axes.set_title(short(title, min(30, int(width / across / 0.095))), loc="left", size=8)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.grid(axis="y")
        if place + across >= len(shown):
            axes.set_xlabel(f"step{unit}")
        if place % across == 0:
            axes.set_ylabel("%")
    figure.suptitle(_wrapped(finding(runs[0]), int(width * 12.5)), x=0.01, ha="left", size=9)
    if len(runs) > 1:
        marks = [every[0].plot([], [], label=short(n, 20), **dot(look[n]))[0] for n in names]
        figure.legend(handles=marks, loc="outside lower left", ncols=4, frameon=False, fontsize=8)
    return figure


def _wrapped(words: str, most: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(words, most))
