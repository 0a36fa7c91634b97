"""Scores against scikit-learn and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from relic_eval.errors import ArgumentError
from relic_eval.metrics import scores
from relic_eval.metrics.scores import accuracy, classes_before, mean_per_class, top_k


@pytest.mark.parametrize("classes", [2, 5, 30])
def test_mean_per_class_is_balanced_accuracy(classes):
    rng = np.random.default_rng(classes)
    true = np.concatenate([np.arange(classes), rng.integers(0, classes, 200) ** 2 // classes])  # of unequal sizes
    predicted = np.where(rng.random(len(true)) < 0.6, true, rng.integers(0, classes, len(true)))
    assert mean_per_class(true, predicted) == pytest.approx(balanced_accuracy_score(true, predicted), abs=1e-12)
    assert accuracy(true, predicted) == pytest.approx(accuracy_score(true, predicted), abs=1e-12)


def test_only_classes_that_occur_count():
    true, predicted = np.array([1, 1, 4, 4, 4, 4]), np.array([1, 7, 4, 4, 4, 0])
    assert mean_per_class(true, predicted) == pytest.approx((0.5 + 0.75) / 2)
    far = np.array([1, 10**12])  # no memory for the classes in between
    assert mean_per_class(far[[0, 0, 1]], far[[0, 1, 1]]) == 0.75


@pytest.mark.parametrize("score", [accuracy, mean_per_class])
def test_predictions_that_do_not_fit(score):
    with pytest.raises(ArgumentError, match="at least one label"):
        score(np.zeros(0, int), np.zeros(0, int))
    with pytest.raises(ArgumentError, match="from 0 on"):
        score(np.array([0, 1]), np.array([0, -1]))


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_top_k_is_scikit_learns(monkeypatch, k, kind):
    monkeypatch.setattr(scores, "BLOCK", 100)  # several blocks
    rng = np.random.default_rng(k)
    true, score = rng.integers(0, 9, 80), rng.normal(size=(80, 9)).astype(kind)
    if k < 9:
        assert top_k(true, score, k) == top_k_accuracy_score(true, score, k=k, labels=np.arange(9))
    else:
        assert top_k(true, score, k) == 1


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_ties_stand_in_the_order_of_classes(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    n, classes = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 6))
    kind = data.draw(st.sampled_from(["f2", ">f4", "f8", "i4", "u1"]))
    score = rng.integers(0, 3, (n, classes)).astype(kind)[::-1]
    score.setflags(write=False)
    true = rng.integers(0, classes, n)
    expected = [
        sorted(range(classes), key=lambda c: (-float(s[c]), c)).index(t) for s, t in zip(score, true, strict=True)
    ]
    assert classes_before(true, score).tolist() == expected
    assert top_k(true, score, 1) == accuracy(true, score.argmax(1))
    for k in range(1, classes + 1):
        assert top_k(true, score, k) == np.mean(np.array(expected) < k)


def test_a_memory_map_is_read(tmp_path):
    np.save(tmp_path / "s.npy", np.eye(4))
    assert top_k(np.arange(4), np.load(tmp_path / "s.npy", mmap_mode="r"), 1) == 1


@pytest.mark.parametrize(
    ("true", "score", "k", "match"),
    [
        (np.array([0, 1]), np.eye(2), 3, "k: expected 1 to 2"),
        (np.array([0, 1]), np.eye(2), 0, "k: expected a whole number of at least 1"),
        (np.array([0, 2]), np.eye(2), 1, "classes below 2"),
        (np.array([0, 1]), np.full((2, 2), np.nan), 1, "NaN or infinity in 2 of 2"),
        (np.zeros(0, int), np.zeros((0, 2)), 1, "at least one row"),
    ],
)
def test_what_has_no_top_k(true, score, k, match):
    with pytest.raises(ArgumentError, match=match):
        top_k(true, score, k)
