"""Resamples against slow loops and the multinomial law, and how often their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chisquare
from threadpoolctl import threadpool_limits

from relic_eval.errors import ArgumentError
from relic_eval.metrics import bootstrap
from relic_eval.metrics.bootstrap import paired_bootstrap, paired_class_bootstrap, resampled
from relic_eval.metrics.hypotheses import two_sided_p
from relic_eval.metrics.statistics import interval


def counts(strata, draws, seed=0):
    return resampled(lambda count_BN: count_BN.T, np.asarray(strata), draws=draws, seed=seed).T


@pytest.mark.parametrize("seed", [0, 7])
def test_each_stratum_keeps_its_size(seed):
    strata = np.random.default_rng(seed).permutation(np.repeat([3, 0, 9, 4], [17, 10, 26, 17]))
    count = counts(strata, 500, seed)
    assert count.shape == (500, 70)
    np.testing.assert_array_equal(count, count.round())
    for s, size in ((0, 10), (3, 17), (4, 17), (9, 26)):
        np.testing.assert_array_equal(count[:, strata == s].sum(1), size)
    np.testing.assert_allclose(count.mean(0), 1, atol=0.25)
    assert len(np.unique(count[:, strata == 3], axis=0)) > 400


def test_a_stratum_of_fewer_than_ten_is_resampled_with_the_others():
    for few, apart in ((9, False), (10, True)):
        size = counts(np.repeat([0, 1], [few, 30]), 50)[:, :few].sum(1)
        assert (len(np.unique(size)) == 1) == apart


def test_counts_are_multinomial_within_and_independent_between_strata():
    """Means, variances and covariances of the law, and the whole law of one count and of the sum of two."""
    strata = np.array([1, 0] * 10 + [1] * 2)  # 10 and 12 images
    count = counts(strata, 60_000).astype(float)
    one, other = np.flatnonzero(strata == 0)[:2]
    for got, places, share in ((count[:, one], 1, 0.1), (count[:, one] + count[:, other], 2, 0.2)):
        law = binom.pmf(np.arange(11), 10, share)
        cells = np.minimum(got, 4 + places).astype(int)
        expected = np.append(law[: 4 + places], law[4 + places :].sum()) * len(count)
        assert chisquare(np.bincount(cells, minlength=len(expected)), expected).pvalue > 1e-3
    expected = np.where(strata[:, None] == strata, -1 / np.bincount(strata)[strata], 0.0) + np.eye(len(strata))
    np.testing.assert_allclose(np.cov(count.T), expected, atol=0.03)


def test_several_blocks_of_draws():
    sizes, strata = [], np.zeros(60_000, int)
    resampled(lambda count_BN: sizes.append(len(count_BN)) or count_BN[:, 0], strata, draws=50)
    assert len(sizes) > 1
    count = counts(strata, 50)
    assert len(count) == sum(sizes) == 50
    assert (count.sum(1, dtype=float) == 60_000).all()
    assert len(np.unique(count, axis=0)) == 50


def test_a_stratum_of_more_than_16_bits():
    count = counts(np.zeros(70_001, int), 3)
    assert (count.sum(1, dtype=float) == 70_001).all()
    assert (count[:, 65_536:] > 0).mean() == pytest.approx(1 - np.exp(-1), abs=0.02)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_numbers_do_not_depend_on_threads(monkeypatch, threads):
    values = np.random.default_rng(0).random((3, 1, 50)) > 0.4
    monkeypatch.setattr(bootstrap, "BLOCK", 50 * 7)
    before = paired_bootstrap(values, np.arange(50) % 4, draws=100, seed=5)
    monkeypatch.setattr(bootstrap, "THREADS", threads)
    np.testing.assert_array_equal(paired_bootstrap(values, np.arange(50) % 4, draws=100, seed=5), before)
    assert not np.array_equal(paired_bootstrap(values, np.arange(50) % 4, draws=100, seed=6), before)
    assert counts(np.zeros(50, int), 100).sum() == 5000


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("scale", [1e-310, 1e-6, 1, 1e6, 1e290])
def test_fractions_do_not_depend_on_the_threads_of_blas(models, scale):
    """It adds up in another order for another number of threads."""
    rng = np.random.default_rng(0)
    values, strata = (rng.random((models, 1, 3000)) - 0.3) * scale, rng.integers(0, 5, 3000)
    with threadpool_limits(1, user_api="blas"):
        one = paired_bootstrap(values, strata, draws=200)
        classes = paired_class_bootstrap(values[:, 0], strata, draws=200)
    with threadpool_limits(2, user_api="blas"):
        np.testing.assert_array_equal(paired_bootstrap(values, strata, draws=200), one)
        np.testing.assert_array_equal(paired_class_bootstrap(values[:, 0], strata, draws=200), classes)
    np.testing.assert_allclose(one, values[:, 0] @ counts(strata, 200).T / 3000, rtol=1e-11, atol=1e-12 * scale)


def test_a_failure_in_a_thread_is_not_lost(monkeypatch):
    monkeypatch.setattr(bootstrap, "BLOCK", 1)
    with pytest.raises(ZeroDivisionError):
        resampled(lambda count_BN: 1 // 0, np.zeros(4, int), draws=9)


def slow_bootstrap(values_MTN, strata_N, draws, seed):
    models, trains, n = values_MTN.shape
    weight_BN = counts(strata_N, draws, seed).astype(float) / n
    times_BT = np.random.default_rng([seed, 1]).multinomial(trains, np.full(trains, 1 / trains), draws)
    out = np.zeros((models, draws))
    for m in range(models):
        for b in range(draws):
            for t in range(trains):
                share = times_BT[b, t] / trains if trains > 1 else 1.0
                out[m, b] += share * sum(weight_BN[b, i] * values_MTN[m, t, i] for i in range(n))
    return out


@pytest.mark.parametrize(("models", "trains", "kind"), [(1, 1, float), (3, 1, bool), (2, 4, float), (2, 3, bool)])
def test_equals_a_slow_loop(models, trains, kind):
    rng = np.random.default_rng(models + trains)
    values = rng.random((models, trains, 36))
    values = values > 0.4 if kind is bool else values
    strata = rng.permutation(np.repeat([0, 1, 2], [10, 12, 14]))
    found = paired_bootstrap(values, strata, draws=25, seed=3)
    np.testing.assert_allclose(found, slow_bootstrap(values, strata, 25, 3), rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_type_of_values_gives_the_same(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    kind = data.draw(st.sampled_from(["b", "u1", "i8", ">i4", "f2", ">f4", "f8", "?"]))
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=4))
    strata = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    values = rng.integers(0 if kind in ("u1", "?") else -128, 2 if kind == "?" else 127, (2, 1, len(strata)))
    values = values.astype(kind)[..., ::-1]
    values.setflags(write=False)
    found = paired_bootstrap(values, strata, draws=20)
    np.testing.assert_allclose(found, values[:, 0].astype(float) @ counts(strata, 20).T / len(strata), atol=1e-10)


def test_large_whole_numbers_are_summed_in_float64():
    values = np.full((1, 1, 40), (1 << 24) + 1)
    assert (paired_bootstrap(values, np.zeros(40, int), draws=9) == (1 << 24) + 1).all()


def slow_class_means(values_MN, y_N, count_BN):
    out = np.empty((len(values_MN), len(count_BN)))
    for b, count_N in enumerate(count_BN):
        rows = np.repeat(np.arange(len(y_N)), count_N.astype(int))
        for m, value_N in enumerate(values_MN):
            out[m, b] = np.mean([value_N[rows[y_N[rows] == c]].mean() for c in np.unique(y_N[rows])])
    return out


@pytest.mark.parametrize("sizes", [(10, 15, 31), (1, 3, 20), (40,), (12, 12)])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("kind", [bool, float])
def test_class_means_equal_a_slow_loop(sizes, cut, kind):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))
    values = rng.random((2, len(y)))
    values = values > 0.5 if kind is bool else values
    strata = rng.integers(0, 2, len(y)) if cut else y
    found = paired_class_bootstrap(values, y, strata if cut else None, draws=30, seed=2)
    np.testing.assert_allclose(found, slow_class_means(values, y, counts(strata, 30, 2)), rtol=1e-10)


def test_strata_finer_than_classes_keep_the_classes():
    rng = np.random.default_rng(0)
    strata, values = np.repeat(np.arange(4), 12), rng.random((2, 48))
    y = strata // 2
    found = paired_class_bootstrap(values, y, strata, draws=20)
    np.testing.assert_allclose(found, slow_class_means(values, y, counts(strata, 20)), rtol=1e-10)


def test_a_ratio_on_the_same_weights():
    rng = np.random.default_rng(0)
    top, bottom, strata = rng.random(30), 1 + rng.random(30), rng.permutation(np.repeat([0, 1], 15))
    found = resampled(lambda c_BN: np.stack([c_BN @ top / (c_BN @ bottom)] * 2), strata, draws=40, seed=1)
    expected = [(c * top).sum() / (c * bottom).sum() for c in counts(strata, 40, 1)]
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-6)


def test_models_are_resampled_together():
    values = np.random.default_rng(0).random((1, 1, 40))
    both = paired_bootstrap(np.concatenate([values, values + 0.25]), np.zeros(40, int), draws=200)
    np.testing.assert_allclose(both[1] - both[0], 0.25, atol=1e-12)
    assert both[0].std() > 0.01


def test_strata_take_their_spread_out():
    values = np.repeat([0.0, 1.0], 20)[None, None]
    assert paired_bootstrap(values, np.repeat([0, 1], 20), draws=100).std() < 1e-6
    assert paired_bootstrap(values, np.zeros(40, int), draws=100).std() > 0.03


@pytest.mark.parametrize("trains", [1, 7])
def test_a_perfect_score_stays_one(trains):
    assert (paired_bootstrap(np.ones((1, trains, 37), bool), np.arange(37) % 3, draws=50) == 1).all()
    np.testing.assert_allclose(paired_class_bootstrap(np.ones((1, 60)), np.arange(60) % 3, draws=50), 1, rtol=1e-13)


@pytest.mark.parametrize(
    ("values", "strata", "draws", "match"),
    [
        (np.zeros((1, 1, 0)), np.zeros(0, int), 5, "one model and one image"),
        (np.full((1, 1, 3), np.nan), np.zeros(3, int), 5, "finite"),
        (np.ones((1, 1, 3)), np.zeros(3, int), 0, "draws"),
    ],
)
def test_what_cannot_be_resampled(values, strata, draws, match):
    with pytest.raises(ArgumentError, match=match):
        paired_bootstrap(values, strata, draws=draws)


def test_no_images_have_no_counts():
    with pytest.raises(ArgumentError, match="one stratum for each"):
        resampled(lambda count_BN: count_BN[:, 0], np.zeros(0, int), draws=5)


SIMULATIONS, DRAWS = 4000, 4000


def coverage(truth, samples_SB):
    """Share of simulations whose interval holds the truth; all share the weights, which 4,000 draws make fair enough."""
    low, high = interval(samples_SB)
    return np.mean((low <= truth) & (truth <= high))


def test_coverage_over_images_within_strata():
    rng, strata = np.random.default_rng(0), np.repeat([0, 1, 2, 3], [10, 25, 40, 25])
    values = 3 * strata + rng.normal(0, 1 + strata, (SIMULATIONS, 100))
    truth = np.mean(3 * strata)
    assert 0.93 <= coverage(truth, paired_bootstrap(values[:, None], strata, draws=DRAWS)) <= 0.97


def test_coverage_of_a_paired_difference():
    """Two models that are right on mostly the same images; they differ by 5 points."""
    rng, strata = np.random.default_rng(1), np.repeat(np.arange(8), 25)
    hard = rng.random((SIMULATIONS, 200))
    one, other = hard < 0.75, hard < 0.65
    other |= (hard > 0.75) & (rng.random(hard.shape) < 0.2)
    both = paired_bootstrap(np.concatenate([one, other])[:, None], strata, draws=DRAWS)
    assert 0.93 <= coverage(0.05, both[:SIMULATIONS] - both[SIMULATIONS:]) <= 0.97


def test_coverage_of_the_mean_per_class():
    rng, y = np.random.default_rng(2), np.repeat([0, 1, 2, 3], [20, 40, 60, 120])
    share_C = np.array([0.4, 0.6, 0.7, 0.8])
    right = rng.random((SIMULATIONS, len(y))) < share_C[y]
    assert 0.93 <= coverage(share_C.mean(), paired_class_bootstrap(right, y, draws=DRAWS)) <= 0.97


def test_coverage_over_training_draws_and_images():
    rng, hits = np.random.default_rng(3), []
    for seed in range(20):
        shared, image = rng.normal(0, 0.2, (200, 50, 1)), rng.normal(0, 0.3, (200, 1, 60))
        values = shared + image + rng.normal(0, 0.3, (200, 50, 60))
        hits.append(coverage(0.0, paired_bootstrap(values, np.zeros(60, int), draws=1000, seed=seed)))
    assert 0.93 <= np.mean(hits) <= 0.97


@pytest.mark.parametrize("a_class", [1, 2, 5, 10])
def test_two_equal_models_on_small_classes_seldom_differ(a_class):
    """With a stratum an image nothing would vary, and every difference would be sure."""
    rng, y = np.random.default_rng(0), np.repeat(np.arange(30), a_class)
    right = rng.random((2 * SIMULATIONS, 1, len(y))) < 0.6
    both = paired_bootstrap(right, y, draws=1000)
    assert coverage(0, both[:SIMULATIONS] - both[SIMULATIONS:]) > 0.93


def test_chance_is_uniform_where_nothing_differs():
    values = np.random.default_rng(0).normal(size=(SIMULATIONS, 1, 80))
    samples = paired_bootstrap(values, np.zeros(80, int), draws=1000)
    chances = np.array([two_sided_p(v.mean(), s) for v, s in zip(values, samples, strict=True)])
    assert 0.03 <= np.mean(chances < 0.05) <= 0.07
    assert 0.48 <= np.mean(chances) <= 0.52
