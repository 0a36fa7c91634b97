"""The board from cells made by hand: changes, ranks, ties, certainty, and what may not be put side by side."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.board import board_table, make_board
from relic_eval.cells import Result, write_cell
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.metrics.segmentation import mean_iou, picture_counts, pixel_confusion
from relic_eval.pairing import alike
from relic_eval.records import Cell, Measurement
from relic_eval.tuning.overlaps import make_cell
from relic_eval.tuning.table import describe
from reports.latex import board_latex
from reports.sections.board.board import board_content
from reports.tables import board_text


def result(encoder, right_N, task="t", data="d", protocol="linear-byol"):
    right_N = np.asarray(right_N, "f")
    n = len(right_N)
    table = {
        "item": np.array([f"{task}/{i}" for i in range(n)]),
        "true": np.arange(n) % 2,
        "predicted": np.zeros(n, int),
        "correct": right_N,
        "score": right_N,
    }
    row = Measurement("top1", float(right_N.mean()), 0.0, 1.0, n)
    about = {"title": task, "data": {"train": data, "test": data}, "stores": {}}
    return Result(encoder, task, protocol, Cell((row,), table), about)


def share(right, n=200, first=0):
    """`right` of n images, from `first` on."""
    return np.roll(np.arange(n) < right, first)


def test_changes_are_relative_to_the_baseline():
    board = make_board([result("supervised", share(100)), result("mine", share(120))], draws=500)
    mine = next(r for r in board.rows if r.encoder == "mine")
    assert mine.change == pytest.approx(20)
    assert mine.entries[0].change == pytest.approx(20)
    assert mine.change_low < 20 < mine.change_high
    assert (mine.wins, mine.rank, mine.rank_last) == (1, 1, 1)
    assert board.rows[0].encoder == "mine"
    assert board.baseline == "supervised"


def exact_change_ends(base, mine, n):
    """By hand: every outcome of n draws, where `mine` is right on all of the baseline's `base` images and some more."""
    from scipy.stats import multinomial

    drawn = multinomial(n, [base / n, (mine - base) / n, 1 - mine / n])
    outcomes = [(k, m, drawn.pmf([k, m, n - k - m])) for k in range(n + 1) for m in range(n + 1 - k)]
    ends = []
    for share, unknown in ((0.025, -100.0), (0.975, np.inf)):
        # k right by both, m by `mine` alone: (k + m) / k - 1, endless where k = 0 < m, anything where both are 0
        sized = sorted((100 * m / k if k else np.inf if m else unknown, p) for k, m, p in outcomes)
        ends.append(sized[int(np.searchsorted(np.cumsum([p for _, p in sized]), share))][0])
    return tuple(ends)


@pytest.mark.parametrize(("right", "ends_somewhere"), [(1, False), (2, False), (4, True), (5, True)])
def test_a_baseline_that_is_0_in_some_resamples_has_its_change_and_an_honest_upper_end(right, ends_somewhere):
    """A few of 8 right: in (1 - right / 8)^8 of the resamples none is, 34%, 10%, 0.4% and 0.04%."""
    board = make_board([result("supervised", share(right, 8)), result("mine", share(6, 8))])
    mine, base = (next(r for r in board.rows if r.encoder == e) for e in ("mine", "supervised"))
    assert mine.change == mine.entries[0].change == pytest.approx(100 * (6 - right) / right)
    expected = exact_change_ends(right, 6, 8)
    assert (mine.change_low, mine.change_high) == pytest.approx(expected)
    assert (mine.entries[0].change_low, mine.entries[0].change_high) == pytest.approx(expected)
    assert np.isfinite(mine.change_high) == ends_somewhere
    assert (base.change_low, base.change, base.change_high) == (0, 0, 0)


def test_the_mean_change_is_over_every_column_in_which_the_baseline_is_above_0():
    few = [result("supervised", share(2, 8)), result("mine", share(6, 8))]
    more = [result("supervised", share(100), task="u"), result("mine", share(120), task="u")]
    none = [result("supervised", share(0, 9), task="v"), result("mine", share(6, 9), task="v")]
    board = make_board([*few, *more, *none], draws=2000)
    mine = next(r for r in board.rows if r.encoder == "mine")
    assert mine.change == pytest.approx((200 + 20) / 2)
    assert mine.change_high == np.inf
    assert (mine.rank, mine.rank_last) == (1, 1)  # it is ahead in every resample
    assert [board.columns[c].task for c in board.without_change] == ["v"]
    assert "The mean change leaves out v: Supervised has no value above 0 there" in board_text(board)
    assert "+110.0 (" in board_text(board)
    assert "to +inf)" in board_text(board)
    assert "% The mean change leaves out v" in board_latex(board)
    assert "$+\\infty$" in board_latex(board)
    assert board_content(board, [])["left_out"].startswith("The mean change leaves out v")
    assert "leaves out" not in board_text(make_board([*few, *more], draws=20))


def test_ranks_count_resamples_where_a_baseline_of_0_leaves_them_no_spread():
    """The baseline has 8 of 100: in 1 of 4,000 resamples none. That one must neither make all ties nor all certain."""
    ways = [result("supervised", share(8, 100)), result("far", share(70, 100)), result("near", share(72, 100, 99))]
    board = make_board(
        [*ways, *[result(e, share(k), task="u") for e, k in (("supervised", 90), ("far", 150), ("near", 150))]]
    )
    place = {r.encoder: (r.rank, r.rank_last) for r in board.rows}
    assert place == {"far": (1, 2), "near": (1, 2), "supervised": (3, 3)}
    assert all(np.isfinite(r.change_high) for r in board.rows)


def test_numerator_and_baseline_of_a_change_are_resampled_together():
    """An encoder that is right where the baseline is has a change of 0 in every resample, and wins nowhere."""
    board = make_board([result("supervised", share(100)), result("same", share(100))], draws=500)
    same = next(r for r in board.rows if r.encoder == "same")
    assert (same.change_low, same.change, same.change_high, same.wins) == (0, 0, 0, 0)
    assert (same.entries[0].change_low, same.entries[0].change_high) == (0, 0)


def test_the_largest_test_set_comes_first():
    cells = [
        result("a", share(n // 2, n), task=f"t{n}", protocol=p) for n in (20, 60, 40) for p in ("fewshot-5", "knn")
    ]
    board = make_board(cells, protocols=("knn", "fewshot-5"), draws=50)
    assert [(c.protocol, c.n) for c in board.columns] == [(p, n) for p in ("knn", "fewshot-5") for n in (60, 40, 20)]


def test_a_pair_is_resampled_together():
    """One is right wherever the other is, and on ten images more: the difference is surer than either interval."""
    board = make_board([result("a", share(100)), result("b", share(110))], draws=2000)
    difference = board.difference("a", "b", 0)
    assert (difference.better, difference.worse, difference.value) == ("b", "a", pytest.approx(0.05))
    assert difference.sure
    assert difference.high - difference.low < 0.08


def test_a_tie_says_how_many_more_images_would_tell():
    """102 and 100 of 200 right, on 22 of which only one is: (2.80 s / d)^2 - 200 images with d = 0.01, s^2 = 0.11 - d^2."""
    board = make_board([result("a", share(100)), result("b", share(102, first=10))], draws=10_000)
    tie = board.difference("a", "b", 0)
    assert (tie.better, tie.value, tie.sure) == ("b", pytest.approx(0.01), False)
    # strata take a little of the spread out: what is left is that within the two classes
    spread = np.sqrt(np.mean([(share(102, first=10) ^ share(100))[c::2].mean() for c in (0, 1)]) - 0.01**2)
    assert tie.more_images == pytest.approx((2.8016 * spread / 0.01) ** 2 - 200, rel=0.05)


def test_how_many_more_images_where_there_is_no_tie():
    cells = [result("a", share(100)), result("b", share(130)), result("c", share(100, first=50))]
    board = make_board(cells, draws=1000)
    assert board.difference("a", "b", 0).sure
    assert board.difference("a", "b", 0).more_images == 0
    assert board.difference("a", "c", 0).more_images is None


def test_what_a_few_images_show_is_not_certain():
    """All of six right against none: every resample says the same, but McNemar's mid-p is 1/64, and there are six pairs."""
    few = [result("a", share(6, 6)), *(result(e, share(0, 6)) for e in "bcd")]
    board = make_board(few, draws=200)
    for other in "bcd":
        difference = board.difference("a", other, 0)
        assert (difference.low, difference.sure, difference.certain) == (1, True, False)
    assert make_board(few[:3], draws=200).difference("a", "b", 0).certain  # of three pairs: 1/64 < 0.05/3


def test_a_tie_is_never_certain():
    """Of 16 images only a has 12 right and only b the other 4: mid-p is 0.049, but the interval of the resamples reaches 0."""
    right_N = np.random.default_rng(0).permutation(np.arange(16) < 12)
    board = make_board([result("a", right_N), result("b", ~right_N)], draws=10_000)
    difference = board.difference("a", "b", 0)
    assert (difference.low, difference.sure, difference.certain) == (0, False, False)
    assert difference.more_images > 0


def drawn(encoder, right_TN, protocol):
    """A cell of several training draws on the same images."""
    one = result(encoder, right_TN[0], protocol=protocol)
    table = {name: np.tile(column, len(right_TN)) for name, column in (one.cell.predictions or {}).items()}
    table |= {"correct": np.ravel(right_TN).astype("f"), "draw": np.repeat(np.arange(len(right_TN)), len(right_TN[0]))}
    row = Measurement("top1", float(np.mean(right_TN)), 0.0, 1.0, len(right_TN[0]))
    return Result(encoder, "t", protocol, Cell((row,), table), one.about)


@pytest.mark.parametrize("protocol", ["linear-byol", "fewshot-5"])
def test_more_images_do_not_help_where_training_draws_vary(protocol):
    one, other = np.array([share(100), share(120)]), np.array([share(110), share(112)])
    board = make_board([drawn("a", one, protocol), drawn("b", other, protocol)], draws=1000)
    tie = board.difference("a", "b", 0)
    assert (tie.better, tie.value, tie.sure, tie.more_images) == ("b", pytest.approx(0.005), False, None)
    board = make_board([drawn("a", one[:1], protocol), drawn("b", other[:1], protocol)], draws=1000)
    assert board.difference("a", "b", 0).sure  # one draw is as good as none
    board = make_board([drawn("a", one[:, :60], protocol), drawn("b", 0 * other[:, :60], protocol)], draws=1000)
    assert board.difference("a", "b", 0).certain


def test_ranks_follow_certainty():
    """Three encoders of which two cannot be told apart."""
    cells = [result("supervised", share(100)), result("one", share(180)), result("two", share(181))]
    board = make_board(cells, draws=1000)
    assert {r.encoder: r.entries[0].tied_with_best for r in board.rows} == {
        "two": True,
        "one": True,
        "supervised": False,
    }
    rows = {r.encoder: (r.rank, r.rank_last, r.tied_with_best) for r in board.rows}
    assert rows == {"two": (1, 2, True), "one": (1, 2, True), "supervised": (3, 3, False)}


def test_of_many_pairs_that_differ_by_chance_few_are_certain():
    rng, sure, certain = np.random.default_rng(0), 0, 0
    for _ in range(25):
        cells = [result(f"e{i}", rng.random(150) < 0.5, task=f"t{t}") for i in range(5) for t in range(3)]
        board = make_board(cells, draws=300)
        sure += any(d.sure for d in board.differences)
        certain += any(d.certain for d in board.differences)
    assert sure > 8  # of 25 boards of 30 pairs: intervals one by one mislead
    assert certain <= 4


def test_a_column_without_the_baseline_is_left_out_of_the_mean():
    cells = [result(e, share(n), task=t) for e, n in (("supervised", 100), ("mine", 120)) for t in ("one", "two")]
    whole = make_board(cells, draws=200)
    lacking = make_board([c for c in cells if not (c.encoder == "supervised" and c.task == "two")], draws=200)
    rows = {r.encoder: r for r in lacking.rows}
    assert rows["mine"].change == pytest.approx(20)
    assert rows["mine"].entries[1].change is None
    assert rows["mine"].rank == 1
    assert rows["supervised"].entries[1] is None
    assert len(whole.columns) == len(lacking.columns) == 2


def test_an_encoder_that_lacks_a_column_has_no_rank():
    cells = [result(e, share(100), task=t) for e in ("supervised", "mine") for t in ("one", "two")]
    board = make_board(cells[:-1], draws=200)
    mine = next(r for r in board.rows if r.encoder == "mine")
    assert (mine.rank, mine.change) == (None, None)


def test_different_images_are_not_put_side_by_side():
    with pytest.raises(ArgumentError, match="the same images and labels for a and b"):
        make_board([result("a", share(100)), result("b", share(90), data="changed")], draws=10)


def test_what_there_is_no_board_of():
    with pytest.raises(DataError, match="expected cells of linear-byol"):
        make_board([])
    with pytest.raises(UnknownNameError, match="Did you mean 'pixels'"):
        make_board([result("pixels", share(3, 6))], baseline="pixel", draws=10)


def test_the_table_has_a_line_an_encoder_and_column():
    board = make_board([result("a", share(100)), result("b", share(90)), result("b", share(80), task="u")], draws=50)
    table = board_table(board)
    assert [(r["encoder"], r["task"]) for r in table if r["value"] is not None] == [("a", "t"), ("b", "t"), ("b", "u")]
    assert len(table) == 4


def masked(encoder, predicted_TNP, true_NP, task="m", data="d", protocol="segment-linear"):
    """A cell of segmentation: what T trainings predict of the pixels of N pictures, which are of three classes."""
    counts = [picture_counts(true_NP[:, None], p_NP[:, None], 3) for p_NP in predicted_TNP]
    ids = np.array([f"{task}/{i}" for i in range(len(true_NP))])
    cell = make_cell(np.stack(counts, 1), ids, ("rest", "one", "two"), {}, {})
    settings = {"title": task, "dataset": task, "train": "train", "test": "test", "level": "class", "seed": 0}
    about = {
        "key": encoder,
        "title": task,
        "classes": ["rest", "one", "two"],
        "settings": describe(protocol),
        "versions": {},
        "data": {"train": data, "test": data},
        "stores": {},
        "counts": {"train": 1, "valid": 1, "test": len(true_NP)},
        "task_settings": {**settings, "metric": "miou"},
    }
    return Result(encoder, task, protocol, cell, about)


def masks(pictures=40, pixels=50, wrong=(0.3, 0.2), seed=0):
    """True classes, and those that two encoders predict: of each picture another share is wrong, for both alike."""
    rng = np.random.default_rng(seed)
    true_NP = rng.choice(3, (pictures, pixels), p=(0.7, 0.2, 0.1))
    hard_NP = rng.random((pictures, pixels)) * rng.uniform(0.3, 2, pictures)[:, None]
    return true_NP, [np.where(hard_NP > 1 - w, rng.integers(0, 3, true_NP.shape), true_NP) for w in wrong]


def test_segmentation_has_values_and_paired_intervals_of_resampled_pictures():
    """Against a loop that adds up the confusion of the pictures of each sample, all other code and another seed."""
    true_NP, (worse, better) = masks()
    board = make_board(
        [masked("supervised", [worse], true_NP), masked("mine", [better], true_NP)], protocols=("segment-linear",)
    )
    confusion = np.array(
        [[pixel_confusion(t, p, 3) for t, p in zip(true_NP, its, strict=True)] for its in (worse, better)]
    )
    rng, sample = np.random.default_rng(9), []
    for _ in range(4000):
        pick = rng.integers(0, len(true_NP), len(true_NP))
        sample.append([mean_iou(confusion[m][pick].sum(0)) for m in (0, 1)])
    base_B, mine_B = np.array(sample).T
    values = [mean_iou(c.sum(0)) for c in confusion]
    (column,), difference = board.columns, board.difference("mine", "supervised", 0)
    entry = {r.encoder: r.entries[0] for r in board.rows}
    assert (column.metric, column.n) == ("miou", 40)
    assert [entry[e].value for e in ("supervised", "mine")] == pytest.approx(values)
    assert (entry["mine"].low, entry["mine"].high) == pytest.approx(np.percentile(mine_B, (2.5, 97.5)), abs=0.004)
    assert (difference.better, difference.value) == ("mine", pytest.approx(values[1] - values[0]))
    expected = np.percentile(mine_B - base_B, (2.5, 97.5))
    assert (difference.low, difference.high) == pytest.approx(expected, abs=0.003)
    apart = (entry["mine"].high - entry["mine"].low) + (entry["supervised"].high - entry["supervised"].low)
    assert difference.high - difference.low < apart / 2
    assert difference.certain
    assert entry["mine"].change == pytest.approx(100 * (values[1] / values[0] - 1))
    expected = np.percentile(100 * (mine_B / base_B - 1), (2.5, 97.5))
    assert (entry["mine"].change_low, entry["mine"].change_high) == pytest.approx(expected, abs=0.8)
    assert [(r.encoder, r.rank, r.rank_last) for r in board.rows] == [("mine", 1, 1), ("supervised", 2, 2)]


def test_segmentations_that_cannot_be_told_apart_are_tied():
    true_NP, (one, other) = masks(wrong=(0.3, 0.3))
    cells = [masked("a", [one], true_NP), masked("b", [other], true_NP)]
    board = make_board(cells, protocols=("segment-linear",), draws=2000)
    assert all(r.entries[0].tied_with_best and (r.rank, r.rank_last) == (1, 2) for r in board.rows)
    assert board.differences[0].more_images > 0
    several = [masked("a", [one, other], true_NP), masked("b", [other, other], true_NP)]
    board = make_board(several, protocols=("segment-linear",), draws=2000)
    assert {r.encoder: r.entries[0].value for r in board.rows} == {
        c.encoder: pytest.approx(c.cell.rows[0].value) for c in several
    }
    assert board.differences[0].more_images is None  # it is trainings that vary


def test_what_a_few_masks_show_is_not_certain():
    """All of four pictures right against none: every resample says the same, but the mid-p of four signs is 1/16."""
    true_NP = masks(4)[0]
    cells = [masked("a", [true_NP], true_NP), masked("b", [(true_NP + 1) % 3], true_NP)]
    difference = make_board(cells, protocols=("segment-linear",), draws=200).difference("a", "b", 0)
    assert (difference.low, difference.sure, difference.certain, difference.p) == (1, True, False, 1 / 16)


def test_segmentations_of_other_masks_or_pictures_do_not_share_a_column():
    true_NP, (one, other) = masks()
    cells = [masked("a", [one], true_NP), masked("b", [other], (true_NP + 1) % 3)]
    with pytest.raises(ArgumentError, match="the same pictures and masks"):
        make_board(cells, protocols=("segment-linear",), draws=9)
    few = masked("b", [other[:20]], true_NP[:20])
    kept, apart = alike([cells[0], few], "a")
    assert ([r.encoder for r in kept], [a["encoder"] for a in apart]) == (["a"], ["b"])
    with pytest.raises(ArgumentError, match="the same images and labels"):
        make_board([cells[0], few], protocols=("segment-linear",), draws=9)


def test_the_leaderboard_of_segmentation(tmp_path, cli):
    true_NP, predicted = masks()
    for encoder, its in zip(("pixels", "mine"), predicted, strict=True):
        r = masked(encoder, [its], true_NP)
        write_cell(tmp_path, r.encoder, r.task, r.protocol, r.cell, r.about)
    words = ("leaderboard", "--out", str(tmp_path), "--protocol", "segment-linear", "--baseline", "pixels")
    text = cli(*words).stdout
    assert "Mean IoU in % with 95% intervals" in text
    assert f"{100 * mean_iou(pixel_confusion(true_NP, predicted[1], 3)):.1f} (" in text
    assert ",miou," in cli(*words, "--csv").stdout


def test_where_the_protocols_of_a_board_are_missing_it_says_what_to_type():
    with pytest.raises(DataError, match=r"received some of robust\. For a board of these type --protocol robust"):
        make_board([result("a", share(3), protocol="robust")])
    measure = Cell((Measurement("ami", 0.5, n=9),))
    with pytest.raises(DataError, match=r"some of cluster, which are no accuracies .* 'relic-eval list results'"):
        make_board([Result("a", "t", "cluster", measure, {})])


def test_a_table_begins_with_what_is_asked_for_and_the_text_says_what_to_type():
    board = make_board([result("supervised", share(100)), result("random", share(120))], draws=50)
    first = ["encoder", "task", "protocol", "value", "low", "high", "change_percent", "rank"]
    assert list(board_table(board)[0])[:8] == first
    assert board_table(board)[0]["rank"] == board.rows[0].rank
    assert "To type: Random initialisation is random, Supervised is supervised." in board_text(board)
