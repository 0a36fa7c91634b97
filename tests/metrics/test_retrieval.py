"""Retrieval against scikit-learn's average precision, torchmetrics and slow loops, and by hand."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_hit_rate, retrieval_recall

import relic_eval.metrics.retrieval as module
from relic_eval.errors import ArgumentError
from relic_eval.metrics.neighbours import nearest
from relic_eval.metrics.retrieval import retrieval


def searched(seed, rows, queries, classes, k, leave_one_out):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, 6)), rng.integers(0, classes, rows)
    if leave_one_out:
        return x, y, x, y, nearest(x, x, k, exclude_self=True)[0]
    q, query_y = rng.normal(size=(queries, 6)), rng.integers(0, classes, queries)
    return x, y, q, query_y, nearest(x, q, k)[0]


@pytest.mark.parametrize("leave_one_out", [False, True])
@pytest.mark.parametrize("out_of", ["possible", "relevant", "found"])
def test_whole_lists_equal_scikit_learn(leave_one_out, out_of):
    k = 60 - leave_one_out
    _, y, _, query_y, index = searched(0, 60, 25, 4, k, leave_one_out)
    r = retrieval(index, y, query_y, ks=(1, k), leave_one_out=leave_one_out, out_of=out_of)
    falling = -np.arange(k)
    expected = [average_precision_score(y[row] == c, falling) for row, c in zip(index, query_y, strict=True)]
    np.testing.assert_allclose(r.precision_Q, expected, rtol=1e-12)
    np.testing.assert_allclose(r.mean_average_precision, np.mean(expected), rtol=1e-12)
    assert (r.share_KQ[1] == 1).all()


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_short_lists_equal_torchmetrics(leave_one_out):
    x, y, q, query_y, index = searched(1, 80, 30, 5, 12, leave_one_out)
    r = retrieval(index, y, query_y, ks=(1, 4, 12), leave_one_out=leave_one_out, out_of="found")
    cosine = q @ x.T / np.linalg.norm(q, axis=1, keepdims=True) / np.linalg.norm(x, axis=1)
    for place, query in enumerate(r.query_Q):
        others = np.arange(len(x)) != query if leave_one_out else np.ones(len(x), bool)
        scores = torch.from_numpy(cosine[query, others])
        target = torch.from_numpy(y[others] == query_y[query])
        assert r.relevant_Q[place] == int(target.sum())
        assert r.precision_Q[place] == pytest.approx(
            float(retrieval_average_precision(scores, target, top_k=12)), rel=1e-6
        )
        for number, k in enumerate(r.ks):
            assert r.hit_KQ[number, place] == float(retrieval_hit_rate(scores, target, top_k=k))
            assert r.share_KQ[number, place] == pytest.approx(
                float(retrieval_recall(scores, target, top_k=k)), rel=1e-6
            )


def slow_precision(relevant_K, relevant, out_of):
    total, seen = 0.0, 0
    for place, yes in enumerate(relevant_K, 1):
        seen += yes
        total += yes * seen / place
    return total / max(1, {"possible": min(relevant, len(relevant_K)), "relevant": relevant, "found": seen}[out_of])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_shape_equals_a_slow_loop(data):
    rows, classes = data.draw(st.integers(2, 25)), data.draw(st.integers(1, 6))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    y, found = rng.integers(0, classes, rows), data.draw(st.integers(1, rows - 1))
    index = np.stack([rng.permutation(np.delete(np.arange(rows), i))[:found] for i in range(rows)])
    out_of = data.draw(st.sampled_from(["possible", "relevant", "found"]))
    ks = sorted({1, data.draw(st.integers(1, found)), found})
    count = np.bincount(y)[y] - 1
    if not count.any():
        return
    r = retrieval(index, y, y, ks=ks, leave_one_out=True, out_of=out_of)
    assert r.query_Q.tolist() == [i for i in range(rows) if count[i]]
    assert r.left_out == sum(count == 0)
    for place, query in enumerate(r.query_Q):
        relevant = [y[i] == y[query] for i in index[query]]
        assert r.precision_Q[place] == pytest.approx(slow_precision(relevant, count[query], out_of), rel=1e-12)
        assert r.hit_KQ[:, place].tolist() == [any(relevant[:k]) for k in ks]
        assert r.share_KQ[:, place] == pytest.approx([sum(relevant[:k]) / count[query] for k in ks], rel=1e-12)


def test_by_hand():
    """Query of class 0 with three relevant rows; the list of four holds two of them, at places 2 and 3."""
    y, index = np.array([1, 0, 0, 1, 0]), np.array([[0, 1, 2, 3]])
    expected = {"possible": (1 / 2 + 2 / 3) / 3, "relevant": (1 / 2 + 2 / 3) / 3, "found": (1 / 2 + 2 / 3) / 2}
    for out_of, value in expected.items():
        r = retrieval(index, y, np.array([0]), ks=(1, 2, 4), out_of=out_of)
        assert r.mean_average_precision == pytest.approx(value)
    assert r.recall_K.tolist() == [0, 1, 1]
    assert r.share_KQ[:, 0].tolist() == pytest.approx([0, 1 / 3, 2 / 3])
    assert retrieval(index[:, :2], y, np.array([0]), ks=(1,)).mean_average_precision == 1 / 4  # of two places, one at 2
    assert retrieval(index[:, :2], y, np.array([0]), ks=(1,), out_of="relevant").mean_average_precision == 1 / 6


def test_queries_without_a_relevant_row_are_left_out_and_counted():
    y = np.array([0, 0, 1])  # class 1 has one image, class 5 none in the gallery
    r = retrieval(np.array([[1, 2], [0, 2], [0, 1]]), y, y, ks=(1,), leave_one_out=True)
    assert (r.left_out, r.query_Q.tolist(), r.recall_K.tolist()) == (1, [0, 1], [1.0])
    r = retrieval(np.array([[1, 2], [0, 2], [0, 1]]), y, np.array([1, 5, 0]), ks=(1,))
    assert (r.left_out, r.query_Q.tolist(), r.relevant_Q.tolist()) == (1, [0, 2], [1, 2])


def test_blocks_of_queries_change_nothing(monkeypatch):
    _, y, _, query_y, index = searched(3, 70, 40, 3, 9, False)
    expected = retrieval(index, y, query_y, ks=(1, 5, 9))
    monkeypatch.setattr(module, "BLOCK_BYTES", 32 * 9 * 7)
    again = retrieval(index, y, query_y, ks=(1, 5, 9))
    np.testing.assert_array_equal(again.precision_Q, expected.precision_Q)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": (3,)}, "numbers from 1 to 2"),
        ({"ks": ()}, "numbers from 1 to 2"),
        ({"index_QK": np.array([[1, 3], [0, 2], [0, 1]])}, "rows from 0 to 2, received 0 to 3"),
        ({"index_QK": np.array([[1, -1], [0, 2], [0, 1]])}, "received -1"),
        ({"query_y_Q": np.array([0, 0])}, "3 labels, one a list"),
        ({"query_y_Q": np.array([1, 0, 0])}, "the gallery's first rows"),
        ({"index_QK": np.array([[0, 1], [0, 2], [0, 1]])}, "exclude_self"),
        ({"gallery_y_N": np.arange(3), "query_y_Q": np.arange(3)}, "Give classes two images"),
        ({"out_of": "all"}, "out_of"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    y = np.array([0, 0, 1])
    good = {"index_QK": np.array([[1, 2], [0, 2], [0, 1]]), "gallery_y_N": y, "query_y_Q": y, "ks": (1, 2)}
    with pytest.raises(ArgumentError, match=message):
        inspect.unwrap(retrieval)(**{**good, "leave_one_out": True, **change})
