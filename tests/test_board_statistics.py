"""What the board says of values, changes, ranks and other tasks, against slow loops, SciPy and simulation."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import stats

from relic_eval.board import Board, board_table, make_board, summary_table
from relic_eval.cells import Result
from relic_eval.errors import ArgumentError
from relic_eval.files import digest_json
from relic_eval.metrics.bootstrap import resampled
from relic_eval.metrics.precision import mean_average_precision
from relic_eval.metrics.scores import mean_per_class
from relic_eval.metrics.statistics import wilson
from relic_eval.records import Cell, Measurement
from relic_eval.scoring import scored


def result(encoder, right_TN, true_N=None, task="t", metric="top1", dataset=None, protocol="linear-byol"):
    """A cell as evaluators make it; several rows of `right_TN` are training draws."""
    right_TN = np.atleast_2d(np.asarray(right_TN, "f"))
    draws, n = right_TN.shape
    true_N = np.arange(n) % 2 if true_N is None else true_N
    table = {
        "item": np.tile([f"{task}/{i}" for i in range(n)], draws),
        "true": np.tile(true_N, draws),
        "predicted": np.zeros(n * draws, int),
        "correct": right_TN.ravel(),
        "score": right_TN.ravel(),
    }
    if draws > 1:
        table["draw"] = np.repeat(np.arange(draws), n)
    row = Measurement("top1", float(right_TN.mean()), *wilson(right_TN.mean(0).sum(), n), n)
    about = {"title": task, "data": {"train": "d", "test": "d"}, "stores": {}}
    about["task_settings"] = {"metric": metric, "dataset": dataset or task}
    return Result(encoder, task, protocol, Cell((row,), table), about)


def of(board: Board, encoder: str):
    return next(r for r in board.rows if r.encoder == encoder)


def made_up(seed, encoders=4, tasks=3, n=120, classes=5):
    """Cells of encoders that differ a little, on tasks of uneven classes."""
    rng = np.random.default_rng(seed)
    cells = []
    for t in range(tasks):
        true_N = rng.integers(0, classes, n) ** 2
        hard_N = rng.random(n)
        for e in range(encoders):
            right_N = hard_N + rng.normal(0, 0.3, n) < 0.5 + 0.06 * e
            name = "supervised" if e == 0 else f"e{e}"
            cells.append(result(name, right_N, true_N, f"t{t}", ("top1", "mean_per_class")[t % 2]))
    return cells


def slow_class_means(result, draws, seed=0):
    """Mean per class on each resample, image by image, with the weights that the board draws."""
    table = result.cell.predictions
    n = int((table["item"] == table["item"][0]).sum()) if "draw" in table else 1
    right_TN, true_N = table["correct"].reshape(n, -1).astype(float), table["true"][: len(table["true"]) // n]
    seed += int(digest_json(table["item"][: len(true_N)].tolist())[:8], 16)
    count_NB = resampled(lambda count_BN: count_BN.T.copy(), true_N, draws=draws, seed=seed)
    times_BT = (
        np.random.default_rng([seed, 1]).multinomial(n, np.full(n, 1 / n), draws) if n > 1 else np.ones((draws, 1))
    )
    out = np.zeros(draws)
    for b, t in itertools.product(range(draws), range(n)):
        rows = np.repeat(np.arange(len(true_N)), count_NB[:, b].astype(int))
        its = [right_TN[t][rows[true_N[rows] == c]].mean() for c in np.unique(true_N[rows])]
        out[b] += times_BT[b, t] / n * np.mean(its)
    return out


@pytest.mark.parametrize("draws", [1, 3])
def test_mean_per_class_is_that_of_a_slow_loop_with_the_same_weights(draws):
    rng = np.random.default_rng(3)
    true_N = np.repeat([0, 1, 2], [60, 12, 25])
    base, mine = (rng.random((draws, 97)) < share for share in (0.5, 0.6))
    cells = [result(e, r, true_N, metric="mean_per_class") for e, r in (("supervised", base), ("mine", mine))]
    row = of(make_board(cells, draws=400), "mine")
    entry = row.entries[0]
    slow = {r.encoder: slow_class_means(r, 400) for r in cells}
    assert entry.value == pytest.approx(
        np.mean([mean_per_class(true_N, np.where(r, true_N, 9)) for r in mine]), rel=1e-6
    )
    np.testing.assert_allclose((entry.low, entry.high), np.percentile(slow["mine"], [2.5, 97.5]), rtol=1e-9)
    change_B = 100 * (slow["mine"] / slow["supervised"] - 1)
    np.testing.assert_allclose((entry.change_low, entry.change_high), np.percentile(change_B, [2.5, 97.5]), rtol=1e-6)
    base_value = np.mean([mean_per_class(true_N, np.where(r, true_N, 9)) for r in base])
    assert entry.change == pytest.approx(100 * (entry.value - base_value) / base_value)


def test_the_metric_of_a_task_decides_who_is_better():
    """Of 90 images of one class and 10 of another: a is better by accuracy, b by the mean of the classes."""
    true_N = np.repeat([0, 1], [90, 10])
    a, b = np.r_[np.ones(85), np.zeros(15)], np.r_[np.ones(70), np.zeros(20), np.ones(10)]
    for metric, best, values in (("top1", "a", (0.85, 0.8)), ("mean_per_class", "b", (85 / 180, 8 / 9))):
        board = make_board([result("a", a, true_N, metric=metric), result("b", b, true_N, metric=metric)], draws=500)
        assert board.best(0) == best
        assert board.columns[0].metric == metric
        assert [of(board, e).entries[0].value for e in "ab"] == pytest.approx(values)
        assert of(board, best).entries[0].rank == 1
        assert (board.difference("a", "b", 0).better == best) is True
    assert board.difference("a", "b", 0).certain


def several(encoder, true_NC, score_NC, task="voc"):
    """A cell of images that may have several classes: a row an image and class."""
    n, count = true_NC.shape
    table = {
        "item": np.repeat([f"{task}/{i}" for i in range(n)], count),
        "true": true_NC.ravel().astype(int),
        "predicted": (score_NC > 0).ravel().astype(int),
        "correct": ((score_NC > 0) == true_NC).ravel().astype("f"),
        "score": score_NC.ravel().astype("f"),
        "class": np.tile(np.arange(count), n),
    }
    about = {"title": task, "data": {"train": "d", "test": "d"}, "task_settings": {"metric": "map11", "dataset": task}}
    return Result(encoder, task, "linear-byol", Cell((Measurement("map11", 0.5, n=n),), table), about)


def test_average_precision_is_resampled_with_the_same_images_for_all():
    rng, n, draws = np.random.default_rng(5), 150, 1200
    true_NC = rng.random((n, 4)) < [0.5, 0.3, 0.2, 0.1]
    true_NC[~true_NC.any(1), 0] = True
    score = {e: np.round(true_NC * s + rng.normal(0, 1, (n, 4)), 1) for e, s in (("supervised", 0.8), ("mine", 1.5))}
    board = make_board([several(e, true_NC, s) for e, s in score.items()], draws=draws)
    key = int(digest_json([f"voc/{i}" for i in range(n)])[:8], 16)
    count_NB = resampled(lambda c_BN: c_BN.T.copy(), true_NC.argmax(1), draws=1000, seed=key).astype(int)
    slow = {}
    for e in score:
        each = [np.repeat(np.arange(n), count_NB[:, b]) for b in range(60)]
        slow[e] = np.array([mean_average_precision(true_NC[rows], score[e][rows]).mean for rows in each])
    found = scored([several(e, true_NC, s) for e, s in score.items()], {k: true_NC.argmax(1) for k in [digest_json([f"voc/{i}" for i in range(n)])]}, draws=draws, seed=0)  # fmt: skip
    for place, e in enumerate(score):
        np.testing.assert_allclose(found.sample_MB[place, :60], slow[e], rtol=1e-6)
    np.testing.assert_array_equal(found.sample_MB[:, 1000:], found.sample_MB[:, :200])
    mine = of(board, "mine").entries[0]
    assert board.columns[0].metric == "map11"
    assert board.columns[0].n == n
    assert mine.value == pytest.approx(mean_average_precision(true_NC, score["mine"]).mean)
    change_B = 100 * (found.sample_MB[1] / found.sample_MB[0] - 1)
    np.testing.assert_allclose((mine.change_low, mine.change_high), np.percentile(change_B, [2.5, 97.5]))
    assert board.difference("mine", "supervised", 0).p < 0.05
    both = make_board([*[several(e, true_NC, s) for e, s in score.items()], *made_up(0, encoders=1)], draws=200)
    assert of(both, "supervised").change == 0


def test_shares_of_right_answers_are_told_apart_by_their_spread():
    """A cell may hold, an image, the share of corruptions under which it is right: McNemar's test counts no shares."""
    rng = np.random.default_rng(0)
    base, mine = rng.integers(0, 6, (2, 200)) / 5
    board = make_board([result("a", base), result("b", mine), result("c", np.minimum(base + 0.2, 1))], draws=500)
    assert board.difference("a", "c", 0).certain
    assert 0.05 < board.difference("a", "b", 0).p <= 1


def test_classes_of_a_few_images_do_not_break_the_mean_per_class():
    true_N = np.array([0, 0, 0, 1, 2, 2])
    cells = [result(e, np.arange(6) % (2 + p) > 0, true_N, metric="mean_per_class") for p, e in enumerate("ab")]
    board = make_board(cells, draws=300)
    assert all(0 <= e.low <= e.value <= e.high <= 1 for r in board.rows for e in r.entries)


def test_all_right_leaves_an_interval_and_few_images_prove_nothing():
    """Resamples of all right are all right: Wilson's interval takes their place, and McNemar's p that of their spread."""
    true_N = np.repeat([0, 1], 3)
    cells = [result("a", np.ones(6), true_N, metric="mean_per_class")]
    cells += [result(e, np.zeros(6), true_N, metric="mean_per_class") for e in "bcd"]
    board = make_board(cells, draws=200)
    assert (of(board, "a").entries[0].low, of(board, "a").entries[0].high) == pytest.approx(wilson(6, 6))
    assert not any(d.certain for d in board.differences)
    assert board.difference("a", "b", 0).p == pytest.approx(1 / 64)


def test_one_column_has_one_metric():
    cells = [result("a", np.ones(40)), result("b", np.ones(40), metric="mean_per_class")]
    with pytest.raises(ArgumentError, match="one metric for a and b, received top1 and mean_per_class"):
        make_board(cells, draws=10)


def test_the_interval_over_tasks_is_students_and_wilcoxon_scipys():
    board = make_board(made_up(0, tasks=8), draws=200)
    for row in board.rows:
        changes = np.array([e.change for e in row.entries])
        assert row.change == pytest.approx(changes.mean(), abs=1e-12)
        if row.encoder == "supervised":
            assert (row.other_low, row.other_high, row.p_tasks) == (0, 0, None)
            continue
        expected = stats.t.interval(0.95, 7, changes.mean(), stats.sem(changes))
        np.testing.assert_allclose((row.other_low, row.other_high), expected, rtol=1e-9)
        assert row.p_tasks == pytest.approx(stats.wilcoxon(changes).pvalue, abs=1e-9)
        ratios = [e.value / of(board, "supervised").entries[c].value for c, e in enumerate(row.entries)]
        assert row.geo == pytest.approx(100 * (stats.gmean(ratios) - 1), abs=1e-9)


def test_two_questions_of_one_data_set_are_not_two_data_sets():
    """Twelve tasks of two sets, six alike: nearly what two tasks say, and not what twelve do."""
    rng, cells = np.random.default_rng(0), []
    for d in range(2):
        base, mine = rng.random((2, 300)) < np.array([[0.5], [0.6 + 0.1 * d]])
        for t in range(6):
            cells += [
                result(e, r, task=f"d{d}-t{t}", dataset=f"d{d}") for e, r in (("supervised", base), ("mine", mine))
            ]
    row = of(make_board(cells, draws=50), "mine")
    apart = of(
        make_board([dataclasses.replace(c, about={**c.about, "task_settings": {}}) for c in cells], draws=50), "mine"
    )
    pair = [row.entries[0].change, row.entries[-1].change]
    expected = stats.t.interval(0.95, 1, np.mean(pair), stats.sem(pair))
    np.testing.assert_allclose((row.other_low, row.other_high), expected, rtol=1e-9)
    assert row.change == apart.change
    assert apart.other_high - apart.other_low < 0.1 * (row.other_high - row.other_low)


def test_one_data_set_says_nothing_about_others():
    row = of(make_board(made_up(1, tasks=1), draws=50), "e1")
    assert (row.other_low, row.other_high) == (None, None)
    assert row.change is not None


def test_the_order_of_cells_encoders_and_tasks_changes_nothing():
    cells, rng = made_up(2), np.random.default_rng(0)
    # two ways to class the same images, equally fine: which of them stratifies must not depend on the order either
    for protocol, true_N in (("knn", np.arange(120) % 2), ("fewshot-5", np.arange(120) // 60)):
        cells += [result(e, rng.random(120) < 0.6, true_N, "t9", protocol=protocol) for e in ("supervised", "e1")]
    protocols = ("linear-byol", "knn", "fewshot-5")
    first = make_board(cells, draws=100, protocols=protocols)
    for _ in range(6):
        assert make_board([cells[i] for i in rng.permutation(len(cells))], draws=100, protocols=protocols) == first


def test_numbers_do_not_depend_on_the_other_encoders():
    few, more = (make_board(made_up(4, encoders=e), draws=100) for e in (2, 2))
    assert few == more
    cells = made_up(4)
    some = make_board([c for c in cells if c.encoder in ("supervised", "e1")], draws=100)
    whole = make_board(cells, draws=100)
    for a, b in zip(of(some, "e1").entries, of(whole, "e1").entries, strict=True):
        assert (a.value, a.low, a.high, a.change, a.change_low, a.change_high) == (
            b.value,
            b.low,
            b.high,
            b.change,
            b.change_low,
            b.change_high,
        )


def test_known_ranks_in_each_column_and_over_all():
    """On one task b and c tie ahead of a; on the other c is far ahead of a and b, which tie."""
    n = 400
    cells = [result(e, np.arange(n) < k, task="one") for e, k in (("supervised", 200), ("b", 300), ("c", 301))]
    cells += [result(e, np.arange(n) < k, task="two") for e, k in (("supervised", 201), ("b", 200), ("c", 320))]
    board = make_board(cells, draws=1000)
    places = {r.encoder: [(e.rank, e.rank_last) for e in r.entries] for r in board.rows}
    assert places == {"c": [(1, 2), (1, 1)], "b": [(1, 2), (2, 3)], "supervised": [(3, 3), (2, 3)]}
    assert [(r.encoder, r.rank, r.rank_last, r.wins) for r in board.rows] == [
        ("c", 1, 1, 2),
        ("b", 2, 2, 1),
        ("supervised", 3, 3, 0),
    ]
    assert {r.encoder: (r.mean_rank, r.borda) for r in board.rows} == {
        "c": (1.0, 4.0),
        "b": (2.5, 1.0),
        "supervised": (2.5, 1.0),
    }


def test_a_rank_in_a_column_is_one_plus_those_that_are_significantly_better():
    board = make_board(made_up(5, encoders=6, n=400), draws=500)
    for number in range(3):
        for row in board.rows:
            ahead = [board.behind(row.encoder, number), row.entries[number]]
            assert ahead[1].rank <= ahead[1].rank_last
            assert (ahead[0] is None) == (board.best(number) == row.encoder)
            if ahead[1].tied_with_best:
                assert ahead[1].rank == 1


def test_nothing_is_averaged_over_different_tasks():
    cells = [c for c in made_up(6) if not (c.encoder == "e2" and c.task == "t1")]
    board = make_board(cells, draws=100)
    lacking = of(board, "e2")
    record = next(r for r in summary_table(board) if r["encoder"] == "e2")
    assert (record["measured"], record["columns"]) == (2, 3)
    overall = set(record) - {"encoder", "measured", "columns", "wins"}
    assert {record[name] for name in overall} == {None}
    assert (lacking.rank, lacking.other_low, lacking.geo, lacking.mean_rank, lacking.borda) == (None,) * 5
    # the others are ranked among themselves
    without = make_board([c for c in cells if c.encoder != "e2"], draws=100)
    assert [r.rank for r in without.rows] == [r.rank for r in board.rows if r.encoder != "e2"]
    assert [r.borda for r in without.rows] == [r.borda for r in board.rows if r.encoder != "e2"]


def test_the_table_says_beside_each_value_how_far_the_best_is_ahead():
    board = make_board(made_up(7), draws=300)
    for record in board_table(board):
        number = [c.task for c in board.columns].index(record["task"])
        best = board.best(number)
        assert (record["behind_best"] is None) == (record["encoder"] == best)
        if record["behind_best"] is not None:
            assert record["behind_best"] == pytest.approx(of(board, best).entries[number].value - record["value"])
            assert (record["behind_best_low"] <= 0) == record["tied_with_best"]
            assert (record["more_images"] is not None) == (record["tied_with_best"] and record["behind_best"] > 0)


@pytest.mark.parametrize("metric", ["top1", "mean_per_class"])
def test_the_interval_of_a_change_covers_it_in_95_of_100_worlds(metric):
    """400 images of five uneven classes; the two encoders are right on the same easy images."""
    rng, covered, worlds, n = np.random.default_rng(11), 0, 500, 400
    share_C, weight_C = np.array([0.5, 0.55, 0.6, 0.65, 0.7]), np.array([4, 2, 2, 1, 1])
    true_N = np.repeat(np.arange(5), weight_C * n // 10)
    its_C = weight_C / 10 if metric == "top1" else np.full(5, 0.2)
    truth = 100 * (its_C @ (share_C + 0.06) / (its_C @ share_C) - 1)
    for _ in range(worlds):
        easy_N = rng.random(n)
        base_N = easy_N < share_C[true_N]
        mine_N = np.where(rng.random(n) < 0.7, easy_N, rng.random(n)) < share_C[true_N] + 0.06
        cells = [result("supervised", base_N, true_N, metric=metric), result("m", mine_N, true_N, metric=metric)]
        row = of(make_board(cells, draws=400), "m")
        covered += row.change_low <= truth <= row.change_high
    assert 0.93 <= covered / worlds <= 0.97


def test_the_interval_of_a_change_covers_it_where_the_baseline_is_at_0_in_some_resamples():
    """40 images, the baseline right on one in ten: at 0 in one of 70 resamples, and where it has one right in one of three."""
    rng, covered, low, worlds = np.random.default_rng(5), 0, 0, 0
    while worlds < 300:
        base_N, mine_N = (rng.random(40) < share for share in (0.1, 0.3))
        if not base_N.any():  # the board has no change then, and says so
            continue
        row = of(make_board([result("supervised", base_N), result("m", mine_N)], draws=400), "m")
        covered += row.change_low <= 200 <= row.change_high
        low += row.change_high == np.inf
        worlds += 1
    assert 0.93 <= covered / worlds <= 1
    assert 0.1 < low / worlds < 0.9  # both kinds of end
