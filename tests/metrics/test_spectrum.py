"""Spectra against the singular values of the whole matrix, uniformity against SciPy's distances, and both by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from relic_eval.errors import ArgumentError
from relic_eval.metrics import spectrum as module
from relic_eval.metrics.spectrum import power_law, smooth_rank, spectrum, uniformity

few = settings(max_examples=25, deadline=None)
NAMES = ("rankme", "effective_rank", "participation_ratio", "alpha_req", "collapse", "dead")


def entropy_rank(share):
    share = share[share > 0]
    return np.exp(-(share * np.log(share)).sum())


def reference(x):
    """The published formulas from singular values of the whole matrix in float64."""
    x = np.asarray(x, np.float64)
    plain = np.linalg.svd(x, compute_uv=False)
    about = np.linalg.svd(x - x.mean(0), compute_uv=False)
    value = about**2
    return {
        "rankme": entropy_rank(plain / plain.sum() + 1e-7),
        "effective_rank": entropy_rank(about / about.sum()),
        "participation_ratio": value.sum() ** 2 / (value**2).sum(),
        "collapse": value[0] / value.sum(),
        "dead": np.mean(x.var(0) <= 1e-8 * x.var(0).mean()),
    }


def assert_same(found, expected, rtol):
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=rtol, err_msg=name)


@few
@given(st.integers(3, 40), st.integers(2, 40), st.sampled_from(["f4", "f8"]), st.floats(-3, 3), st.integers(0, 99))
def test_it_is_what_the_singular_values_give(n, d, dtype, offset, seed):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d)) * np.geomspace(1, 0.01, d) + offset).astype(dtype)
    found = spectrum(x)
    assert_same(found, reference(x), 1e-6 if dtype == "f8" else 1e-5)
    values = np.linalg.svd(x.astype("f8") - x.mean(0, dtype="f8"), compute_uv=False) ** 2 / (n - 1)
    np.testing.assert_allclose(found.eigenvalue_R, values, rtol=1e-6, atol=1e-9 * values[0])
    assert len(found.eigenvalue_R) == min(n, d)


def test_by_hand():
    """Two directions of variances 8/3 and 2/3: shares of singular values 2/3 and 1/3, of eigenvalues 4/5 and 1/5."""
    s = spectrum(np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]]))
    np.testing.assert_allclose(s.eigenvalue_R, [8 / 3, 2 / 3])
    assert s.effective_rank == pytest.approx(np.exp(np.log(3) - np.log(2) * 2 / 3))
    assert s.participation_ratio == pytest.approx(25 / 17)
    assert s.collapse == pytest.approx(0.8)
    assert np.isnan(s.alpha_req)
    assert spectrum(np.eye(5) * 3).rankme == pytest.approx(entropy_rank(np.full(5, 0.2 + 1e-7)))
    assert spectrum(np.ones((6, 3))).rankme == pytest.approx(1, abs=1e-5)  # not centred: one direction


@few
@given(st.integers(4, 30), st.integers(2, 30), st.integers(0, 99))
def test_the_order_of_rows_a_rotation_and_the_scale_change_nothing(n, d, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + 1
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    first = spectrum(x)
    for other in (x[rng.permutation(n)], x @ turn, x * 1e-30, x * 1e30):
        assert_same(spectrum(other), {name: getattr(first, name) for name in (*NAMES[:3], "collapse")}, 1e-6)
    np.testing.assert_allclose(spectrum(2 * x).eigenvalue_R, 4 * first.eigenvalue_R, atol=1e-12)


def test_duplicated_rows_and_directions_that_are_not_there():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 20))
    assert_same(spectrum(x), reference(x), 2e-5)  # 14 singular values are 0: rounding in the reference, none here
    assert (spectrum(x).eigenvalue_R > 0).sum() == 6
    assert spectrum(np.repeat(x, 3, 0)).effective_rank == pytest.approx(spectrum(x).effective_rank, rel=1e-9)


def test_rows_far_from_the_origin_keep_their_digits():
    x = np.random.default_rng(0).normal(size=(300, 8)) * 1e-3 * np.arange(1, 9) + 1000
    np.testing.assert_allclose(spectrum(x).eigenvalue_R, spectrum(x - 1000).eigenvalue_R, rtol=1e-6)


def test_blocks_do_not_count(monkeypatch):
    x = np.random.default_rng(0).normal(size=(40, 7))
    whole = [spectrum(x), spectrum(x.T)]
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * 7 * 3)
    for before, now in zip(whole, (spectrum(x), spectrum(x.T)), strict=True):
        np.testing.assert_allclose(now.eigenvalue_R, before.eigenvalue_R, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1000.3])
@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (1, 2)])
def test_rows_that_are_all_equal_have_no_spectrum(value, shape):
    s = spectrum(np.full(shape, value))
    assert all(np.isnan(getattr(s, n)) for n in ("effective_rank", "participation_ratio", "alpha_req", "collapse"))
    assert s.dead == 1
    assert np.isnan(s.rankme) if value == 0 else s.rankme == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("value", [0.1, 1576875.6104869754])
@pytest.mark.parametrize("rows", [65, 30_000])
def test_equal_rows_whose_mean_rounds_have_no_spectrum(rows, value):
    s = spectrum(np.full((rows, 3), value))
    assert np.isnan(s.collapse)
    assert s.dead == 1


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_sizes_whose_squares_float64_cannot_hold_are_refused(size):
    with pytest.raises(ArgumentError, match="a largest entry between 1e-150 and 1e150 in size"):
        spectrum(np.eye(3) * size)
    assert np.isfinite(uniformity(np.eye(3) * size))


def test_dead_columns_are_counted():
    x = np.random.default_rng(0).normal(size=(30, 4)).astype("f4")
    x[:, 1], x[:, 3] = 5, 5 + 1e-6 * x[:, 0]
    assert spectrum(x).dead == 0.5


@pytest.mark.parametrize("size", [5, 50, 150, 300])
def test_alpha_is_that_of_the_published_code(size):
    """Weighted normal equations over the places 3 to 99 (ranks 4 to 100), as in the code of alpha-ReQ."""
    value = np.sort(np.random.default_rng(0).gamma(1, 1, size) * np.arange(1, size + 1) ** -1.2)[::-1]
    if size < 6:
        assert np.isnan(power_law(value))
        return
    place = np.arange(3, min(size, 100))
    a = np.stack([-np.log(place + 1), np.ones(len(place))], 1)
    weight = 1.0 / (place + 1)[:, None]
    expected = np.linalg.solve(a.T @ (a * weight), (weight * a).T @ np.log(value[place]))[0]
    assert power_law(value) == pytest.approx(expected, rel=1e-9)


def test_a_power_law_is_found_in_rows():
    rng = np.random.default_rng(0)
    x = np.linalg.qr(rng.normal(size=(400, 120)))[0] * np.arange(1, 121) ** -0.6
    x -= x.mean(0)
    assert spectrum(x).alpha_req == pytest.approx(1.2, abs=0.02)
    assert np.isnan(smooth_rank(np.zeros(3)))


@few
@given(st.integers(2, 30), st.integers(1, 8), st.integers(1, 12), st.sampled_from(["f4", "f8"]), st.integers(0, 99))
def test_uniformity_is_that_of_all_pairs(n, d, tile, dtype, seed):
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(dtype)
    x[n // 2] = 3 * x[0]  # a duplicate but for its length
    unit = x.astype("f8") / np.linalg.norm(x.astype("f8"), axis=1, keepdims=True)
    expected = np.log(np.exp(-2 * pdist(unit) ** 2).mean())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE", tile)
        np.testing.assert_allclose(uniformity(x), expected, rtol=1e-6, atol=1e-12 if dtype == "f8" else 1e-6)


def test_uniformity_by_hand():
    """Angles of 0, 90 and 90 degrees: squared distances 0, 2, 2."""
    x = np.array([[1.0, 0], [2, 0], [0, 1]])
    assert uniformity(x) == pytest.approx(np.log((1 + 2 * np.exp(-4)) / 3))
    assert np.isnan(uniformity(x[:1]))
    assert uniformity(np.ones((5, 2))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("measure", [spectrum, uniformity])
def test_bad_rows_are_named(measure):
    x = np.ones((5, 2))
    x[3, 1] = np.inf
    with pytest.raises(ArgumentError, match=r"NaN or infinity in 1 of 5 rows \(the first is row 3"):
        measure(x)
    with pytest.raises(ArgumentError, match="at least one row"):
        measure(np.empty((0, 2)))


def test_a_row_of_zeros_has_no_direction():
    with pytest.raises(ArgumentError, match=r"no row of zeros, received 2 \(the first is row 1"):
        uniformity(np.array([[1.0, 0], [0, 0], [0, 0]]))


def test_any_kind_of_array_is_taken_and_none_is_written_to(tmp_path):
    x = np.random.default_rng(0).integers(-9, 9, (12, 5))
    kept = x.astype(">f4").tobytes()
    expected, even = spectrum(x.astype(float)).rankme, uniformity(x.astype(float))
    np.save(tmp_path / "x.npy", x.astype("f4"))
    wide = np.zeros((12, 10))
    wide[:, ::2] = x
    for other in (
        x,
        x.astype("i2"),
        x.astype("f2"),
        x.astype(">f4"),
        np.asfortranarray(x.astype("f8")),
        wide[:, ::2],
        np.load(tmp_path / "x.npy", mmap_mode="r"),
    ):
        assert spectrum(other).rankme == pytest.approx(expected, rel=1e-6)
        assert uniformity(other) == pytest.approx(even, rel=1e-5)
        assert other.astype(">f4").tobytes() == kept
