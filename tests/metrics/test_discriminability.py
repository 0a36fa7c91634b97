"""Inter over intra distances against slow loops, scikit-learn and SciPy, and where cancellation would show."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_samples

from relic_eval.errors import ArgumentError
from relic_eval.metrics import distances
from relic_eval.metrics.discriminability import Discriminability, discriminability, histogram, nearest_class
from relic_eval.metrics.distances import class_distance_sums
from relic_eval.metrics.fisher import fisher
from relic_eval.metrics.readings import checked

CDIST = {"euclid": "euclidean", "squared": "sqeuclidean", "cosine": "cosine"}
KINDS = [(r, m) for r in ("mean", "nearest-class", "other-centroids") for m in CDIST]
KINDS += [(r, m) for r in ("fisher", "fisher-mean") for m in ("squared", "cosine")]
FIELDS = ("ratio", "ratio_C", "ratio_N", "inter_N", "intra_N", "mean_NC")


def distance(a, b, metric):
    """Between two rows, by the formula."""
    if metric == "cosine":
        return 1 - a @ b / np.sqrt((a @ a) * (b @ b))
    square = ((a - b) ** 2).sum()
    return np.sqrt(square) if metric == "euclid" else square


def over(a, b):
    return a / b if b > 0 else np.nan


def mean(values):
    values = [v for v in values if not np.isnan(v)]
    return np.mean(values) if values else np.nan


def slow(x, y, reading="mean", metric="euclid"):
    """Everything by loops over pairs, in float64."""
    x, n, classes = np.asarray(x, np.float64), len(y), int(y.max()) + 1
    if metric == "cosine" and reading != "mean" and reading != "nearest-class":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    half = 0.5 if metric == "cosine" else 1.0  # the cosine distance of rows of unit length from their squared one
    here = [c for c in range(classes) if (y == c).any()]
    d_NN = cdist(x, x, CDIST[metric])
    to_NC, inter_N, intra_N = np.full((n, classes), np.nan), np.full(n, np.nan), np.full(n, np.nan)
    for i in range(n):
        for c in here:
            rows = [j for j in range(n) if y[j] == c and j != i]
            if not rows:
                continue
            if reading in ("mean", "nearest-class"):
                to_NC[i, c] = np.mean([d_NN[i, j] for j in rows])
            elif reading == "other-centroids":
                to_NC[i, c] = distance(x[i], x[rows].mean(0), metric)
            else:
                to_NC[i, c] = half * distance(x[i], x[rows].mean(0), "squared")
        away = [c for c in here if c != y[i]]
        intra_N[i] = to_NC[i, y[i]]
        if not away:
            inter_N[i] = np.nan
        elif reading == "mean":
            inter_N[i] = np.mean([d_NN[i, j] for j in range(n) if y[j] != y[i]])
        elif reading == "nearest-class":
            inter_N[i] = min(to_NC[i, c] for c in away)
        else:
            inter_N[i] = np.mean([to_NC[i, c] for c in away])
        if reading.startswith("fisher"):
            rows = np.flatnonzero(y == y[i])
            total = half * sum(distance(x[i], x[j], "squared") for j in rows)
            intra_N[i] = total * len(rows) if reading == "fisher" else over(total, len(rows) - 1)
    ratio_N = np.array([over(a, b) for a, b in zip(inter_N, intra_N, strict=True)])
    if reading.startswith("fisher"):
        pair_CC = slow_fisher(x, y, reading == "fisher-mean")
        return mean(pair_CC.ravel()), np.array([mean(row) for row in pair_CC]), ratio_N, inter_N, intra_N, to_NC

    def ratio(rows):
        if reading == "mean":
            pairs = [(d_NN[i, j], y[i] == y[j]) for i in rows for j in range(n) if i != j]
            return over(mean([d for d, same in pairs if not same]), mean([d for d, same in pairs if same]))
        both = [i for i in rows if not np.isnan(inter_N[i]) and not np.isnan(intra_N[i])]
        return over(mean(inter_N[both]), mean(intra_N[both]))

    ratio_C = np.array([ratio(np.flatnonzero(y == c)) for c in range(classes)])
    return ratio(range(n)), ratio_C, ratio_N, inter_N, intra_N, to_NC


def slow_fisher(x, y, normalised):
    """Fisher's ratio of each ordered pair as it is printed."""
    classes = int(y.max()) + 1
    pair_CC = np.full((classes, classes), np.nan)
    for a in range(classes):
        for b in range(classes):
            one, two = x[y == a].astype(np.float64), x[y == b].astype(np.float64)
            if a == b or len(one) == 0 or len(two) == 0:
                continue
            below = sum(distance(i, j, "squared") for i in one for j in one)
            if normalised:
                below = over(below, len(one) * (len(one) - 1))
            pair_CC[a, b] = over(distance(one.mean(0), two.mean(0), "squared"), below)
    return pair_CC


def same(found, expected, rtol):
    for name, value in zip(FIELDS, expected, strict=True):
        np.testing.assert_allclose(getattr(found, name), value, rtol=rtol, err_msg=name)


@pytest.mark.parametrize(("reading", "metric"), KINDS)
@pytest.mark.parametrize(("rows", "classes", "kind"), [(12, 2, "f8"), (40, 3, "f4"), (60, 9, "f8"), (30, 1, "f8")])
def test_equals_a_slow_loop(rows, classes, kind, reading, metric):
    rng = np.random.default_rng(rows)
    x, y = rng.normal(5, 2, (rows, 6)).astype(kind), rng.integers(0, classes, rows)
    y[0] = classes - 1
    found = discriminability(x, y, reading=reading, metric=metric)
    same(found, slow(x, y, reading, metric), 1e-4 if kind == "f4" else 1e-6)
    alone = discriminability(x, y, reading=reading, metric=metric, to_classes=False)
    assert alone.mean_NC is None
    for name in FIELDS[:-1]:
        np.testing.assert_array_equal(getattr(alone, name), getattr(found, name))


def test_hand_cases():
    x, y = np.array([[0.0], [2.0], [10.0], [14.0]]), np.array([0, 0, 1, 1])
    # squared: within 4 and 16, between 100, 196, 64, 144
    d = discriminability(x, y, metric="squared")
    assert (d.ratio, d.ratio_C.tolist()) == (126 / 10, [126 / 4, 126 / 16])
    assert d.ratio_N.tolist() == [148 / 4, 104 / 4, 82 / 16, 170 / 16]
    # centroids 1 and 12; without the image itself 2, 0, 14, 10
    d = discriminability(x, y, reading="other-centroids")
    assert d.ratio_N.tolist() == [12 / 2, 10 / 2, 9 / 4, 13 / 4]
    assert (d.ratio, d.ratio_C.tolist()) == (11 / 3, [11 / 2, 11 / 4])
    # |1 - 12|^2 over the sum of 4 twice, and of 16 twice
    d = discriminability(x, y, reading="fisher")
    assert d.ratio_C.tolist() == [121 / 8, 121 / 32]
    assert d.ratio == (121 / 8 + 121 / 32) / 2
    assert d.metric == "squared"
    d = discriminability(x, y, reading="fisher-mean")
    assert d.ratio_C.tolist() == [121 / 4, 121 / 16]
    # right angles: within 1 - cos 45, between 1 - cos 90 and 1 - cos 135 and 1 - cos 45
    x = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0], [-1.0, 1.0]])
    s = np.sqrt(0.5)
    d = discriminability(x, y, metric="cosine")
    assert d.ratio == pytest.approx((1 + (1 + s) + (1 - s) + 1) / 4 / (1 - s))
    three = discriminability(np.array([[0.0], [2.0], [10.0], [-5.0]]), np.array([0, 0, 1, 2]), reading="nearest-class")
    assert three.inter_N.tolist() == [5, 7, 9, 6]  # to class 2 twice, to class 0 twice


def test_nearest_class_is_the_silhouette():
    rng = np.random.default_rng(3)
    x, y = rng.normal(0, 1, (80, 5)), np.arange(80) % 4
    x += 2 * rng.normal(0, 1, (4, 5))[y]
    for metric in ("euclid", "squared", "cosine"):
        d = discriminability(x, y, reading="nearest-class", metric=metric)
        other, own = d.inter_N, d.intra_N
        expected = silhouette_samples(x, y, metric=CDIST[metric])
        np.testing.assert_allclose((other - own) / np.maximum(other, own), expected, rtol=1e-9, atol=1e-12)


def test_singletons_and_absent_classes_are_missing_and_counted():
    x, y = np.array([[0.0], [1.0], [4.0], [9.0]]), np.array([0, 0, 1, 3])
    for reading, metric in (
        ("mean", "euclid"),
        ("mean", "squared"),
        ("nearest-class", "euclid"),
        ("fisher", "squared"),
    ):
        found = discriminability(x, y, reading=reading, metric=metric, classes=6)
        assert (found.singletons, found.empty) == (2, 3)
        assert found.count_C.tolist() == [2, 1, 0, 1, 0, 0]
        expected = slow(x, y, reading, metric)
        assert np.isnan(found.ratio_C).tolist() == [False, True, True, True, True, True]
        assert np.isnan(found.ratio_N).tolist() == [False, False, True, True]
        np.testing.assert_allclose(found.ratio, expected[0])
        np.testing.assert_allclose(found.mean_NC[:, :4], expected[5])
        assert np.isnan(found.mean_NC[:, [2, 4, 5]]).all()
    alone = discriminability(x, np.arange(4))
    assert np.isnan(alone.ratio)
    assert np.isnan(alone.ratio_N).all()
    for metric in ("euclid", "squared"):
        one = discriminability(x, np.zeros(4, int), metric=metric)
        assert np.isnan(one.ratio)
        assert np.isfinite(one.intra_N).all()


@pytest.mark.parametrize("metric", ["euclid", "squared"])
def test_equal_images_of_a_class_have_no_ratio(metric):
    found = discriminability(np.array([[1.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1]), metric=metric)
    assert np.isnan(found.ratio_C).tolist() == [True, False]
    assert found.intra_N[:2].tolist() == [0, 0]


@pytest.mark.parametrize("dims", [1, 4, 64])
@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("metric", ["euclid", "squared"])
@pytest.mark.parametrize("ends", [(1000.0, -1000.0), (1e6, 1e6 + 1), (0.0, 3e-12)])
def test_narrow_clusters_far_apart(dims, kind, metric, ends):
    rng, width = np.random.default_rng(dims), 1e-3 if max(ends) > 1 else 1e-15
    if kind == "f4" and ends[0] == 1e6:
        width = 0.25  # float32 knows nothing finer there
    x = np.concatenate([rng.normal(m, width, (50, dims)) for m in ends]).astype(kind)
    y = np.repeat([0, 1], 50)
    d = cdist(x.astype(np.float64), x.astype(np.float64)) ** (1 if metric == "euclid" else 2)
    own = (y[:, None] == y) & ~np.eye(100, dtype=bool)
    intra_N, inter_N = (d * own).sum(1) / own.sum(1), (d * (y[:, None] != y)).sum(1) / 50
    for reading in ("mean", "nearest-class"):
        found = discriminability(x, y, metric=metric, reading=reading)
        np.testing.assert_allclose(found.intra_N, intra_N, rtol=1e-4)
        np.testing.assert_allclose(found.inter_N, inter_N, rtol=1e-6)
        np.testing.assert_allclose(found.ratio_N, inter_N / intra_N, rtol=1e-4)
        np.testing.assert_allclose(found.ratio, inter_N.mean() / intra_N.mean(), rtol=1e-4)
        np.testing.assert_allclose(found.mean_NC[:50, 1], inter_N[:50], rtol=1e-6)


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("mixed", [False, True])
def test_classes_that_lie_together_and_in_both_clusters(kind, mixed):
    """Narrow pairs inside a class and between classes, a few of them and nearly all of them, and an outlier."""
    rng = np.random.default_rng(0)
    place = rng.integers(0, 2, 300) * 2000.0 - 1000
    x = (place[:, None] + rng.normal(0, 1e-3, (300, 3))).astype(kind)
    x[7] = 1e5
    y = rng.integers(0, 4, 300) if mixed else np.searchsorted([-500, 500], place) + 2 * rng.integers(0, 2, 300)
    for metric in ("euclid", "squared"):
        d = cdist(x.astype(np.float64), x.astype(np.float64)) ** (1 if metric == "euclid" else 2)
        inter_N = np.array([d[i][y != y[i]].mean() for i in range(300)])
        intra_N = np.array([(d[i][y == y[i]].sum()) / ((y == y[i]).sum() - 1) for i in range(300)])
        found = discriminability(x, y, metric=metric)
        np.testing.assert_allclose(found.inter_N, inter_N, rtol=1e-5)
        np.testing.assert_allclose(found.intra_N, intra_N, rtol=1e-5)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_narrow_cones_by_cosine(kind):
    rng = np.random.default_rng(0)
    x = (np.eye(3)[np.arange(60) % 3] + rng.normal(0, 1e-4, (60, 3))).astype(kind) * rng.uniform(1, 9, (60, 1)).astype(
        kind
    )
    y, x64 = np.arange(60) % 3, x.astype(np.float64)
    u = x64 / np.linalg.norm(x64, axis=1, keepdims=True)
    d = cdist(u, u) ** 2 / 2  # 1 - cos itself loses what is small beside 1
    found = discriminability(x, y, metric="cosine")
    np.testing.assert_allclose(found.intra_N, [d[i][y == y[i]].sum() / 19 for i in range(60)], rtol=1e-6)
    np.testing.assert_allclose(found.inter_N, [d[i][y != y[i]].mean() for i in range(60)], rtol=1e-6)


def test_opposite_images_have_no_mean_direction():
    x, y = np.array([[1.0, 0], [-1, 0], [0, 1], [0, 2.0]]), np.array([0, 0, 1, 1])
    found = discriminability(x, y, reading="other-centroids", metric="cosine")
    assert found.intra_N.tolist() == [2, 2, 0, 0]
    assert found.inter_N[:2].tolist() == [1, 1]
    assert np.isnan(found.inter_N[2:]).all()


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_several_tiles(kind):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(1300, 3)).astype(kind), rng.integers(0, 40, 1300)
    sums = class_distance_sums(x, y)
    d = cdist(x.astype(np.float64), x.astype(np.float64))
    expected = np.stack([d[:, y == c].sum(1) for c in range(40)], 1)
    np.testing.assert_allclose(sums, expected, rtol=1e-5 if kind == "f4" else 1e-9)


def test_each_pair_is_multiplied_once(monkeypatch):
    real, numbers = distances._products, []
    monkeypatch.setattr(
        distances, "_products", lambda a, b, *more: (numbers.append(len(a.rows) * len(b.rows)), real(a, b, *more))[1]
    )
    n, side = 2000, distances.SIDE
    class_distance_sums(np.random.default_rng(0).normal(size=(n, 2)), np.arange(n) % 3)
    assert max(numbers) <= side * side
    assert sum(numbers) <= n * (n + side) / 2


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_near_copies_scattered_over_tiles(kind, monkeypatch):
    monkeypatch.setattr(distances, "MOST_WAITING", 100)  # they are worked out in several goes
    rng = np.random.default_rng(0)
    # the distances where products just suffice too
    noise = 10 ** rng.uniform(-9 if kind == "f8" else -6, -1, (1500, 1))
    x = (rng.normal(size=(600, 8))[rng.permutation(1500) % 600] + noise * rng.normal(size=(1500, 8))).astype(kind)
    y = rng.permutation(1500) % 700
    d = cdist(x.astype(np.float64), x.astype(np.float64))
    expected = np.stack([d[:, y == c].sum(1) for c in range(700)], 1)
    np.testing.assert_allclose(class_distance_sums(x, y), expected, rtol=1e-4 if kind == "f4" else 1e-8)


@pytest.mark.parametrize("dims", [2, 64, 1024])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_squares_where_products_just_suffice(dims, kind):
    rng = np.random.default_rng(2)
    bound = distances._bound(int(kind[1]), dims + 2)
    a, step = rng.normal(size=(2, 300, dims))
    a, step = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, step))
    away = np.sqrt(2 * bound * rng.uniform(0.9, 1.5, (300, 1)))
    x = np.concatenate([a, a + step * away]).astype(kind)
    expected = np.stack([((row.astype(np.longdouble) - x) ** 2).sum(1) for row in x]).astype(float)
    np.fill_diagonal(expected, np.nan)
    found = discriminability(x, np.arange(600), reading="other-centroids", metric="squared").mean_NC
    np.testing.assert_allclose(found, expected, rtol=1e-4 if kind == "f4" else 1e-8)


def test_many_duplicates_are_at_distance_nought():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 4)).astype("f")[np.arange(700) % 6], np.arange(700) % 2
    sums = class_distance_sums(x, y)
    d = cdist(x.astype(np.float64), x.astype(np.float64))
    np.testing.assert_allclose(sums, np.stack([d[:, y == c].sum(1) for c in range(2)], 1), rtol=1e-6)
    assert class_distance_sums(np.full((600, 3), 0.1, "f"), y[:600]).max() == 0


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_small_input(data):
    n, dims = data.draw(st.integers(1, 14)), data.draw(st.integers(1, 4))
    seed, reading, metric = data.draw(st.integers(0, 99)), *data.draw(st.sampled_from(KINDS))
    rng = np.random.default_rng(seed)
    kind = data.draw(st.sampled_from(["f2", "f4", "f8", ">f4", ">f8", "i4", "u1"]))
    x = (rng.integers(0, 5, (n, dims)) + (1 if metric == "cosine" else 0)).astype(kind)  # ties and duplicates
    y = rng.integers(0, data.draw(st.integers(1, 4)), n)
    layout = data.draw(st.sampled_from(["C", "F", "reversed", "strided"]))
    if layout == "F":
        x = np.asfortranarray(x)
    elif layout == "reversed":
        x = np.ascontiguousarray(x[::-1])[::-1]
    elif layout == "strided":
        x = np.repeat(x, 2, axis=1)[:, ::2]
    x.flags.writeable = data.draw(st.booleans())
    found, expected = discriminability(x, y, reading=reading, metric=metric), slow(x, y, reading, metric)
    atol = 1e-12 if metric == "cosine" else 0
    for name, value in zip(FIELDS[3:], expected[3:], strict=True):
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-5, atol=atol, err_msg=name)
    order = rng.permutation(n)
    moved = discriminability(x[order], y[order], reading=reading, metric=metric)
    np.testing.assert_allclose(moved.inter_N, found.inter_N[order], rtol=1e-5, atol=atol)
    np.testing.assert_allclose(moved.intra_N, found.intra_N[order], rtol=1e-5, atol=atol)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("metric", ["euclid", "squared", "cosine"])
def test_sizes_that_float32_squares_cannot_hold(scale, metric):
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 1, (40, 5)), np.arange(40) % 2
    one = discriminability(x, y, metric=metric, reading="nearest-class")
    two = discriminability((x * scale).astype("f4"), y, metric=metric, reading="nearest-class")
    np.testing.assert_allclose(two.ratio_N, one.ratio_N, rtol=1e-5)
    power = {"euclid": 1, "squared": 2, "cosine": 0}[metric]
    np.testing.assert_allclose(two.inter_N, one.inter_N * scale**power, rtol=1e-5)


@pytest.mark.parametrize("reading", [r for r, m in KINDS if m == "squared"])
def test_wrong_input_says_what_was_expected(reading):
    x, y = np.eye(4), np.array([0, 0, 1, 1])
    with pytest.raises(ArgumentError, match=r"NaN or infinity in 1 of 4 rows \(the first is row 2\)"):
        discriminability(np.where(np.arange(16).reshape(4, 4) == 9, np.nan, x), y, reading=reading)
    with pytest.raises(ArgumentError, match="4 labels, one a row, received 3"):
        checked(x, y[:3], reading, None, None)
    with pytest.raises(ArgumentError, match="class numbers below 1, received 1"):
        discriminability(x, y, reading=reading, classes=1)
    with pytest.raises(ArgumentError, match="class numbers below 1,000,000, received 1,000,000,000"):
        discriminability(x, y * 10**9, reading=reading)
    with pytest.raises(ArgumentError, match="at least one row"):
        discriminability(x[:0], y[:0], reading=reading)
    with pytest.raises(ArgumentError, match=r"no row of zeros with cosine, received 2 \(the first is row 1\)"):
        discriminability(x * [[1], [0], [0], [1]], y, reading=reading, metric="cosine")
    with pytest.raises(ArgumentError, match="between 1e-150 and 1e150"):
        discriminability(x * 1e200, y, reading=reading)


def test_unknown_names_are_refused():
    x, y = np.eye(2), np.array([0, 1])
    with pytest.raises(ArgumentError, match="Did you mean 'fisher'"):
        discriminability(x, y, reading="fischer")
    with pytest.raises(ArgumentError, match="Did you mean 'cosine'"):
        discriminability(x, y, metric="cosin")
    with pytest.raises(ArgumentError, match="squared or cosine with Fisher"):
        discriminability(x, y, reading="fisher", metric="euclid")


@pytest.mark.parametrize("normalised", [False, True])
def test_fisher_of_each_pair(normalised):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(30, 4)), rng.choice([0, 1, 3, 4], 30)
    y[:2] = 3, 6
    found = fisher(x, y, normalised=normalised)
    np.testing.assert_allclose(found, slow_fisher(x, y, normalised), rtol=1e-9)
    assert np.isnan(found[[2, 5, 6]]).all()
    d = discriminability(x, y, reading="fisher-mean" if normalised else "fisher")
    np.testing.assert_allclose(d.ratio, np.nanmean(found))
    np.testing.assert_allclose(d.ratio_C[[0, 1, 3, 4]], np.nanmean(found[[0, 1, 3, 4]], axis=1))


def test_inputs_are_not_written_to():
    x = np.random.default_rng(2).normal(3, 1, (30, 4))
    y = np.sort(np.arange(30) % 3)  # in order already: the code could take a view
    before = x.copy()
    for reading, metric in KINDS:
        discriminability(x, y, reading=reading, metric=metric)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(y, np.sort(np.arange(30) % 3))


def test_a_memory_map(tmp_path):
    x, y = np.random.default_rng(2).normal(3, 1, (60, 4)).astype("f"), np.arange(60) % 3
    np.save(tmp_path / "x.npy", x)
    for metric in CDIST:
        one = discriminability(np.load(tmp_path / "x.npy", mmap_mode="r"), y, metric=metric)
        np.testing.assert_array_equal(one.ratio_N, discriminability(x, y, metric=metric).ratio_N)


def test_histogram_counts_everything_once():
    value = np.concatenate([np.linspace(0, 10, 1000), [np.nan, np.inf]])
    h = histogram(value, bins=20, cut=5)
    np.testing.assert_allclose(h.edges_E, np.linspace(value[49], value[950], 21))
    assert (h.below, h.above, h.missing) == (49, 49, 2)
    assert h.count_B.sum() == 902
    few = histogram(np.array([3.0, 1.0, 2.0]))
    assert (few.count_B.sum(), few.edges_E[0], few.edges_E[-1]) == (3, 1, 3)
    assert histogram(np.ones(5), bins=3).count_B.sum() == 5
    assert histogram(np.full(5, 1e17), bins=3).count_B.sum() == 5
    same = histogram(np.append(np.ones(1000), 100.0), bins=3)
    assert (same.count_B.sum(), same.below, same.above) == (1000, 0, 1)
    with pytest.raises(ArgumentError, match="at least one finite value, received none in 2"):
        histogram(np.full(2, np.nan))
    with pytest.raises(ArgumentError, match="cut"):
        histogram(value, cut=50)
    with pytest.raises(ArgumentError, match="bins"):
        histogram(value, bins=0)


def test_nearest_class_passes_over_what_is_missing():
    mean_NC = np.array([[np.nan, 2.0, 1.0], [3.0, np.nan, 4.0], [np.nan, np.nan, 5.0]])
    assert nearest_class(mean_NC)[0].tolist() == [2, 0, 2]
    assert nearest_class(mean_NC, np.array([2, 0, 2]))[0][:2].tolist() == [1, 2]
    np.testing.assert_array_equal(nearest_class(mean_NC, np.array([2, 0, 2]))[1], [2, 4, np.nan])


def test_results_are_frozen():
    d = discriminability(np.eye(2), np.array([0, 1]))
    assert isinstance(d, Discriminability)
    with pytest.raises(dataclasses.FrozenInstanceError):
        d.ratio = 1.0


def test_real_features_of_four_classes(data_folder):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the network of the benchmarks is not installed")
    from benchmarks.features import real

    x, y = real("pets4", "test", 200)
    d, u = cdist(x.astype(np.float64), x.astype(np.float64)), x / np.linalg.norm(x, axis=1, keepdims=True)
    own = (y[:, None] == y) & ~np.eye(200, dtype=bool)
    for metric, d_NN in (("euclid", d), ("squared", d**2), ("cosine", cdist(u, u).astype(np.float64) ** 2 / 2)):
        found = discriminability(x, y, metric=metric)
        np.testing.assert_allclose(found.intra_N, (d_NN * own).sum(1) / 49, rtol=1e-5)
        np.testing.assert_allclose(found.inter_N, (d_NN * (y[:, None] != y)).sum(1) / 150, rtol=1e-5)
        assert 1.05 < found.ratio < 3
