"""Which encoders of a column cannot be told apart, as letters: two share one exactly where they are not told apart."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from string import ascii_lowercase, ascii_uppercase

from relic_eval.board import Board

SIGNS = ascii_lowercase + ascii_uppercase


def letters(names: Sequence[str], apart: Collection[frozenset[str]]) -> dict[str, str]:
    """The letters of each name, `names` from the best down; every pair in `apart` shares none, every other pair one at least.

    >>> letters(["a", "b", "c"], [frozenset("ac")])
    {'a': 'a', 'b': 'ab', 'c': 'b'}
    """
    groups = _needed(_groups(names, apart))
    return {name: "".join(_sign(i) for i, g in enumerate(groups) if name in g) for name in names}


def _groups(names: Sequence[str], apart: Collection[frozenset[str]]) -> list[list[str]]:
    """Groups none of which holds a pair that is told apart, and which together hold every other pair."""
    found: list[list[str]] = []
    shared: set[frozenset[str]] = set()
    for i, one in enumerate(names):
        for other in names[i:]:
            pair = frozenset((one, other))
            if pair in apart or pair in shared:
                continue
            group = list(dict.fromkeys((one, other)))
            # as large as it can be: those that follow first, as groups mostly hold neighbours in the order
            for more in (*names[i:], *names[:i]):
                if more not in group and not any(frozenset((more, g)) in apart for g in group):
                    group.append(more)
            shared |= {frozenset((a, b)) for a in group for b in group}
            found.append(group)
    return found


def _needed(groups: Sequence[list[str]]) -> list[list[str]]:
    """Without the groups whose pairs are all in others."""
    pairs = [{frozenset((a, b)) for a in g for b in g} for g in groups]
    times: dict[frozenset[str], int] = {}
    for its in pairs:
        for pair in its:
            times[pair] = times.get(pair, 0) + 1
    kept = []
    for group, its in zip(groups, pairs, strict=True):
        if all(times[pair] > 1 for pair in its):
            for pair in its:
                times[pair] -= 1
        else:
            kept.append(group)
    return kept


def _sign(number: int) -> str:
    """A letter, and with a prime after it where the alphabet has begun again.

    >>> _sign(0), _sign(26), _sign(52)
    ('a', 'A', 'a′')
    """
    return SIGNS[number % len(SIGNS)] + "′" * (number // len(SIGNS))


def column_letters(board: Board, column: int) -> dict[str, str]:
    """The letters of the encoders of a column, from its best down; none where there is only one.

    Told apart: the paired 95% interval of the difference excludes 0, as for the mark of the best.

    >>> column_letters(Board(None, (), (), ()), 0)
    {}
    """
    there = [(-e.value, r.encoder) for r in board.rows if column < len(r.entries) and (e := r.entries[column])]
    apart = {frozenset((d.better, d.worse)) for d in board.differences if d.column == column and d.sure}
    names = [name for _, name in sorted(there)]
    return letters(names, apart) if len(names) > 1 else {}
