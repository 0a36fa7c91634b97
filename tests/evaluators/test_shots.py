"""Few-shot curves against a loop of scikit-learn fits, and what a class cannot give."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.shots import Shots
from relic_eval.records import Embeddings

PROBE = Shots(numbers=(1, 2, 4), draws=(3, 3, 2))


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    ids = np.arange(700).astype(str)
    rows = Embeddings((x[:700] / 16).astype("f"), y[:700], tuple("abcdefghij"), ids=ids)
    return tuple(rows.take(np.arange(*ends)) for ends in ((0, 300), (300, 450), (450, 700)))


@pytest.fixture(scope="module")
def cell(digits):
    return PROBE(*digits)


def test_each_number_is_a_loop_of_single_fits(digits, cell):
    train, valid, test = digits
    total, order = train.x_ND.var(0).sum(), PROBE._order(train)
    predicted = {}
    for place, (shots, draws) in enumerate(zip(PROBE.numbers, PROBE.draws, strict=True)):
        found = np.zeros((len(PROBE.penalties), draws))
        for i, factor in enumerate(PROBE.penalties):
            for s in range(draws):
                rows = order[s, :, :shots].ravel()
                assert np.bincount(train.y_N[rows]).tolist() == [shots] * 10
                assert len(set(rows.tolist())) == 10 * shots
                model = LogisticRegression(C=1 / (factor * total), tol=1e-6, max_iter=2000)
                model.fit(train.x_ND[rows].astype(float), train.y_N[rows])
                found[i, s] = (model.predict(valid.x_ND) == valid.y_N).mean()
                predicted[shots, factor, s] = model.predict(test.x_ND)
        row = cell.rows[1 + place]
        assert (row.params["shots"], row.params["draws"]) == (shots, draws)
        best = row.params["penalty"] / total
        assert found.mean(1)[np.argmin(np.abs(np.log(np.array(PROBE.penalties) / best)))] >= found.mean(1).max() - 0.005
        factor = min(PROBE.penalties, key=lambda p: abs(np.log(p / best)))
        slow = np.mean([(predicted[shots, factor, s] == test.y_N).mean() for s in range(draws)])
        assert row.value == pytest.approx(slow, abs=0.004)
        assert row.low < row.value < row.high


def test_the_mean_over_numbers_stands_for_the_cell(digits, cell):
    first, table, n = cell.rows[0], cell.predictions, 250
    assert first.params["over"] == "1 2 4"
    assert first.params["left_out"] == ""
    assert table["draw"].tolist() == np.repeat(np.arange(3), n).tolist()
    assert first.value == pytest.approx(table["correct"].mean())
    assert set(np.round(table["correct"] * 3).astype(int)) <= {0, 1, 2, 3}
    np.testing.assert_allclose(table["correct"] * 3, np.round(table["correct"] * 3), atol=1e-5)
    # the third draw of the largest number is the first again
    largest = table["predicted"].reshape(3, n)
    np.testing.assert_array_equal(largest[2], largest[0])
    assert cell.rows[3].value == pytest.approx((largest[:2] == digits[2].y_N).mean())
    assert cell.curves["x"].tolist() == [1, 2, 4]
    assert cell.curves["y"].tolist() == [r.value for r in cell.rows[1:]]
    assert cell.rows[1].value < cell.rows[3].value


def test_draws_are_nested_and_never_twice_the_same_row(digits):
    order = PROBE._order(digits[0])
    assert order.shape == (3, 10, 4)
    assert all(len(set(rows)) == 4 for draw in order.tolist() for rows in draw)
    assert len({tuple(draw.ravel()) for draw in order}) == 3


def test_numbers_that_a_class_cannot_give_are_left_out_and_named(digits):
    train = digits[0]
    kept = np.concatenate([np.flatnonzero(train.y_N == c)[: 3 if c == 4 else 30] for c in range(10)])
    cell = PROBE(train.take(kept), *digits[1:])
    assert [r.params["shots"] for r in cell.rows] == ["mean", 1, 2]
    assert cell.rows[0].params["left_out"] == "4"
    assert cell.rows[0].params["over"] == "1 2"
    none = train.take(train.y_N != 4)
    with pytest.raises(ArgumentError, match="class 'e': expected at least 1 training images, received 0"):
        PROBE(none, *digits[1:])


def test_all_rows_of_every_class_are_fitted_once(digits, monkeypatch):
    import relic_eval.probes.logistic as logistic

    train = digits[0]
    four = train.take(np.concatenate([np.flatnonzero(train.y_N == c)[:4] for c in range(10)]))
    sizes, real = [], logistic.fit_subsets
    monkeypatch.setattr(
        logistic, "fit_subsets", lambda x, y, rows, **k: (sizes.append(rows.shape), real(x, y, rows, **k))[1]
    )
    cell = PROBE(four, *digits[1:])
    assert sizes == [(3, 10), (3, 20), (1, 40)]
    assert cell.rows[3].params["std_over_draws"] == 0


def test_features_times_a_constant_are_the_same_problem(digits, cell):
    scaled = PROBE(*(dataclasses.replace(e, x_ND=e.x_ND * 256) for e in digits))
    assert [r.value for r in scaled.rows] == [r.value for r in cell.rows]


def test_test_labels_choose_nothing(digits, cell):
    train, valid, test = digits
    dirty = PROBE(train, valid, dataclasses.replace(test, y_N=np.random.default_rng(0).permutation(test.y_N)))
    assert [r.params.get("penalty") for r in dirty.rows] == [r.params.get("penalty") for r in cell.rows]
    np.testing.assert_array_equal(dirty.predictions["predicted"], cell.predictions["predicted"])
    assert dirty.rows[0].value < 0.3 < cell.rows[0].value
