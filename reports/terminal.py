"""The board on a terminal: a table as wide as it is, in several parts where that is narrow; plain text anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.cells import cell_len

from relic_eval.board import Board, Cost, Row
from reports.style import short
from reports.tables import board_text, cost_cells, cost_heads, ends, heads, legend, over, ties_text
from reports.words import METRICS, percent

BETWEEN = 2  # blanks after each column of a table
EDGES = 4  # around it, and after the names
NARROWEST = 40
Cells = Sequence[str]  # of one column: a text an encoder, of one or more lines


def show_board(
    board: Board, *, costs: Mapping[str, Cost] | None = None, speed: bool = False, file: TextIO | None = None
) -> None:
    """Print the board to `file` (stdout): with colours and parts as wide as the terminal, or as `board_text` where there is none.

    NO_COLOR takes the colours away; bold, underlined and * say the same without them.
    """
    file = file or sys.stdout
    if not file.isatty() or not board.rows:
        file.write(board_text(board, costs, speed=speed))
        return
    from rich.console import Console

    console = Console(file=file, highlight=False, soft_wrap=True)
    room = max(NARROWEST, console.width)
    for part in parts(board, room, costs, speed):
        console.print(_table(board, _names(board, room), part))
    console.print(legend(board) + ties_text(board), markup=False)


def parts(
    board: Board, room: int, costs: Mapping[str, Cost] | None = None, speed: bool = False
) -> list[list[tuple[str, Cells]]]:
    """Columns (head, a text an encoder) in as many parts as fit side by side into `room` characters beside the names.

    >>> parts(Board(None, (), (), ()), 80)[0][0][0]
    'mean change %'
    """
    columns: list[tuple[str, Cells]] = []
    for number, (head, column) in enumerate(zip(heads(board.columns), board.columns, strict=True)):
        metric = METRICS.get(column.metric, column.metric)
        columns.append((f"{_folded(head)}\n{metric}\nn = {column.n:,}", [_entry(r, number) for r in board.rows]))
    every = [over(row, board) for row in board.rows]
    every = [[*cells, *cost_cells(costs, row.encoder, speed)] for cells, row in zip(every, board.rows, strict=True)]
    for place, head in enumerate(["mean change %", "other tasks", "wins", "rank", *cost_heads(costs, speed)]):
        columns.append((head, [cells[place].replace(" (", "\n(") for cells in every]))
    left = room - EDGES - max(map(cell_len, ["encoder", *_names(board, room)]))
    found: list[list[tuple[str, Cells]]] = [[]]
    for pair in columns:
        if found[-1] and sum(_width(c) for c in (*found[-1], pair)) > left:
            found.append([])
        found[-1].append(pair)
    return found


def _entry(row: Row, number: int) -> str:
    entry = row.entries[number]
    if entry is None:
        return "-"
    return f"{percent(entry.value)}{'*' if entry.tied_with_best else ''}\n{ends(entry.low, entry.high, percent)}"


def _width(column: tuple[str, Cells]) -> int:
    head, cells = column
    return BETWEEN + max(cell_len(line) for text in (head, *cells) for line in text.split("\n"))


def _folded(head: str, most: int = 16) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(head, most))


def _names(board: Board, room: int) -> list[str]:
    return [short(row.encoder, max(12, room // 4)) for row in board.rows]


def _table(board: Board, names: Sequence[str], part: Sequence[tuple[str, Cells]]):
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, BETWEEN - 1, 0, 0))
    table.add_column("encoder", no_wrap=True)
    for head, _ in part:
        table.add_column(Text(head), justify="right", no_wrap=True)
    for place, row in enumerate(board.rows):
        cells = [_styled(cells[place]) for _, cells in part]
        table.add_row(Text(names[place], style="bold" if row.tied_with_best else ""), *cells)
    return table


def _styled(text: str):
    """The number bold and green where it is best or tied with it, what stands beneath it dim."""
    from rich.text import Text

    first, _, rest = text.partition("\n")
    found = Text(first, style="bold green" if first.endswith("*") else "")
    return found.append(f"\n{rest}", style="not bold default dim") if rest else found
