"""Cells and board -> what is said in words. Rules only: a difference is called certain where it is so for all pairs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relic_eval.board import Board, Difference, Row
from reports.style import PLAIN, title
from reports.words import counted, joined, percent, several, signed, verb


@dataclass(frozen=True)
class Said:
    """A sentence and the anchor of the figure that shows it."""

    text: str
    anchor: str


def sentences(board: Board, failures: Sequence[Mapping[str, str]], shift: str = "") -> list[str]:
    """The sentences alone.

    >>> sentences(Board("b", (), (), ()), [])
    []
    """
    return [s.text for s in statements(board, failures, shift)]


def statements(board: Board, failures: Sequence[Mapping[str, str]], shift: str = "") -> list[Said]:
    """At most five: leader and ties, largest sure difference, where a plain baseline wins, `shift`, what is missing.

    >>> statements(Board("b", (), (), ()), [{"encoder": "e", "task": "t", "protocol": "p", "error": "why."}])
    [Said(text='1 cell is missing: e on t (p): why.', anchor='failures')]
    """
    every = [
        Said(_leader(board), "board"),
        Said(_largest(board), "pairs"),
        Said(_plain_wins(board), "pairs"),
        Said(shift, "shifted"),
        Said(_failed(failures), "failures") if failures else Said(_missing(board), "board"),
    ]
    return [s for s in every if s.text]


def _leader(board: Board) -> str:
    ranked = [row for row in board.rows if row.rank is not None]
    if board.rows and not board.columns:
        return "No accuracy was measured, so there is no board and none leads."
    if not ranked:
        return "No encoder has a result in every column, so none leads." if board.rows else ""
    best, rest, name = ranked[0], ranked[1:], title(ranked[0].encoder)
    text = f"{name} {verb(name, 'leads', 'lead')} on average over {counted(len(board.columns), 'column')} of the board"
    if best.encoder != board.baseline:
        text += f", {signed(best.change)}% against {title(board.baseline or '')} {_range(best)}"
    elif rest:
        text += f"; next {verb(title(rest[0].encoder), 'comes', 'come')} {title(rest[0].encoder)}, {signed(rest[0].change)}% against it {_range(rest[0])}"
    tied = [title(r.encoder) for r in rest if r.tied_with_best]
    if tied:
        return f"{text}; the lead over {several(tied)} is not certain."
    return (
        f"{text}; the lead over every other encoder is certain." if rest else f"{text}; there is no other to compare."
    )


def _range(row: Row) -> str:
    return f"(95% interval {signed(row.change_low)} to {signed(row.change_high)})"


def _largest(board: Board) -> str:
    if not board.differences:
        return ""
    certain = [d for d in board.differences if d.certain]
    learned = [d for d in certain if d.better not in PLAIN and d.worse not in PLAIN]
    pool = learned or certain
    if not pool:
        return "No two encoders differ for certain in any column."
    d = max(pool, key=lambda d: d.value)
    among = " among trained encoders" if learned and len(learned) < len(certain) else ""
    return (
        f"The largest certain difference{among}: {title(d.better)} {verb(title(d.better), 'is', 'are')} {points(d, board)} "
        f"better than {title(d.worse)} on {board.columns[d.column].title}."
    )


def points(d: Difference, board: Board) -> str:
    """A difference in points with its interval and number of images.

    >>> from relic_eval.board import Column
    >>> board = Board(None, (Column("t", "p", "T", 2000),), (), ())
    >>> points(Difference(0, "a", "b", 0.012, 0.004, 0.02), board)
    '1.2 points (95% interval 0.4 to 2.0, n = 2,000)'
    """
    n = board.columns[d.column].n
    return f"{percent(d.value)} points (95% interval {percent(d.low)} to {percent(d.high)}, n = {n:,})"


def _plain_wins(board: Board) -> str:
    """Where pixels or untrained weights surely beat an encoder that was trained: the best trained one that loses so."""
    trained = [r.encoder for r in board.rows if r.encoder not in PLAIN]
    plain = [r.encoder for r in board.rows if r.encoder in PLAIN]
    found = [d for d in board.differences if d.certain and d.better in PLAIN and d.worse in trained]
    if not found:
        names = " or ".join(title(p) for p in plain)
        return f"No trained encoder loses for certain to {names} in any column." if plain and trained else ""
    first = min(trained.index(d.worse) for d in found)
    d = max((d for d in found if d.worse == trained[first]), key=lambda d: d.value)
    better = title(d.better)
    text = f"A plain baseline wins: {better} {verb(better, 'is', 'are')} {points(d, board)} better than {title(d.worse)} on {board.columns[d.column].title}"
    more = len(found) - 1
    return (
        f"{text}."
        if not more
        else f"{text}, and plain baselines win {counted(more, 'other pair', 'other pairs')} for certain."
    )


def _missing(board: Board) -> str:
    lacking = [title(r.encoder) for r in board.rows if any(e is None for e in r.entries)]
    if not lacking:
        return ""
    ranks = "has no rank" if len(lacking) == 1 else "have no rank"
    return f"{several(lacking)} {verb(lacking, 'lacks', 'lack')} results in some columns and {ranks}."


def _failed(failures: Sequence[Mapping[str, str]]) -> str:
    f = failures[0]
    first = f"{title(f['encoder'])} on {f['task']} ({f['protocol']}): {f['error']}"
    return f"1 cell is missing: {first}" if len(failures) == 1 else f"{len(failures)} cells are missing, first {first}"


def heading(encoders: Sequence[str], tasks: int, most: int = 5) -> str:
    """What was compared on what; of many encoders only the first are named.

    >>> heading(["byol", "pixels"], 1), heading([f"e{i}" for i in range(20)], 4)
    ('BYOL and Pixels on 1 task', '20 encoders, first e0, e1 and e2, on 4 tasks')
    """
    names = [title(e) for e in encoders]
    who = joined(names) if len(names) <= most else f"{len(names)} encoders, first {joined(names[:3])},"
    return f"{who} on {counted(tasks, 'task')}"
