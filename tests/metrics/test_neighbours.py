"""Nearest neighbours against brute force in float64; ties, borders, and both backends."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relic_eval.devices import faiss_flavour
from relic_eval.errors import ArgumentError
from relic_eval.metrics.neighbours import nearest

FAISS = pytest.param(
    "faiss", marks=pytest.mark.skipif(faiss_flavour() is None, reason="no FAISS wheel is installed here")
)
BACKENDS = [FAISS, "torch"]
MEMORY = [1, 5000, 1 << 29]
SIMILARITIES = ["cosine", "euclid", "inner"]


@pytest.fixture
def warn_always():
    """Torch says most warnings once a process: a test of read-only input must hear them each time."""
    import torch

    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


def brute(train, query, k, similarity, exclude_self=False):
    """All scores in float64 from differences, sorted stably: the lowest index wins a tie."""
    train, query = train.astype(np.float64), query.astype(np.float64)
    if similarity == "euclid":
        score = np.stack([-np.sqrt(((train - q) ** 2).sum(1)) for q in query])
    else:
        score = np.stack([(train * q).sum(1) for q in query])
    if similarity == "cosine":
        score = score / np.linalg.norm(train, axis=1) / np.linalg.norm(query, axis=1)[:, None]
    if exclude_self:
        np.fill_diagonal(score, -np.inf)
    index = np.argsort(-score, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(score, index, 1)
    return index, -best if similarity == "euclid" else best


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("rows", "dims", "k"), [(30, 3, 1), (200, 17, 10), (1500, 8, 7), (40, 5, 40)])
def test_lists_equal_brute_force(backend, similarity, rows, dims, k):
    rng = np.random.default_rng(rows)
    train, query = rng.normal(1, 1, (rows, dims)).astype("f"), rng.normal(1, 1, (25, dims)).astype("f")
    index, score = nearest(train, query, k, similarity=similarity, backend=backend)
    expected_index, expected_score = brute(train, query, k, similarity)
    np.testing.assert_array_equal(index, expected_index)
    np.testing.assert_allclose(score, expected_score, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_exclude_self_equals_brute_force(backend, similarity):
    x = np.random.default_rng(3).normal(size=(700, 6)).astype("f")
    index, _ = nearest(x, x, 5, similarity=similarity, exclude_self=True, backend=backend)
    assert not (index == np.arange(700)[:, None]).any()
    np.testing.assert_array_equal(index, brute(x, x, 5, similarity, exclude_self=True)[0])


@pytest.mark.skipif(faiss_flavour() is None, reason="no FAISS wheel is installed here")
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("exclude_self", [False, True])
def test_both_backends_give_the_same_bytes(similarity, exclude_self):
    rng = np.random.default_rng(5)
    x = rng.normal(3, 1, (900, 12)).astype("f")
    x[rng.integers(0, 900, 500)] = x[7]  # ties that reach past the candidates
    both = [nearest(x, x, 9, similarity=similarity, exclude_self=exclude_self, backend=b) for b in ("faiss", "torch")]
    np.testing.assert_array_equal(both[0][0], both[1][0])
    np.testing.assert_array_equal(both[0][1], both[1][1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("rows", "copies"), [(120, 60), (3000, 400)])
def test_equal_rows_come_in_the_order_of_their_index(backend, similarity, rows, copies):
    rng, k = np.random.default_rng(8), 5
    train = rng.normal(size=(rows, 7)).astype("f")
    train *= 3 / np.linalg.norm(train, axis=1, keepdims=True)  # of one norm, so that a row is nearest to itself
    same = np.sort(rng.choice(rows, copies, replace=False))
    train[same] = train[same[0]]
    assert copies > k + 16  # more than the candidates of one search
    index, _ = nearest(train, train[same], k, similarity=similarity, backend=backend)
    np.testing.assert_array_equal(index, np.tile(same[:k], (copies, 1)))
    index, _ = nearest(train, train, k, similarity=similarity, exclude_self=True, backend=backend)
    for place, row in enumerate(same):
        np.testing.assert_array_equal(index[row], np.delete(same, place)[:k])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_equal_rows_of_many_columns_come_in_the_order_of_their_index(backend, similarity, order):
    """einsum sums rows longer than its buffer, and rows that are not in C order, differently at different places."""
    rng = np.random.default_rng(0)
    train = np.array(np.tile(rng.normal(size=10_000), (60, 1)), order=order)
    query = np.array(rng.normal(size=(7, 10_000)), order=order)
    index, score = nearest(train, query, 60, similarity=similarity, backend=backend, max_memory=20 << 20)
    assert (index == np.arange(60)).all()
    alone = np.concatenate([nearest(train, q[None], 60, similarity=similarity, backend=backend)[1] for q in query])
    np.testing.assert_array_equal(score, alone)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rounding_that_adds_up_hides_no_neighbour(backend):
    """Rows of two levels: each float32 sum of equal products rounds to the same side, again and again."""
    rng = np.random.default_rng(0)
    x = (np.repeat(rng.uniform(0.9, 1.1, (20_000, 1)), 128, axis=1) + (np.arange(128) < 64)).astype("f")
    query = (x[:30] + (np.arange(128) < 40)).astype("f")
    index, _ = nearest(x, query, 5, backend=backend)
    wide, wide_q = (a.astype(np.float64) / np.linalg.norm(a.astype(np.float64), axis=1)[:, None] for a in (x, query))
    cosine = wide_q @ wide.T
    best = -np.sort(-cosine, axis=1)[:, :5]
    np.testing.assert_allclose(np.take_along_axis(cosine, index, 1), best, rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_rows_equal(backend):
    x = np.full((500, 4), 0.3, "f")
    index, score = nearest(x, x, 3, similarity="euclid", exclude_self=True, backend=backend)
    assert index[:3].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3]]
    assert (index[3:] == [0, 1, 2]).all()
    assert (score == 0).all()


def test_the_same_list_for_a_query_alone_and_among_others():
    rng = np.random.default_rng(11)
    train, query = rng.normal(size=(800, 5)).astype("f"), rng.normal(size=(40, 5)).astype("f")
    together, _ = nearest(train, query, 6, similarity="inner")
    alone = np.concatenate([nearest(train, q[None], 6, similarity="inner")[0] for q in query])
    np.testing.assert_array_equal(together, alone)


def test_distances_far_from_the_origin():
    x = np.array([[0.0], [1.0], [3.0], [7.0]]) + 1e6
    index, distance = nearest(x, x, 1, similarity="euclid", exclude_self=True)
    assert index.ravel().tolist() == [1, 0, 1, 2]
    assert distance.ravel().tolist() == [1.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("argument", ["train_ND", "query_QD"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(similarity, argument, bad):
    arrays = {"train_ND": np.ones((6, 2), "f"), "query_QD": np.ones((6, 2), "f")}
    arrays[argument][[2, 4], 1] = bad
    with pytest.raises(ArgumentError, match=rf"{argument}.*2 of 6 rows \(the first is row 2\)"):
        nearest(**arrays, k=1, similarity=similarity)


@pytest.mark.parametrize("argument", ["train_ND", "query_QD"])
def test_zero_rows_are_refused_with_cosine_only(argument):
    arrays = {"train_ND": np.ones((6, 2), "f"), "query_QD": np.ones((6, 2), "f")}
    arrays["train_ND"][0] = 2
    arrays[argument][[3, 5]] = 0
    with pytest.raises(ArgumentError, match=rf"{argument}.*2 \(the first is row 3\)"):
        nearest(**arrays, k=1)
    for similarity in ("euclid", "inner"):
        assert nearest(**arrays, k=1, similarity=similarity)[0].shape == (6, 1)


@pytest.mark.parametrize(("k", "exclude_self", "fits"), [(5, False, True), (6, False, False), (4, True, True)])
def test_k_at_its_limit(k, exclude_self, fits):
    x = np.arange(10.0).reshape(5, 2) + 1
    if fits:
        index, _ = nearest(x, x, k, exclude_self=exclude_self)
        assert all(len(set(row)) == k for row in index.tolist())
    else:
        with pytest.raises(ArgumentError, match="k: expected 1 to 5"):
            nearest(x, x, k, exclude_self=exclude_self)


@pytest.mark.parametrize(
    ("k", "exclude_self", "message"),
    [
        (0, False, "a whole number of at least 1"),
        (-1, False, "a whole number of at least 1"),
        (2.0, False, "a whole number of at least 1"),
        (True, False, "a whole number of at least 1"),
        (5, True, "the rows there are to find"),
        (6, False, "the rows there are to find"),
    ],
)
def test_k_beyond_its_limit(k, exclude_self, message):
    x = np.arange(10.0).reshape(5, 2) + 1
    with pytest.raises(ArgumentError, match=message):
        inspect.unwrap(nearest)(x, x, k, exclude_self=exclude_self)


@pytest.mark.parametrize("backend", BACKENDS)
def test_k_may_be_a_number_of_numpy(backend):
    x = np.arange(10.0).reshape(5, 2) + 1
    expected = nearest(x, x, 2, backend=backend)
    np.testing.assert_array_equal(inspect.unwrap(nearest)(x, x, np.int64(2), backend=backend)[0], expected[0])


def test_columns_must_agree_and_names_must_be_known():
    with pytest.raises(ArgumentError, match="3 columns like train_ND"):
        inspect.unwrap(nearest)(np.ones((4, 3)), np.ones((4, 2)), 1)
    with pytest.raises(ArgumentError, match="Did you mean 'euclid'"):
        nearest(np.ones((4, 3)), np.ones((4, 3)), 1, similarity="euklid")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_inputs_are_not_written_to(backend, similarity, kind):
    rng = np.random.default_rng(2)
    train, query = rng.normal(size=(60, 4)).astype(kind), rng.normal(size=(9, 4)).astype(kind)
    before = train.copy(), query.copy()
    nearest(train, query, 3, similarity=similarity, backend=backend)
    np.testing.assert_array_equal(train, before[0])
    np.testing.assert_array_equal(query, before[1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_read_only_memory_map(tmp_path, warn_always, backend, similarity):
    x = np.random.default_rng(4).normal(size=(60, 4)).astype("f")
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    index, score = nearest(mapped, mapped, 3, similarity=similarity, backend=backend)
    expected = nearest(x, x, 3, similarity=similarity, backend=backend)
    np.testing.assert_array_equal(index, expected[0])
    np.testing.assert_array_equal(score, expected[1])


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("form", ["f2", "i1", "i8", ">f4", ">f8", "columns", "fortran", "reversed"])
def test_other_forms_of_the_same_numbers(similarity, form):
    rng = np.random.default_rng(6)
    x = rng.integers(1, 60, (50, 6)).astype("f")  # the same numbers in each form
    forms = {
        "columns": np.repeat(x, 2, axis=1)[:, ::2],
        "fortran": np.asfortranarray(x),
        "reversed": np.ascontiguousarray(x[::-1])[::-1],
    }
    given = forms[form] if form in forms else x.astype(form)
    # signatures say Float, and the hook of the tests enforces it: integers are for the code behind it
    search = inspect.unwrap(nearest)
    np.testing.assert_array_equal(search(given, given, 4, similarity=similarity)[0], brute(x, x, 4, similarity)[0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", ["euclid", "inner"])
def test_two_far_rows_leave_the_lists_of_others_alone(backend, similarity):
    x = np.random.default_rng(0).normal(size=(300, 4)).astype("f")
    x[:2] = [[1e6], [-1e6]]  # the mean stays where it was
    index, _ = nearest(x, x, 5, similarity=similarity, exclude_self=True, backend=backend)
    expected = brute(x, x, 5, similarity, exclude_self=True)[0]
    assert (index[2:] == expected[2:]).mean() > 0.99


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_so_far_that_the_others_vanish_beside_them(backend):
    """In float32 all products of the near rows are 0."""
    x = np.random.default_rng(0).normal(size=(300, 4)).astype("f")
    x[:2] = [[1e25], [-1e25]]
    index, _ = nearest(x, x[2:40], 5, similarity="euclid", backend=backend)
    np.testing.assert_array_equal(index, brute(x, x[2:40], 5, "euclid")[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_training_rows_equal_and_a_query_elsewhere(backend):
    index, distance = nearest(np.ones((3, 2)), np.full((1, 2), 2.0), 2, similarity="euclid", backend=backend)
    assert index.tolist() == [[0, 1]]
    np.testing.assert_allclose(distance, 2**0.5, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_queries_at_the_centre_of_a_sphere(backend):
    rng = np.random.default_rng(0)
    half = rng.normal(size=(4000, 64))
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    train = np.concatenate([half, -half]).astype("f")
    query = (rng.normal(size=(50, 64)) * 1e-7).astype("f")
    index, _ = nearest(train, query, 5, similarity="euclid", backend=backend)
    np.testing.assert_array_equal(index, brute(train, query, 5, "euclid")[0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
def test_narrow_clusters_far_apart(backend, scale):
    """Within a cluster all float32 distances are noise: the lists must be widened until they are exact."""
    rng = np.random.default_rng(0)
    x = (np.repeat([[1000.0], [-1000.0]], 150, axis=0) + rng.normal(0, 1e-3, (300, 8))) * scale
    index, distance = nearest(x, x, 5, similarity="euclid", exclude_self=True, backend=backend)
    expected = brute(x, x, 5, "euclid", exclude_self=True)
    np.testing.assert_array_equal(index, expected[0])
    np.testing.assert_allclose(distance, expected[1], rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("max_memory", [1, 6000, 1 << 20])
def test_blocks_of_any_size_give_the_same_lists(backend, similarity, max_memory):
    x = np.random.default_rng(1).normal(size=(70, 4)).astype("f")
    x[30:60] = x[3]
    found = nearest(x, x[:5], 9, similarity=similarity, backend=backend, max_memory=max_memory)
    expected = brute(x, x[:5], 9, similarity)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_tiles_of_products_are_joined(monkeypatch, backend):
    """Later tiles are held against the lowest product kept so far; sorted rows make each better than all before."""
    from relic_eval.metrics import candidates

    monkeypatch.setattr(candidates, "COLUMNS", 400)
    monkeypatch.setattr(candidates, "PIECE", 150)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1703, 6)).astype("f")
    for order in (np.arange(1703), np.argsort(x @ x[0]), np.argsort(-(x @ x[0]))):
        for k in (1, 5, 190):
            index, _ = nearest(x[order], x[:20], k, similarity="inner", backend=backend)
            np.testing.assert_array_equal(index, brute(x[order], x[:20], k, "inner")[0])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("similarity", ["cosine", "euclid", "inner"])
def test_memory_stays_within_its_bound(backend, similarity):
    """In a process of its own: the resident set grows by at most max_memory, the result and 32 bytes a row of both."""
    code = f"""
import relic_eval, torch, numpy as np
from relic_eval.metrics.neighbours import nearest
rng = np.random.default_rng(0)
x, q = rng.standard_normal((60_000, 256), np.float32), rng.standard_normal((3_000, 256), np.float32)
ask = dict(similarity={similarity!r}, backend={backend!r})
if ask["similarity"] == "inner":  # rows that get better and better: each tile is kept whole
    np.abs(x, out=x), np.abs(q, out=q)
    x *= np.linspace(0.1, 1, len(x), dtype="f")[:, None]
nearest(x[:5000], q[:200], 5, max_memory=1 << 20, **ask)  # libraries and threads are there
open("/proc/self/clear_refs", "w").write("5")  # forgets the largest resident set so far
most = lambda: int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) / 1024
before = most()
nearest(x, q, 50, max_memory=48 << 20, **ask)
grown = most() - before
assert grown < 48 + (3000 * 50 * 12 + 63_000 * 32) / 2**20, grown
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_precision_that_the_caller_lowered_changes_nothing():
    import torch

    rng = np.random.default_rng(9)
    x = rng.normal(size=(400, 64)).astype("f")
    expected = brute(x, x[:30], 8, "inner")[0]
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        index, _ = nearest(x, x[:30], 8, similarity="inner", backend="torch")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(index, expected)


def test_a_default_type_that_the_caller_set_changes_nothing():
    import torch

    x = np.random.default_rng(9).normal(size=(40, 6)).astype("f")
    torch.set_default_dtype(torch.float64)
    try:
        index, _ = nearest(x, x, 8, similarity="inner", backend="torch")
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(index, brute(x, x, 8, "inner")[0])


def test_backends_and_devices_that_are_not_there(monkeypatch):
    from relic_eval.metrics import candidates

    x = np.ones((4, 3))
    with pytest.raises(ArgumentError, match="Did you mean 'faiss'"):
        nearest(x, x, 1, backend="fais")
    with pytest.raises(ArgumentError, match="device: expected auto, cpu"):
        nearest(x, x, 1, device="gpu")
    with pytest.raises(ArgumentError, match="max_memory"):
        nearest(x, x, 1, max_memory=0)
    with pytest.raises(ArgumentError, match="at most 4 rows with exclude_self"):
        nearest(x, np.ones((5, 3)), 1, exclude_self=True)
    monkeypatch.setattr(candidates, "faiss_flavour", lambda: None)
    with pytest.raises(ArgumentError, match="pip install faiss-cpu"):
        nearest(x, x, 1, backend="faiss")


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("scale", [1e-170, 1e200])
def test_sizes_whose_squares_leave_float64_are_refused(similarity, scale):
    with pytest.raises(ArgumentError, match=r"Scale the features|row of zeros"):
        nearest(np.ones((4, 3)) * scale, np.ones((4, 3)), 1, similarity=similarity)


@pytest.mark.parametrize(
    ("similarity", "scale"), [("euclid", 1e50), ("euclid", 1e-50), ("inner", 1e25), ("inner", 1e-25)]
)
def test_sizes_whose_scores_leave_float32_are_refused(similarity, scale):
    x = np.random.default_rng(0).normal(size=(9, 3)) * scale
    with pytest.raises(ArgumentError, match="that float32 holds"):
        nearest(x, x, 2, similarity=similarity)
    nearest(x, x, 2)  # cosines have no scale


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_shape_with_ties_equals_brute_force(data):
    """Whole numbers: products and squared distances are exact, so that ties are ties in the reference too."""
    rows, dims, queries = (data.draw(st.integers(1, most)) for most in (90, 9, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    x = rng.integers(-2, 3, (rows, dims)).astype(data.draw(st.sampled_from(["f4", "f8"])))
    q = rng.integers(-2, 3, (queries, dims)).astype(x.dtype)
    k, similarity = data.draw(st.integers(1, rows)), data.draw(st.sampled_from(["euclid", "inner"]))
    backend = data.draw(st.sampled_from([b for b in (faiss_flavour() and "faiss", "torch") if b]))
    index, score = nearest(
        x, q, k, similarity=similarity, backend=backend, max_memory=data.draw(st.sampled_from(MEMORY))
    )
    expected = brute(x, q, k, similarity)
    np.testing.assert_array_equal(index, expected[0])
    np.testing.assert_allclose(score, expected[1], rtol=1e-6)


def test_permuted_rows_are_found_at_their_new_places():
    rng = np.random.default_rng(12)
    x, order = rng.normal(size=(200, 9)).astype("f"), rng.permutation(200)
    before, after = nearest(x, x[:20], 7)[0], nearest(x[order], x[:20], 7)[0]
    np.testing.assert_array_equal(order[after], before)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_faiss_and_torch_on_a_gpu(similarity):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    x = np.random.default_rng(5).normal(3, 1, (9000, 12)).astype("f")
    x[100:700] = x[7]
    expected = nearest(x, x[:300], 9, similarity=similarity, backend="torch")
    for backend in (None, "torch"):
        found = nearest(x, x[:300], 9, similarity=similarity, backend=backend, device="cuda", max_memory=1 << 24)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
