"""Ranks by hand and by a slow loop; views over tasks against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare, gmean

from relic_eval.errors import ArgumentError
from relic_eval.metrics.hypotheses import holm
from relic_eval.metrics.ranks import borda, certainly_better, geometric_change, mean_rank, ranks


def chances(models, rng):
    p = rng.random((models, models)) ** 4
    return np.minimum(p, p.T) + np.eye(models) * (1 - np.diag(p))


@settings(max_examples=40, deadline=None)
@given(models=st.integers(1, 6), seed=st.integers(0, 999))
def test_ranks_equal_a_slow_loop(models, seed):
    rng = np.random.default_rng(seed)
    value, p = rng.integers(0, 4, models) / 4, chances(models, rng)
    pairs = [(i, j) for i in range(models) for j in range(i + 1, models)]
    sure = holm(np.array([p[pair] for pair in pairs]))
    better = {
        (a, b) for (i, j), s in zip(pairs, sure, strict=True) if s for a, b in ((i, j), (j, i)) if value[a] > value[b]
    }
    found, best = ranks(value, p), int(value.argmax())
    for m in range(models):
        assert found.first_M[m] == 1 + sum((o, m) in better for o in range(models))
        assert found.last_M[m] == models - sum((m, o) in better for o in range(models))
        assert found.tied_M[m] == ((best, m) not in better)
        assert found.first_M[m] <= found.last_M[m]


def test_ranks_follow_the_models():
    rng = np.random.default_rng(0)
    value, p, order = rng.random(6), chances(6, rng), rng.permutation(6)
    one, other = ranks(value, p), ranks(value[order], p[np.ix_(order, order)])
    for name in ("first_M", "last_M", "tied_M"):
        np.testing.assert_array_equal(getattr(other, name), getattr(one, name)[order])


def test_nothing_certain_leaves_all_tied():
    found = ranks(np.array([0.1, 0.3, 0.2]), np.ones((3, 3)))
    assert found.first_M.tolist() == [1, 1, 1]
    assert found.last_M.tolist() == [3, 3, 3]
    assert found.tied_M.all()


def test_holm_needs_more_of_many_pairs():
    value, p = np.array([0.3, 0.2, 0.1]), np.full((3, 3), 0.04) + 0.96 * np.eye(3)
    assert not certainly_better(value, p).any()
    assert certainly_better(value[:2], p[:2, :2]).sum() == 1


@pytest.mark.parametrize(
    ("value", "p"),
    [(np.zeros(0), np.ones((0, 0))), (np.array([np.nan]), np.ones((1, 1))), (np.zeros(1), np.full((1, 1), 2.0))],
)
def test_what_cannot_be_ranked(value, p):
    with pytest.raises(ArgumentError, match="from 0 to 1"):
        ranks(value, p)


def test_mean_ranks_are_those_of_friedmans_test():
    value = np.random.default_rng(0).random((4, 11))
    rank = mean_rank(value)
    statistic = 12 * 11 / (4 * 5) * ((rank - 2.5) ** 2).sum()
    assert statistic == pytest.approx(friedmanchisquare(*value).statistic, rel=1e-9)
    with pytest.raises(ArgumentError, match="each model and task"):
        mean_rank(np.array([[1.0, np.nan]]))


@pytest.mark.parametrize("kind", ["u1", "i1", "?", ">f4", "f2"])
def test_mean_ranks_of_any_type(kind):
    """0 is less than 1 in numbers without a negative too."""
    assert mean_rank(np.array([[1, 0, 0], [0, 1, 0]]).astype(kind)).tolist() == [1.5, 1.5]
    assert borda(np.array([[1, 0, 1], [0, 1, 0]]).astype(kind)) == pytest.approx([2, 1])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_borda_counts_beaten_models(seed):
    value = np.random.default_rng(seed).integers(0, 3, (4, 5)) / 2
    expected = [((v > value) + (v == value) / 2).sum() - 2.5 for v in value]  # half a point a task from itself
    np.testing.assert_allclose(borda(value), expected, atol=1e-12)


def test_geometric_change_is_scipys_mean():
    rng = np.random.default_rng(0)
    value, base = 0.2 + rng.random((3, 7)), 0.2 + rng.random(7)
    np.testing.assert_allclose(geometric_change(value, base), 100 * (gmean(value / base, axis=1) - 1), rtol=1e-9)
    with pytest.raises(ArgumentError, match="above 0"):
        geometric_change(value, np.zeros(7))
