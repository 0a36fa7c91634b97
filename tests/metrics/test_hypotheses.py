"""p values against SciPy, statsmodels and sums over all outcomes; how many images would tell, against simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import wilcoxon as scipys
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from relic_eval.errors import ArgumentError
from relic_eval.metrics.hypotheses import (
    holm,
    images_to_separate,
    mcnemar,
    mcnemar_pairs,
    paired_p,
    two_sided_p,
    wilcoxon,
)


def test_chance_is_that_of_a_normal():
    samples = np.random.default_rng(0).normal(0.3, 2, 500)
    assert two_sided_p(-1.7, samples) == pytest.approx(2 * norm.sf(1.7 / samples.std()), rel=1e-12)
    assert two_sided_p(0.0, np.zeros(3)) == 1
    assert two_sided_p(0.1, np.full(3, 0.1)) == 0


def test_chances_of_all_pairs():
    rng = np.random.default_rng(0)
    value, sample = rng.random(4), rng.random((4, 50))
    p = paired_p(value, sample)
    np.testing.assert_array_equal(p, p.T)
    assert (np.diag(p) == 1).all()
    assert p[1, 3] == two_sided_p(value[3] - value[1], sample[3] - sample[1])


def slow_mid_p(first, second):
    """Over all ways in which the images on which they differ may fall: those further off, and half of those as far."""
    n = first + second
    off = [abs(2 * sum(way) - n) for way in itertools.product((0, 1), repeat=n)]
    seen = abs(first - second)
    return np.mean([o > seen for o in off]) + np.mean([o == seen for o in off]) / 2


@pytest.mark.parametrize(("first", "second"), [(1, 0), (5, 5), (0, 9), (3, 8), (12, 2), (7, 6)])
def test_mcnemar_is_a_sum_over_all_outcomes(first, second):
    assert mcnemar(np.array([first]), np.array([second]))[0] == pytest.approx(slow_mid_p(first, second), rel=1e-12)


def test_mcnemar_is_statsmodels_less_half_of_both_ends():
    from scipy.stats import binom

    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 400, (2, 60))
    second += first == second
    expected = [statsmodels_mcnemar([[9, a], [b, 9]], exact=True).pvalue for a, b in zip(first, second, strict=True)]
    expected -= binom.pmf(np.minimum(first, second), first + second, 0.5)
    np.testing.assert_allclose(mcnemar(first, second), expected, rtol=1e-9, atol=1e-300)
    np.testing.assert_array_equal(mcnemar(first, second), mcnemar(second, first))


def test_mcnemar_of_published_figures():
    """Fagerland et al. 2013, table 1: 1 and 7 children changed; exact 0.070, mid-p 0.039."""
    assert mcnemar(np.array([1]), np.array([7]))[0] == pytest.approx(0.039, abs=5e-4)


def test_mcnemar_takes_small_integers():
    first, second = np.array([200, 3], np.uint8), np.array([250, 90], np.uint8)
    np.testing.assert_array_equal(mcnemar(first, second), mcnemar(first.astype(int), second.astype(float)))


def test_mcnemar_pairs_counts_by_itself():
    right = np.random.default_rng(0).random((5, 300)) < np.linspace(0.5, 0.9, 5)[:, None]
    p = mcnemar_pairs(right)
    for i, j in itertools.permutations(range(5), 2):
        only = (right[i] & ~right[j]).sum(keepdims=True), (right[j] & ~right[i]).sum(keepdims=True)
        assert p[i, j] == mcnemar(*only)[0]
    assert (np.diag(p) == 1).all()
    order = np.array([3, 1, 0, 4, 2])
    np.testing.assert_array_equal(mcnemar_pairs(right[order]), p[np.ix_(order, order)])


def test_mcnemar_keeps_its_level():
    rng = np.random.default_rng(0)
    first = rng.binomial(60, 0.5, 20_000)
    assert 0.03 <= (mcnemar(first, 60 - first) < 0.05).mean() <= 0.055


@pytest.mark.parametrize("bad", [np.array([[0.5, 1.0]]), np.zeros((2, 0)), np.array([[np.nan, 1.0]])])
def test_mcnemar_pairs_wants_right_or_wrong(bad):
    with pytest.raises(ArgumentError, match="right \\(1\\) or wrong"):
        mcnemar_pairs(bad)


def test_mcnemar_wants_counts():
    with pytest.raises(ArgumentError, match="second: expected counts"):
        mcnemar(np.array([1]), np.array([-1]))
    for bad in (0.5, np.inf, np.nan):
        with pytest.raises(ArgumentError, match="first: expected counts"):
            mcnemar(np.array([bad]), np.array([1.0]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_wilcoxon_is_a_sum_over_all_signs(difference):
    """With ties and zeros; SciPy's exact p for these is a sum over all signs too."""
    from scipy.stats import rankdata

    left = np.array([d for d in difference if d], float)
    if not len(left):
        assert wilcoxon(np.array(difference, float)) == 1
        return
    rank = rankdata(abs(left))
    ways = np.array([rank @ np.array(s) for s in itertools.product((0, 1), repeat=len(left))])
    seen, middle = rank @ (left > 0), rank.sum() / 2
    expected = np.mean(abs(ways - middle) >= abs(seen - middle) - 1e-9)
    assert wilcoxon(np.array(difference, float)) == pytest.approx(expected, rel=1e-9)


def test_wilcoxon_with_ties_of_more_tasks_than_scipy_counts():
    """All 2^16 signs of ranks that are tied, and the last number that is counted beside the first that is not."""
    from scipy.stats import rankdata

    rng = np.random.default_rng(1)
    difference = rng.integers(1, 5, 16) * rng.choice([-1, 1], 16, p=[0.3, 0.7])
    rank = rankdata(abs(difference))
    ways = (np.arange(2**16)[:, None] >> np.arange(16) & 1) @ rank
    seen, middle = rank @ (difference > 0), rank.sum() / 2
    assert wilcoxon(difference.astype(float)) == pytest.approx((abs(ways - middle) >= abs(seen - middle) - 1e-9).mean())
    many = rng.normal(0.3, 1, 51)
    assert wilcoxon(many[:50]) == pytest.approx(scipys(many[:50], method="exact").pvalue, rel=1e-9)
    assert wilcoxon(many) == pytest.approx(scipys(many, method="approx").pvalue, rel=1e-9)


def test_wilcoxon_of_many_tasks():
    difference = np.random.default_rng(0).normal(0.2, 1, 80)
    assert wilcoxon(difference) == pytest.approx(scipys(difference).pvalue, rel=1e-9)
    assert wilcoxon(difference) == wilcoxon(-difference[::-1])
    with pytest.raises(ArgumentError, match="finite"):
        wilcoxon(np.array([1.0, np.nan]))


def test_holm_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert holm(p).tolist() == [True, False, False, True]  # 0.005 < 0.05/4, 0.01 < 0.05/3, 0.03 > 0.05/2 ends it
    assert holm(p, level=0.2).all()
    assert holm(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_holm_is_statsmodels(seed):
    p = np.random.default_rng(seed).random(20) ** 6
    np.testing.assert_array_equal(holm(p), multipletests(p, 0.05, method="holm")[0])


@pytest.mark.parametrize(("power", "z"), [(0.8, 1.959964 + 0.841621), (0.5, 1.959964), (0.9, 1.959964 + 1.281552)])
def test_images_by_hand(power, z):
    assert images_to_separate(-0.02, 0.4, 1000, power=power) == pytest.approx((z * 20) ** 2 - 1000, abs=1)
    assert images_to_separate(0.02, 0.4, 5000, power=power) == 0
    assert images_to_separate(0.0, 0.4, 1000, power=power) is None
    assert images_to_separate(0.02, 0.0, 1000, power=power) == 0
    assert images_to_separate(0.02, 0.4, 1000, level=0.01) > images_to_separate(0.02, 0.4, 1000)


@pytest.mark.parametrize(("power", "expected"), [(0.8, 0.8), (0.5, 0.5)])
def test_so_many_images_tell_with_that_chance(power, expected):
    """Only one of two models right on 12%, only the other on 9% of the images: new tests of that size."""
    d, spread = 0.03, (0.21 - 0.03**2) ** 0.5
    n = 300 + images_to_separate(d, spread, 300, power=power)
    one, other, _ = np.random.default_rng(0).multinomial(n, [0.12, 0.09, 0.79], 20_000).T
    found = (one - other) / n
    margin = 1.96 * np.sqrt(((one + other) / n - found**2) / n)
    assert np.mean(found > margin) == pytest.approx(expected, abs=0.015)


def test_so_many_more_images_tell_at_least_that_often():
    """Right on 12% and on 9%, as on the 300 that are there: the others drawn anew, the 300 kept."""
    d, n = 0.03, 300
    more = images_to_separate(d, (0.21 - d**2) ** 0.5, n)
    one, other, _ = np.random.default_rng(0).multinomial(more, [0.12, 0.09, 0.79], 20_000).T
    one, other = one + 36, other + 27
    found = (one - other) / (n + more)
    margin = 1.96 * np.sqrt(((one + other) / (n + more) - found**2) / (n + more))
    assert 0.8 < np.mean(found > margin) < 0.9


@pytest.mark.parametrize(
    "bad",
    [{"n": 0}, {"spread": -1.0}, {"level": 0.0}, {"power": 0.2}, {"difference": float("nan")}, {"spread": np.inf}],
)
def test_images_of_bad_input(bad):
    given_ = {"difference": 0.1, "spread": 1.0, "n": 10, **bad}
    keywords = {k: given_.pop(k) for k in ("level", "power") if k in given_}
    with pytest.raises(ArgumentError):
        images_to_separate(given_["difference"], given_["spread"], given_["n"], **keywords)
