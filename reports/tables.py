"""The board as text and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from relic_eval.board import Board, Column, board_table
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
    head = ["encoder", *_heads(board.columns), "mean change %", "rank"]
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


def _heads(columns: Sequence[Column]) -> list[str]:
    """Titles of columns; where several are of one task, with their protocols."""
    titles = [c.title for c in columns]
    return [t if titles.count(t) == 1 else f"{t}, {c.protocol}" for t, c in zip(titles, columns, strict=True)]


def measured_text(results: Iterable[Result]) -> str:
    """Every measurement of every cell that is not of a single class, a line each, for a terminal.

    >>> measured_text([])
    ''
    """
    lines = [("encoder", "task", "protocol", "metric", "value", "95% interval", "")]
    for r in results:
        for m in r.cell.rows:
            if {"class", "query"} & set(m.params):
                continue
            value = "missing" if m.value is None else f"{m.value:.4g}"
            ends = "" if m.low is None or m.high is None else f"{m.low:.4g} to {m.high:.4g}"
            about = ", ".join(f"{k} = {_plain(v)}" for k, v in m.params.items())
            lines.append((r.encoder, r.task, r.protocol, m.metric, value, ends, about))
    if len(lines) == 1:
        return ""
    widths = [max(len(line[i]) for line in lines) for i in range(7)]
    return "".join("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines)


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


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
