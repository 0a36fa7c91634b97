"""Letters of ties: two share one exactly where they are not told apart, tested against every pair."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from reports.letters import column_letters, letters
from tests.reports.made_boards import made_board


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 9), st.randoms(use_true_random=False))
def test_two_share_a_letter_exactly_where_they_are_not_told_apart(count, random):
    names = [f"n{i}" for i in range(count)]
    apart = {frozenset(pair) for pair in combinations(names, 2) if random.random() < 0.5}
    found = letters(names, apart)
    assert all(found[name] for name in names)
    for one, other in combinations(names, 2):
        assert bool(set(found[one]) & set(found[other])) == (frozenset((one, other)) not in apart)


def test_no_letter_can_be_left_out():
    names = [f"n{i}" for i in range(30)]
    apart = {frozenset((a, b)) for i, a in enumerate(names) for b in names[i + 3 :]}
    found = letters(names, apart)
    assert sorted(set("".join(found.values()))) == sorted("abcdefghijklmnopqrstuvwxyzAB")
    assert found["n0"] == "a"
    assert found["n2"] == "abc"


def test_sixty_that_are_all_told_apart_have_a_sign_each():
    names = [f"n{i}" for i in range(60)]
    found = letters(names, {frozenset(pair) for pair in combinations(names, 2)})
    assert len(set(found.values())) == 60


def test_those_marked_as_best_are_those_that_share_a_letter_with_the_best():
    board = made_board(["supervised", "byol", "relic", "relicv2", "simclr", "pixels", "a", "b"], 4, n=300, missing=0.1)
    for column in range(4):
        found, best = column_letters(board, column), board.best(column)
        for row in board.rows:
            if entry := row.entries[column]:
                assert entry.tied_with_best == bool(set(found[row.encoder]) & set(found[best]))
            else:
                assert row.encoder not in found
    tied = [row.entries[c].tied_with_best for row in board.rows for c in range(4) if row.entries[c]]
    assert {True, False} == set(tied)
