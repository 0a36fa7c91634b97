"""The sentences: rules on boards made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relic_eval.board import Board, Column, Difference, Entry, Row, make_board
from relic_eval.intake import import_arrays
from relic_eval.results import read_results
from relic_eval.run import evaluate
from reports.sections.board.board import finding
from reports.sections.why.shifts import sentence, shifted_pairs
from reports.summary import heading, sentences, statements

COLUMNS = (Column("t", "linear-byol", "Task", 500), Column("u", "linear-byol", "Other", 100))


def row(name, values, change, rank, rank_last=None, tied=False, best=(True, True)):
    entries = tuple(
        None if v is None else Entry(v, v - 0.02, v + 0.02, change, change, change, b)
        for v, b in zip(values, best, strict=True)
    )
    ends = (None, None) if change is None else (change - 1, change + 1)
    return Row(name, entries, change, *ends, rank, rank_last or rank, 0, tied)


def board(rows, differences=(), baseline="supervised"):
    """Differences whose interval excludes 0 are certain."""
    return Board(baseline, COLUMNS, tuple(rows), tuple(replace(d, certain=d.sure) for d in differences))


SURE_LEADER = board(
    [row("relicv2", (0.9, 0.8), 5.0, 1, tied=True), row("supervised", (0.8, 0.7), 0.0, 2, best=(False, False))],
    [Difference(0, "relicv2", "supervised", 0.1, 0.06, 0.14), Difference(1, "relicv2", "supervised", 0.1, -0.01, 0.2)],
)


def test_a_sure_leader_is_said_to_be_certain_with_numbers():
    first = sentences(SURE_LEADER, [])[0]
    assert "RELICv2 leads on average over 2 columns" in first
    assert "+5.0% against Supervised (95% interval +4.0 to +6.0)" in first
    assert "certain" in first
    assert "not certain" not in first


def test_a_tie_is_said_to_be_unsure():
    tied = board([row("a", (0.9, 0.8), 5.0, 1, 2, True), row("b", (0.8, 0.7), 4.0, 1, 2, True)], baseline="b")
    assert "the lead over b is not certain" in sentences(tied, [])[0]


def test_the_leader_that_is_the_baseline_is_set_against_the_next():
    rows = [row("supervised", (0.9, 0.8), 0.0, 1, tied=True), row("byol", (0.8, 0.7), -5.0, 2)]
    assert "next comes BYOL, −5.0% against it (95% interval −6.0 to −4.0)" in sentences(board(rows), [])[0]


def test_the_largest_difference_is_the_largest_that_is_sure():
    rows = [row("a", (0.9, 0.9), 5.0, 1), row("b", (0.8, 0.7), 1.0, 2)]
    differences = [Difference(0, "a", "b", 0.1, 0.06, 0.14), Difference(1, "a", "b", 0.2, -0.01, 0.4)]
    said = statements(board(rows, differences, "b"), [])[1]
    assert said.text == (
        "The largest certain difference: a is 10.0 points (95% interval 6.0 to 14.0, n = 500) better than b on Task."
    )
    assert said.anchor == "pairs"


def test_a_difference_that_is_sure_alone_but_not_among_all_pairs_is_not_told():
    rows = [row("pixels", (0.9, 0.9), 5.0, 1), row("b", (0.8, 0.7), 1.0, 2)]
    made = Board("b", COLUMNS, tuple(rows), (Difference(0, "pixels", "b", 0.1, 0.01, 0.19, certain=False),))
    said = sentences(made, [])
    assert "No two encoders differ for certain in any column." in said
    assert "No trained encoder loses for certain to Pixels in any column." in said


def test_no_sure_difference_is_said():
    rows = [row("a", (0.9, 0.9), 1.0, 1, 2, True), row("b", (0.8, 0.7), 0.0, 1, 2, True)]
    said = sentences(board(rows, [Difference(1, "a", "b", 0.2, -0.01, 0.4)], "b"), [])
    assert "No two encoders differ for certain in any column." in said


def test_the_best_trained_encoder_that_a_plain_baseline_beats_is_named_and_others_counted():
    rows = [
        row("supervised", (0.9, 0.8), 0.0, 1),
        row("byol", (0.7, 0.7), -3.0, 2),
        row("pixels", (0.8, 0.9), -4.0, 3),
        row("random", (0.8, 0.6), -5.0, 4),
    ]
    differences = [
        Difference(0, "pixels", "byol", 0.3, 0.2, 0.4),  # larger, but a lesser encoder
        Difference(1, "pixels", "supervised", 0.1, 0.05, 0.15),
        Difference(0, "pixels", "random", 0.3, 0.2, 0.4),  # not trained
        Difference(0, "random", "byol", 0.1, -0.2, 0.4),  # not sure
    ]
    said = next(s for s in sentences(board(rows, differences), []) if s.startswith("A plain baseline wins"))
    assert "Pixels are 10.0 points (95% interval 5.0 to 15.0, n = 100) better than Supervised on Other" in said
    assert "plain baselines win 1 other pair for certain" in said


def test_plain_baselines_that_win_nowhere_are_said_too():
    rows = [row("supervised", (0.9, 0.8), 0.0, 1), row("pixels", (0.8, 0.7), -4.0, 2)]
    said = sentences(board(rows, [Difference(0, "supervised", "pixels", 0.1, 0.05, 0.15)]), [])
    assert "No trained encoder loses for certain to Pixels in any column." in said


def test_missing_results_take_the_rank():
    rows = [row("supervised", (0.9, 0.8), 0.0, 1), row("byol", (0.7, None), None, None)]
    said = statements(board(rows), [])[-1]
    assert said.text == "BYOL lacks results in some columns and has no rank."
    assert said.anchor == "board"


def test_failures_are_counted_and_the_first_is_told():
    failure = {"encoder": "byol", "task": "t", "protocol": "knn", "error": "no rows."}
    said = statements(SURE_LEADER, [failure, failure])[-1]
    assert said.text == "2 cells are missing, first BYOL on t (knn): no rows."
    assert said.anchor == "failures"


def test_there_are_at_most_five():
    rows = [row("supervised", (0.9, 0.8), 0.0, 1), row("pixels", (0.8, None), None, None)]
    failure = {"encoder": "byol", "task": "t", "protocol": "knn", "error": "no rows."}
    differences = [Difference(0, "pixels", "supervised", 0.1, 0.05, 0.15)]
    assert len(sentences(board(rows, differences), [failure], "When test images shift, all keep.")) == 5


def test_shifting_sets_the_steadiest_encoder_against_pixels(shifted_results):
    said = sentence(shifted_pairs(shifted_results, ["supervised", "byol", "pixels"]))
    assert said.startswith("When test images shift, Supervised keeps ")
    assert " and Pixels keep " in said
    assert "BYOL" not in said
    assert sentence([]) == ""


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((True, True), "a: best of its column, or tied with the best, in 2 of 2 columns"), ((True, False), "in 1 of 2")],
)
def test_the_title_of_the_board_counts_columns(counts, expected):
    rows = [row("a", (0.9, 0.8), 5.0, 1, best=counts), row("b", (0.8, 0.7), 4.0, 2, best=(False, False))]
    assert expected in finding(board(rows, baseline="b"))


def test_the_heading_does_not_list_twenty_names():
    assert heading(["pixels", "byol"], 3) == "Pixels and BYOL on 3 tasks"
    assert heading([f"e{i:02}" for i in range(20)], 3) == "20 encoders, first e00, e01 and e02, on 3 tasks"


def test_a_board_names_ties_and_a_sure_leader(board_folder):
    made = make_board(read_results(board_folder), baseline="far")
    assert [r.encoder for r in made.rows] == ["near", "far"]
    assert made.rows[0].rank == 1
    assert made.rows[1].rank == 2
    assert not made.rows[1].tied_with_best
    assert made.difference("near", "far", 0).sure
    assert "the lead over every other encoder is certain" in sentences(made, [])[0]


def test_an_encoder_beside_itself_is_tied(tmp_path):
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 50)
    x = np.eye(2)[y] + rng.normal(0, 0.8, (100, 2))
    for name in ("one", "two"):
        import_arrays(tmp_path, name, "same", x, y)
    evaluate(tmp_path)
    made = make_board(read_results(tmp_path))
    assert [(r.rank, r.rank_last, r.tied_with_best) for r in made.rows] == [(1, 2, True)] * 2
    assert "not certain" in sentences(made, [])[0]
