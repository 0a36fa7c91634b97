"""Inter over intra distances against slow loops, and where cancellation would show."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.metrics.discriminability import class_distance_sums, discriminability


def distances(x):
    x = np.asarray(x, np.float64)
    return np.stack([np.sqrt(((x - row) ** 2).sum(1)) for row in x])


def slow(x, y):
    """Everything by loops over pairs."""
    d, n, classes = distances(x), len(y), int(y.max()) + 1
    mean_NC, inter_N, intra_N = np.full((n, classes), np.nan), np.full(n, np.nan), np.full(n, np.nan)
    for i in range(n):
        for c in range(classes):
            to = [d[i, j] for j in range(n) if j != i and y[j] == c]
            mean_NC[i, c] = np.mean(to) if to else np.nan
        same = [d[i, j] for j in range(n) if j != i and y[j] == y[i]]
        other = [d[i, j] for j in range(n) if y[j] != y[i]]
        intra_N[i], inter_N[i] = np.mean(same) if same else np.nan, np.mean(other) if other else np.nan

    def ratio(rows):
        same = [d[i, j] for i in rows for j in range(n) if j != i and y[j] == y[i]]
        other = [d[i, j] for i in rows for j in range(n) if y[j] != y[i]]
        return np.mean(other) / np.mean(same) if same and other else np.nan

    ratio_C = np.array([ratio(np.flatnonzero(y == c)) for c in range(classes)])
    return ratio(range(n)), ratio_C, inter_N / intra_N, inter_N, intra_N, mean_NC


FIELDS = ("ratio", "ratio_C", "ratio_N", "inter_N", "intra_N", "mean_NC")


@pytest.mark.parametrize(("rows", "classes", "kind"), [(12, 2, "f8"), (40, 3, "f4"), (60, 9, "f8"), (30, 1, "f8")])
def test_equals_a_slow_loop(rows, classes, kind):
    rng = np.random.default_rng(rows)
    x, y = rng.normal(5, 2, (rows, 6)).astype(kind), rng.integers(0, classes, rows)
    y[0] = classes - 1
    found = discriminability(x, y)
    for name, expected in zip(FIELDS, slow(x, y), strict=True):
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-7, err_msg=name)


def test_singletons_and_absent_classes_are_missing():
    x, y = np.array([[0.0], [1.0], [4.0], [9.0]]), np.array([0, 0, 1, 3])
    found = discriminability(x, y)
    for name, expected in zip(FIELDS, slow(x, y), strict=True):
        np.testing.assert_allclose(getattr(found, name), expected, err_msg=name)
    assert np.isnan(found.ratio_C).tolist() == [False, True, True, True]
    assert np.isnan(found.ratio_N).tolist() == [False, False, True, True]
    alone = discriminability(x, np.arange(4))
    assert np.isnan(alone.ratio)
    assert np.isnan(alone.ratio_N).all()
    assert np.isnan(discriminability(x, np.zeros(4, int)).ratio)


def test_equal_images_of_a_class_have_no_ratio():
    found = discriminability(np.array([[1.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1]))
    assert np.isnan(found.ratio_C).tolist() == [True, False]
    assert found.intra_N[:2].tolist() == [0, 0]


@pytest.mark.parametrize("dims", [1, 4, 64])
def test_narrow_clusters_far_apart(dims):
    rng = np.random.default_rng(dims)
    x = np.concatenate([rng.normal(m, 1e-3, (50, dims)) for m in (1000.0, -1000.0)])
    y, d = np.repeat([0, 1], 50), distances(x)
    own = (y[:, None] == y) & ~np.eye(100, dtype=bool)
    intra_N = (d * own).sum(1) / own.sum(1)
    inter_N = (d * (y[:, None] != y)).sum(1) / 50
    found = discriminability(x, y)
    np.testing.assert_allclose(found.intra_N, intra_N, rtol=1e-3)
    np.testing.assert_allclose(found.inter_N, inter_N, rtol=1e-9)
    np.testing.assert_allclose(found.ratio_N, inter_N / intra_N, rtol=1e-3)
    np.testing.assert_allclose(found.ratio, inter_N.mean() / intra_N.mean(), rtol=1e-3)


def test_several_blocks_of_rows():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3100, 3)), rng.integers(0, 4, 3100)  # more rows than one block holds
    sums = class_distance_sums(x, y)
    for row in (0, 1, 2000, 3099):
        d = np.sqrt(((x - x[row]) ** 2).sum(1))
        np.testing.assert_allclose(sums[row], np.bincount(y, weights=d), rtol=1e-9)
    assert np.allclose(sums.sum(0), [sums[y == c].sum() for c in range(4)])  # i to j is j to i


def test_inputs_are_not_written_to():
    x = np.random.default_rng(2).normal(3, 1, (30, 4))
    y = np.sort(np.arange(30) % 3)  # in order already: the code could take a view
    before = x.copy()
    discriminability(x, y)
    np.testing.assert_array_equal(x, before)
