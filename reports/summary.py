"""Cells and board -> what is said in words. Rules only: a difference is called sure where its paired interval excludes 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relic_eval.board import Board, Difference, Row
from reports.style import title


def sentences(board: Board, failures: Sequence[Mapping[str, str]]) -> list[str]:
    """At most five: leader and ties, largest sure difference to the baseline, where a plain baseline wins, what is missing.

    >>> sentences(Board("b", (), (), ()), [])
    []
    """
    said = [s for s in (_leader(board), _largest(board), _plain_wins(board), _missing(board), _failed(failures)) if s]
    return said[:5]


def _leader(board: Board) -> str:
    ranked = [row for row in board.rows if row.rank is not None]
    if not ranked:
        return ""
    best, tied = ranked[0], [row for row in ranked[1:] if row.tied_with_best]
    text = f"{title(best.encoder)} leads over {len(board.columns)} tasks"
    if best.encoder != board.baseline and best.change is not None:
        text += f", {best.change:+.1f}% against {title(board.baseline or '')} on average {_range(best)}"
    if tied:
        return f"{text}; its lead over {_and([title(r.encoder) for r in tied])} is not certain."
    return f"{text}; its lead over every other encoder is certain." if len(ranked) > 1 else f"{text}."


def _range(row: Row) -> str:
    return f"(95% interval {row.change_low:+.1f} to {row.change_high:+.1f})"


def _largest(board: Board) -> str:
    sure = [
        d
        for d in board.differences
        if d.sure and "pixels" not in (d.better, d.worse) and "random" not in (d.better, d.worse)
    ]
    pool = sure or [d for d in board.differences if d.sure]
    if not board.differences:
        return ""
    if not pool:
        return "No two encoders differ for certain on any task."
    d = max(pool, key=lambda d: d.value)
    return f"The largest sure difference: {title(d.better)} is {points(d)} better than {title(d.worse)} on {board.columns[d.column].title}."


def points(d: Difference) -> str:
    """A difference in points with its interval.

    >>> points(Difference(0, "a", "b", 0.012, 0.004, 0.02))
    '1.2 points (95% interval 0.4 to 2.0)'
    """
    return f"{100 * d.value:.1f} points (95% interval {100 * d.low:.1f} to {100 * d.high:.1f})"


def _plain_wins(board: Board) -> str:
    """Where pixels or untrained weights surely beat an encoder that was trained."""
    trained = [r.encoder for r in board.rows if r.encoder not in ("pixels", "random")]
    found = [d for d in board.differences if d.sure and d.better in ("pixels", "random") and d.worse in trained]
    if not found:
        return (
            "No trained encoder loses for certain to pixels or to random initialisation."
            if {"pixels", "random"} & {r.encoder for r in board.rows} and trained
            else ""
        )
    d = max(found, key=lambda d: d.value)
    more = (
        f" and {len(found) - 1} more such {'case' if len(found) == 2 else 'cases'} stand on the board"
        if len(found) > 1
        else ""
    )
    return f"{title(d.better)} beats {title(d.worse)} by {points(d)} on {board.columns[d.column].title}{more}."


def _missing(board: Board) -> str:
    lacking = [title(r.encoder) for r in board.rows if any(e is None for e in r.entries)]
    return (
        f"{_and(lacking)} {'lacks' if len(lacking) == 1 else 'lack'} results on some tasks and {'has' if len(lacking) == 1 else 'have'} no rank."
        if lacking
        else ""
    )


def _failed(failures: Sequence[Mapping[str, str]]) -> str:
    if not failures:
        return ""
    f = failures[0]
    return f"{len(failures)} cells failed, first {f['encoder']} on {f['task']} ({f['protocol']}): {f['error']}"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
