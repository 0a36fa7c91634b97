"""The neighbour block matrix on cases worked out by hand, its presets, and what labels give by chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from relic_eval.errors import ArgumentError
from relic_eval.metrics.blocks import (
    PRESETS,
    chosen,
    class_numbers_of,
    confusion,
    confusion_counts,
    neighbour_blocks,
    purity_null,
)

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
    np.testing.assert_array_equal(confusion_counts(y, found, 5).toarray(), expected)
    np.testing.assert_allclose(confusion(y, found, 5), expected / expected.sum(1, keepdims=True))


def test_a_thousand_classes_take_no_more_numbers_than_there_are_neighbours():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2000, 8)).astype("f"), np.arange(2000) % 1000
    x += rng.normal(size=(1000, 8)).astype("f")[y]
    b = neighbour_blocks(x, y, k=5)
    _, index = NearestNeighbors(n_neighbors=6, algorithm="brute").fit(x.astype(float)).kneighbors(x.astype(float))
    np.testing.assert_array_equal(b.index_NK, index[:, 1:])
    counts = confusion_counts(y, y[b.index_NK], 1000)
    assert counts.nnz <= 10_000
    assert counts.sum() == 10_000
    np.testing.assert_allclose(b.confusion_CC, counts.toarray() / 10)
    assert np.trace(b.confusion_CC) / 1000 == pytest.approx(b.purity_N.mean())
    many = confusion_counts(y * 900, y[b.index_NK] * 900, 1_000_000)  # 8 TB as an array
    assert many.shape == (1_000_000, 1_000_000)
    assert many.nnz == counts.nnz


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_small_input(data):
    n, seed = data.draw(st.integers(3, 20)), data.draw(st.integers(0, 99))
    k, rng = data.draw(st.integers(1, n - 1)), np.random.default_rng(seed)
    x = rng.integers(0, 4, (n, 2)).astype(data.draw(st.sampled_from(["f2", "f4", ">f8", "i4"])))
    y = rng.integers(0, data.draw(st.integers(1, 4)), n)
    b = neighbour_blocks(x, y, k=k)
    d = ((x[:, None].astype(float) - x) ** 2).sum(2)
    np.fill_diagonal(d, np.inf)
    order = np.argsort(d, axis=1, kind="stable")[:, :k]  # ties by row number
    np.testing.assert_array_equal(b.index_NK, order)
    np.testing.assert_allclose(b.distance_NK, np.sqrt(np.take_along_axis(d, order, 1)), rtol=1e-6)
    np.testing.assert_allclose(b.purity_N, [(y[o] == c).mean() for o, c in zip(order, y, strict=True)])
    null = purity_null(y, b.index_NK, draws=50)
    assert 0 <= null.low <= null.high <= 1
    assert 1 / 51 <= null.p <= 1
    assert (null.p == 1) or len(set(y.tolist())) > 1


def test_wrong_input_says_what_was_expected():
    with pytest.raises(ArgumentError, match="k: expected 1 to 5"):
        neighbour_blocks(X, Y, k=6)
    with pytest.raises(ArgumentError, match="class numbers below 1, received 1"):
        neighbour_blocks(X, Y, k=1, classes=1)
    with pytest.raises(ArgumentError, match="NaN or infinity in 1 of 6 rows"):
        neighbour_blocks(np.where(X == 3, np.inf, X), Y)
    with pytest.raises(ArgumentError, match="at least two images"):
        purity_null(np.array([0]), np.array([[0]]))
    with pytest.raises(ArgumentError, match="rows from 0 to 1, received -1 to 0"):
        purity_null(np.array([0, 1]), np.array([[-1], [0]]))
    with pytest.raises(ArgumentError, match="rows from 0 to 1, received 0 to 2"):
        purity_null(np.array([0, 1]), np.array([[2], [0]]))
    with pytest.raises(ArgumentError, match="draws"):
        purity_null(Y, neighbour_blocks(X, Y, k=2).index_NK, draws=0)


def test_the_null_is_that_of_all_permutations():
    """Of five images all 120 permutations can be looked at."""
    y, index = np.array([0, 0, 0, 1, 1]), np.array([[1, 2], [0, 2], [0, 1], [4, 0], [3, 1]])
    every = [np.array(p) for p in itertools.permutations(range(5))]
    purity = np.array([np.mean([y[p][i] == y[p][j] for i in range(5) for j in index[i]]) for p in every])
    null = purity_null(y, index, draws=4000, seed=1)
    assert null.mean == pytest.approx(purity.mean())  # exact: (3 * 2 + 2 * 1) / 20
    assert null.mean == pytest.approx(8 / 20)
    found = np.mean([y[i] == y[j] for i in range(5) for j in index[i]])
    assert found == 0.8
    assert null.p == pytest.approx((purity >= found).mean(), abs=0.03)
    assert null.purity_B.mean() == pytest.approx(purity.mean(), abs=0.02)
    assert null.purity_B.std() == pytest.approx(purity.std(), rel=0.05)
    np.testing.assert_allclose((null.low, null.high), np.percentile(purity, [2.5, 97.5]), atol=0.11)


def test_the_null_does_not_depend_on_blocks_or_names(monkeypatch):
    rng = np.random.default_rng(0)
    y, index = rng.integers(0, 4, 60), rng.integers(0, 60, (60, 3))
    one = purity_null(y, index, draws=100)
    monkeypatch.setattr("relic_eval.metrics.blocks.BLOCK_BYTES", 7 * 8 * 60)
    np.testing.assert_array_equal(one.purity_B, purity_null(y * 7, index, draws=100).purity_B)
    assert not np.array_equal(one.purity_B, purity_null(y, index, draws=100, seed=1).purity_B)
    # a superclass is never less pure than its classes in any permutation
    assert (purity_null(y // 2, index, draws=100).purity_B >= one.purity_B).all()


def test_chance_is_told_from_structure_as_often_as_it_says():
    """Labels that have nothing to do with the embedding: p is below 0.05 in about 5 of 100 sets."""
    rng, small = np.random.default_rng(0), 0
    for _ in range(200):
        x, y = rng.normal(size=(40, 3)), np.arange(40) % 4
        small += purity_null(y, neighbour_blocks(x, y, k=5).index_NK, draws=99).p <= 0.05
    assert 2 <= small <= 20  # 10 expected
    y = np.arange(40) % 4
    assert purity_null(y, neighbour_blocks(np.eye(4)[y] + rng.normal(0, 0.1, (40, 4)), y).index_NK, draws=99).p == 0.01


def test_presets_are_the_classes_of_the_figure():
    dogs = PRESETS["imagenet-dogs-cats"]
    assert dogs.ids == ("n02100583", "n02100877", "n02123597", "n02124075")
    assert dogs.superclasses == ("dog", "dog", "cat", "cat")
    assert dogs.per_class == 50
    assert [PRESETS[f"imagenet-dogs-cats-{s}"].ids[1] for s in ("english", "gordon")] == ["n02100735", "n02101006"]
    for preset in PRESETS.values():
        assert len(preset.ids) == len(preset.titles) == len(preset.superclasses) == 4
        assert len(list(itertools.groupby(preset.superclasses))) == 2


def test_the_titles_of_pets4_are_those_of_imagenet():
    """Its pictures are ImageNet's (shared/data): no Egyptian Mau of the Oxford pets."""
    titles = ["Labrador retriever", "golden retriever", "Persian cat", "Egyptian cat"]
    assert class_numbers_of(titles, "pets4") == [3, 2, 1, 0]


def test_chosen_rows_stand_in_the_order_of_the_preset():
    classes = ["n02124075", "other", "n02100583", "n02123597", "n02100877"]
    y = np.random.default_rng(0).permutation(np.arange(300) % 5)
    rows = chosen(classes, y, "imagenet-dogs-cats")
    assert y[rows].tolist() == [2] * 50 + [4] * 50 + [3] * 50 + [0] * 50
    assert all((np.diff(r) > 0).all() for r in rows.reshape(4, 50))
    assert rows[:50].tolist() == np.flatnonzero(y == 2)[:50].tolist()
    titled = ["Egyptian cat", "other", "vizsla", "Siamese cat", "Irish setter"]
    np.testing.assert_array_equal(chosen(titled, y, "imagenet-dogs-cats"), rows)
    assert class_numbers_of(titled, "imagenet-dogs-cats") == [2, 4, 3, 0]


def test_a_preset_that_does_not_fit_says_what_is_missing():
    classes, y = list(PRESETS["pets4"].ids), np.repeat(np.arange(4), 50)
    with pytest.raises(ArgumentError, match="Did you mean 'pets4'"):
        chosen(classes, y, "pets")
    with pytest.raises(ArgumentError, match=r"none called n02100583 \(vizsla\), n02100877 \(Irish setter\)"):
        chosen(classes, y, "imagenet-dogs-cats")
    with pytest.raises(ArgumentError, match="'cat_persian': expected 50 images for pets4, received 49"):
        chosen(classes, np.delete(y, 60), "pets4")


def test_real_features_of_four_classes(data_folder):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the network of the benchmarks is not installed")
    from benchmarks.features import real

    x, y = real("pets4", "test", 200)
    rows = chosen(PRESETS["pets4"].ids, y, "pets4")
    b = neighbour_blocks(x[rows], y[rows])
    above = np.repeat([0, 1], 100)
    null = purity_null(y[rows], b.index_NK, draws=500)
    assert null.mean == pytest.approx(49 / 199)
    assert null.high < 0.3 < b.purity_N.mean()
    assert null.p == 1 / 501
    assert (above[b.index_NK] == above[:, None]).mean() > 0.75
