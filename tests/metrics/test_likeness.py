"""Many embeddings at once say what two at a time say."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.errors import ArgumentError
from relic_eval.metrics.likeness import likeness
from relic_eval.metrics.similarity import linear_cka, mutual_knn


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(90, 5))
    made = [base @ rng.normal(size=(5, d)) + 0.5 * rng.normal(size=(90, d)) for d in (3, 40, 200)]
    return [*made, (1e-20 * (made[1] + 7)).astype(np.float32), 1000 + made[0]]


def test_each_two_are_what_the_functions_of_two_say(rows):
    cka_MM, overlap_MM = likeness(rows, k=7)
    for i, x_ND in enumerate(rows):
        for j, y_NE in enumerate(rows):
            assert cka_MM[i, j] == pytest.approx(linear_cka(x_ND, y_NE), abs=1e-5), (i, j)
            assert overlap_MM[i, j] == pytest.approx(mutual_knn(x_ND, y_NE, k=7), abs=2e-3), (i, j)
    assert np.allclose(np.diag(overlap_MM), 1)
    assert (cka_MM == cka_MM.T).all()


def test_equal_neighbours_are_taken_in_order_and_only_so_many(rows):
    corners = np.repeat(np.eye(3), 4, 0)
    assert likeness([corners, corners[:, ::-1]], k=2)[1].tolist() == [[1, 1], [1, 1]]


def test_what_is_not_defined_is_not_a_number(rows):
    zero = rows[0].copy()
    zero[3] = 0
    cka_MM, overlap_MM = likeness([rows[0], zero, np.ones((90, 2))], k=3)
    assert np.isnan(cka_MM[2]).all()
    assert np.isfinite(cka_MM[:2, :2]).all()
    assert np.isnan(overlap_MM[1]).all()
    assert overlap_MM[0, 2] >= 0


def test_few_images_and_other_images_are_refused(rows):
    with pytest.raises(ArgumentError, match="more than 3 images"):
        likeness([rows[0][:3]], k=1)
    with pytest.raises(ArgumentError, match="of the same images"):
        likeness([rows[0], rows[1][:50]])
