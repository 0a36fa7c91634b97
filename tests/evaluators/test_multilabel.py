"""Pictures with several classes: each column against scikit-learn, average precision written out, and the choice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from relic_eval.data.tasks import named_alike, to_superclasses
from relic_eval.errors import ArgumentError
from relic_eval.evaluators import shared
from relic_eval.evaluators.logistic import Logistic
from relic_eval.metrics.precision import average_precision, mean_average_precision, resampled_precision
from relic_eval.records import Embeddings

CLASSES = ("car", "cat", "dog")
PROBE = Logistic(lowest=1e-2, highest=1e3, count=6)


@pytest.fixture(autouse=True)
def nothing_remembered():
    shared._fitted.clear()


def rows(n, seed, noise=1.0):
    rng = np.random.default_rng(seed)
    labels = rng.random((n, 3)) < (0.5, 0.3, 0.2)
    labels[~labels.any(1), 0] = True
    x = labels @ np.random.default_rng(9).normal(size=(3, 6)) + rng.normal(0, noise, (n, 6))
    ids = np.array([f"{seed}-{i}" for i in range(n)])
    return Embeddings(x.astype("f"), labels.argmax(1), CLASSES, ids=ids, labels_NC=labels, metric="map11")


@pytest.fixture(scope="module")
def splits():
    return rows(150, 1), rows(80, 2), rows(100, 3)


def devkit(true, score):
    """VOC2007's VOCevalcls, line by line: strict recall thresholds, the largest precision at or above each."""
    order = np.argsort(-score)
    hit, miss = np.cumsum(true[order] == 1), np.cumsum(true[order] == 0)
    recall, precision, ap = hit / true.sum(), hit / (hit + miss), 0.0
    for t in range(11):
        above = precision[recall >= t / 10 - 1e-12]
        ap += (above.max() if len(above) else 0.0) / 11
    return ap


def test_a_cell_is_the_devkits_mean_over_classes(splits):
    cell = PROBE(*splits)
    table, test = cell.predictions, splits[2]
    score, true = table["score"].reshape(100, 3), table["true"].reshape(100, 3)
    np.testing.assert_array_equal(true, test.labels_NC)
    np.testing.assert_array_equal(table["item"], np.repeat(test.ids, 3))
    assert table["class"][:4].tolist() == [0, 1, 2, 0]
    each = [devkit(true[:, c], score[:, c]) for c in range(3)]
    assert cell.rows[0].metric == "map11"
    assert cell.rows[0].value == pytest.approx(np.mean(each))
    assert cell.rows[0].low < cell.rows[0].value < cell.rows[0].high
    assert {r.params["class"]: r.value for r in cell.rows[1:]} == pytest.approx(dict(zip(CLASSES, each, strict=True)))
    np.testing.assert_array_equal(table["predicted"] == table["true"], table["correct"] == 1)
    assert cell.rows[0].converged


def test_each_column_is_scikit_learns(splits):
    train, valid, test = splits
    cell = PROBE(*splits)
    score = cell.predictions["score"].reshape(100, 3)
    both_x, both_NC = (np.concatenate([getattr(e, n) for e in (train, valid)]) for n in ("x_ND", "labels_NC"))
    for c in range(3):
        model = LogisticRegression(C=1 / cell.rows[0].params["penalty"], tol=1e-9, max_iter=5000)
        theirs = model.fit(both_x.astype(float), both_NC[:, c]).decision_function(test.x_ND.astype(float))
        np.testing.assert_allclose(score[:, c], theirs, atol=5e-3)


def test_the_penalty_is_that_of_the_highest_validation_map_and_sees_no_test_label(splits):
    train, valid, test = splits
    clean = PROBE(*splits)
    chosen = clean.curves["name"] == "validation map11"
    value, penalty = clean.curves["y"][chosen], clean.curves["x"][chosen]
    assert clean.rows[0].params["penalty"] == penalty[value == value.max()].max()
    for place in (0, 5):
        models = [
            LogisticRegression(C=1 / penalty[place], tol=1e-9, max_iter=5000).fit(train.x_ND.astype(float), y)
            for y in train.labels_NC.T
        ]
        scores = [m.decision_function(valid.x_ND.astype(float)) for m in models]
        slow = np.mean([devkit(y, s) for y, s in zip(valid.labels_NC.T, scores, strict=True)])
        assert value[place] == pytest.approx(slow, abs=0.01)
    shared._fitted.clear()
    lies = dataclasses.replace(test, labels_NC=np.random.default_rng(0).permutation(test.labels_NC))
    dirty = PROBE(train, valid, lies)
    assert dirty.rows[0].params == clean.rows[0].params
    np.testing.assert_array_equal(dirty.predictions["score"], clean.predictions["score"])
    assert dirty.rows[0].value < clean.rows[0].value
    shared._fitted.clear()
    other = PROBE(train, dataclasses.replace(valid, labels_NC=np.roll(valid.labels_NC, 1, 0)), test)
    assert not np.array_equal(other.curves["y"], clean.curves["y"])


def test_a_class_without_training_images_is_named(splits):
    train, valid, test = splits
    labels = train.labels_NC.copy()
    labels[:, 2] = False
    with pytest.raises(
        ArgumentError, match="class 'dog': expected training images with and without it, received none with"
    ):
        PROBE(dataclasses.replace(train, labels_NC=labels), valid, test)
    with pytest.raises(ArgumentError, match="labels_NC"):
        PROBE(train, valid, dataclasses.replace(test, labels_NC=None))


def test_resamples_are_a_slow_loop_over_repeated_images():
    rng = np.random.default_rng(0)
    true, score = rng.random((30, 2)) < 0.4, rng.integers(0, 8, (30, 2)) / 8  # many equal scores
    seen = []

    def note(counts):
        seen.append(counts.astype(int))
        return counts.sum(1)

    from relic_eval.metrics.bootstrap import resampled

    resampled(note, np.zeros(30, int), draws=6, seed=4)
    mine = resampled_precision(true, np.stack([score, -score]), np.zeros(30, int), draws=6, seed=4)
    for b, count in enumerate(np.concatenate(seen)):
        again = np.repeat(np.arange(30), count)
        for m, sign in enumerate((1, -1)):
            assert mine[m, b] == pytest.approx(mean_average_precision(true[again], sign * score[again]).mean)


def test_resampled_intervals_cover_what_they_should():
    """Scores of 200 images a sample; the truth is the average precision of very many."""

    def draw(n, seed):
        rng = np.random.default_rng(seed)
        true = rng.random((n, 1)) < 0.3
        return true, true + rng.normal(0, 0.8, (n, 1))

    truth = average_precision(*(a[:, 0] for a in draw(200_000, 0)))
    ends = [
        np.percentile(resampled_precision(t, s[None], draws=200)[0], [2.5, 97.5])
        for t, s in (draw(200, i) for i in range(1, 101))
    ]
    assert 0.85 <= np.mean([low <= truth <= high for low, high in ends]) <= 1


def test_labels_follow_names_and_superclasses():
    test = Embeddings(
        np.zeros((2, 1)),
        np.array([0, 1]),
        ("dog", "car"),
        ("pet", "thing"),
        labels_NC=np.array([[True, False], [True, True]]),
    )
    train = Embeddings(np.zeros((1, 1)), np.array([0]), CLASSES, ("thing", "pet", "pet"))
    alike = named_alike(test, train)
    assert alike.labels_NC.astype(int).tolist() == [[0, 0, 1], [1, 0, 1]]
    assert to_superclasses(alike).labels_NC.astype(int).tolist() == [[0, 1], [1, 1]]
