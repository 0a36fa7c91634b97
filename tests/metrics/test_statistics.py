"""Intervals against SciPy and statsmodels, and how often they cover."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from scipy.stats import binom, binomtest, ttest_1samp
from statsmodels.stats.proportion import proportion_confint

from relic_eval.arrays import labels
from relic_eval.errors import ArgumentError
from relic_eval.metrics import bootstrap, hypotheses, ranks, votes
from relic_eval.metrics.statistics import interval, t_interval, wilson
from relic_eval.probes import logistic


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (8, 10), (517, 1000), (9999, 10_000)])
def test_wilson_is_scipys(right, n):
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson(right, n) == pytest.approx(proportion_confint(right, n, method="wilson"), abs=1e-12)


def test_wilson_takes_fractions_between_its_neighbours():
    low, high = wilson(7.5, 10)
    assert wilson(7, 10)[0] < low < wilson(8, 10)[0]
    assert wilson(7, 10)[1] < high < wilson(8, 10)[1]


@pytest.mark.parametrize(("right", "n"), [(1, 0), (11, 10), (-1, 10), (float("nan"), 10)])
def test_wilson_refuses_what_is_no_share(right, n):
    with pytest.raises(ArgumentError, match="right answers"):
        wilson(right, n)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_wilson_covers(n):
    """Not simulated: the coverage is summed over all outcomes."""
    low, high = np.array([wilson(right, n) for right in range(n + 1)]).T
    share = np.linspace(0.05, 0.95, 19)
    chance = [binom.pmf(np.arange(n + 1), n, p)[(low <= p) & (p <= high)].sum() for p in share]
    assert min(chance) > 0.93
    assert max(chance) < 0.97
    assert np.mean(chance) == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize("n", [20, 100, 10_000])
def test_wilson_near_0_and_1(n):
    low, high = np.array([wilson(right, n) for right in range(n + 1)]).T
    share = np.linspace(1, 5, 200) / n
    chance = [binom.pmf(np.arange(n + 1), n, p)[(low <= p) & (p <= high)].sum() for p in share]
    assert min(chance) > 0.9155
    assert max(chance) < 0.9855
    for right in range(n + 1):
        assert wilson(n - right, n) == pytest.approx((1 - high[right], 1 - low[right]), abs=1e-12)


def test_wilson_ends_at_0_and_1():
    """Rounding would end some of them a little inside."""
    assert all((wilson(0, n)[0], wilson(n, n)[1]) == (0, 1) for n in range(1, 300))


def test_interval_takes_the_last_axis():
    low, high = interval(np.stack([np.arange(101.0), np.arange(101.0) + 7]))
    np.testing.assert_allclose(low, [2.5, 9.5])
    np.testing.assert_allclose(high, [97.5, 104.5])


def test_t_interval_is_scipys():
    values_MT = np.random.default_rng(0).normal(3, 2, (4, 11))
    low, high = t_interval(values_MT)
    expected = ttest_1samp(values_MT, 0, axis=1).confidence_interval(0.95)
    np.testing.assert_allclose([low, high], [expected.low, expected.high], rtol=1e-9)
    with pytest.raises(ArgumentError, match="at least two tasks"):
        t_interval(np.ones(1))
    with pytest.raises(ArgumentError, match="NaN"):
        t_interval(np.array([1.0, np.nan]))


def test_t_interval_covers_over_eleven_tasks():
    low, high = t_interval(np.random.default_rng(0).normal(0, 1, (20_000, 11)))
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.95, abs=0.006)


RIGHT = np.array([1, 0, 1])


def given(function, *args, **more):
    """As outside of these tests, where nothing checks annotations before the function does."""
    return inspect.unwrap(function)(*args, **more)


@pytest.mark.parametrize(
    "work",
    [
        lambda: given(hypotheses.holm, [5.0, -1.0]),
        lambda: given(hypotheses.holm, np.array([np.nan, 0.01])),
        lambda: given(hypotheses.holm, np.ones((2, 2))),
        lambda: given(hypotheses.mcnemar_pairs, RIGHT),
        lambda: given(hypotheses.wilcoxon, np.ones((2, 2))),
        lambda: given(ranks.certainly_better, [0.5, 0.4], np.ones((3, 3))),
        lambda: given(ranks.borda, np.ones(3)),
        lambda: given(bootstrap.paired_bootstrap, np.ones((2, 3)), RIGHT),
        lambda: given(bootstrap.paired_class_bootstrap, np.ones(3), RIGHT),
        lambda: given(votes.vote, np.array([["a", "b"]]), None, [1], 2),
        lambda: given(votes.vote, np.array([[0, 1]]), None, 1, 2),
        lambda: given(labels, "y_N", np.array([1, np.inf])),
        lambda: given(labels, "y_N", np.array([1, 2**64 - 1], np.uint64)),
        lambda: given(logistic.fit_path, np.ones((3, 1)), RIGHT, tol=0),
    ],
)
def test_what_is_no_such_array_is_refused(work):
    with pytest.raises(ArgumentError, match=r"expected .* received"):
        work()


def test_lists_are_taken():
    assert given(hypotheses.holm, [0.1, 0.01]).tolist() == [False, True]
    assert given(ranks.ranks, [2.0, 1.0], [[1, 0.01], [0.01, 1]]).first_M.tolist() == [1, 2]
    assert given(t_interval, [1.0, 2.0, 3.0]) == t_interval(np.array([1.0, 2.0, 3.0]))
    assert given(bootstrap.paired_bootstrap, [[[1, 1, 1]]], [0, 0, 0], draws=2).tolist() == [[1.0, 1.0]]
