"""The evaluators of neighbour blocks and distances: presets, chance, readings, and intervals that cover."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.blocks import Blocks
from relic_eval.evaluators.discriminability import BINS, Discriminability
from relic_eval.metrics.blocks import PRESETS, chosen, neighbour_blocks, purity_null
from relic_eval.metrics.discriminability import discriminability
from relic_eval.metrics.readings import METRICS, READINGS
from relic_eval.records import Embeddings


def pets(rows=240, spread=1.0, seed=0):
    """Four classes and a fifth that no preset knows, in no order."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(rows) % 4)
    x = 3 * np.eye(5)[y] + rng.normal(0, spread, (rows, 5)) + (y < 2)[:, None] * [0, 0, 0, 0, 2.0]
    more = rng.normal(0, 1, (7, 5))
    names = (*PRESETS["pets4"].ids, "goldfish")
    ids = np.array([f"image-{i}" for i in range(rows + 7)])
    return Embeddings(np.concatenate([x, more]), np.concatenate([y, np.full(7, 4)]), names, ids=ids)


def of(cell, metric):
    return next(r for r in cell.rows if r.metric == metric)


def test_a_preset_picks_orders_and_groups():
    split = pets()
    cell = Blocks(preset="pets4", draws=200, permutations=199)(split)
    rows = chosen(split.classes, split.y_N, "pets4")
    assert cell.predictions["item"].tolist() == split.ids[rows].tolist()
    assert cell.predictions["true"].tolist() == np.repeat(np.arange(4), 50).tolist()
    blocks = neighbour_blocks(split.x_ND[rows], split.y_N[rows])
    assert cell.neighbours["item"].tolist() == split.ids[rows][blocks.index_NK].ravel().tolist()
    assert of(cell, "purity").value == pytest.approx(blocks.purity_N.mean())
    above = np.repeat([0, 1], 100)
    assert of(cell, "superclass_purity").value == pytest.approx((above[blocks.index_NK] == above[:, None]).mean())
    assert {r.params["query"] for r in cell.rows if r.metric == "confusion"} == set(PRESETS["pets4"].ids)
    pairs = {r.params["query"] for r in cell.rows if r.metric == "superclass_confusion"}
    assert pairs == {"cat", "dog"}


def test_a_preset_keeps_the_numbers_of_the_classes():
    """The table names classes by the numbers of the split, whatever their order in the preset."""
    split = pets()
    moved = dataclasses.replace(split, classes=split.classes[::-1], y_N=4 - split.y_N)
    one, two = (Blocks(preset="pets4", draws=50, permutations=50)(s) for s in (split, moved))
    assert one.rows == two.rows
    np.testing.assert_array_equal(two.predictions["true"], 4 - one.predictions["true"])
    np.testing.assert_array_equal(two.predictions["predicted"], 4 - one.predictions["predicted"])
    assert two.predictions["item"].tolist() == one.predictions["item"].tolist()


def test_purity_by_chance_stands_beside_purity():
    split = pets()
    cell = Blocks(preset="pets4", draws=100, permutations=199)(split)
    rows = chosen(split.classes, split.y_N, "pets4")
    null = purity_null(split.y_N[rows], neighbour_blocks(split.x_ND[rows], split.y_N[rows]).index_NK, draws=199)
    row = of(cell, "purity_null")
    assert (row.value, row.low, row.high, row.n) == (null.mean, null.low, null.high, 200)
    assert row.value == pytest.approx(49 / 199)
    assert row.params == {"k": 5, "p": 1 / 200, "permutations": 199}
    assert of(cell, "superclass_purity_null").value == pytest.approx(99 / 199)
    assert row.high < of(cell, "purity").low
    blind = dataclasses.replace(split, x_ND=np.random.default_rng(5).normal(size=split.x_ND.shape))
    assert of(Blocks(preset="pets4", draws=50, permutations=199)(blind), "purity_null").params["p"] > 0.05


def test_presets_that_do_not_fit_are_refused():
    with pytest.raises(ArgumentError, match="none called n02100583"):
        Blocks(preset="imagenet-dogs-cats")(pets())
    with pytest.raises(ArgumentError, match="preset: expected one of"):
        Blocks(preset="pets5")(pets())
    with pytest.raises(ArgumentError, match="expected 50 images for pets4, received 45"):
        Blocks(preset="pets4")(pets(180))


@pytest.mark.parametrize("reading", list(READINGS))
@pytest.mark.parametrize("metric", ["", *METRICS])
def test_every_reading_makes_a_cell(reading, metric):
    split = pets()
    evaluator = Discriminability(reading=reading, metric=metric, draws=50)
    if reading.startswith("fisher") and metric == "euclid":
        with pytest.raises(ArgumentError, match="squared or cosine"):
            evaluator(split)
        return
    cell, d = evaluator(split), discriminability(split.x_ND, split.y_N, reading=reading, metric=metric or None)
    assert cell.rows[0].metric == "distance_ratio"
    assert cell.rows[0].value == d.ratio
    assert cell.rows[0].params == {"singletons": 0, "empty": 0}
    assert (cell.rows[0].low is not None) == (reading == "mean")
    assert of(cell, "distance_ratio_median").value == np.median(d.ratio_N)
    per_class = {r.params["class"]: r for r in cell.rows[2:]}
    np.testing.assert_allclose([per_class[c].value for c in split.classes], d.ratio_C)
    np.testing.assert_allclose(cell.predictions["score"], d.ratio_N, rtol=1e-6)


def test_the_histogram_comes_along():
    split = pets()
    curves = Discriminability(draws=50)(split).curves
    counts, edges = curves["y"], curves["x"]
    ratio_N = discriminability(split.x_ND, split.y_N).ratio_N
    assert len(edges) == BINS + 1
    assert counts[-1] == 0
    expected, _ = np.histogram(ratio_N, np.append(edges[:-1], edges[-1]))
    np.testing.assert_array_equal(counts[:-1], expected)
    assert counts.sum() >= 0.99 * len(ratio_N)
    few = split.take(np.arange(40))  # every class has several of them
    assert Discriminability(draws=50)(few).curves["y"].sum() == 40


def test_singletons_and_empty_classes_are_counted():
    split = pets()
    few = dataclasses.replace(split.take(split.y_N < 4), classes=(*split.classes, "newt"))
    few = dataclasses.replace(few, y_N=np.where(np.arange(len(few)) == 0, 4, few.y_N))
    cell = Discriminability(draws=50)(few)
    assert cell.rows[0].params == {"singletons": 1, "empty": 1}
    assert [r.params["class"] for r in cell.rows[2:]] == list(split.classes[:4])
    assert np.isnan(cell.predictions["score"][0])


def bootstrapped(x, y, draws, seed):
    """The bootstrap in full: distances of every sample, image pairs that are the same image left out."""
    rng, d = np.random.default_rng(seed), np.sqrt(((x[:, None] - x) ** 2).sum(2))
    rows, found = [np.flatnonzero(y == c) for c in range(y.max() + 1)], []
    for _ in range(draws):
        pick = np.concatenate([rng.choice(r, len(r)) for r in rows])
        e, same, itself = d[np.ix_(pick, pick)], y[pick][:, None] == y[pick], pick[:, None] == pick
        ratio = [e[~same].mean() / e[same & ~itself].mean()]
        for c in range(y.max() + 1):
            of_c = y[pick] == c
            ratio.append(e[of_c][:, ~of_c].mean() / e[of_c][:, of_c][~itself[of_c][:, of_c]].mean())
        found.append(ratio)
    return np.array(found)


def test_intervals_are_those_of_the_bootstrap_in_full():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [60, 40, 50])
    x = rng.gamma(1.0, 1.0, (150, 2)) * np.array([1.0, 2.0, 0.5])[y][:, None] + 2 * np.eye(3)[y][:, :2]
    cell = Discriminability(draws=4000)(Embeddings(x, y, ("a", "b", "c")))
    expected = np.percentile(bootstrapped(x, y, 1000, 1), [2.5, 97.5], axis=0)
    found = np.array([(r.low, r.high) for r in cell.rows if r.metric == "distance_ratio"]).T
    width = expected[1] - expected[0]
    assert (np.abs(found - expected) < 0.12 * width).all(), (found, expected)


def test_intervals_of_classes_cover():
    """Three classes of 150 (of forty: 91%, the ratio is skewed); the truth is that of 3,000 a class."""

    def draw(seed, per_class):
        y = np.repeat([0, 1, 2], per_class)
        x = np.random.default_rng(seed).gamma(2.0, 1.0, (len(y), 2)) * np.array([1.0, 1.5, 0.7])[y][:, None]
        return x + np.eye(3)[y][:, :2] * 3, y

    truth = discriminability(*draw(0, 3000)).ratio_C
    hits = []
    for seed in range(1, 401):
        x, y = draw(seed, 150)
        rows = Discriminability(draws=400)(Embeddings(x, y, ("a", "b", "c"))).rows[2:]
        hits.append([r.low <= t <= r.high for r, t in zip(rows, truth, strict=True)])
    assert 0.93 <= np.mean(hits) <= 0.97, np.mean(hits, 0)
