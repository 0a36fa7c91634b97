"""LiDAR against its formula with inverse square roots, alignment against a loop over pairs, and both by hand."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from relic_eval.errors import ArgumentError
from relic_eval.metrics import multiview as module
from relic_eval.metrics.multiview import alignment, lidar

few = settings(max_examples=20, deadline=None)
sizes = st.tuples(st.integers(2, 25), st.integers(2, 6), st.integers(1, 40))


def drawn(size, seed, dtype="f8"):
    n, _, d = size
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 1, d)) + 0.3 * rng.normal(size=size) + 1).astype(dtype)


def formula(x, delta=1e-4):
    """Thilak et al.'s equations, an image and a view at a time."""
    x = x.astype("f8")
    n, v, d = x.shape
    middles = [np.mean(views, 0) for views in x]
    middle = np.mean(middles, 0)
    between = sum(np.outer(m - middle, m - middle) for m in middles) / n
    within = sum(np.outer(a - m, a - m) for m, views in zip(middles, x, strict=True) for a in views) / (n * v)
    root = np.linalg.inv(np.real(sqrtm(within + delta * np.eye(d))))
    value = np.clip(np.linalg.eigvalsh(root @ between @ root), 0, None)
    share = value / value.sum() + 1e-7
    return np.exp(-(share * np.log(share)).sum())


@few
@given(sizes, st.sampled_from(["f4", "f8"]), st.sampled_from([1e-4, 0.1]), st.integers(0, 99))
def test_lidar_is_its_formula(size, dtype, delta, seed):
    x = drawn(size, seed, dtype)
    assert lidar(x, delta=delta) == pytest.approx(formula(x, delta), rel=1e-6 if dtype == "f8" else 1e-4)


@few
@given(sizes, st.sampled_from(["f4", "f8"]), st.integers(0, 99))
def test_alignment_is_that_of_all_pairs(size, dtype, seed):
    x = drawn(size, seed, dtype)
    unit = x.astype("f8") / np.linalg.norm(x.astype("f8"), axis=2, keepdims=True)
    expected = np.mean([np.sum((a - b) ** 2) for views in unit for a, b in combinations(views, 2)])
    assert alignment(x) == pytest.approx(expected, rel=1e-6 if dtype == "f8" else 1e-4, abs=1e-12)


@few
@given(sizes, st.integers(0, 99))
def test_the_order_of_images_and_views_and_a_rotation_change_nothing(size, seed):
    x, rng = drawn(size, seed), np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(size[2],) * 2))[0]
    for other in (x[rng.permutation(size[0])], x[:, rng.permutation(size[1])], x @ turn):
        assert lidar(other) == pytest.approx(lidar(x), rel=1e-6)
        assert alignment(other) == pytest.approx(alignment(x), rel=1e-9, abs=1e-12)
    assert alignment(5 * x) == pytest.approx(alignment(x), rel=1e-9, abs=1e-12)
    assert lidar(5 * x, delta=25e-4) == pytest.approx(lidar(x), rel=1e-6)


def test_by_hand():
    """Means at (2, 0), (-2, 0), (0, 1), (0, -1): B = diag(2, 0.5). Views 1 apart from them along the first axis: W = diag(1, 0)."""
    middle = np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]])
    x = np.stack([middle + np.array([1, 0]), middle - np.array([1, 0])], 1)
    value = np.array([2 / 2, 0.5 / 1])
    share = value / value.sum() + 1e-7
    assert lidar(x, delta=1.0) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-12)
    quarter = np.array([[[1.0, 0], [0, 2]], [[3, 0], [-1, 0]]])  # 90 degrees, then 180: squared distances 2 and 4
    assert alignment(quarter) == pytest.approx(3)


def test_directions_that_only_views_move_along_do_not_count():
    """What RankMe cannot tell: noise that differs between views of an image fills directions, and LiDAR hardly sees them."""
    rng = np.random.default_rng(0)
    signal = np.pad(rng.normal(size=(2000, 1, 3)), ((0, 0), (0, 0), (0, 5)))
    noisy = signal + np.pad(rng.normal(size=(2000, 10, 5)), ((0, 0), (0, 0), (3, 0)))
    assert lidar(noisy) < 3.1
    from relic_eval.metrics.spectrum import spectrum

    assert spectrum(noisy.reshape(-1, 8)).rankme > 7.5


def test_images_with_one_mean_have_no_rank():
    assert np.isnan(lidar(np.full((5, 2, 3), 0.1)))
    assert alignment(np.full((5, 2, 3), 0.1)) == 0
    assert np.isnan(lidar(np.full((20_000, 2, 3), 1234.1)))  # the mean of as many rounds


@pytest.mark.parametrize("size", [(30, 3, 8), (5, 3, 20)], ids=["full rank within", "fewer views than columns"])
@pytest.mark.parametrize("scale", [1e-200, 1e-20, 1e-3, 1.0, 300.0])
def test_lidar_of_any_scale_is_that_of_delta_in_its_units(size, scale):
    x = drawn(size, 0)
    delta = min(1e-4 / scale / scale, 1e12)  # beside as much, views count for nothing already
    assert lidar(x * scale) == pytest.approx(formula(x, delta), rel=1e-6)


@pytest.mark.parametrize("scale", [1e4, 1e8, 1e200])
def test_a_delta_that_is_lost_beside_the_views_is_refused(scale):
    x = drawn((5, 3, 20), 0) * scale
    with pytest.raises(ArgumentError, match=r"delta: expected at least .* for views this far apart, received 0.0001"):
        lidar(x)
    whole = drawn((30, 3, 8), 0)  # views move along all directions: delta need not count
    assert lidar(whole * scale) == pytest.approx(formula(whole, 1e-12), rel=1e-6)


def test_columns_beyond_the_rows_cost_no_square_of_them():
    x = drawn((4, 3, 30), 0)
    wide = np.zeros((4, 3, 200_000))  # its square would take 320 GB
    wide[..., ::10_000][..., :20], wide[..., 1:11] = x[..., :20], x[..., 20:]
    shares = 200_000 - 30  # of nothing, with 1e-7 each
    assert lidar(wide) == pytest.approx(formula(x) * np.exp(-shares * 1e-7 * np.log(1e-7)), rel=1e-6)


def test_blocks_do_not_count(monkeypatch):
    x = drawn((23, 4, 6), 0)
    whole = lidar(x), alignment(x)
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * 4 * 6 * 5)
    assert (lidar(x), alignment(x)) == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("measure", [lidar, alignment])
@pytest.mark.parametrize("x", [np.ones((4, 3)), np.ones((4, 1, 3))], ids=["rows", "one view"])
def test_without_views_it_says_how_to_get_them(measure, x):
    with pytest.raises(ArgumentError, match=r"several augmented views .* needs views: .*relic-eval embed .*--views 10"):
        measure(x)


@pytest.mark.parametrize("measure", [lidar, alignment])
def test_bad_input(measure):
    x = drawn((4, 2, 3), 0)
    x[2, 1] = np.nan
    with pytest.raises(ArgumentError, match=r"NaN or infinity in 1 of 8 rows \(the first is row 5"):
        measure(x)
    with pytest.raises(ArgumentError, match="at least one image"):
        measure(np.empty((0, 2, 3)))
    with pytest.raises(ArgumentError, match="images, views and columns"):
        measure(np.ones((2, 2, 2, 2)))


def test_a_row_of_zeros_and_a_delta_of_none(monkeypatch):
    x = drawn((4, 3, 2), 0)
    for delta in (0.0, np.nan, np.inf):
        with pytest.raises(ArgumentError, match="delta: expected a number above 0"):
            lidar(x, delta=delta)
    x[2, 1] = 0
    with pytest.raises(ArgumentError, match="one in view 1 of image 2"):
        alignment(x)
    assert np.isfinite(lidar(x))
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * 3 * 2)  # one image a block
    with pytest.raises(ArgumentError, match="one in view 1 of image 2"):
        alignment(x)


def test_any_kind_of_array_is_taken_and_none_is_written_to():
    x = np.random.default_rng(0).integers(1, 9, (8, 3, 4))
    kept, expected = x.tobytes(), (lidar(x.astype("f8")), alignment(x.astype("f8")))
    for other in (x, x.astype("f2"), x.astype(">f8"), np.asfortranarray(x), np.repeat(x, 2, 2)[:, :, ::2]):
        other.flags.writeable = False
        assert (lidar(other), alignment(other)) == pytest.approx(expected, rel=1e-5)
    assert x.tobytes() == kept
