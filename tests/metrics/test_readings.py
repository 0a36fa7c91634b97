"""What the readings by centroids refuse, and directions that only rounding would give."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.errors import ArgumentError
from relic_eval.metrics.discriminability import discriminability


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
