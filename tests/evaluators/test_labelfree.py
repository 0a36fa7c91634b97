"""The label-free evaluators: rows, curve, what is missing, and what they ask for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from relic_eval.cells import read_cell, write_cell
from relic_eval.encode import embed
from relic_eval.encoders.load import from_callable
from relic_eval.errors import ArgumentError
from relic_eval.evaluators.multiview import MultiView
from relic_eval.evaluators.spectrum import Spectrum
from relic_eval.metrics.multiview import alignment, lidar
from relic_eval.metrics.spectrum import spectrum, uniformity
from relic_eval.records import Embeddings

METRICS = ["rankme", "effective_rank", "participation_ratio", "alpha_req", "uniformity", "collapse", "dead_columns"]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(60, 12)) * np.geomspace(1, 0.05, 12)).astype("f4")
    views = tuple(x + rng.normal(0, 0.1, x.shape).astype("f4") for _ in range(3))
    return Embeddings(x, np.repeat([0, 1], 30), ("ant", "bee"), views=views)


def values(cell):
    return {row.metric: row.value for row in cell.rows}


def test_spectrum_has_every_measure_and_the_eigenvalues_as_a_curve(rows):
    cell, s = Spectrum()(rows), spectrum(rows.x_ND)
    assert [row.metric for row in cell.rows] == METRICS
    assert all(row.n == 60 and row.low is None and row.high is None for row in cell.rows)
    found = values(cell)
    assert [found[m] for m in METRICS[:4]] == [s.rankme, s.effective_rank, s.participation_ratio, s.alpha_req]
    assert (found["collapse"], found["dead_columns"]) == (s.collapse, 0.0)
    assert found["uniformity"] == uniformity(rows.x_ND)
    assert dict(cell.rows[3].params) == {"first": 4, "last": 12}
    assert set(cell.curves["name"]) == {"eigenvalues"}
    np.testing.assert_array_equal(cell.curves["x"], np.arange(1, 13))
    np.testing.assert_allclose(cell.curves["y"], np.linalg.eigvalsh(np.cov(rows.x_ND.T))[::-1], rtol=1e-5)


def test_labels_are_not_looked_at(rows):
    other = dataclasses.replace(rows, y_N=np.zeros(60, int), classes=("ant",))
    assert values(Spectrum()(other)) == values(Spectrum()(rows))
    assert values(MultiView()(other)) == values(MultiView()(rows))


def test_what_is_not_defined_is_missing_and_never_0(rows):
    same = values(Spectrum()(dataclasses.replace(rows, x_ND=np.ones((60, 12), "f4"))))
    missing = ("effective_rank", "participation_ratio", "alpha_req", "collapse")
    assert [same[name] for name in missing] == [None] * 4
    assert same["dead_columns"] == 1
    x = rows.x_ND.copy()
    x[[3, 9]] = 0
    (even,) = [r for r in Spectrum()(dataclasses.replace(rows, x_ND=x)).rows if r.metric == "uniformity"]
    assert even.value is None
    assert dict(even.params) == {"rows_of_zeros": 2}


def test_measures_of_views(rows):
    cell, x_NVD = MultiView()(rows), np.stack(rows.views, 1)
    assert [row.metric for row in cell.rows] == ["lidar", "alignment"]
    assert values(cell) == {"lidar": lidar(x_NVD), "alignment": alignment(x_NVD)}
    assert all(dict(row.params) == {"views": 3} and row.n == 60 for row in cell.rows)
    assert values(MultiView(delta=1.0)(rows))["lidar"] == lidar(x_NVD, delta=1.0)
    part = rows.take(np.arange(0, 60, 2))
    assert values(MultiView()(part))["alignment"] == alignment(x_NVD[::2])


@pytest.mark.parametrize("count", [0, 1])
def test_without_views_it_asks_for_them(rows, count):
    with pytest.raises(
        ArgumentError, match="needs views: make them with 'relic-eval embed ENCODER --data DATA --views 10'"
    ):
        MultiView()(dataclasses.replace(rows, views=rows.views[:count]))


def test_views_without_a_direction_have_no_alignment(rows):
    views = [v.copy() for v in rows.views]
    views[1][7] = 0
    rank, together = MultiView()(dataclasses.replace(rows, views=tuple(views))).rows
    assert rank.value > 1
    assert together.value is None
    assert dict(together.params) == {"views": 3, "rows_of_zeros": 1}


@pytest.mark.parametrize("evaluator", [Spectrum(), MultiView()])
def test_a_cell_comes_back_as_it_was_written(rows, evaluator, tmp_path):
    cell = evaluator(rows)
    task = {"title": "t", "dataset": "d", "train": "train", "test": "test", "level": "class", "seed": 0}
    about = {"key": "k", "title": "t", "settings": {}, "versions": {}, "task_settings": task, "classes": ["ant", "bee"]}
    both = {name: {"train": "d", "test": "d"} for name in ("stores", "data")}
    about |= {**both, "counts": {"train": 1, "valid": 1, "test": 60}}
    back = read_cell(write_cell(tmp_path, "e", "t", "p", cell, about)).cell
    assert back.rows == cell.rows
    if cell.curves is not None:
        np.testing.assert_array_equal(back.curves["y"], cell.curves["y"])


def test_from_pictures_to_numbers(tmp_path):
    """The mean of a picture moves little between views: aligned, and of rank 1; its pixels move much."""
    from relic_eval.data.views import read_views

    found = {}
    for name, function in (("mean", lambda x: x.mean((2, 3)) + 1), ("pixels", lambda x: x.flatten(1) + 0.1)):
        (path,) = embed(from_callable(name, function, digest=name), "digits", tmp_path, views=3)
        found[name] = values(MultiView()(read_views(path)))
    assert found["mean"]["lidar"] == pytest.approx(1, abs=1e-5)
    assert found["mean"]["alignment"] == 0  # one positive number has one direction
    assert 5 < found["pixels"]["lidar"] < 64
    assert 0.2 < found["pixels"]["alignment"] < 2
