"""Clusters against classes: every matching tried, and scikit-learn's scores."""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score
from sklearn.preprocessing import normalize

from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.metrics.clustering import matched
from relic_eval.metrics.statistics import wilson
from relic_eval.records import Embeddings


def rows(spread=1.0):
    y = np.repeat(np.arange(4), (30, 20, 25, 5))
    x = np.eye(4, 6)[y] * 3 + np.random.default_rng(0).normal(0, spread, (80, 6))
    return Embeddings(x.astype("f"), y, tuple("abcd"), ids=np.arange(80).astype(str))


@pytest.mark.parametrize("seed", range(5))
def test_the_matching_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    y, cluster = rng.integers(0, 4, 40), rng.integers(0, 4, 40)
    best = max(np.mean(np.array(order)[cluster] == y) for order in permutations(range(4)))
    assert (matched(y, cluster) == y).mean() == pytest.approx(best)


def test_a_greedy_matching_would_be_worse():
    y = np.repeat([0, 1], (7, 5))
    cluster = np.array([0] * 4 + [1] * 3 + [0] * 4 + [1] * 1)  # cluster 0: 4 and 4; cluster 1: 3 and 1
    assert (matched(y, cluster) == y).sum() == 7  # 1 -> class 0, 0 -> class 1


def test_more_clusters_than_classes_leave_some_over():
    assert matched(np.array([0, 0, 0, 1]), np.array([2, 2, 7, 5])).tolist() == [0, 0, -1, 1]


def test_a_cell_is_scikit_learns_on_rows_at_unit_length():
    split = rows()
    cell = PROTOCOLS["cluster"](split)
    values = {r.metric: r for r in cell.rows}
    cluster = KMeans(4, n_init=10, max_iter=300, random_state=0).fit_predict(normalize(split.x_ND.astype(float)))
    assert values["nmi"].value == pytest.approx(normalized_mutual_info_score(split.y_N, cluster))
    assert values["ami"].value == pytest.approx(adjusted_mutual_info_score(split.y_N, cluster))
    assert values["ari"].value == pytest.approx(adjusted_rand_score(split.y_N, cluster))
    hits = (matched(split.y_N, cluster) == split.y_N).sum()
    assert cell.rows[0].metric == "cluster_accuracy"
    assert (cell.rows[0].value, cell.rows[0].low, cell.rows[0].high) == pytest.approx((hits / 80, *wilson(hits, 80)))
    assert 0.5 < cell.rows[0].value < 1
    assert cell.predictions["correct"].mean() == pytest.approx(hits / 80)


def test_lengths_say_nothing_and_labels_change_no_cluster():
    split = rows()
    scaled = dataclasses.replace(split, x_ND=split.x_ND * np.random.default_rng(1).uniform(1, 9, (80, 1)).astype("f"))
    assert PROTOCOLS["cluster"](scaled).rows[0].value == PROTOCOLS["cluster"](split).rows[0].value
    other = PROTOCOLS["cluster"](dataclasses.replace(split, y_N=(split.y_N + 1) % 4))
    assert other.rows == PROTOCOLS["cluster"](split).rows
    assert PROTOCOLS["cluster"](rows(0.1)).rows[0].value == 1
