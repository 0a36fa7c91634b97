"""What checkpoints of one run reached, as text and as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relic_eval.board import Board
from relic_eval.board.steps import History, history_table
from relic_eval.files import write_bytes
from reports.sections.training.history import finding
from reports.style import title
from reports.tables import aligned, ends, heads, to_csv
from reports.words import percent, signed


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
