"""Calibration against scikit-learn, torchmetrics and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from relic_eval.errors import ArgumentError
from relic_eval.metrics.calibration import ece, nll, reliability


def drawn(seed, n=300, classes=7, kind="f8"):
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 3, (n, classes)).astype(kind)
    p = np.exp(logit.astype("f8"))
    return rng.integers(0, classes, n), logit, (p / p.sum(1, keepdims=True)).astype(kind)


@pytest.mark.parametrize(("kind", "close"), [("f8", 1e-9), ("f4", 1e-5), ("f2", 2e-2)])
def test_nll_is_scikit_learns(kind, close):
    true, logit, p = drawn(0, kind=kind)
    clear = np.exp(logit.astype("f8"))
    expected = log_loss(true, clear / clear.sum(1, keepdims=True), labels=np.arange(7))
    assert nll(true, logit, logits=True) == pytest.approx(expected, rel=1e-9)
    if kind != "f2":  # in float16 the smallest probabilities are 0
        assert nll(true, p) == pytest.approx(expected, rel=close)


def test_nll_of_what_was_excluded_is_infinite():
    true, p = np.array([0, 1]), np.array([[0.5, 0.5], [1.0, 0.0]])
    assert nll(true, p) == np.inf
    assert nll(true, np.array([[0.0, 0.0], [1000.0, 0.0]]), logits=True) == pytest.approx((np.log(2) + 1000) / 2)
    assert nll(true + 0, np.eye(2)) == 0


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_ece_is_torchmetrics(bins, kind):
    true, _, p = drawn(1, n=2000, kind=kind)
    expected = multiclass_calibration_error(torch.from_numpy(p), torch.from_numpy(true), 7, n_bins=bins, norm="l1")
    assert ece(true, p, bins) == pytest.approx(float(expected), rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_bins_equal_a_slow_loop(data):
    """Confidences on the edges too: they belong to the bin below."""
    n, bins = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 16))
    kind = data.draw(st.sampled_from(["f8", "f4", ">f8"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    top = rng.integers(bins // 2 + 1, bins + 1, n) / bins
    p = np.stack([top, 1 - top], 1).astype(kind)
    true, edge = rng.integers(0, 2, n), np.linspace(0, 1, bins + 1).astype(kind)
    found, error = reliability(true, p, bins), 0.0
    for b in range(bins):
        there = [i for i in range(n) if edge[b] < max(p[i]) <= edge[b + 1]]
        assert found.count_B[b] == len(there)
        if there:
            right, sure = np.mean([p[i].argmax() == true[i] for i in there]), np.mean([float(max(p[i])) for i in there])
            assert found.accuracy_B[b] == pytest.approx(right)
            assert found.confidence_B[b] == pytest.approx(sure, rel=1e-6)
            error += len(there) / n * abs(right - sure)
        else:
            assert np.isnan(found.accuracy_B[b])
    assert found.ece == pytest.approx(error, abs=1e-6)
    order = rng.permutation(n)
    assert ece(true[order], p[order], bins) == pytest.approx(found.ece, abs=1e-12)


def test_ece_by_hand():
    """Four images at 0.9 of which three are right, one at 0.6 that is wrong: 0.8 * 0.15 + 0.2 * 0.6."""
    p = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]])
    assert ece(np.array([0, 0, 0, 1, 0]), p) == pytest.approx(0.24)


def test_a_calibrated_model_has_little_error():
    _, _, p = drawn(2, n=20_000)
    true = (p.cumsum(1) < np.random.default_rng(0).random((len(p), 1))).sum(1)
    assert ece(true, p) < 0.015
    assert ece((true + 1) % 7, p) > 0.3


@pytest.mark.parametrize(
    ("p", "match"),
    [
        (np.array([[0.5, 0.6]]), "1 others \\(the first is row 0\\)"),
        (np.array([[1.5, -0.5]]), "softmax"),
        (np.array([[np.nan, 1.0]]), "NaN or infinity"),
        (np.zeros((0, 2)), "at least one row"),
    ],
)
def test_what_is_no_probability(p, match):
    for measure in (nll, ece):
        with pytest.raises(ArgumentError, match=match):
            measure(np.zeros(len(p), int), p)
    with pytest.raises(ArgumentError, match="classes below 2"):
        nll(np.array([2]), np.array([[0.5, 0.5]]))
    with pytest.raises(ArgumentError, match="bins"):
        ece(np.array([0]), np.array([[0.5, 0.5]]), 0)
