"""What the readings by centroids refuse, and directions that only rounding would give."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.errors import ArgumentError
from relic_eval.metrics.discriminability import discriminability
from relic_eval.metrics.fisher import fisher
from relic_eval.metrics.readings import METRICS, READINGS


@pytest.mark.parametrize("classes", [0, -1, True])
def test_the_number_of_classes_is_a_whole_number(classes):
    with pytest.raises(ArgumentError, match="classes: expected a whole number of at least 1"):
        discriminability(np.eye(2), np.array([0, 1]), classes=classes)


def test_more_classes_than_any_set_has_are_refused():
    with pytest.raises(ArgumentError, match="classes: expected at most 1,000,000"):
        discriminability(np.eye(2), np.array([0, 1]), classes=10**12)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_rows_that_cancel_but_for_rounding_have_no_mean_direction(kind):
    """Of unequal lengths, so that at unit length they are opposite but for the last digit."""
    rng = np.random.default_rng(0)
    for pairs in range(1, 12):
        along = rng.normal(size=(pairs, 1)) * np.array([[0.3, 0.7, 0.1]])
        cancel = np.concatenate([along * rng.integers(1, 50, (pairs, 1)), -along * rng.integers(1, 50, (pairs, 1))])
        # a class that cancels, and one that cancels without its last row
        x = np.concatenate([cancel, cancel, [[0.0, 5.0, 0.0]]]).astype(kind)
        y = np.repeat([0, 1], [2 * pairs, 2 * pairs + 1])
        if kind == "f4":  # along one axis, float32 rows are opposite too
            x[: 4 * pairs, 1:] = 0
        found = discriminability(x, y, reading="other-centroids", metric="cosine")
        assert np.isnan(found.intra_N[-1])
        assert np.isnan(found.mean_NC[y == 1, 0]).all()
        assert np.isnan(found.inter_N[y == 1]).all()
        np.testing.assert_allclose(found.intra_N[y == 0], 2, atol=1e-9)  # the others add up to its opposite
        assert np.isfinite(found.inter_N[y == 0]).all()


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("rows", [2, 3, 7, 100, 1000])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("reading", READINGS)
def test_a_class_of_equal_rows_has_no_ratio_however_its_mean_rounds(reading, metric, rows, kind):
    if reading.startswith("fisher") and metric == "euclid":
        return
    rng = np.random.default_rng(0)
    row = 1000 * rng.normal(size=(1, 5))
    times = np.resize([1.0, 2.0, 0.25], (rows, 1)) if metric == "cosine" else 1.0  # one direction
    x = np.concatenate([(row * times).repeat(1 if metric == "cosine" else rows, 0), rng.normal(size=(rows, 5))])
    found = discriminability(x.astype(kind), np.repeat([0, 1], rows), reading=reading, metric=metric)
    assert found.intra_N[:rows].tolist() == [0] * rows
    assert np.isnan(found.ratio_C).tolist() == [True, False]
    assert np.isnan(found.ratio_N[:rows]).all()
    assert np.isnan(fisher(x[:, :3].astype(kind), np.repeat([0, 1], rows))[0]).all() or metric == "cosine"


def test_rows_that_hardly_differ_are_not_taken_for_equal():
    x = 1 + 1e-12 * np.arange(6.0)[:, None]
    found = discriminability(x, np.repeat([0, 1], 3), reading="fisher-mean")
    exact = discriminability((x - 1) * 1e12, np.repeat([0, 1], 3), reading="fisher-mean")
    assert found.ratio == pytest.approx(exact.ratio, rel=1e-2)
    assert found.ratio_C.tolist() == pytest.approx(exact.ratio_C.tolist(), rel=1e-2)
