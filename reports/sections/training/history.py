"""Checkpoints of one pretraining run: what each task gained from step to step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relic_eval.board import Board
from relic_eval.board.steps import History, histories, history_table
from reports.drawings.steps import Points, steps
from reports.histories import finding
from reports.sections.board.board import PROTOCOLS
from reports.sections.figure import Figure
from reports.sections.section import Material, Section
from reports.style import Look, looks, short
from reports.tables import to_csv
from reports.words import counted, signed

MOST = 24  # panels; the other columns are in the table
LONG = 32  # letters of a panel's title


def history_section(m: Material) -> Section | None:
    """Values over steps, and what each stretch gained; None where no run has two checkpoints on the board."""
    runs = histories(m.board, m.stores)
    if not runs:
        return None
    figure = history_figure_of(m.board, runs, looks(run_names(runs)))
    content = {
        "figure": figure,
        "others": [finding(run) for run in runs[1:]],
        "gains": [_gain(name, g) for name, run in zip(run_names(runs), runs, strict=True) for g in run.gains],
    }
    return Section("history", "Checkpoints", content, {figure.key: figure.csv})


def run_names(runs: Sequence[History]) -> list[str]:
    """What runs are called, numbered where several have one name.

    >>> run_names([History("byol", (), ()), History("byol", (), ()), History("relic", (), ())])
    ['byol', 'byol (2)', 'relic']
    """
    found: list[str] = []
    for run in runs:
        count = sum(r.run == run.run for r in runs[: len(found)])
        found.append(f"{run.run} ({count + 1})" if count else run.run)
    return found


def panels(
    board: Board, runs: Sequence[History], look: Mapping[str, Look], most: int = MOST
) -> list[tuple[str, list[Points]]]:
    """A panel a column of the board that two checkpoints of some run have, in per cent."""
    entries, found = {row.encoder: row.entries for row in board.rows}, []
    for number, column in enumerate(board.columns):
        points = []
        for name, run in zip(run_names(runs), runs, strict=True):
            its = [(s, e) for s, n in zip(run.steps, run.encoders, strict=True) if (e := entries[n][number])]
            if len(its) > 1:
                values = [[100 * getattr(e, end) for _, e in its] for end in ("value", "low", "high")]
                points.append(Points(look[name], [float(s) for s, _ in its], *values))
        if points:
            how = PROTOCOLS.get(column.protocol, column.protocol)
            found.append((short(f"{column.title}, {how}", LONG), points))
    return found[:most]


def history_figure_of(board: Board, runs: Sequence[History], look: Mapping[str, Look]) -> Figure:
    """The panels with a title that states what the run highest on the board gained."""
    shown = panels(board, runs, look)
    title = finding(runs[0])
    names = [look[name] for name in run_names(runs)]
    left = len(panels(board, runs, look, len(board.columns))) - len(shown)
    how = (
        "One panel a task and protocol, in % over training steps, with 95% intervals over images; every panel is as many points "
        "high, so that slopes compare. Neighbouring checkpoints judge the same images: whether they differ, the table of stretches "
        "says better than the overlap of two intervals."
    )
    note = (
        f"{counted(len(shown), 'column')} of the board{f', {left} more in the CSV' if left else ''}. Means are over the columns that "
        "both checkpoints have; columns of one data set count as wholly dependent, which makes the interval rather too wide. "
        "Certain: after Holm's correction for all stretches. One run each: how another seed would do, no interval says."
    )
    return Figure("history-steps", title, steps(shown, names, title), how, note, to_csv(history_table(board, runs)))


def _gain(name: str, g: Any) -> dict[str, Any]:
    return {
        "run": looks([name])[name].title,
        "from": f"{g.first:,}",
        "to": f"{g.last:,}",
        "points": signed(100 * g.value),
        "ends": f"{signed(100 * g.low)} to {signed(100 * g.high)}",
        "columns": g.columns,
        "certain": "yes" if g.certain else "no",
    }
