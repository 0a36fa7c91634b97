"""A head of clean rows on corrupted rows and on other sets: hand-made embeddings whose answers are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from relic_eval.errors import ArgumentError
from relic_eval.evaluators import shared
from relic_eval.evaluators.elsewhere import Elsewhere
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.robust import Robust
from relic_eval.metrics.statistics import wilson
from relic_eval.records import Embeddings

HEAD = Logistic(lowest=1e-3, highest=10, count=3)
NAMES = ("fog 1", "fog 5", "snow 1", "snow 5")


@pytest.fixture(autouse=True)
def nothing_remembered():
    shared._fitted.clear()


def clusters(counts, seed):
    y = np.repeat(np.arange(3), counts)
    x = np.eye(3)[y] * 8 + np.random.default_rng(seed).normal(0, 0.3, (len(y), 3))
    return Embeddings(x.astype("f"), y, ("ant", "bee", "cat"), ids=np.array([f"{seed}-{i}" for i in range(len(y))]))


@pytest.fixture
def splits():
    """Views in which the first 0, 10, 20 and 30 of the test rows look like the next class."""
    train, valid, test = clusters((20, 20, 20), 1), clusters((10, 10, 10), 2), clusters((20, 10, 10), 3)
    wrong = [np.concatenate([np.roll(test.x_ND[:many], 1, 1), test.x_ND[many:]]) for many in (0, 10, 20, 30)]
    return train, valid, dataclasses.replace(test, views=tuple(wrong), corruptions=NAMES)


def plain(test):
    """The rows without their corrupted views."""
    return dataclasses.replace(test, views=(), corruptions=())


def by(cell, **params):
    return next(r for r in cell.rows[1:] if all(r.params.get(k) == v for k, v in params.items()))


def test_rows_of_a_hand_case(splits):
    cell = Robust(HEAD)(*splits)
    assert cell.rows[0].metric == "top1"
    assert cell.rows[0].value == pytest.approx(1 - 15 / 40)
    assert cell.rows[0].params["kinds"] == 2
    assert cell.rows[0].params["strengths"] == "1 5"
    assert by(cell, kind="fog").value == pytest.approx(1 - 5 / 40)
    assert by(cell, kind="snow").value == pytest.approx(1 - 25 / 40)
    assert by(cell, strength=1).value == pytest.approx(1 - 10 / 40)
    assert by(cell, strength=5).value == pytest.approx(1 - 20 / 40)
    metrics = {r.metric: r for r in cell.rows}
    assert metrics["clean_top1"].value == 1
    assert metrics["relative_drop"].value == pytest.approx(15 / 40)
    assert all(r.low <= r.value <= r.high and r.n == 40 for r in cell.rows)
    np.testing.assert_allclose(
        cell.predictions["correct"][[0, 9, 10, 19, 20, 29, 30]], [0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1]
    )
    assert cell.predictions["item"].tolist() == splits[2].ids.tolist()
    np.testing.assert_array_equal(cell.predictions["predicted"], splits[2].y_N)  # of the clean pictures
    assert cell.curves["name"].tolist() == ["fog", "fog", "snow", "snow"]
    np.testing.assert_allclose(cell.curves["y"], [1, 0.75, 0.5, 0.25])


def test_the_mean_per_class_counts_small_classes_as_much(splits):
    cell = Robust(HEAD)(*(dataclasses.replace(e, metric="mean_per_class") for e in splits))
    # of class 0 right: 20, 10, 0, 0 of 20; class 1: 10, 10, 10, 0 of 10; class 2: all
    assert cell.rows[0].metric == "mean_per_class"
    assert cell.rows[0].value == pytest.approx((1.5 / 4 + 3 / 4 + 1) / 3)
    assert {r.metric for r in cell.rows} == {"mean_per_class", "clean_mean_per_class", "relative_drop"}


def test_the_interval_of_the_drop_knows_that_the_pictures_are_the_same(splits):
    """Where corruption costs nothing, there is no doubt about it, however wrong the clean pictures are."""
    test = splits[2]
    lies = np.where(np.arange(40) % 3 == 0, (test.y_N + 1) % 3, test.y_N)
    same = dataclasses.replace(test, y_N=lies, views=(test.x_ND, test.x_ND), corruptions=("fog 1", "fog 2"))
    cell = Robust(HEAD)(*splits[:2], same)
    drop = cell.rows[-1]
    assert (drop.metric, drop.value, drop.low, drop.high) == ("relative_drop", 0, 0, 0)
    assert cell.rows[0].low < cell.rows[0].value < cell.rows[0].high


def test_the_head_is_that_of_the_linear_probe_and_fitted_once(splits, monkeypatch):
    fits, real = [], Logistic._fit
    monkeypatch.setattr(Logistic, "_fit", lambda self, *a: (fits.append(1), real(self, *a))[1])
    linear = HEAD(*splits)
    robust = Robust(HEAD)(*splits)
    elsewhere = Elsewhere(HEAD)(*splits[:2], plain(splits[2]))
    assert len(fits) == 1
    assert linear.rows[0].params["penalty"] == robust.rows[0].params["penalty"] == elsewhere.rows[0].params["penalty"]
    np.testing.assert_array_equal(linear.predictions["predicted"], robust.predictions["predicted"])


def test_test_labels_choose_nothing(splits):
    train, valid, test = splits
    lies = dataclasses.replace(test, y_N=np.random.default_rng(0).permutation(test.y_N))
    for probe, rows in ((Robust(HEAD), lambda e: e), (Elsewhere(HEAD), plain)):
        clean, dirty = probe(train, valid, rows(test)), probe(train, valid, rows(lies))
        assert clean.rows[0].params == dirty.rows[0].params
        np.testing.assert_array_equal(clean.predictions["predicted"], dirty.predictions["predicted"])
        assert dirty.rows[0].value < clean.rows[0].value


def test_without_corrupted_pictures_it_says_how_to_make_them(splits):
    with pytest.raises(
        ArgumentError, match=r"robust: expected embeddings of corrupted pictures, received none.*--corruptions"
    ):
        Robust(HEAD)(*splits[:2], dataclasses.replace(splits[2], views=(), corruptions=()))


def test_another_set_with_some_of_the_classes_only(splits):
    train, valid, test = splits
    few = test.take(np.r_[0:20, 30:40])  # ants and cats; five of them look like bees
    looks = few.x_ND.copy()
    looks[:5] = [6, 8, 0]
    cell = Elsewhere(HEAD)(train, valid, dataclasses.replace(plain(few), x_ND=looks))
    free, restricted = cell.rows
    assert (free.metric, restricted.metric) == ("top1", "top1_restricted")
    assert (free.value, restricted.value) == (pytest.approx(25 / 30), 1)
    assert (free.low, free.high) == pytest.approx(wilson(25, 30))
    assert (free.params["classes"], restricted.params["classes"]) == (3, 2)
    np.testing.assert_array_equal(cell.predictions["predicted"][:5], 1)
    assert cell.predictions["correct"].mean() == pytest.approx(25 / 30)


def test_any_of_several_classes_is_right(splits):
    train, valid, test = splits
    labels = np.zeros((40, 3), bool)
    labels[np.arange(40), test.y_N] = True
    labels[:20] = [False, True, True]  # ants are now called bee or cat
    shifted = np.concatenate([np.roll(test.x_ND[:10], 1, 1), test.x_ND[10:]])  # ten look like bees, ten like ants
    cell = Elsewhere(HEAD)(train, valid, dataclasses.replace(plain(test), x_ND=shifted, labels_NC=labels))
    assert [r.value for r in cell.rows] == [pytest.approx(30 / 40), pytest.approx(30 / 40, abs=0.26)]
    assert cell.rows[1].params["classes"] == 2  # nothing is an ant
    assert cell.rows[1].value == 1


def test_a_head_for_pictures_with_several_classes_is_refused(splits):
    train, valid, test = splits
    several = dataclasses.replace(train, labels_NC=np.eye(3, dtype=bool)[train.y_N])
    with pytest.raises(ArgumentError, match="train: expected rows of one class each"):
        Elsewhere(HEAD)(several, valid, test)
