"""The metric of the task chooses on validation rows and stands first; test labels choose nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from relic_eval.data.tasks import Task, split_task
from relic_eval.errors import UnknownNameError
from relic_eval.evaluators import knn, shared
from relic_eval.evaluators.fewshot import FewShot
from relic_eval.evaluators.knn import Knn
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.ridge import Ridge
from relic_eval.evaluators.sgd import Sgd
from relic_eval.evaluators.shots import Shots
from relic_eval.metrics.scores import accuracy, mean_per_class
from relic_eval.records import Embeddings

PROBES = {
    "linear": Logistic(count=12),
    "ridge": Ridge(count=9),
    "sgd": Sgd(epochs=10),
    "knn": Knn(ks=(1, 3, 9, 15)),
    "fewshot": FewShot(shots=3, draws=3),
    "shots": Shots(numbers=(1, 3), draws=(3, 2)),
}
each = pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)


@pytest.fixture(autouse=True)
def nothing_remembered():
    shared._fitted.clear()
    knn._found.clear()


def rows(counts, seed):
    y = np.repeat(np.arange(3), counts)
    x = np.eye(5)[y] * 2 + np.random.default_rng(seed).normal(0, 1.4, (len(y), 5))
    return Embeddings(x.astype("f"), y, ("a", "b", "c"), ids=np.array([f"{seed}-{i}" for i in range(len(y))]))


@pytest.fixture
def splits():
    return rows((60, 12, 12), 1), rows((60, 10, 10), 2), rows((60, 14, 12), 3)


def by_class(splits):
    return tuple(dataclasses.replace(e, metric="mean_per_class") for e in splits)


def test_a_task_hands_its_metric_to_its_rows(splits):
    parts = split_task(Task("t", "t", "d", metric="mean_per_class"), splits[0], splits[2])
    assert {part.metric for part in parts} == {"mean_per_class"}
    assert {part.metric for part in split_task(Task("t", "t", "d"), splits[0], splits[2])} == {"top1"}


@each
def test_the_metric_of_the_task_stands_first_with_its_interval(probe, splits):
    cell = probe(*by_class(splits))
    first, table = cell.rows[0], cell.predictions
    assert first.metric == "mean_per_class"
    assert first.low < first.value < first.high
    test_y, n = splits[2].y_N, len(splits[2])
    if isinstance(probe, Shots):
        expected = np.mean([table["correct"][table["true"] == c].mean() for c in range(3)])
    else:
        expected = np.mean([mean_per_class(test_y, p) for p in table["predicted"].reshape(-1, n)])
    assert first.value == pytest.approx(expected)
    top = next((r for r in cell.rows if r.metric == "top1"), None)
    if top is not None:
        assert top.value == pytest.approx(accuracy(test_y, table["predicted"]))
        assert top.value != first.value


@each
def test_the_choice_is_by_the_metric_of_the_task(probe, splits):
    """A validation set of one large class and two small ones, whose two scores disagree about what is best."""
    plain, classes = probe(*splits), probe(*by_class(splits))
    if isinstance(probe, Shots):
        return
    named = classes.curves["name"] == "validation mean_per_class"
    assert named.sum() == (plain.curves["name"] == "validation top1").sum() > 1
    assert not np.array_equal(classes.curves["y"][named], plain.curves["y"][plain.curves["name"] == "validation top1"])


def test_the_two_metrics_may_choose_two_penalties(splits):
    found = {m: Logistic()(*(dataclasses.replace(e, metric=m) for e in splits)) for m in ("top1", "mean_per_class")}
    for metric, cell in found.items():
        here = cell.curves["name"] == f"validation {metric}"
        score, penalty = cell.curves["y"][here], cell.curves["x"][here]
        assert cell.rows[0].params["penalty"] == penalty[score == score.max()].max()
    assert found["top1"].rows[0].params != found["mean_per_class"].rows[0].params
    assert found["top1"].curves["y"].max() > 0.7


@each
def test_poisoned_test_labels_choose_nothing(probe, splits):
    train, valid, test = by_class(splits)
    rng = np.random.default_rng(0)
    clean = probe(train, valid, test)
    shared._fitted.clear(), knn._found.clear()
    dirty = probe(train, valid, dataclasses.replace(test, y_N=rng.permutation(test.y_N)))
    chosen = ("penalty", "learning_rate", "k")
    for a, b in zip(clean.rows, dirty.rows, strict=True):
        assert [a.params.get(c) for c in chosen] == [b.params.get(c) for c in chosen]
    np.testing.assert_array_equal(clean.predictions["predicted"], dirty.predictions["predicted"])
    assert clean.rows[0].value != dirty.rows[0].value


def test_an_unknown_metric_is_refused(splits):
    with pytest.raises(UnknownNameError, match="mean_per_class"):
        Logistic(count=3)(*(dataclasses.replace(e, metric="f1") for e in splits))


def test_fits_of_two_metrics_are_not_confused(splits):
    Logistic()(*splits)
    Logistic()(*by_class(splits))
    assert len(shared._fitted) == 2


def test_the_interval_of_class_means_holds_perfect_scores_and_unequal_classes(splits):
    test = dataclasses.replace(splits[2], metric="mean_per_class")
    right = np.ones((3, len(test)))
    assert shared.averaged(test, right, samples=50, seed=0) == pytest.approx((1, 1, 1))
    right[:, :30] = 0
    value, low, high = shared.averaged(test, right, samples=2000, seed=0)
    assert value == pytest.approx((0.5 + 1 + 1) / 3)
    half = 1.96 * np.sqrt(0.25 / 60) / 3  # only the first class varies, and the draws are all the same
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.006)
