"""Intervals against SciPy and slow loops, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from relic_eval.metrics.statistics import holm, interval, paired_bootstrap, resample_counts, two_sided_p, wilson


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (8, 10), (517, 1000), (9999, 10_000)])
def test_wilson_is_scipys(right, n):
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_takes_fractions_between_its_neighbours():
    low, high = wilson(7.5, 10)
    assert wilson(7, 10)[0] < low < wilson(8, 10)[0]
    assert wilson(7, 10)[1] < high < wilson(8, 10)[1]


@pytest.mark.parametrize("seed", [0, 7])
def test_each_stratum_keeps_its_size(seed):
    strata = np.random.default_rng(seed).permutation(np.repeat([3, 0, 9], [7, 5, 6]))
    counts = np.concatenate(list(resample_counts(strata, 500, seed)))
    assert counts.shape == (500, 18)
    np.testing.assert_array_equal(counts, counts.round())
    for s, size in ((0, 5), (3, 7), (9, 6)):
        np.testing.assert_array_equal(counts[:, strata == s].sum(1), size)
    # each image of a stratum is drawn once a sample on average
    np.testing.assert_allclose(counts.mean(0), 1, atol=0.2)
    assert len(np.unique(counts[:, strata == 3], axis=0)) > 20


def test_several_blocks_of_draws():
    blocks = list(resample_counts(np.zeros(60_000, int), 200, 0))
    assert len(blocks) > 1
    assert sum(map(len, blocks)) == 200
    assert all((c.sum(1, dtype=float) == 60_000).all() for c in blocks)
    assert not np.array_equal(blocks[0][0], blocks[1][0])


def slow_bootstrap(values_MTN, strata_N, draws, seed):
    models, trains, n = values_MTN.shape
    weight_BN = np.concatenate(list(resample_counts(strata_N, draws, seed))).astype(float) / n
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
    values = rng.random((models, trains, 15))
    values = values > 0.4 if kind is bool else values
    strata = np.arange(15) % 3
    found = paired_bootstrap(values, strata, draws=25, seed=3)
    np.testing.assert_allclose(found, slow_bootstrap(values, strata, 25, 3), atol=1e-12)


def test_models_are_resampled_together():
    values = np.random.default_rng(0).random((1, 1, 40))
    both = paired_bootstrap(np.concatenate([values, values + 0.25]), np.zeros(40, int), draws=200)
    np.testing.assert_allclose(both[1] - both[0], 0.25, atol=1e-12)
    assert both[0].std() > 0.01


def test_strata_take_their_spread_out():
    values = np.repeat([0.0, 1.0], 20)[None, None]
    assert paired_bootstrap(values, np.repeat([0, 1], 20), draws=100).std() < 1e-6
    assert paired_bootstrap(values, np.zeros(40, int), draws=100).std() > 0.03


def covered(values, truth, strata, seed):
    low, high = interval(paired_bootstrap(values, strata, draws=400, seed=seed)[0])
    return bool(low <= truth <= high)


def test_coverage_over_images():
    rng, strata = np.random.default_rng(0), np.repeat([0, 1], 40)
    hits = [covered((strata + rng.normal(0, 1, 80))[None, None], 0.5, strata, seed) for seed in range(500)]
    assert 0.90 <= np.mean(hits) <= 0.99


def test_coverage_over_training_draws_and_images():
    rng, strata = np.random.default_rng(1), np.zeros(60, int)
    hits = []
    for seed in range(400):
        values = rng.normal(0, 0.2, (1, 25, 1)) + rng.normal(0, 0.3, (1, 1, 60)) + rng.normal(0, 0.3, (1, 25, 60))
        hits.append(covered(values, 0.0, strata, seed))
    assert 0.90 <= np.mean(hits) <= 0.99


def test_interval_takes_the_last_axis():
    low, high = interval(np.stack([np.arange(101.0), np.arange(101.0) + 7]))
    np.testing.assert_allclose(low, [2.5, 9.5])
    np.testing.assert_allclose(high, [97.5, 104.5])


@pytest.mark.parametrize("trains", [1, 7])
def test_a_perfect_score_stays_one(trains):
    samples = paired_bootstrap(np.ones((1, trains, 37), bool), np.arange(37) % 3, draws=50)
    assert (samples == 1).all()


@pytest.mark.parametrize("a_class", [1, 2, 5])
def test_two_equal_models_on_small_classes_seldom_differ(a_class):
    """With a stratum an image nothing would vary, and every difference would be sure."""
    rng, y, sure = np.random.default_rng(0), np.repeat(np.arange(30), a_class), []
    for seed in range(200):
        samples = paired_bootstrap(rng.random((2, 1, len(y))) < 0.6, y, draws=300, seed=seed)
        low, high = interval(samples[0] - samples[1])
        sure.append(low > 0 or high < 0)
    assert np.mean(sure) < 0.11


def test_chance_is_uniform_where_nothing_differs():
    rng, chances = np.random.default_rng(0), []
    for seed in range(400):
        values = rng.normal(size=(1, 1, 50))
        chances.append(two_sided_p(values.mean(), paired_bootstrap(values, np.zeros(50, int), draws=300, seed=seed)[0]))
    assert 0.02 <= np.mean(np.array(chances) < 0.05) <= 0.09
    assert 0.4 <= np.mean(chances) <= 0.6
    assert two_sided_p(0.0, np.zeros(3)) == 1
    assert two_sided_p(0.1, np.full(3, 0.1)) == 0


def test_holm_by_hand():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert holm(p).tolist() == [True, False, False, True]  # 0.005 < 0.05/4, 0.01 < 0.05/3, 0.03 > 0.05/2 ends it
    assert holm(p, level=0.2).all()
    assert holm(np.zeros(0)).shape == (0,)
