"""Two results side by side: what changed, paired where both judged the same images, and what else differs."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import relic_eval
from relic_eval import progress
from relic_eval.board import make_board
from relic_eval.board.revised import revised
from relic_eval.cells import Result, cell_path, write_cell
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.intake import import_arrays
from relic_eval.metrics.statistics import square_and_add
from relic_eval.records import Cell, Measurement
from relic_eval.results import read_results
from relic_eval.run import evaluate
from relic_eval.tuning.overlaps import make_cell
from tests.test_cli import run

KINDS = np.array(["ant", "bee", "cat"])


@pytest.fixture(autouse=True)
def _each_warning_anew(monkeypatch):
    monkeypatch.setattr(progress, "_warned", set())


def put(out, name, noise, *, seed=0, rows=150, dataset="set"):
    rng, y = np.random.default_rng(seed), np.arange(rows) % 3
    x = np.eye(3)[y] + rng.normal(0, noise, (rows, 3))
    import_arrays(out, name, dataset, x, KINDS[y], ids=[f"{row:04}" for row in range(rows)])


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """`mine` gets much better, `same` stays, `gone` is only in the older and `fresh` only in the newer results."""
    old, new = tmp_path_factory.mktemp("old"), tmp_path_factory.mktemp("new")
    for out, noise in ((old, 1.2), (new, 0.2)):
        put(out, "mine", noise)
        put(out, "same", 0.5, seed=1)
    put(old, "gone", 0.5)
    put(new, "fresh", 0.5)
    for out in (old, new):
        assert evaluate(out, protocols=["knn", "linear-byol", "blocks", "spectrum"]).failed == 0
    return old, new


@pytest.fixture
def again(both, tmp_path):
    """The same, to be changed."""
    return tuple(shutil.copytree(out, tmp_path / name) for out, name in zip(both, ("old", "new"), strict=True))


def row(found, encoder, protocol):
    its = found.table.set_index(["encoder", "protocol"])
    return its.loc[(encoder, protocol)]


def edit(out, encoder, protocol, change, task="set"):
    file = cell_path(out, encoder, task, protocol) / "cell.json"
    about = json.loads(file.read_text())
    change(about)
    file.write_text(json.dumps(about))


def test_a_paired_change_is_that_of_a_board(both):
    found = relic_eval.changes(*both, protocols=["linear-byol"])
    cell = row(found, "mine", "linear-byol")
    one, other = (next(r for r in read_results(out, ["mine"]) if r.protocol == "linear-byol") for out in both)
    assert (cell["before"], cell["after"]) == (one.cell.rows[0].value, other.cell.rows[0].value)
    assert cell["how"] == "paired"
    from dataclasses import replace

    board = make_board([replace(one, encoder="old"), replace(other, encoder="new")], protocols=["linear-byol"])
    (d,) = board.differences
    assert d.better == "new"
    assert (cell["change"], cell["p"]) == pytest.approx((d.value, d.p))
    assert (cell["low"], cell["high"]) == pytest.approx((d.low, d.high), abs=0.02)
    assert cell["certain"]
    assert cell["low"] > 0


def test_what_is_the_same_says_so(both):
    cell = row(relic_eval.changes(*both), "same", "knn")
    assert (cell["how"], cell["change"], cell["p"], cell["certain"], cell["weights"]) == ("same", 0, 1, False, "same")
    assert cell["why"] == "both hold the same numbers"


def test_a_measure_without_answers_gets_no_pair(both):
    found = relic_eval.changes(*both)
    assert row(found, "mine", "blocks")["how"] == "paired"  # a purity is a mean over images
    rank = row(found, "mine", "spectrum")
    assert rank["metric"] == "rankme"
    assert rank["how"] == "none"
    assert pd.isna(rank["p"])
    assert rank["change"] == pytest.approx(rank["after"] - rank["before"])


def test_cells_of_one_side_are_named(both):
    found = relic_eval.changes(*both).revision
    assert {name[0] for name in found.only_before} == {"gone"}
    assert {name[0] for name in found.only_after} == {"fresh"}
    assert len(found.only_before) == 4
    text = repr(relic_eval.changes(*both))
    assert "Cells only before: gone set blocks; gone set knn" in text


def test_other_test_images_are_said_and_never_paired(both, tmp_path):
    put(tmp_path, "mine", 0.2, seed=5, rows=300)
    evaluate(tmp_path, protocols=["knn"])
    found = relic_eval.changes(both[0], tmp_path)
    cell = row(found, "mine", "knn")
    assert (cell["how"], cell["why"]) == ("unpaired", "the test images or their labels are others")
    ends = square_and_add(
        cell["before"],
        (cell["before_low"], cell["before_high"]),
        cell["after"],
        (cell["after_low"], cell["after_high"]),
    )
    assert (cell["low"], cell["high"], cell["p"]) == pytest.approx(ends)
    assert "test images" in {d.name for d in found.revision.differs}


def test_square_and_add_is_newcombes():
    # Newcombe 1998, table II, a: 56/70 and 48/80 by Wilson's intervals: 0.0524 to 0.3339
    from relic_eval.metrics.statistics import wilson

    low, high, p = square_and_add(48 / 80, wilson(48, 80), 56 / 70, wilson(56, 70))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert 0 < p < 0.05
    assert square_and_add(0.5, (0.4, 0.6), 0.5, (0.4, 0.6))[2] == 1
    low, _, p = square_and_add(0.5, (0.4, 0.6), 0.5 + 0.1 * 2**0.5, (0.4 + 0.1 * 2**0.5, 0.6 + 0.1 * 2**0.5))
    assert low == pytest.approx(0)
    assert p == pytest.approx(0.05)


def test_holm_is_over_all_cells_that_are_compared(both):
    old, new = (read_results(out, ["mine"]) for out in both)
    assert all(c.certain == (c.p is not None and c.p < 0.01) for c in revised(old, new).cells)

    def shifted(r, value):
        rows = (Measurement("ratio", value, value - 0.1, value + 0.1, 50, {}), *r.cell.rows[1:])
        about = {**r.about, "files": {"rows.parquet": f"{value} {r.protocol}"}}
        return type(r)(r.encoder, r.task, f"{r.protocol} {value}", Cell(rows), about)

    one = next(r for r in old if r.protocol == "spectrum")
    # a change of 0.15 with a half width of 0.14: p = 0.037, certain alone and not among twenty
    pairs = [(shifted(one, 1.0 + k), shifted(one, 1.15 + k)) for k in range(20)]
    pairs = [(a, type(b)(b.encoder, b.task, a.protocol, b.cell, b.about)) for a, b in pairs]
    alone, many = revised(*zip(pairs[0], strict=True)), revised(*zip(*pairs, strict=True))
    assert [c.certain for c in alone.cells] == [True]
    assert 0.03 < alone.cells[0].p < 0.05
    assert not any(c.certain for c in many.cells)
    assert all(c.how == "unpaired" for c in many.cells)


def test_settings_versions_and_weights_that_differ_are_named(again):
    old, new = again

    def older(about):
        about["settings"]["ks"] = [1]
        about["versions"]["numpy"] = "1.0"
        about["files"] = dict(about["files"])

    edit(old, "mine", "knn", older)
    found = relic_eval.changes(old, new, encoders=["mine"], protocols=["knn"])  # cells of older settings are compared
    named = {(d.where, d.name): (d.before, d.after) for d in found.revision.differs}
    assert named[("knn", "ks")][0] == "[1]"
    assert named[("versions", "numpy")][0] == "1.0"
    assert "knn, ks: [1] -> " in repr(found)
    edit(old, "mine", "knn", lambda about: about.update(weights="a"))
    edit(new, "mine", "knn", lambda about: about.update(weights="b"))
    for out in (old, new):  # a cell of a tuned network has no store behind it
        shutil.rmtree(out / "embeddings")
    found = relic_eval.changes(old, new, encoders=["mine"], protocols=["knn"])
    assert row(found, "mine", "knn")["weights"] == "changed"
    assert "The weights of mine are others than before." in repr(found)


def test_training_images_that_differ_are_named_and_pairing_stays(again):
    old, new = again
    edit(old, "mine", "linear-byol", lambda about: about["data"].update(train="0" * 64))
    cell = row(found := relic_eval.changes(old, new, protocols=["linear-byol"]), "mine", "linear-byol")
    assert cell["how"] == "paired"
    assert [(d.name, d.before) for d in found.revision.differs] == [("training images", "0" * 12)]


def test_other_metrics_and_draws_are_not_compared_as_one(again):
    old, new = again
    edit(old, "mine", "knn", lambda about: about["task_settings"].update(metric="mean_per_class"))
    cell = row(relic_eval.changes(old, new, protocols=["knn"]), "mine", "knn")
    assert (cell["how"], cell["why"]) == ("none", "judged by top1 of mean_per_class before and top1 after")
    result = next(r for r in read_results(new, ["mine"]) if r.protocol == "linear-byol")
    table = dict(result.cell.predictions)
    twice = {name: np.concatenate([a, a]) for name, a in table.items()}
    twice["draw"] = np.repeat([0, 1], len(table["item"]))
    cell = Cell(result.cell.rows, twice)
    about = {k: v for k, v in result.about.items() if k not in ("files", "format")}
    write_cell(new, "mine", "set", "linear-byol", cell, about)
    its = row(relic_eval.changes(old, new, protocols=["linear-byol"]), "mine", "linear-byol")
    assert (its["how"], its["why"]) == ("unpaired", "1 training draws before and 2 after")


@pytest.mark.parametrize(("number", "said"), [(99, "made by a newer relic-eval"), (0, "which no relic-eval reads")])
def test_cells_of_another_format_are_left_out_and_named(again, number, said):
    old, new = again
    edit(old, "mine", "knn", lambda about: about.update(format=number))
    found = relic_eval.changes(old, new)
    (line,) = found.revision.unread_before
    assert line.startswith("mine, set, knn: ")
    assert said in line
    assert str(old) not in line  # no folder of this machine on a page
    assert ("mine", "set", "knn") in found.revision.only_after
    for file in old.glob("cells/*/*/*/cell.json"):
        edit(old, file.parts[-4], file.parts[-2], lambda about: about.update(format=number))
    with pytest.raises(DataError, match=said):
        relic_eval.changes(old, new)


def test_encoders_of_other_names(both):
    old, new = both
    found = relic_eval.changes(old, new, before="gone", after="mine", protocols=["knn"])
    (cell,) = found.revision.cells
    assert (cell.encoder, cell.after_encoder, cell.how) == ("gone", "mine", "paired")
    assert found.names == ("gone", "mine")
    within = relic_eval.changes(old, old, before="same", after="mine", protocols=["knn"])
    assert (within.revision.cells[0].encoder, within.revision.cells[0].after_encoder) == ("same", "mine")


def test_what_makes_no_sense_is_refused(both, tmp_path):
    old, new = both
    with pytest.raises(ArgumentError, match="another folder"):
        relic_eval.changes(old, old)
    with pytest.raises(ArgumentError, match="or neither"):
        relic_eval.changes(old, new, before="mine")
    with pytest.raises(UnknownNameError, match="protocol: expected one of"):
        relic_eval.changes(old, new, protocols=["kmn"])
    put(tmp_path, "third", 0.5)
    evaluate(tmp_path, protocols=["knn"])
    with pytest.raises(DataError, match="none in common"):
        relic_eval.changes(old, tmp_path)


def test_the_command(both, tmp_path):
    old, new = map(str, both)
    text = run("changes", old, new, "--task", "set").stdout
    assert text.splitlines()[1].startswith("3 of 8 cells changed for certain: 3 better")
    its = next(line for line in text.splitlines() if line.startswith("mine") and "linear-byol" in line)
    assert "yes" in its
    page, table = tmp_path / "c.html", tmp_path / "c.csv"
    run("changes", old, new, "--to", str(table), "--page", str(page))
    assert len(pd.read_csv(table)) == 8
    assert page.read_text().startswith("<!DOCTYPE html>")
    first = page.read_bytes()
    run("changes", old, new, "--page", str(page))
    assert page.read_bytes() == first
    run("changes", old, new, "--to", str(tmp_path / "c.json"))
    content = json.loads((tmp_path / "c.json").read_text())
    assert len(content["cells"]) == 8
    refused = run("changes", old, new, "--to", str(tmp_path / "c.txt"), code=2)
    assert "a file ending in .csv or .json" in refused.stderr


def test_in_a_notebook_names_are_text(tmp_path):
    name = "<script>alert(1)</script>"
    old, new = tmp_path / "old", tmp_path / "new"
    for out, noise in ((old, 1.0), (new, 0.3)):
        put(out, name, noise)
        evaluate(out, protocols=["knn"])
    shown = relic_eval.changes(old, new)._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    page = relic_eval.changes(old, new).save(tmp_path / "p.html").read_text()
    assert page.count("<script") == 2  # the data and the page's own
    assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(("trainings", "pixels"), [(1, 16), (2, 4), (1, 4)])
def test_segmentations_of_other_settings_are_compared_unpaired(trainings, pixels):
    def result(trainings, pixels, share):
        true = np.full((trainings, 9, 2), pixels)
        both = np.clip((true * share).astype(int) + np.arange(9)[:, None] % 3, 0, pixels)
        cell = make_cell(np.stack([both, true, true]), np.arange(9).astype(str), ("a", "b"), {}, {})
        about = {
            "title": "Pets",
            "task_settings": {"metric": "miou", "dataset": "pets"},
            "settings": {"trainings": trainings},
            "data": {"train": "d", "test": "d"},
            "files": [trainings, pixels, share],
            "stores": {},
            "versions": {},
        }
        return Result("mine", "pets", "segment-fcn", cell, about)

    (cell,) = revised([result(1, 4, 0.25)], [result(trainings, pixels, 0.5)]).cells
    assert cell.how == ("paired" if (trainings, pixels) == (1, 4) else "unpaired")
    assert cell.change == pytest.approx(cell.after - cell.before)
    assert ("masks of another size" in cell.why) == (cell.how == "unpaired")
