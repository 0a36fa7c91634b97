"""Scores against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from relic_eval.metrics.scores import accuracy, mean_per_class


@pytest.mark.parametrize("classes", [2, 5, 30])
def test_mean_per_class_is_balanced_accuracy(classes):
    rng = np.random.default_rng(classes)
    true = np.concatenate([np.arange(classes), rng.integers(0, classes, 200) ** 2 // classes])  # of unequal sizes
    predicted = np.where(rng.random(len(true)) < 0.6, true, rng.integers(0, classes, len(true)))
    assert mean_per_class(true, predicted) == pytest.approx(balanced_accuracy_score(true, predicted), abs=1e-12)
    assert accuracy(true, predicted) == pytest.approx(accuracy_score(true, predicted), abs=1e-12)


def test_only_classes_that_occur_count():
    true, predicted = np.array([1, 1, 4, 4, 4, 4]), np.array([1, 7, 4, 4, 4, 0])
    assert mean_per_class(true, predicted) == pytest.approx((0.5 + 0.75) / 2)
