"""Each protocol on made-up embeddings whose answer is known, and what no evaluator may do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import relic_eval.metrics.neighbours
from relic_eval.errors import ArgumentError
from relic_eval.evaluators import knn, shared
from relic_eval.evaluators.blocks import Blocks
from relic_eval.evaluators.discriminability import Discriminability
from relic_eval.evaluators.fewshot import FewShot
from relic_eval.evaluators.knn import Knn
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.table import EVALUATORS, PROTOCOLS, SOURCES, TITLES, describe
from relic_eval.metrics.blocks import PRESETS
from relic_eval.metrics.discriminability import discriminability
from relic_eval.metrics.statistics import wilson
from relic_eval.records import Embeddings

CLASSES, ABOVE = ("ant", "bee", "cat"), ("insect", "insect", "mammal")


def clusters(per_class, seed, spread=0.3):
    """Three clusters at the corners of a triangle, so far apart that no probe can fail."""
    y = np.repeat(np.arange(3), per_class)
    x = np.eye(3)[y] * 8 + np.random.default_rng(seed).normal(0, spread, (len(y), 3))
    ids = np.array([f"{seed}-{i}" for i in range(len(y))])
    return Embeddings(x.astype("f"), y, CLASSES, ABOVE, ids)


@pytest.fixture
def splits():
    return clusters(20, 1), clusters(10, 2), clusters(10, 3)


@pytest.fixture(autouse=True)
def nothing_remembered():
    shared._fitted.clear()
    knn._found.clear()


def test_tasks_that_differ_in_labels_share_a_search_and_nothing_else(splits, monkeypatch):
    train, valid, test = splits
    real, calls = relic_eval.metrics.neighbours.nearest, []
    monkeypatch.setattr(relic_eval.metrics.neighbours, "nearest", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    first = Knn()(train, valid, test)
    again = Knn()(*(dataclasses.replace(e, y_N=2 - e.y_N) for e in splits))
    assert len(calls) == 2
    np.testing.assert_array_equal(again.predictions["predicted"], 2 - first.predictions["predicted"])
    Knn()(train, valid, dataclasses.replace(test, x_ND=test.x_ND[::-1]))
    assert len(calls) == 3
    Knn(similarity="euclid")(train, valid, test)
    assert len(calls) == 5


def test_one_class_is_no_question_for_neighbours(splits):
    with pytest.raises(ArgumentError, match="at least two classes"):
        Knn()(*(dataclasses.replace(e, y_N=np.zeros_like(e.y_N)) for e in splits))


def run(protocol, splits):
    return PROTOCOLS[protocol](*splits) if PROTOCOLS[protocol].kind == "probe" else PROTOCOLS[protocol](splits[2])


def poisoned(test, wrong):
    """The first `wrong` test images under the name of the next class."""
    return dataclasses.replace(test, y_N=np.where(np.arange(len(test)) < wrong, (test.y_N + 1) % 3, test.y_N))


PROBES = [name for name, p in PROTOCOLS.items() if p.kind == "probe" and not hasattr(p, "needs_corruptions")]


@pytest.mark.parametrize("protocol", PROBES)
@pytest.mark.parametrize("wrong", [0, 6])
def test_probes_find_what_is_there(protocol, wrong, splits):
    train, valid, test = splits
    cell = PROTOCOLS[protocol](train, valid, poisoned(test, wrong))
    top1 = cell.rows[0]
    assert (top1.metric, top1.n) == ("top1", 30)
    assert top1.value == pytest.approx((30 - wrong) / 30)
    assert top1.low - 1e-6 <= top1.value <= top1.high + 1e-6
    np.testing.assert_array_equal(cell.predictions["predicted"], np.tile(test.y_N, len(cell.predictions["item"]) // 30))
    correct = cell.predictions["predicted"] == cell.predictions["true"]
    np.testing.assert_array_equal(cell.predictions["correct"], correct.astype("f"))
    assert cell.predictions["item"][:30].tolist() == test.ids.tolist()
    assert {len(v) for v in cell.predictions.values()} == {len(correct)}


@pytest.mark.parametrize("protocol", [*PROBES, "blocks"])
def test_a_perfect_score_lies_in_its_interval(protocol, splits):
    top = run(protocol, splits).rows[0]
    assert top.low <= top.value == 1 == top.high


def test_linear_reports_both_scores(splits):
    train, valid, test = splits
    keep = np.r_[0:10, 10:14, 20:30]  # classes of 10, 4 and 10
    cell = PROTOCOLS["linear-byol"](train, valid, poisoned(test, 6).take(keep))
    rows = {r.metric: r for r in cell.rows}
    assert rows["top1"].value == pytest.approx(18 / 24)
    # of class 0: 4 of 4; of class 1: its own 4 of 10; of class 2: 10 of 10
    assert rows["mean_per_class"].value == pytest.approx((1 + 0.4 + 1) / 3)
    assert (rows["top1"].low, rows["top1"].high) == pytest.approx(wilson(18, 24))
    assert rows["top1"].converged is True
    assert rows["top1"].params["gradient"] <= 1e-4
    assert len(cell.curves["x"]) == 90
    assert (cell.predictions["score"] > 1 / 3).all()


def test_the_penalty_of_the_linear_probe_never_sees_the_test_labels():
    train, valid, test = (clusters(n, s, spread=4.0) for n, s in ((30, 1), (20, 2), (20, 3)))
    rng = np.random.default_rng(0)
    clean = Logistic()(train, valid, test)
    shared._fitted.clear()  # or the second run would only remember the first
    lies = dataclasses.replace(test, y_N=rng.permutation(test.y_N))
    dirty = Logistic()(train, valid, lies)
    assert dirty.rows[0].params == clean.rows[0].params
    assert dirty.rows[0].value < clean.rows[0].value
    np.testing.assert_array_equal(dirty.predictions["predicted"], clean.predictions["predicted"])
    np.testing.assert_array_equal(dirty.curves["y"], clean.curves["y"])
    # the labels that it may look at do count
    other = Logistic()(train, dataclasses.replace(valid, y_N=rng.permutation(valid.y_N)), test)
    assert not np.array_equal(other.curves["y"][:45], clean.curves["y"][:45])


def test_the_linear_probe_takes_the_largest_of_the_best_penalties(splits):
    cell = Logistic()(*splits)
    top1 = cell.curves["y"][:45]
    best = cell.curves["x"][:45][top1 == top1.max()].max()
    assert cell.rows[0].params["penalty"] == best
    assert cell.rows[0].params["edge"] == int(best in (1e-6, 1e5))


def test_the_linear_probe_remembers_by_content(splits):
    train, valid, test = splits
    Logistic()(train, valid, test)
    Logistic()(train, valid, poisoned(test, 3))
    assert len(shared._fitted) == 1
    changed = dataclasses.replace(train, x_ND=train.x_ND + np.float32(0.5))
    shifted = Logistic()(changed, valid, test)
    assert len(shared._fitted) == 2
    shared._fitted.clear()
    assert Logistic()(changed, valid, test).rows == shifted.rows


def test_the_linear_probe_remembers_by_the_number_of_classes(splits):
    Logistic(count=3)(*splits)
    more = [dataclasses.replace(s, classes=(*CLASSES, "dog"), superclasses=None) for s in splits]
    assert Logistic(count=3)._fit(*more[:2])[0].weights_SLDC.shape[3] == 4


def test_knn_rows_and_neighbours(splits):
    train, valid, test = splits
    cell = PROTOCOLS["knn"](train, valid, test)
    # k = 100 and 200 are more than the 60 training rows; at 50 each class still leads with its own rows
    assert sorted(r.params["k"] for r in cell.rows) == [1, 5, 10, 20, 50]
    assert [r.params["chosen"] for r in cell.rows] == [1, 0, 0, 0, 0]
    assert cell.rows[0].params == {"k": 1, "chosen": 1, "left_out": 2}
    assert (cell.rows[0].low, cell.rows[0].high) == pytest.approx(wilson(30, 30))
    unit = [e.x_ND / np.linalg.norm(e.x_ND, axis=1, keepdims=True) for e in splits]
    cosine = unit[2] @ np.concatenate(unit[:2]).T
    ids = np.concatenate([train.ids, valid.ids])
    expected = np.argsort(-cosine, 1)[:, :5]
    assert cell.neighbours["item"].tolist() == ids[expected].ravel().tolist()
    assert cell.neighbours["rank"][:6].tolist() == [0, 1, 2, 3, 4, 0]
    np.testing.assert_allclose(
        cell.neighbours["distance"], 1 - np.take_along_axis(cosine, expected, 1).ravel(), atol=1e-6
    )


def test_knn_chooses_k_on_valid():
    """One mislabelled row beside each point: k = 1 is wrong everywhere and k = 3 right, on valid and on test."""
    angle = np.array([0.0, 0.1, -0.1, 2.0, 2.1, 1.9])
    x, y = np.stack([np.cos(angle), np.sin(angle)], 1), np.array([1, 0, 0, 0, 1, 1])
    train = Embeddings(x, y, ("a", "b"))
    query = Embeddings(x[[0, 3]] * 2, np.array([0, 1]), ("a", "b"))
    far = Embeddings(-x[[0, 3]], np.array([0, 1]), ("a", "b"))  # of no influence on the lists of the test rows
    cell = Knn(ks=(1, 3))(train, query, dataclasses.replace(query, x_ND=query.x_ND * 3))
    assert cell.rows[0].params["k"] == 3
    assert cell.neighbours is None  # no ids
    assert cell.curves["y"][:2].tolist() == [0, 1]
    wrong = Knn(ks=(1, 3))(train, dataclasses.replace(query, x_ND=far.x_ND), query)
    assert {r.params["k"]: r.value for r in wrong.rows} == {1: 0.0, 3: 1.0}


def test_knn_keeps_euclidean_distances(splits):
    train, _, test = splits
    cell = Knn(ks=(1,), similarity="euclid")(*splits)
    both = np.concatenate([train.x_ND, splits[1].x_ND])
    nearest = np.sqrt(((test.x_ND[:, None] - both) ** 2).sum(2)).min(1)
    np.testing.assert_allclose(cell.neighbours["distance"], nearest, rtol=1e-3)


def test_knn_without_a_k_that_fits_says_so(splits):
    with pytest.raises(ArgumentError, match="ks: expected one of at most 60"):
        Knn(ks=(100,))(*splits)


def test_fewshot_draws(splits):
    train, _, test = splits
    cell = PROTOCOLS["fewshot-5"](*splits)
    assert cell.predictions["draw"].tolist() == np.repeat(np.arange(20), 30).tolist()
    assert cell.rows[0].params["std_over_draws"] == 0
    assert cell.rows[0].params["shots"] == 5
    assert cell.rows[0].converged is True
    rows = FewShot()._rows(train)
    assert rows.shape == (20, 15)
    assert all(len(set(r)) == 15 for r in rows.tolist())  # no picture twice
    assert all(np.bincount(train.y_N[r]).tolist() == [5, 5, 5] for r in rows)
    assert len({tuple(sorted(r)) for r in rows.tolist()}) == 20
    np.testing.assert_array_equal(rows, FewShot()._rows(train))
    assert not np.array_equal(rows, FewShot(seed=1)._rows(train))
    assert cell.predictions["item"][30:60].tolist() == test.ids.tolist()


def test_fewshot_takes_all_rows_of_a_class_once(splits):
    train = splits[0].take(np.r_[0:5, 20:40, 40:60])
    rows = FewShot(shots=5)._rows(train)
    assert all(set(range(5)) < set(r) for r in rows.tolist())
    assert all(len(set(r)) == 15 for r in rows.tolist())


@pytest.mark.parametrize("left", [0, 4])
def test_fewshot_refuses_classes_with_too_few_rows(splits, left):
    train = splits[0].take(np.r_[0:20, 20 : 20 + left, 40:60])
    with pytest.raises(ArgumentError, match=f"class 'bee': expected at least 5 training images, received {left}"):
        FewShot(shots=5)(train, *splits[1:])


def test_fewshot_learns_nothing_from_test_labels():
    train, valid, test = (clusters(n, s, spread=5.0) for n, s in ((20, 1), (10, 2), (10, 3)))
    evaluator = FewShot(draws=4)
    clean, dirty = evaluator(train, valid, test), evaluator(train, valid, poisoned(test, 17))
    assert dirty.rows[0].params["penalty"] == clean.rows[0].params["penalty"]
    np.testing.assert_array_equal(dirty.predictions["predicted"], clean.predictions["predicted"])
    assert dirty.rows[0].value != clean.rows[0].value
    per_draw = clean.predictions["correct"].reshape(4, 30).mean(1)
    assert clean.rows[0].value == pytest.approx(per_draw.mean())
    assert clean.rows[0].params["std_over_draws"] == pytest.approx(per_draw.std(ddof=1))


def test_fewshot_of_one_draw(splits):
    assert FewShot(draws=1)(*splits).rows[0].value == 1


def test_blocks_of_clear_clusters(splits):
    cell = PROTOCOLS["blocks"](splits[2])
    rows = {(r.metric, r.params.get("query"), r.params.get("neighbour")): r.value for r in cell.rows}
    assert cell.rows[0].metric == "purity"
    assert cell.rows[0].value == 1
    assert (cell.rows[0].low, cell.rows[0].high) == pytest.approx((1, 1), abs=1e-6)
    assert all(rows["confusion", a, b] == (a == b) for a in CLASSES for b in CLASSES)
    assert rows["superclass_purity", None, None] == 1
    assert rows["superclass_confusion", "insect", "mammal"] == 0
    assert len(cell.neighbours["query"]) == 30 * 5


def test_blocks_of_a_hand_case():
    x = np.array([[0.0], [1.0], [1.9], [2.7], [100.0], [101.0], [50.0]])
    y = np.array([0, 0, 1, 1, 2, 2, 0])
    split = Embeddings(x, y, CLASSES, ABOVE, np.array(list("abcdefg")))
    cell = Blocks(k=1, per_class=2)(split)  # g is the third of its class
    assert cell.predictions["item"].tolist() == list("abcdef")
    assert cell.neighbours["item"].tolist() == list("bcdcfe")
    np.testing.assert_allclose(cell.neighbours["distance"], [1, 0.9, 0.8, 0.8, 1, 1], rtol=1e-5)
    rows = {(r.metric, r.params.get("query"), r.params.get("neighbour")): r.value for r in cell.rows}
    assert rows["purity", None, None] == pytest.approx(5 / 6)
    assert rows["superclass_purity", None, None] == 1
    assert (rows["confusion", "ant", "ant"], rows["confusion", "ant", "bee"]) == (0.5, 0.5)
    assert cell.predictions["predicted"].tolist() == [0, 1, 1, 1, 2, 2]
    without = Blocks(k=1, per_class=2)(dataclasses.replace(split, superclasses=None))
    assert {r.metric for r in without.rows} == {"purity", "purity_null", "confusion"}


def test_discriminability_of_a_hand_case():
    split = Embeddings(np.array([[0.0], [2.0], [10.0], [12.0], [11.0]]), np.array([0, 0, 1, 1, 1]), ("ant", "bee"))
    cell = PROTOCOLS["discriminability"](split)
    # within: 2 twice in class 0; 2, 1, 1 twice in class 1. Between: 10, 12, 11, 8, 10, 9 twice
    within, between = (2 + 2 + 1 + 1) * 2 / 8, 60 / 6
    assert cell.rows[0].metric == "distance_ratio"
    assert cell.rows[0].value == pytest.approx(between / within)
    assert cell.rows[0].n == 5
    per_image = [11 / 2, 9 / 2, 9 / 1.5, 11 / 1.5, 10 / 1]
    assert cell.rows[1].value == pytest.approx(np.median(per_image))
    assert cell.rows[1].low <= cell.rows[1].value <= cell.rows[1].high
    ratios = {r.params["class"]: (r.value, r.n) for r in cell.rows[2:]}
    assert ratios["ant"] == (pytest.approx(between / 2), 2)
    assert ratios["bee"] == (pytest.approx(between / (4 / 3)), 3)
    np.testing.assert_allclose(cell.predictions["score"], per_image, rtol=1e-6)
    assert cell.predictions["correct"].tolist() == [1, 1, 1, 1, 1]


def test_discriminability_of_equal_classes_holds_its_value():
    cell = PROTOCOLS["discriminability"](clusters(30, 4))
    assert cell.rows[0].low < cell.rows[0].value < cell.rows[0].high
    assert cell.rows[0].value > 10


def test_discriminability_of_unequal_classes_lies_in_its_interval():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 0.1, (100, 3)), rng.normal(5, 10, (10, 3))])
    top = PROTOCOLS["discriminability"](Embeddings(x, np.repeat([0, 1], [100, 10]), ("a", "b"))).rows[0]
    assert top.low <= top.value <= top.high


def test_the_interval_of_the_distance_ratio_covers():
    def draw(seed, per_class):
        y = np.repeat([0, 1, 2], per_class)
        return np.random.default_rng(seed).gamma(1.0, 1.0, (len(y), 2)) + np.eye(3)[y][:, :2] * 2, y

    truth = discriminability(*draw(0, 1500)).ratio
    hits = []
    for seed in range(1, 301):
        x, y = draw(seed, 40)
        top = Discriminability(draws=300)(Embeddings(x, y, CLASSES)).rows[0]
        hits.append(top.low <= truth <= top.high)
    assert 0.90 <= np.mean(hits) <= 0.985


@pytest.mark.parametrize("width", [0.0, 1.0])
def test_discriminability_without_a_bound_is_missing(width):
    x = np.repeat([[0.0], [5.0]], 4, axis=0) + width * np.arange(8)[:, None]
    top = Discriminability()(Embeddings(x, np.repeat([0, 1], 4), ("a", "b"))).rows[0]
    assert (top.value is None) == (width == 0)
    assert (top.low is None) == (width == 0)


@pytest.mark.parametrize("y", [[0, 1, 2], [0, 0, 0]])
def test_discriminability_of_single_images_or_a_single_class_is_missing(y):
    cell = Discriminability()(Embeddings(np.eye(3), np.array(y), CLASSES))
    assert cell.rows[0].value is None


@pytest.mark.parametrize("protocol", [n for n in PROTOCOLS if n not in ("multiview", "robust")])  # they need views
def test_protocols_repeat_themselves_and_leave_their_input_alone(protocol, splits):
    if protocol == "map-umap":
        pytest.importorskip("umap", reason="umap-learn is not installed")
    preset = getattr(PROTOCOLS[protocol], "preset", "")
    if preset:  # fifty of each of its classes, and of no others
        rng, names = np.random.default_rng(0), PRESETS[preset].ids
        splits = [Embeddings(rng.normal(size=(200, 6)).astype("f"), np.arange(200) % 4, names) for _ in splits]
    before = [(s.x_ND.copy(), s.y_N.copy()) for s in splits]
    first = run(protocol, splits)
    shared._fitted.clear()
    second = run(protocol, splits)
    assert first.rows == second.rows
    for name, column in (first.predictions or first.curves).items():
        np.testing.assert_array_equal(column, (second.predictions or second.curves)[name])
    for s, (x, y) in zip(splits, before, strict=True):
        np.testing.assert_array_equal(s.x_ND, x)
        np.testing.assert_array_equal(s.y_N, y)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_protocols_are_frozen_and_described(protocol):
    evaluator = PROTOCOLS[protocol]
    assert type(evaluator) in EVALUATORS.values()
    assert describe(protocol)["source"] == SOURCES[protocol]
    assert TITLES[protocol]
    field = next((f.name for f in dataclasses.fields(evaluator)), "version")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(evaluator, field, 1)
