"""The neighbour block matrix on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.errors import ArgumentError
from relic_eval.metrics.blocks import confusion, neighbour_blocks

X = np.array([[0.0], [1.0], [3.0], [4.5], [10.0], [12.5]])
Y = np.array([0, 0, 0, 1, 1, 1])


def test_a_hand_case():
    b = neighbour_blocks(X, Y, k=2)
    assert b.index_NK.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1], [5, 3], [4, 3]]
    np.testing.assert_allclose(b.distance_NK, [[1, 3], [1, 2], [1.5, 2], [1.5, 3.5], [2.5, 5.5], [2.5, 8]], rtol=1e-6)
    assert b.purity_N.tolist() == [1, 1, 0.5, 0, 1, 1]
    np.testing.assert_allclose(b.confusion_CC, [[5 / 6, 1 / 6], [2 / 6, 4 / 6]])


def test_a_class_without_images_has_a_row_of_nan():
    b = neighbour_blocks(X, np.where(Y == 1, 2, 0), k=2, classes=4)
    assert b.confusion_CC.shape == (4, 4)
    assert np.isnan(b.confusion_CC[[1, 3]]).all()
    np.testing.assert_allclose(b.confusion_CC[[0, 2]].sum(1), 1)


def test_rows_sum_to_one_and_agree_with_a_loop():
    rng = np.random.default_rng(0)
    y, found = rng.integers(0, 5, 80), rng.integers(0, 5, (80, 7))
    expected = np.zeros((5, 5))
    for c, row in zip(y, found, strict=True):
        for f in row:
            expected[c, f] += 1
    np.testing.assert_allclose(confusion(y, found, 5), expected / expected.sum(1, keepdims=True))


def test_too_few_images_are_refused():
    with pytest.raises(ArgumentError, match="k: expected 1 to 5"):
        neighbour_blocks(X, Y, k=6)
