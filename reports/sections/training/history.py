"""Checkpoints of one pretraining run: what each task gained from step to step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relic_eval.board import Board
from relic_eval.board.steps import Gain, History, histories, history_table
from reports.drawings.steps import Points, steps
from reports.sections.board.board import PROTOCOLS
from reports.sections.figure import Figure
from reports.sections.section import Material, Section
from reports.style import Look, looks, short, title
from reports.tables import to_csv
from reports.words import counted, percent, signed, verb

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


def finding(run: History) -> str:
    """What a run gained from its first checkpoint to its last, and whether its last stretch changed anything for certain.

    >>> finding(History("byol", ("a", "b"), (500, 1000), (g := Gain(500, 1000, 0.031, 0.02, 0.042, 4, 1e-8, True),), g))
    'BYOL gains 3.1 points (95% interval 2.0 to 4.2) on average from step 500 to 1,000'
    """
    whole, name = run.whole, title(run.run)
    if whole is None:
        return f"{name}: {len(run.steps)} checkpoints"
    if whole.certain:
        one, more = ("gains", "gain") if whole.value > 0 else ("loses", "lose")
        sign = 1 if whole.value > 0 else -1
        low, high = sorted((sign * whole.low, sign * whole.high))
        size = f"{percent(abs(whole.value))} points (95% interval {percent(low)} to {percent(high)})"
        text = f"{name} {verb(name, one, more)} {size} on average from step {whole.first:,} to {whole.last:,}"
    else:
        text = f"{name}: no certain change on average from step {whole.first:,} to {whole.last:,}, {gain_words(whole)}"
    if len(run.gains) < 2:
        return text
    last = run.gains[-1]
    if not last.certain:
        return f"{text}; the last change is not certain"
    return f"{text}, {gain_words(last)} of it in the last stretch" if whole.certain else text


def gain_words(gain: Gain) -> str:
    """A gain with its interval.

    >>> gain_words(Gain(5, 9, -0.01, -0.02, 0.0, 4, 0.05))
    '−1.0 points (95% interval −2.0 to 0.0)'
    """
    low, high = signed(100 * gain.low), signed(100 * gain.high)
    return f"{signed(100 * gain.value)} points (95% interval {low} to {high})"


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
