"""Pairs of encoders: all of a small board; of a large one those that say where each column's lead ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from relic_eval.board import Board, Difference
from reports.style import title
from reports.words import PROTOCOLS

MOST = 100  # pairs of which all are listed
TELLING = 48  # rows at most of a larger board, or two a column where that is more


@dataclass(frozen=True)
class Pairs:
    """Rows of the table, and how many pairs there are."""

    rows: list[dict[str, object]]
    count: int


def pairs(board: Board) -> Pairs:
    """All pairs where they are few; otherwise those that `_telling` names."""
    its = board.differences if len(board.differences) <= MOST else _telling(board)
    return Pairs([_row(board, d) for d in its], len(board.differences))


def _telling(board: Board) -> list[Difference]:
    """Of each column its best against those tied with it, the nearest first, against the first that it is surely ahead of, and the last."""
    room, found = max(2, TELLING // max(1, len(board.columns))), []
    by_column: list[list[Difference]] = [[] for _ in board.columns]
    for d in board.differences:
        by_column[d.column].append(d)
    for number, its in enumerate(by_column):
        best = board.best(number)
        behind = sorted((d for d in its if d.better == best), key=lambda d: (d.value, d.worse))
        first = next((n for n, d in enumerate(behind) if d.sure), len(behind))
        found += _ends(behind, first, room)
    return found


def _ends(behind: Sequence[Difference], first: int, room: int) -> list[Difference]:
    tied = [d for d in behind if not d.sure][: room - 2]
    return list(dict.fromkeys([*tied, *behind[first : first + 1], *behind[-1:]]))


def _row(board: Board, d: Difference) -> dict[str, object]:
    c = board.columns[d.column]
    return {
        "task": f"{c.title}, {PROTOCOLS.get(c.protocol, c.protocol)}",
        "better": title(d.better),
        "worse": title(d.worse),
        "difference": d,
    }
