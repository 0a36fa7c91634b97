"""Maps: exact components, the same images, and honest numbers of what they lose."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from sklearn.decomposition import PCA

from relic_eval.errors import DataError
from relic_eval.evaluators.map import Map, first_of_each
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.records import Embeddings


def rows_of(n=60, dims=5, seed=0):
    y = np.repeat(np.arange(3), n // 3)
    x = 3 * np.eye(3, dims)[y] + np.random.default_rng(seed).normal(size=(n, dims))
    return Embeddings(x.astype(np.float32), y, ("a", "b", "c"), ids=np.array([f"i{k}" for k in range(n)]))


def places(cell):
    return np.stack([cell.curves["x"], cell.curves["y"]], 1)


@pytest.mark.parametrize("dims", [5, 200])
def test_coordinates_are_principal_components_with_a_fixed_sign(dims):
    rows = rows_of(dims=dims)
    cell, pca = Map()(rows), PCA(2, svd_solver="full")
    expected = pca.fit_transform(rows.x_ND.astype(float))
    assert np.allclose(np.abs(places(cell)), np.abs(expected), atol=1e-6)
    shares = [m.value for m in cell.rows if m.metric == "variance_share"]
    assert np.allclose(shares, pca.explained_variance_ratio_)
    for axis in places(cell).T:
        assert axis[np.abs(axis).argmax()] > 0
    turned = Embeddings(-rows.x_ND, rows.y_N, rows.classes, ids=rows.ids)
    assert np.allclose(places(Map()(turned)), places(cell), atol=1e-6)  # a mirrored embedding has the same map


def test_the_nearest_points_are_those_of_a_loop():
    rows = rows_of()
    cell = Map()(rows)
    for metric, z in (("map_nearest", places(cell)), ("embedding_nearest", rows.x_ND)):
        far = ((z[:, None] - z) ** 2).sum(-1) + np.diag(np.full(len(z), np.inf))
        (row,) = (m for m in cell.rows if m.metric == metric)
        assert row.value == pytest.approx((rows.y_N[far.argmin(1)] == rows.y_N).mean())
        assert row.low < row.value < row.high
        if metric == "map_nearest":
            assert cell.predictions["predicted"].tolist() == rows.y_N[far.argmin(1)].tolist()
    assert cell.predictions["correct"].mean() == pytest.approx(cell.rows[0].value)


def test_of_many_images_the_first_of_each_class_are_taken_in_their_order():
    rows = rows_of()
    cell = Map(most=10)(rows)
    assert cell.predictions["item"].tolist() == [f"i{k}" for k in (0, 1, 2, 3, 20, 21, 22, 40, 41, 42)]
    assert len(cell.curves["x"]) == 10
    assert len(first_of_each(rows.y_N, 10**6)) == 60


def test_degenerate_rows_have_a_map():
    y = np.array([0, 0, 1, 1])
    for x in (np.ones((4, 3)), np.arange(4.0)[:, None]):
        cell = Map()(Embeddings(x, y, ("a", "b")))
        assert np.isfinite(places(cell)).all()
    assert Map()(Embeddings(np.ones((4, 3)), y, ("a", "b"))).rows[2].value is None


def test_tsne_is_the_same_twice_and_umap_names_what_to_install(monkeypatch):
    rows = rows_of(30)
    once, twice = (places(PROTOCOLS["map-tsne"](rows)) for _ in range(2))
    assert (once == twice).all()
    real = builtins.__import__
    monkeypatch.setattr(
        builtins,
        "__import__",
        lambda name, *a, **k: (_ for _ in ()).throw(ImportError(name)) if name == "umap" else real(name, *a, **k),
    )
    with pytest.raises(DataError, match="pip install umap-learn"):
        PROTOCOLS["map-umap"](rows)
