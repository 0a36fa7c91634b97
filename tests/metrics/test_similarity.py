"""CKA against naive N x N kernels, mutual neighbours against full sorting, and both by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relic_eval.errors import ArgumentError
from relic_eval.metrics import similarity as module
from relic_eval.metrics.similarity import linear_cka, mutual_knn

few = settings(max_examples=25, deadline=None)
sizes = st.tuples(st.integers(6, 40), st.integers(1, 45), st.integers(1, 45))


def hsic(k, m, unbiased):
    """HSIC of two kernels in the words of the papers: tr(KHLH), or Song et al.'s equation 5."""
    n = len(k)
    if not unbiased:
        h = np.eye(n) - 1 / n
        return np.trace(k @ h @ m @ h)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    return (
        np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * (one @ k @ m @ one)
    ) / (n * (n - 3))


def naive(x, y, unbiased):
    x, y = x.astype("f8"), y.astype("f8")
    k, m = x @ x.T, y @ y.T
    return hsic(k, m, unbiased) / np.sqrt(hsic(k, k, unbiased) * hsic(m, m, unbiased))


def drawn(size, seed, dtype="f8", offset=0.0):
    n, d, e = size
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) + offset
    y = rng.normal(size=(n, e)) + x[:, :1]
    return x.astype(dtype), y.astype(dtype)


@few
@given(sizes, st.sampled_from(["f4", "f8"]), st.booleans(), st.sampled_from([0.0, 3.0]), st.integers(0, 99))
def test_it_is_what_the_kernels_give(size, dtype, unbiased, offset, seed):
    x, y = drawn(size, seed, dtype, offset)
    rtol = 1e-6 if dtype == "f8" else 1e-4
    np.testing.assert_allclose(linear_cka(x, y, unbiased=unbiased), naive(x, y, unbiased), rtol=rtol, atol=rtol)


@few
@given(sizes, st.booleans(), st.integers(0, 99))
def test_rotation_scale_and_the_order_of_rows_change_nothing(size, unbiased, seed):
    x, y = drawn(size, seed)
    rng = np.random.default_rng(seed)
    first, order = linear_cka(x, y, unbiased=unbiased), rng.permutation(len(x))
    turn = np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0]
    for a, b in ((x @ turn, y), (x * -1e20, y * 1e-20), (x + 7, y - 3), (x[order], y[order])):
        assert linear_cka(a, b, unbiased=unbiased) == pytest.approx(first, abs=1e-9)
    assert linear_cka(y, x, unbiased=unbiased) == pytest.approx(first, abs=1e-12)
    assert linear_cka(x, 3 * x @ turn, unbiased=unbiased) == pytest.approx(1, abs=1e-9)


def test_by_hand():
    """Centred x = (-1, 0, 1), y = (-1, 2, -1): x'y = 0. With z = (-1, -1, 2): x'z = 3, |x|^2 = 2, |z|^2 = 6, so 9 / 12."""
    x, y, z = (np.array(v, float)[:, None] for v in ((4, 5, 6), (0, 3, 0), (0, 0, 3)))
    assert linear_cka(x, y, unbiased=False) == pytest.approx(0, abs=1e-15)
    assert linear_cka(x, z, unbiased=False) == pytest.approx(0.75)


def test_the_two_sides_agree_and_blocks_do_not_count(monkeypatch):
    x, y = drawn((60, 20, 30), 0)
    through = module._through_columns(x, y), module._through_rows(x, y)
    for a, b in zip(*through, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
    whole = linear_cka(x, y)
    monkeypatch.setattr(module, "BLOCK_BYTES", 8 * 30 * 7)
    assert linear_cka(x, y) == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(module._through_rows(x, y)[0], through[1][0], rtol=1e-12)


def test_unrelated_rows_have_none_by_the_unbiased_form_only():
    rng = np.random.default_rng(0)
    found = [
        [linear_cka(rng.normal(size=(60, 200)), rng.normal(size=(60, 200)), unbiased=u) for _ in range(50)]
        for u in (True, False)
    ]
    assert abs(np.mean(found[0])) < 3 * np.std(found[0]) / 50**0.5 + 1e-3
    assert np.mean(found[1]) > 0.7


@pytest.mark.parametrize("size", [1e-15, 1.0, 1e15])
def test_float32_far_from_the_origin_and_of_any_size(size):
    """Rows of width 2e-4 around 1000: what float32 holds of them is what counts."""
    rng = np.random.default_rng(0)
    x = ((rng.normal(size=(400, 6)) * 2e-4 + 1000) * size).astype("f4")
    y = (rng.normal(size=(400, 4)) * size).astype("f4") + x[:, :1]
    exact = [z.astype("f8") / size - 1000 for z in (x, y)]
    for unbiased in (True, False):  # the biased form sees a mean that float32 rounded
        assert linear_cka(x, y, unbiased=unbiased) == pytest.approx(naive(*exact, unbiased), abs=2e-6)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("columns", [3, 30])
def test_rows_that_are_all_equal_are_like_nothing(unbiased, dtype, columns):
    same = np.full((20, columns), 0.1, dtype)
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(dtype)
    assert np.isnan(linear_cka(same, x, unbiased=unbiased))
    assert np.isnan(linear_cka(x, same, unbiased=unbiased))


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("rows", "value"), [(69, 1576875.6104869754), (62, 173335.83294650193), (30_000, 0.1)])
def test_equal_rows_whose_mean_rounds_are_like_nothing(rows, value, dtype, unbiased):
    x = np.random.default_rng(0).normal(size=(rows, 3)).astype(dtype)
    assert np.isnan(linear_cka(np.full((rows, 2), value, dtype), x, unbiased=unbiased))
    assert np.isnan(linear_cka(x, np.full((rows, 2), value, dtype), unbiased=unbiased))


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize(("size", "width"), [(1e-6, 1e-9), (1e-3, 1e-11), (1e6, 1e-10)])
def test_rows_that_hardly_differ_are_not_taken_for_equal(size, width, unbiased):
    x = size * (1 / 3 + width * np.random.default_rng(0).normal(size=(40, 3)))
    assert linear_cka(x, x[:, ::-1], unbiased=unbiased) == pytest.approx(1, abs=1e-6)
    y = np.random.default_rng(1).normal(size=(40, 2))
    exact = (x - x[0]) / (size * width)
    assert linear_cka(x, y, unbiased=unbiased) == pytest.approx(naive(exact, y, unbiased), abs=1e-6)


def test_many_rows_far_from_the_origin():
    """A sum of as many numbers rounds away more than the rows' width allows."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300_000, 2)), rng.normal(size=(300_000, 2))
    y[:, 0] += x[:, 0]
    far = x * 1e-3 + 1e6
    exact = [linear_cka((far - 1e6) * 1e3, y, unbiased=u) for u in (True, False)]
    assert [linear_cka(far, y, unbiased=u) for u in (True, False)] == pytest.approx(exact, abs=1e-9)


def test_rows_as_far_from_each_other_as_any_are_like_nothing_without_themselves():
    assert np.isnan(linear_cka(np.eye(6), np.eye(6)))
    assert linear_cka(np.eye(6), np.eye(6), unbiased=False) == pytest.approx(1)


@few
@given(st.integers(3, 30), st.integers(1, 10), st.sampled_from(["cosine", "euclid"]), st.integers(0, 99), st.data())
def test_mutual_neighbours_are_those_of_a_full_sort(n, d, similarity, seed, data):
    k = data.draw(st.integers(1, n - 1))
    x, y = drawn((n, d, 3), seed, offset=2.0)
    x[n // 2] = x[0]  # ties go by index
    lists = []
    for z in (x, y):
        u = z / np.linalg.norm(z, axis=1, keepdims=True) if similarity == "cosine" else z
        far = np.square(u[:, None] - u[None]).sum(-1).round(12)
        np.fill_diagonal(far, np.inf)
        lists.append(np.argsort(far, axis=1, kind="stable")[:, :k])
    expected = np.mean([len(set(a) & set(b)) / k for a, b in zip(*map(np.ndarray.tolist, lists), strict=True)])
    assert mutual_knn(x, y, k=k, similarity=similarity) == pytest.approx(expected)


def test_mutual_neighbours_by_hand_and_of_itself():
    """0 and 1 have each other and 5 has 1; then 0 has 4, 4 has 5 and 5 has 4, the rows 1, 2 and 1."""
    x, y = np.array([[0.0], [1], [5]]), np.array([[0.0], [4], [5]])
    assert mutual_knn(x, y, k=1, similarity="euclid") == pytest.approx(2 / 3)
    assert mutual_knn(x, y, k=2, similarity="euclid") == 1
    z = np.random.default_rng(0).normal(size=(40, 5))
    assert mutual_knn(z, 3 * z @ np.linalg.qr(z[:5])[0], k=7) == 1


@pytest.mark.parametrize("measure", [linear_cka, mutual_knn])
def test_bad_rows_are_named(measure):
    x = np.random.default_rng(0).normal(size=(12, 2))
    bad = x.copy()
    bad[7] = np.nan
    with pytest.raises(ArgumentError, match=r"y_NE: expected finite numbers, received NaN .* first is row 7"):
        measure(x, bad)


def test_too_few_rows_and_rows_of_other_images():
    with pytest.raises(ArgumentError, match="y_NE: expected 12 rows like x_ND, received 11"):
        module._both(
            "x_ND", np.ones((12, 2)), "y_NE", np.ones((11, 2))
        )  # the shapes in signatures stand before it here
    with pytest.raises(ArgumentError, match="at least 4 rows, received 3"):
        linear_cka(np.eye(3), np.eye(3))
    with pytest.raises(ArgumentError, match="at least 2 rows, received 1"):
        linear_cka(np.eye(1), np.eye(1), unbiased=False)
    with pytest.raises(ArgumentError, match="k: expected 1 to 2"):
        mutual_knn(np.ones((3, 2)), np.ones((3, 2)), k=3)
    with pytest.raises(ArgumentError, match="k: expected a whole number"):
        mutual_knn(np.ones((3, 2)), np.ones((3, 2)), k=0)


def test_any_kind_of_array_is_taken_and_none_is_written_to(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(-9, 9, (30, 5)), rng.normal(size=(30, 4))
    kept, expected, overlap = x.astype(">f4").tobytes(), linear_cka(x.astype("f8"), y), mutual_knn(x.astype("f8"), y)
    np.save(tmp_path / "x.npy", x.astype("f4"))
    wide = np.zeros((30, 10))
    wide[:, ::2] = x
    for other in (
        x,
        x.astype("f2"),
        x.astype(">f4"),
        np.asfortranarray(x.astype("f8")),
        wide[:, ::2],
        np.load(tmp_path / "x.npy", mmap_mode="r"),
    ):
        assert linear_cka(other, y) == pytest.approx(expected, rel=1e-5)
        assert mutual_knn(other, y) == overlap
        assert other.astype(">f4").tobytes() == kept


def test_two_embeddings_side_by_side_say_how_alike_they_are(tmp_path):
    from relic_eval.comparison import compare

    rng = np.random.default_rng(0)
    x = np.repeat(np.eye(3), 30, 0) * 4 + rng.normal(size=(90, 3))
    both = compare(x, 2 * x @ np.linalg.qr(rng.normal(size=(3, 3)))[0], np.repeat(list("abc"), 30), out=tmp_path)
    assert both.cka == pytest.approx(1, abs=1e-6)
    assert both.overlap > 0.99
    for shown in (repr(both), both._repr_html_()):
        assert "How alike the two are: CKA 1.000; 100% of nearest neighbours in both." in shown
    other = compare(x, rng.normal(size=(90, 4)), np.repeat(list("abc"), 30))
    assert abs(other.cka) < 0.2
    assert other.overlap == mutual_knn(*(np.asarray(z) for z in (x, _second(other))), k=10)


def _second(both):
    from relic_eval.store import find_stores, read_store

    return read_store(next(s.path for s in find_stores(both.out) if s.encoder == "b")).x_ND
