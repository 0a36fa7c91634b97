"""Medians on resamples, against np.median of the images that a sample holds."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.errors import ArgumentError
from relic_eval.metrics.bootstrap import resampled
from relic_eval.metrics.medians import resampled_medians


@pytest.mark.parametrize(("n", "classes"), [(1, 1), (2, 1), (37, 3), (600, 4), (3000, 1)])
def test_they_are_those_of_every_sample_written_out(n, classes):
    rng = np.random.default_rng(n)
    values_MN = rng.normal(size=(3, n)).round(1)  # with ties
    values_MN[1, rng.random(n) < 0.2] = np.nan
    values_MN[1, 0] = 0.5
    strata_N = np.arange(n) % classes

    def slow(count_BN):
        made = []
        for value_N in values_MN:
            its = [np.repeat(value_N, counts) for counts in count_BN.astype(int)]
            its = [v[np.isfinite(v)] for v in its]
            made.append([np.median(v) if len(v) else np.nan for v in its])
        return np.array(made)

    expected = resampled(slow, strata_N, draws=40, seed=5)
    np.testing.assert_allclose(resampled_medians(values_MN, strata_N, draws=40, seed=5), expected, rtol=1e-12)


def test_a_model_without_a_value_is_refused():
    with pytest.raises(ArgumentError, match="a finite value of every model"):
        resampled_medians(np.full((1, 3), np.nan), np.zeros(3, int))
