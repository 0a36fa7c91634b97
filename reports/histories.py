"""What checkpoints of one run reached, in words, as text and as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relic_eval.board import Board
from relic_eval.board.steps import Gain, History, history_table
from relic_eval.files import write_bytes
from reports.style import title
from reports.tables import aligned, ends, heads, to_csv
from reports.words import percent, signed, verb


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


def histories_text(board: Board, runs: Sequence[History]) -> str:
    """Each run for a terminal: a line a checkpoint, and the mean change since the one before.

    >>> histories_text(Board(None, (), (), ()), [])
    ''
    """
    entries = {row.encoder: row.entries for row in board.rows}
    parts = []
    for run in runs:
        lines = [["step", "encoder", *heads(board.columns), "mean change, points", "certain"]]
        for place, (step, encoder) in enumerate(zip(run.steps, run.encoders, strict=True)):
            cells = [
                "-" if e is None else f"{percent(e.value)} ({ends(e.low, e.high, percent)})" for e in entries[encoder]
            ]
            last = run.gains[place - 1] if place else None
            change = (
                "-"
                if last is None
                else f"{signed(100 * last.value)} ({signed(100 * last.low)} to {signed(100 * last.high)})"
            )
            lines.append(
                [f"{step:,}", title(encoder), *cells, change, "" if last is None else "yes" if last.certain else "no"]
            )
        parts.append(f"{finding(run)}.\n\n{aligned(lines)}")
    legend = (
        "\nIn % with 95% intervals. Mean change: since the checkpoint before, over the columns that both have, on the same images; "
        "certain: after Holm's correction for all stretches.\n"
    )
    return "\n".join(parts) + (legend if parts else "")


def save_history(board: Board, runs: Sequence[History], place: Path) -> list[Path]:
    """The table as .csv, or the figure as NAME.png and NAME.svg; returns what was written."""
    if place.suffix.lower() == ".csv":
        write_bytes(place, to_csv(history_table(board, runs)).encode())
        return [place]
    from reports.figures.files import save
    from reports.figures.history import history_figure

    return save(history_figure(board, runs), place.with_suffix(""))
