"""Two encoders picture by picture: counts, images matched by id, draws, what is missing."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from scipy.stats import binomtest

from relic_eval.cells import Result, cell_path, read_cell, write_cell
from relic_eval.contrast import contrast
from relic_eval.duel import disagreements, duel_content, duel_records, duel_text
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.intake import import_arrays
from relic_eval.metrics.disagreement import paired_difference
from relic_eval.metrics.similarity import linear_cka, mutual_knn
from relic_eval.records import Cell, Measurement
from relic_eval.run import evaluate
from relic_eval.store import find_stores, read_store

NAMES = np.array(["ant", "bee", "cat"])
ABOVE = {"ant": "insect", "bee": "insect", "cat": "mammal"}


def rows_of(spread, seed, y):
    return np.eye(3)[y] * 2 + np.random.default_rng(seed).normal(0, spread, (len(y), 3)) + 0.1


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("duel")
    y = np.repeat(np.arange(3), 40)
    for name, spread, seed in (("sharp", 0.6, 0), ("blunt", 1.5, 1)):
        for split in ("train", "test"):
            x = rows_of(spread, seed + 10 * (split == "test"), y)
            import_arrays(out, name, "zoo", x, NAMES[y], split=split, superclasses=ABOVE)
    assert evaluate(out, protocols=["knn", "fewshot-5", "blocks"]).failed == 0
    return out


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "out")


def test_counts_are_those_of_a_loop_over_the_cells(folder):
    duel = disagreements(folder, "sharp", "blunt", task="zoo", protocol="knn")
    tables = [read_cell(cell_path(folder, e, "zoo", "knn")).cell.predictions for e in ("sharp", "blunt")]
    right = [dict(zip(t["item"], t["correct"] == 1, strict=True)) for t in tables]
    label = dict(zip(tables[0]["item"], NAMES[tables[0]["true"]], strict=True))
    for group in duel.groups:
        inside = {"all": lambda i: True, "class": lambda i, g=group: label[i] == g.name}.get(
            group.kind, lambda i, g=group: ABOVE[label[i]] == g.name
        )
        its = [i for i in right[0] if inside(i)]
        only_a = [i for i in its if right[0][i] and not right[1][i]]
        only_b = [i for i in its if right[1][i] and not right[0][i]]
        assert (group.n, group.only_a, group.only_b) == (len(its), len(only_a), len(only_b)), group.name
        assert group.both + group.only_a + group.only_b + group.neither == group.n
        assert group.difference == pytest.approx((len(only_a) - len(only_b)) / len(its))
        assert group.low <= group.difference <= group.high
        mid = binomtest(len(only_a), len(only_a) + len(only_b)).pvalue if only_a or only_b else 1
        assert group.p <= mid + 1e-12  # the mid-p is never above the exact p
        if group.kind == "all":
            assert {*duel.pictures["item"][duel.only("a")]} == {*only_a}
            assert {*duel.pictures["item"][duel.only("b")]} == {*only_b}
    assert [g.kind for g in duel.groups] == ["all", "superclass", "superclass", "class", "class", "class"]
    assert duel.groups[0].certain
    assert duel.groups[0].p < 0.05
    same = [a == b for a, b in zip(tables[0]["predicted"], tables[1]["predicted"], strict=True)]
    assert duel.same_answer == pytest.approx(np.mean(same))


def test_swapping_them_swaps_everything(folder):
    one = disagreements(folder, "sharp", "blunt", task="zoo", protocol="knn")
    two = disagreements(folder, "blunt", "sharp", task="zoo", protocol="knn")
    for g, h in zip(one.groups, two.groups, strict=True):
        assert (g.only_a, g.only_b, g.p) == (h.only_b, h.only_a, h.p)
        assert (g.difference, g.low, g.high) == pytest.approx((-h.difference, -h.high, -h.low))
    assert (one.consistency, one.overlap) == (two.consistency, two.overlap)
    assert one.cka == pytest.approx(two.cka)


def test_images_are_matched_by_id_whatever_their_order(folder):
    before = disagreements(folder, "sharp", "blunt", task="zoo", protocol="knn")
    path = cell_path(folder, "blunt", "zoo", "knn")
    old = read_cell(path)
    mixed = np.random.default_rng(3).permutation(len(old.cell.predictions["item"]))
    table = {name: column[mixed] for name, column in old.cell.predictions.items()}
    about = {k: v for k, v in old.about.items() if k not in ("files", "format")}
    write_cell(folder, "blunt", "zoo", "knn", dataclasses.replace(old.cell, predictions=table), about)
    after = disagreements(folder, "sharp", "blunt", task="zoo", protocol="knn")
    assert after.groups == before.groups
    assert (after.overlap, after.cka, after.same_answer) == (before.overlap, before.cka, before.same_answer)
    assert after.pictures["predicted_b"].tolist() == before.pictures["predicted_b"].tolist()


def test_neighbours_and_cka_are_of_the_same_images_in_both_stores(folder):
    y, order = np.repeat(np.arange(3), 40), np.random.default_rng(0).permutation(120)
    ids = np.array([f"zoo/test/{i}" for i in range(120)])
    (test,) = (s.path for s in find_stores(folder) if (s.encoder, s.split) == ("sharp", "test"))
    x = np.array(read_store(test).x_ND)
    duel = disagreements(folder, "sharp", "blunt", task="zoo", protocol="knn")
    (other,) = (s.path for s in find_stores(folder) if (s.encoder, s.split) == ("blunt", "test"))
    z = np.array(read_store(other).x_ND)
    assert duel.cka == pytest.approx(linear_cka(x, z))
    assert duel.overlap == pytest.approx(mutual_knn(x, z, k=10))
    import_arrays(
        folder, "turned", "zoo", x[order] * 3, NAMES[y][order], split="test", ids=ids[order], superclasses=ABOVE
    )
    import_arrays(folder, "turned", "zoo", x, NAMES[y], split="train", superclasses=ABOVE)
    evaluate(folder, ["turned"], protocols=["knn"])
    # the listing, and so the data, is another one: that is refused, ids or not
    with pytest.raises(ArgumentError, match="120 and 120 of which 120 have one id"):
        disagreements(folder, "sharp", "turned", task="zoo", protocol="knn")


def test_training_draws_are_averaged_and_resampled(folder):
    duel = disagreements(folder, "sharp", "blunt", task="zoo", protocol="fewshot-5")
    cells = [read_cell(cell_path(folder, e, "zoo", "fewshot-5")).cell for e in ("sharp", "blunt")]
    a, b = (c.predictions["correct"].reshape(20, -1) for c in cells)
    whole = duel.groups[0]
    assert duel.draws == 20
    assert whole.only_a == pytest.approx((a * (1 - b)).mean(0).sum())
    assert whole.difference == pytest.approx(cells[0].rows[0].value - cells[1].rows[0].value)
    assert whole.low < whole.difference < whole.high
    np.testing.assert_allclose(duel.pictures["right_a"], a.mean(0))
    slow = [np.bincount(column, minlength=3).argmax() for column in cells[0].predictions["predicted"].reshape(20, -1).T]
    assert duel.pictures["predicted_a"].tolist() == NAMES[slow].tolist()
    assert duel.only("a").tolist() == np.flatnonzero((a.mean(0) > 0.5) & ~(b.mean(0) > 0.5)).tolist()
    assert "means of 20 training draws" in duel_text(duel)


def test_a_class_of_one_image_is_never_certain_however_many_draws():
    about = {
        "title": "zoo",
        "classes": ["ant", "bee"],
        "data": {"train": "d", "test": "d"},
        "task_settings": {"metric": "top1"},
    }
    true = np.array([0] + [1] * 30)

    def result(name, right_of_ant):
        right = np.where(true == 0, right_of_ant, 1)
        table = {
            "item": np.tile(np.arange(31).astype(str), 5),
            "true": np.tile(true, 5),
            "predicted": np.tile(np.where(right == 1, true, 1 - true), 5),
            "correct": np.tile(right, 5),
            "draw": np.repeat(np.arange(5), 31),
        }
        return Result(name, "zoo", "fewshot-5", Cell((Measurement("top1", right.mean(), n=31),), table), about)

    groups = {g.name: g for g in contrast(result("a", 1), result("b", 0)).groups}
    ant = groups["ant"]
    assert (ant.n, ant.only_a, ant.difference, ant.certain) == (1, 1.0, 1.0, False)
    assert ant.p >= 0.5
    assert (ant.low, ant.high) == pytest.approx(paired_difference(0, 1, 0, 0)[1:])
    assert groups["bee"].p == 1


def test_what_is_missing_is_said(folder):
    with pytest.raises(UnknownNameError, match="sharp"):
        disagreements(folder, "sharp", "blnt", task="zoo", protocol="knn")
    with pytest.raises(UnknownNameError, match="zoo"):
        disagreements(folder, "sharp", "blunt", task="zo", protocol="knn")
    with pytest.raises(
        DataError, match=r"ridge, received none; of zoo there are blocks, fewshot-5, knn.*--protocol ridge"
    ):
        disagreements(folder, "sharp", "blunt", task="zoo", protocol="ridge")
    with pytest.raises(ArgumentError, match="right or wrong"):
        disagreements(folder, "sharp", "blunt", task="zoo", protocol="blocks")
    with pytest.raises(ArgumentError, match="two different"):
        disagreements(folder, "sharp", "sharp", task="zoo")


def test_cells_outlive_their_embeddings(folder, capsys):
    shutil.rmtree(folder / "embeddings" / "blunt")
    duel = disagreements(folder, "sharp", "blunt", task="zoo", protocol="knn")
    assert (duel.overlap, duel.cka) == (None, None)
    assert "blunt: its embeddings of zoo are gone" in capsys.readouterr().err
    assert "CKA" not in duel_text(duel)


def test_text_records_and_content(folder):
    duel = disagreements(folder, "sharp", "blunt", task="zoo", protocol="knn")
    text = duel_text(duel)
    assert "sharp against blunt on 120 test images" in text
    assert all(word in text for word in ("insect", "mammal", "ant", "bee", "cat", "CKA", "kappa"))
    records = duel_records(duel)
    assert [r["name"] for r in records][:3] == ["all images", "insect", "mammal"]
    content = json.loads(json.dumps(duel_content(duel, most=4), allow_nan=False))
    assert content["only"]["a"]["n"] == len(duel.only("a"))
    shown = content["only"]["a"]["pictures"]
    assert len(shown) == 4
    assert len({p["class"] for p in shown}) == len({*duel.pictures["class"][duel.only("a")]})  # spread over classes
    assert all(p["right_a"] == 1 and p["right_b"] == 0 for p in shown)
