"""Retrieval and weighted votes as evaluators, on made-up embeddings whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.errors import ArgumentError
from relic_eval.evaluators import knn
from relic_eval.evaluators.blocks import Blocks
from relic_eval.evaluators.knn import Knn
from relic_eval.evaluators.retrieval import Retrieval
from relic_eval.records import Embeddings


@pytest.fixture(autouse=True)
def nothing_remembered():
    knn._found.clear()


def clusters(per_class, seed, spread):
    y = np.repeat(np.arange(3), per_class)
    x = np.eye(3)[y] * 8 + np.random.default_rng(seed).normal(0, spread, (len(y), 3))
    return Embeddings(x.astype("f"), y, ("ant", "bee", "cat"), ids=np.array([f"{seed}-{i}" for i in range(len(y))]))


def test_clusters_apart_are_retrieved_wholly():
    split = clusters(12, 0, 0.1)
    cell = Retrieval()(split)
    assert [(m.metric, m.params["k"]) for m in cell.rows] == [
        ("recall", 1),
        ("recall", 5),
        ("recall", 10),
        ("mean_average_precision", 35),
    ]
    assert all((m.value, m.low, m.high, m.n) == (1, 1, 1, 36) for m in cell.rows)
    assert cell.predictions["correct"].all()
    assert cell.neighbours["rank"][:6].tolist() == [0, 1, 2, 3, 4, 0]
    assert not (cell.neighbours["query"] == cell.neighbours["item"]).any()


def test_intervals_hold_the_value_and_images_alone_in_their_class_are_counted():
    split = clusters(30, 1, 6.0)
    y = np.append(split.y_N, 3)
    x = np.concatenate([split.x_ND, np.full((1, 3), 5, "f")])
    ids = np.append(split.ids, "alone")
    cell = Retrieval()(Embeddings(x, y, ("ant", "bee", "cat", "dog"), ids=ids))
    first, last = cell.rows[0], cell.rows[-1]
    assert first.params["left_out"] == 1
    assert first.n == len(cell.predictions["item"]) == 90
    assert "alone" not in cell.predictions["item"]
    assert first.value == pytest.approx(cell.predictions["correct"].mean())
    assert last.value == pytest.approx(cell.predictions["score"].mean(), rel=1e-6)
    for m in cell.rows:
        assert 0 < m.low < m.value < m.high <= 1
    hits = (cell.predictions["true"] == cell.predictions["predicted"]).astype(float)
    np.testing.assert_array_equal(hits, cell.predictions["correct"])


def test_too_few_images_are_no_question():
    with pytest.raises(ArgumentError, match="a class with two"):
        Retrieval()(Embeddings(np.eye(3, dtype="f"), np.arange(3), ("ant", "bee", "cat")))
    with pytest.raises(ArgumentError, match="a class with two"):
        Retrieval()(Embeddings(np.ones((1, 2), "f"), np.zeros(1, int), ("ant",)))


@pytest.mark.parametrize("classes", [100, 101])
def test_the_confusion_of_many_classes_has_no_more_rows_than_neighbours(classes):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(classes), 3)
    split = Embeddings(rng.normal(size=(len(y), 4)).astype("f"), y, tuple(f"c{i}" for i in range(classes)))
    cell = Blocks(k=2, permutations=20, draws=20)(split)
    rows = [m for m in cell.rows if m.metric == "confusion"]
    assert sum(m.value for m in rows) == pytest.approx(classes)
    if classes == 100:
        assert len(rows) == classes**2
    else:
        assert len(rows) <= 2 * len(y)
        assert min(m.value for m in rows) > 0


def test_votes_of_knn_differ_as_their_weights_do():
    """Two far neighbours of one class against a near one of the other: a count and a weight disagree."""
    angle = np.array([0.0, 0.9, 1.0, 2.5, 2.6])
    x, y = np.stack([np.cos(angle), np.sin(angle)], 1), np.array([0, 1, 1, 0, 0])
    train = Embeddings(x.astype("f"), y, ("ant", "bee"))
    test = Embeddings(np.array([[1.0, 0.1]], "f"), np.array([0]), ("ant", "bee"))
    predicted = {}
    for how in ("majority", "distance", "softmax"):
        cell = Knn(ks=(3,), vote=how)(train, train, test)
        predicted[how] = cell.predictions["predicted"].item()
    # training rows validate here too, so that each neighbour is there twice: the first three are 0, 0, 1
    assert predicted == {"majority": 0, "distance": 0, "softmax": 0}
    valid = Embeddings(x[3:].astype("f"), y[3:], ("ant", "bee"))
    predicted = {h: Knn(ks=(3,), vote=h)(train, valid, test).predictions["predicted"].item() for h in predicted}
    assert predicted == {"majority": 1, "distance": 0, "softmax": 0}
