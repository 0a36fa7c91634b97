"""The board as text and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from relic_eval.board import Board, board_table
from relic_eval.results import Result
from reports.style import title
from reports.words import percent

LEGEND = (
    "\nTop-1 in % with 95% intervals; * best of its column or tied with it; changes in % against {baseline}; "
    "rank: from one plus those certainly better.\n"
)


def board_text(board: Board) -> str:
    """The board for a terminal; * marks the best of a column and those tied with it.

    >>> print(board_text(Board("pixels", (), (), ())), end="")
    encoder  mean change %  rank
    """
    head = ["encoder", *(c.title for c in board.columns), "mean change %", "rank"]
    lines = [head]
    for row in board.rows:
        cells = [
            "-"
            if e is None
            else f"{percent(e.value)} ({percent(e.low)} to {percent(e.high)}){'*' if e.tied_with_best else ''}"
            for e in row.entries
        ]
        change = "-" if row.change is None else f"{row.change:+.1f} ({row.change_low:+.1f} to {row.change_high:+.1f})"
        rank = (
            "-"
            if row.rank is None
            else f"{row.rank}"
            if row.rank == row.rank_last
            else f"{row.rank} to {row.rank_last}"
        )
        lines.append([title(row.encoder), *cells, change, rank])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = "".join("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines)
    return text + (LEGEND.format(baseline=title(board.baseline or "")) if board.rows else "")


def to_csv(rows: list[dict[str, object]]) -> str:
    """Records as CSV; text that a spreadsheet would run is quoted.

    >>> to_csv([{"a": 1, "b": "=x"}]).splitlines()
    ['a,b', "1,'=x"]
    """
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: _inert(v) for k, v in row.items()} for row in rows)
    return file.getvalue()


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def board_csv(board: Board) -> str:
    """The board as CSV, one line an encoder and column, accuracies as fractions."""
    return to_csv(board_table(board))


def rows_csv(results: Iterable[Result]) -> str:
    """Every measurement of every cell as CSV."""
    return to_csv(
        [
            {
                "encoder": r.encoder,
                "task": r.task,
                "protocol": r.protocol,
                "metric": m.metric,
                "value": m.value,
                "low": m.low,
                "high": m.high,
                "n": m.n,
                "params": "; ".join(f"{k}={v}" for k, v in m.params.items()),
                "converged": m.converged,
            }
            for r in results
            for m in r.cell.rows
        ]
    )
