"""Votes against slow loops, scikit-learn's classifier and DINO's script, and by hand."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from relic_eval.errors import ArgumentError
from relic_eval.metrics import votes
from relic_eval.metrics.neighbours import nearest
from relic_eval.metrics.votes import majority, vote


def slow_vote(labels_QK, weight_QK, k, classes):
    """One query, one class after another; of classes with equal sums the one that comes first in the list."""
    out = []
    for label_K, weight_K in zip(labels_QK[:, :k].tolist(), weight_QK[:, :k].tolist(), strict=True):
        total_C = [0.0] * classes
        for label, weight in zip(label_K, weight_K, strict=True):
            total_C[label] += weight
        out.append(next(c for c in label_K if total_C[c] == max(total_C)))
    return np.array(out)


@pytest.mark.parametrize(("k", "classes"), [(1, 3), (2, 2), (5, 3), (10, 4), (30, 20)])
def test_majority_equals_a_slow_loop(k, classes):
    labels_QK = np.random.default_rng(k).integers(0, classes, (400, k))
    np.testing.assert_array_equal(majority(labels_QK, classes), slow_vote(labels_QK, np.ones((400, k)), k, classes))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 40), st.integers(1, 12), st.integers(1, 6))
def test_every_k_of_one_pass_equals_a_slow_loop(seed, queries, found, classes):
    """Weights that are powers of two make sums exact, so that ties are ties in both."""
    rng = np.random.default_rng(seed)
    labels_QK = rng.integers(0, classes, (queries, found))
    distance_QK = np.sort(2.0 ** rng.integers(0, 3, (queries, found)), axis=1)
    ks = rng.permutation(np.arange(1, found + 1)).tolist()
    flat = vote(labels_QK, None, ks, classes)
    weighted = vote(labels_QK, distance_QK, ks, classes, how="distance", similarity="euclid")
    for place, k in enumerate(ks):
        np.testing.assert_array_equal(flat[place], slow_vote(labels_QK, np.ones_like(distance_QK), k, classes))
        np.testing.assert_array_equal(weighted[place], slow_vote(labels_QK, 1 / distance_QK, k, classes))


@pytest.mark.parametrize("similarity", ["euclid", "cosine"])
@pytest.mark.parametrize("copies", [0, 30])
def test_distance_votes_equal_scikit_learn(similarity, copies):
    rng = np.random.default_rng(0)
    x, q = rng.normal(size=(300, 5)), rng.normal(size=(80, 5))
    # entries and lengths that divide without rounding, so that scikit-learn too finds a cosine distance of exactly 0
    x[:copies], q[:copies] = 2 * np.eye(5)[rng.integers(0, 5, copies)], 4 * np.eye(5)[rng.integers(0, 5, copies)]
    y, ks = rng.integers(0, 4, 300), (1, 3, 7, 20)
    index_QK, score_QK = nearest(x, q, 20, similarity=similarity)
    ours = vote(y[index_QK], score_QK, ks, 4, how="distance", similarity=similarity)
    metric = {"euclid": "euclidean", "cosine": "cosine"}[similarity]
    for place, k in enumerate(ks):
        peer = KNeighborsClassifier(k, weights="distance", metric=metric, algorithm="brute").fit(x, y)
        np.testing.assert_array_equal(ours[place][copies:], peer.predict(q)[copies:])
    # by k = 20 all equal rows are found; of tied classes the nearest wins here, the first number in scikit-learn
    share_QC = peer.predict_proba(q)
    np.testing.assert_allclose(share_QC[np.arange(80), ours[-1]], share_QC.max(1))


def test_majority_equals_scikit_learn_where_none_is_tied():
    rng = np.random.default_rng(1)
    x, q, y = rng.normal(size=(300, 5)), rng.normal(size=(80, 5)), rng.integers(0, 2, 300)
    ours = vote(y[nearest(x, q, 15, similarity="euclid")[0]], None, (1, 5, 15), 2)
    for place, k in enumerate((1, 5, 15)):  # two classes and an odd k
        np.testing.assert_array_equal(ours[place], KNeighborsClassifier(k).fit(x, y).predict(q))


def dino(train, y, query, k, temperature, classes):
    """knn_classifier of facebookresearch/dino eval_knn.py, as its formula reads."""
    import torch

    train, query, y = torch.from_numpy(train), torch.from_numpy(query), torch.from_numpy(y)
    distances, indices = (query @ train.T).topk(k, largest=True, sorted=True)
    retrieved = y.view(1, -1).expand(len(query), -1).gather(1, indices)
    one_hot = torch.zeros(len(query) * k, classes, dtype=distances.dtype).scatter_(1, retrieved.reshape(-1, 1), 1)
    weights = (distances / temperature).exp()
    probs = (one_hot.view(len(query), -1, classes) * weights.view(len(query), -1, 1)).sum(1)
    return probs.sort(1, descending=True)[1][:, 0].numpy()


@pytest.mark.parametrize("k", [1, 10, 20, 100])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_softmax_votes_equal_dinos_script(k, temperature):
    rng = np.random.default_rng(k)
    y, query_y = rng.integers(0, 10, 500), rng.integers(0, 10, 150)
    centre = rng.normal(size=(10, 24))
    train, query = (centre[c] + rng.normal(0, 1.5, (len(c), 24)) for c in (y, query_y))
    train, query = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (train, query))
    index_QK, score_QK = nearest(train, query, 100)
    ours = vote(y[index_QK], score_QK, (k,), 10, how="softmax", temperature=temperature)[0]
    np.testing.assert_array_equal(ours, dino(train, y, query, k, temperature, 10))


def test_by_hand():
    labels = np.array([[0, 1, 1, 2]])
    distances = np.array([[1.0, 3.0, 3.0, 4.0]])  # weights 1, 1/3, 1/3, 1/4
    assert vote(labels, distances, (1, 3, 4), 3).tolist() == [[0], [1], [1]]
    assert vote(labels, distances, (1, 3, 4), 3, how="distance", similarity="euclid").tolist() == [[0], [0], [0]]
    cosines = np.array([[0.5, 0.5 - 0.07 * np.log(1.5), 0.5 - 0.07 * np.log(1.5), 0.0]])  # weights 1, 2/3, 2/3
    assert vote(labels, cosines, (2, 3), 3, how="softmax").tolist() == [[0], [1]]
    zeros = np.array([[0.0, 0.0, 0.0, 1e-9]])  # three copies outvote what is near
    assert vote(np.array([[2, 1, 1, 2]]), zeros, (1, 2, 4), 3, how="distance", similarity="euclid").tolist() == [
        [2],
        [2],
        [1],
    ]


def test_small_temperatures_and_distances_do_not_overflow():
    cosines = np.array([[1.0, 0.9, 0.9]])
    assert vote(np.array([[0, 1, 1]]), cosines, (3,), 2, how="softmax", temperature=1e-4).tolist() == [[0]]
    tiny = np.array([[1e-320, 1.0, 1.0]])
    assert vote(np.array([[0, 1, 1]]), tiny, (3,), 2, how="distance", similarity="euclid").tolist() == [[0]]


def test_blocks_of_queries_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 9, (50, 12)), np.sort(rng.random((50, 12)))[:, ::-1].copy()
    expected = vote(labels, scores, (3, 12), 9, how="softmax")
    monkeypatch.setattr(votes, "BLOCK_BYTES", 8 * (9 + 48) * 7)
    np.testing.assert_array_equal(vote(labels, scores, (3, 12), 9, how="softmax"), expected)


def test_one_class_and_no_queries():
    assert vote(np.zeros((3, 4), int), None, (1, 4), 1).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert vote(np.zeros((0, 4), int), None, (1, 4), 1).shape == (2, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": (1, 5)}, "numbers from 1 to 3"),
        ({"ks": (0,)}, "at least 1"),
        ({"ks": ()}, "numbers from 1 to 3"),
        ({"classes": 2}, "class numbers from 0 to 1, received 0 to 2"),
        ({"score_QK": None, "how": "softmax"}, "score_QK"),
        ({"how": "softmx"}, "Did you mean 'softmax'"),
        ({"how": "softmax", "similarity": "euclid"}, "cosine or inner"),
        ({"how": "softmax", "temperature": 0.0}, "temperature"),
        ({"how": "distance", "similarity": "inner"}, "cosine or euclid"),
        ({"how": "distance", "score_QK": np.full((2, 3), np.nan)}, "NaN or infinity"),
        ({"how": "softmax", "score_QK": np.array([[1.0, 2, 3], [1, 1, 1]])}, "similarities that fall, best first"),
        ({"how": "distance", "score_QK": np.array([[1.0, 1, 1], [0.5, 0.6, 0.7]])}, "Name the similarity"),
        (
            {"how": "distance", "similarity": "euclid", "score_QK": np.array([[0.9, 0.8, 0.8], [1, 1, 1]])},
            "distances that rise",
        ),
        ({"score_QK": np.ones((2, 2))}, r"shape \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    good = {"labels_QK": np.array([[0, 1, 2], [2, 1, 0]]), "score_QK": np.ones((2, 3)), "ks": (1, 3), "classes": 3}
    with pytest.raises(ArgumentError, match=message):
        inspect.unwrap(vote)(**{**good, **change})
