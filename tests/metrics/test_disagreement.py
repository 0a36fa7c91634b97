"""Who is right where the other is wrong: counts by hand, intervals that cover, kappa as scikit-learn has it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from relic_eval.errors import ArgumentError
from relic_eval.metrics.disagreement import error_consistency, outcomes, paired_difference


def test_counts_by_group_and_draw_by_hand():
    a = np.array([[1, 1, 0, 0], [1, 0, 0, 0]])
    b = np.array([[1, 0, 1, 0], [1, 0, 1, 1]])
    found = outcomes(a, b, np.array([0, 0, 1, 1]), 3)
    assert found.both_G.tolist() == [1, 0, 0]
    assert found.first_G.tolist() == [0.5, 0, 0]
    assert found.second_G.tolist() == [0, 1.5, 0]
    assert found.neither_G.tolist() == [0.5, 0.5, 0]
    assert found.images_G.tolist() == [2, 2, 0]
    with pytest.raises(ArgumentError, match="right"):
        outcomes(a * 0.5, b)
    with pytest.raises(ArgumentError, match="like first_TN"):
        outcomes(a, b[:1])
    with pytest.raises(ArgumentError, match="group numbers below 2"):
        outcomes(a, b, np.array([0, 0, 1, 2]), 2)


def test_kappa_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    a = rng.random((1, 500)) < 0.8
    b = np.where(rng.random((1, 500)) < 0.6, a, rng.random((1, 500)) < 0.6)
    assert error_consistency(a, b) == pytest.approx(cohen_kappa_score(a[0], b[0]), abs=1e-12)
    two = np.concatenate([a, b]), np.concatenate([b, a[:, ::-1]])
    each = [cohen_kappa_score(x, y) for x, y in zip(*two, strict=True)]
    assert error_consistency(*two) == pytest.approx(np.mean(each), abs=1e-12)
    assert math.isnan(error_consistency(np.ones((1, 3)), np.ones((1, 3))))


# Newcombe 1998, Statistics in Medicine 17, table II: the same counts with method 10's ends beside them
def test_the_interval_of_a_pair_worked_through_in_full():
    both, first, second, neither = 20, 12, 2, 16
    n = 50
    z = 1.959963984540054

    def ends(right):
        p = right / n
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        return middle - half, middle + half

    (l2, u2), (l3, u3) = ends(32), ends(22)
    phi = max(20 * 16 - 12 * 2 - n / 2, 0) / math.sqrt(32 * 18 * 22 * 28)
    down = math.sqrt((0.64 - l2) ** 2 - 2 * phi * (0.64 - l2) * (u3 - 0.44) + (u3 - 0.44) ** 2)
    up = math.sqrt((u2 - 0.64) ** 2 - 2 * phi * (u2 - 0.64) * (0.44 - l3) + (0.44 - l3) ** 2)
    assert paired_difference(both, first, second, neither) == pytest.approx((0.2, 0.2 - down, 0.2 + up), abs=1e-12)
    swapped = paired_difference(both, second, first, neither)
    assert swapped == pytest.approx((-0.2, -0.2 - up, -0.2 + down), abs=1e-12)


def test_the_interval_covers_and_has_a_width_at_the_ends():
    rng, hit, true = np.random.default_rng(0), 0, (0.6, 0.15, 0.05, 0.2)
    draws = rng.multinomial(80, true, 2000)
    for counts in draws:
        _, low, high = paired_difference(*counts.tolist())
        hit += low <= 0.1 <= high
    assert 0.93 <= hit / 2000 <= 0.985
    value, low, high = paired_difference(10, 0, 0, 0)
    assert (value, low < 0 < high) == (0, True)
    value, low, high = paired_difference(0, 5, 0, 0)
    assert value == 1
    assert 0.3 < low < high <= 1
    for bad in ((0, 0, 0, 0), (1, -1, 1, 1)):
        with pytest.raises(ArgumentError, match="at least one image"):
            paired_difference(*bad)
