"""The board as text and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from relic_eval.board import Board, Column, Cost, Row, board_table
from relic_eval.cells import Result
from reports.style import title
from reports.words import METRICS, joined, percent, roughly, verb

LEGEND = (
    "\n{metrics} in % with 95% intervals; * best of its column or tied with it; changes in % against {baseline}, with 95% "
    "intervals for other images of these tasks, and for other such tasks; rank: from one plus those certainly better.\n"
)


def board_text(board: Board, costs: Mapping[str, Cost] | None = None, *, speed: bool = False) -> str:
    """The board as plain text, a line an encoder; * marks the best of a column and those tied with it.

    With `costs` what each encoder costs, with `speed` the pictures a second that it embedded too.

    >>> print(board_text(Board("pixels", (), (), ())), end="")
    encoder  mean change %  other tasks  wins  rank
    """
    lines = [
        ["encoder", *heads(board.columns), "mean change %", "other tasks", "wins", "rank", *cost_heads(costs, speed)]
    ]
    for row in board.rows:
        cells = ["-" if e is None else f"{percent(e.value)} ({ends(e.low, e.high, percent)})" for e in row.entries]
        cells = [f"{c}{'*' if e and e.tied_with_best else ''}" for c, e in zip(cells, row.entries, strict=True)]
        lines.append([title(row.encoder), *cells, *over(row, board), *cost_cells(costs, row.encoder, speed)])
    text = aligned(lines)
    return text + (legend(board) + ties_text(board) if board.rows else "")


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells, each column as wide as its widest cell.

    >>> aligned([["a", "b"], ["long", "c"]]).splitlines()
    ['a     b', 'long  c']
    """
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "".join("  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines)


def legend(board: Board) -> str:
    """What the signs of the text say.

    >>> "Top-1 in %" in legend(Board("a", (), (), ()))
    True
    """
    metrics = joined(list(dict.fromkeys(METRICS.get(c.metric, c.metric) for c in board.columns)) or ["top-1"])
    text = LEGEND.format(metrics=metrics[0].upper() + metrics[1:], baseline=title(board.baseline or ""))
    return text + "".join(
        f"{words}\n" for words in (left_out_words(board), leaks_words(board), names_words(board)) if words
    )


def names_words(board: Board) -> str:
    """By which names --encoder and --baseline know encoders that the board calls otherwise; empty where there are none.

    >>> names_words(Board(None, (), (Row("pixels", (), None, None, None, None, None, 0, False),), ()))
    'To type: Pixels is pixels.'
    """
    its = [f"{title(r.encoder)} is {r.encoder}" for r in board.rows if title(r.encoder) != r.encoder]
    return f"To type: {', '.join(its)}." if its else ""


def leaks_words(board: Board) -> str:
    """What columns without leaks were made without; empty where there are none.

    >>> leaks_words(Board("a", (Column("t", "knn", "T", 9, without_leaks=True, dropped=1),), (), ()))
    'Without leaks: training pictures that are tested too were left out: T: 1.'
    """
    its = {
        c.title: "a number not noted" if c.dropped is None else f"{c.dropped:,}"
        for c in board.columns
        if c.without_leaks
    }
    counts = ", ".join(f"{title}: {count}" for title, count in its.items())
    mixed = [c.title for c in board.columns if c.task in board.mixed_leaks]
    both = (
        f" {joined(list(dict.fromkeys(mixed)))}: other columns were made with them, so compare no protocols there."
        if mixed
        else ""
    )
    return f"Without leaks: training pictures that are tested too were left out: {counts}.{both}" if its else ""


def left_out_words(board: Board) -> str:
    """Which columns the mean change leaves out, and why; empty where it is over all of them.

    >>> left_out_words(Board("pixels", (Column("t", "knn", "T", 9),), (), ()))
    'The mean change leaves out T: Pixels have no value above 0 there, which a change in % needs.'
    """
    names = heads(board.columns)
    its, base = [names[number] for number in board.without_change], title(board.baseline or "")
    if not its:
        return ""
    return f"The mean change leaves out {joined(its)}: {base} {verb(base, 'has', 'have')} no value above 0 there, which a change in % needs."


def ends(low: float | None, high: float | None, words: Callable[[float | None], str]) -> str:
    """An interval, or nothing.

    >>> ends(0.25, 0.5, percent), ends(None, None, percent)
    ('25.0 to 50.0', '')
    """
    return "" if low is None or high is None else f"{words(low)} to {words(high)}"


def over(row: Row, board: Board) -> list[str]:
    """Mean change with its interval over images, the interval over tasks, wins, and rank; how many cells there are instead.

    >>> over(Row("a", (None,), None, None, None, None, None, 0, False), Board(None, (), (), ()))
    ['-', '-', '0', '0 of 0 measured']
    """
    count = len(board.columns)
    if row.change is None or row.rank is None:
        return ["-", "-", f"{row.wins}", f"{row.measured} of {count} measured"]
    change = f"{row.change:+.1f} ({row.change_low:+.1f} to {row.change_high:+.1f})"
    other = "-" if row.other_low is None else f"{row.other_low:+.1f} to {row.other_high:+.1f}"
    rank = f"{row.rank}" if row.rank == row.rank_last else f"{row.rank} to {row.rank_last}"
    return [change, other, f"{row.wins} of {count}", rank]


def ties_text(board: Board) -> str:
    """Of each tie with the best of a column, how many more test images would tell the two apart; empty where none would.

    >>> ties_text(Board(None, (), (), ()))
    ''
    """
    lines = [
        f"  {head}: {title(d.better)} and {title(d.worse)}: about {roughly(d.more_images)}\n"
        for number, head in enumerate(heads(board.columns))
        for row in board.rows
        if (d := board.behind(row.encoder, number)) and d.more_images
    ]
    return "".join(["\nMore test images that would tell a tie with the best apart:\n", *lines]) if lines else ""


def cost_heads(costs: Mapping[str, Cost] | None, speed: bool = False) -> list[str]:
    """Heads of the columns of cost.

    >>> cost_heads({}, speed=True)
    ['parameters', 'GFLOPs', 'dimensions', 'pictures/s']
    """
    return [] if costs is None else ["parameters", "GFLOPs", "dimensions", *(["pictures/s"] if speed else [])]


def cost_cells(costs: Mapping[str, Cost] | None, encoder: str, speed: bool = False) -> list[str]:
    """What an encoder costs, beneath those heads.

    >>> cost_cells({"a": Cost(25_557_032, 4.089, 2048, 31.4)}, "a", speed=True)
    ['25.6 M', '4.09', '2048', '31']
    """
    if costs is None:
        return []
    cost = costs.get(encoder, Cost())
    rate = "-" if cost.pictures_a_second is None else f"{cost.pictures_a_second:.0f}"
    return [c or "-" for c in cost_words(cost)] + ([rate] if speed else [])


def cost_words(cost: Cost) -> list[str]:
    """Parameters, GFLOPs and dimensions as people read them; empty where they are not known.

    >>> cost_words(Cost(120_320, 0.0104, 128)), cost_words(Cost())
    (['0.12 M', '0.0104', '128'], ['', '', ''])
    """
    millions = 0 if cost.parameters is None else cost.parameters / 1e6
    parameters = "" if cost.parameters is None else f"{millions:.1f} M" if millions >= 1 else f"{millions:.2g} M"
    return [
        parameters,
        "" if cost.gflops is None else f"{cost.gflops:.3g}",
        "" if cost.dims is None else f"{cost.dims}",
    ]


def heads(columns: Sequence[Column]) -> list[str]:
    """Titles of columns; where several are of one task, with their protocols, and whether leaks were left out.

    >>> heads([Column("t", "knn", "T", 9), Column("t", "ridge", "T", 9), Column("u", "knn", "U", 9)])
    ['T, knn', 'T, ridge', 'U']
    """
    titles = [c.title for c in columns]
    return [
        (t if titles.count(t) == 1 else f"{t}, {c.protocol}") + (", without leaks" if c.without_leaks else "")
        for t, c in zip(titles, columns, strict=True)
    ]


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
    return aligned(lines)


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def to_csv(rows: list[dict[str, object]]) -> str:
    """Records as CSV; text that a spreadsheet would run is quoted.

    >>> to_csv([{"a": 1, "b": "=x"}]).splitlines()
    ['a,b', "1,'=x"]
    >>> to_csv([{"=x": 1}]).splitlines()
    ["'=x", '1']
    """
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writerow({name: _inert(name) for name in rows[0]})  # columns of encoders have their names
        writer.writerows({k: _inert(v) for k, v in row.items()} for row in rows)
    return file.getvalue()


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def board_records(board: Board, costs: Mapping[str, Cost] | None = None) -> list[dict[str, Any]]:
    """The records of `board_table`, numbers with six digits: a hundredth of what an interval of a million images leaves open.

    >>> board_records(Board(None, (), (), ()))
    []
    """
    return [six_digits(record) for record in board_table(board, costs)]


def six_digits(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as files have it; what is no number is missing.

    >>> six_digits({"a": 0.12345678, "b": float("nan"), "c": 3})
    {'a': 0.123457, 'b': None, 'c': 3}
    """
    return {name: _six(value) if isinstance(value, float) else value for name, value in record.items()}


def _six(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.6g}")


def board_csv(board: Board, costs: Mapping[str, Cost] | None = None) -> str:
    """The board as CSV, one line an encoder and column, values as fractions, numbers with six digits."""
    return to_csv(board_records(board, costs))


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
