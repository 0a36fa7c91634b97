"""Agreement of clusters and classes against the contingency table by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import comb
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score

from relic_eval.errors import ArgumentError
from relic_eval.metrics.clustering import kmeans_scores


def table(y, cluster):
    return np.array([[np.sum((y == a) & (cluster == b)) for b in np.unique(cluster)] for a in np.unique(y)])


def slow_ari(count):
    same, rows, columns = comb(count, 2).sum(), comb(count.sum(1), 2).sum(), comb(count.sum(0), 2).sum()
    chance = rows * columns / comb(count.sum(), 2)
    return (same - chance) / ((rows + columns) / 2 - chance)


def entropy(share):
    share = share[share > 0]
    return -(share * np.log(share)).sum()


def slow_nmi(count):
    p = count / count.sum()
    one, other = entropy(p.sum(1)), entropy(p.sum(0))
    return (one + other - entropy(p.ravel())) / ((one + other) / 2)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), classes=st.integers(2, 5), kind=st.sampled_from(["f8", "f4", "f2", "i4", ">f8"]))
def test_scores_equal_the_table_by_hand(seed, classes, kind):
    rng = np.random.default_rng(seed)
    y = np.append(np.arange(classes), rng.integers(0, classes, 50))
    x = (rng.normal(0, 2, (classes, 3))[y] + rng.normal(0, 1, (len(y), 3)) * 2).astype(kind)[:, ::-1]
    x.setflags(write=False)
    found = kmeans_scores(x, y, seed=seed, starts=2)
    count = table(y, found.cluster_N)
    assert found.ari == pytest.approx(slow_ari(count), abs=1e-9)
    assert found.nmi == pytest.approx(slow_nmi(count), abs=1e-9)
    assert found.ami == pytest.approx(adjusted_mutual_info_score(y, found.cluster_N), abs=1e-12)
    renamed = kmeans_scores(x, (y + 1) % classes, seed=seed, starts=2)
    assert (renamed.nmi, renamed.ari) == pytest.approx((found.nmi, found.ari), abs=1e-12)


def test_clusters_are_scikit_learns():
    x = np.random.default_rng(0).normal(size=(90, 4))
    found = kmeans_scores(x, np.arange(90) % 3, clusters=7, seed=5)
    theirs = KMeans(7, n_init=10, random_state=5).fit(x)
    np.testing.assert_array_equal(found.cluster_N, theirs.labels_)
    assert found.inertia == pytest.approx(theirs.inertia_, rel=1e-9)
    assert (found.clusters, found.converged) == (7, True)
    assert not kmeans_scores(x, np.arange(90) % 3, clusters=7, iterations=1, starts=1).converged


def test_chance_is_0_and_the_classes_are_1():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 50)
    far = 1000 + 10 * np.eye(4, dtype=np.float32)[y] + rng.normal(0, 0.5, (200, 4)).astype(np.float32)
    found = kmeans_scores(far, y)
    assert (found.nmi, found.ari, found.ami) == pytest.approx((1, 1, 1))
    found = kmeans_scores(rng.normal(size=(200, 4)), y)
    assert abs(found.ami) < 0.05
    assert abs(found.ari) < 0.05


def test_fewer_different_rows_than_clusters():
    found = kmeans_scores(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 2]))
    assert found.clusters == 2
    assert found.inertia == pytest.approx(0)


@pytest.mark.parametrize(
    ("x", "y", "keywords", "match"),
    [
        (np.eye(3), np.zeros(3, int), {}, "at least two classes, received 1"),
        (np.eye(3), np.arange(3), {"clusters": 4}, "at most 3, the rows"),
        (np.eye(3), np.arange(3), {"clusters": 0}, "clusters"),
        (np.full((3, 1), np.inf), np.arange(3), {}, "NaN or infinity in 3 of 3"),
        (np.zeros((0, 2)), np.zeros(0, int), {}, "at least one row"),
        (np.eye(3), np.array([0, 1, -1]), {}, "from 0 on"),
        (np.eye(3), np.arange(3), {"starts": 0}, "starts"),
    ],
)
def test_what_cannot_be_clustered(x, y, keywords, match):
    with pytest.raises(ArgumentError, match=match):
        kmeans_scores(x, y, **keywords)
