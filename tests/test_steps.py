"""Checkpoints of one run: which are, what each stretch gained, and how it is said and drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import relic_eval
from relic_eval import progress
from relic_eval.board import Board, Column, Difference, Row, read_board
from relic_eval.board.steps import gain, histories, runs_of
from relic_eval.errors import DataError
from relic_eval.intake import import_arrays
from relic_eval.results import read_results
from relic_eval.run import evaluate
from relic_eval.store import note_training, read_manifest
from reports.figures.history import history_figure
from reports.histories import histories_text
from reports.material import read_material
from reports.sections.training.history import finding, history_section
from reports.write import write_report
from tests.test_cli import run as command

KINDS = np.array(["ant", "bee", "cat"])


@pytest.fixture(autouse=True)
def _each_warning_anew(monkeypatch):
    monkeypatch.setattr(progress, "_warned", set())


def put(out, name, noise, training=None, rows=180, sets=("birds", "cars")):
    for place, dataset in enumerate(sets):
        rng, y = np.random.default_rng(place), np.arange(rows) % 3
        x = np.eye(3)[y] + rng.normal(0, noise, (rows, 3))
        note_training(import_arrays(out, name, dataset, x, KINDS[y]), training)


def trained(step, run="byol", method="byol", **config):
    config = {"lr": 0.1, "seed": 0, "keep_every": 0, **config}
    return {
        "method": method,
        "config": config,
        "step": step,
        "steps": 1000,
        "data": {"name": "birds", "digest": "d"},
        "history": {"loss": []},
        "run": run,
    }


@pytest.fixture(scope="session")
def stepped(tmp_path_factory):
    """Three checkpoints of one run, the second much better than the first and the third as it; two others of another run."""
    out = tmp_path_factory.mktemp("stepped")
    for step, noise in ((100, 1.5), (500, 0.45), (1000, 0.44)):
        put(out, f"byol-{step}", noise, trained(step, keep_every=step))
    for step, noise in ((500, 0.5), (1000, 0.8)):
        put(out, f"relic-{step}", noise, trained(step, "relic", "relic"))
    put(out, "byol-seed", 0.5, trained(1000, "byol", seed=1))
    put(out, "pixels", 0.9)
    assert evaluate(out, protocols=["knn", "linear-byol"]).failed == 0
    return out


def test_checkpoints_of_a_run_are_told_by_settings_seed_and_data(stepped):
    material = read_material(stepped)
    found = {h.run: (h.encoders, h.steps) for h in histories(material.board, material.stores)}
    assert found == {
        "byol": (("byol-100", "byol-500", "byol-1000"), (100, 500, 1000)),  # keep_every changes no number
        "relic": (("relic-500", "relic-1000"), (500, 1000)),
    }


def test_a_run_without_its_folders_name_goes_by_its_method():
    old = {k: v for k, v in trained(5).items() if k != "run"}
    manifests = {"a": [{"encoder": {"training": old}}], "b": [{"encoder": {"training": trained(9, run="mine")}}]}
    (only,) = runs_of(manifests, ["a", "b"])
    assert (only.run, only.steps) == ("mine", (5, 9))
    unnamed = {name: [{"encoder": {"training": {**old, "step": step}}}] for name, step in (("a", 5), ("b", 9))}
    assert [h.run for h in runs_of(unnamed, ["a", "b"])] == ["byol"]
    same = {**manifests, "c": [{"encoder": {"training": trained(9)}}]}
    assert runs_of(same, ["a", "b", "c"])[0].encoders == ("a", "b")  # of two at one step the first


def test_a_store_says_of_which_run_it_is(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (32, 28, 28)).astype(np.uint8)
    step = relic_eval.pretrain("byol", pictures, None, tmp_path / "pretrain" / "mine", steps=1, batch=16)
    for kind in ("a", "b"):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(pictures[number]).save(tmp_path / "set" / kind / f"{number}.png")
    (path,) = relic_eval.embed(f"file:{step}", str(tmp_path / "set"), tmp_path / "out", name="mine-1")
    training = read_manifest(path)["encoder"]["training"]
    assert (training["run"], training["step"]) == ("mine", 1)


def test_a_gain_is_the_mean_of_paired_differences(stepped):
    board, _, _ = read_board(stepped, protocols=["linear-byol"])
    values = {(r.encoder, r.task): r.cell.rows[0].value for r in read_results(stepped) if r.protocol == "linear-byol"}
    its = gain(board, (100, "byol-100"), (500, "byol-500"))
    expected = np.mean([values["byol-500", t] - values["byol-100", t] for t in ("birds", "cars")])
    assert its.value == pytest.approx(expected)
    pairs = [board.difference("byol-100", "byol-500", c) for c in range(2)]
    # two independent sets: half widths squared and added, over two
    low = its.value - np.hypot(*(d.value - d.low for d in pairs)) / 2
    assert its.low == pytest.approx(low)
    assert its.columns == 2


def test_columns_of_one_set_count_as_dependent():
    columns = (Column("t", "knn", "T", 9, dataset="s"), Column("t", "ridge", "T", 9, dataset="s"))
    pairs = (Difference(0, "b", "a", 0.1, 0.0, 0.2), Difference(1, "a", "b", 0.3, 0.1, 0.5))
    its = gain(Board(None, columns, (), pairs), (1, "a"), (2, "b"))
    assert (its.value, its.low, its.high) == pytest.approx((-0.1, -0.25, 0.05))
    assert its.p > 0.05


def test_what_is_certain_is_said_and_what_is_not_too(stepped):
    board, _, _ = read_board(stepped)
    byol, relic = histories(board, read_material(stepped).stores)
    assert [g.certain for g in byol.gains] == [True, False]
    assert byol.whole.certain
    assert finding(byol).startswith("BYOL gains ")
    assert finding(byol).endswith(" on average from step 100 to 1,000; the last change is not certain")
    assert finding(relic).startswith("RELIC loses ") is relic.whole.certain
    text = histories_text(board, (byol, relic))
    assert text.count("\n1,000") == 2
    assert "Holm's correction" in text


def test_a_missing_column_is_left_out_of_a_gain():
    columns = (Column("t", "knn", "T", 9), Column("u", "knn", "U", 9))
    row = Row("a", (None, None), None, None, None, None, None, 0, False)
    board = Board(None, columns, (row,), (Difference(1, "b", "a", 0.1, 0.05, 0.2),))
    assert gain(board, (1, "a"), (2, "b")).columns == 1
    assert gain(board, (1, "a"), (2, "c")) is None


def test_the_command_and_the_function(stepped, tmp_path):
    out = str(stepped)
    text = command("history", "--out", out, "--protocol", "linear-byol").stdout
    assert text.startswith("BYOL gains ")
    command("history", "--out", out, "--to", str(tmp_path / "h.csv"))
    table = pd.read_csv(tmp_path / "h.csv")
    frame = relic_eval.history(stepped)
    assert len(table) == len(frame) == 5 * 2
    values = {(r.encoder, r.task): r.cell.rows[0].value for r in read_results(stepped) if r.protocol == "linear-byol"}
    assert all(r.value == values[r.encoder, r.task] for r in frame.itertuples())
    later = frame[frame.encoder == "byol-500"].iloc[0]
    assert later.change == pytest.approx(later.value - values["byol-100", later.task])
    assert "a file ending in .csv, .png or .svg" in command("history", "--out", out, "--to", "x.pdf", code=2).stderr


def test_a_board_without_checkpoints_says_what_to_do(tmp_path):
    put(tmp_path, "pixels", 0.5, sets=("birds",))
    evaluate(tmp_path, protocols=["knn"])
    with pytest.raises(DataError, match="two checkpoints of one pretraining run"):
        relic_eval.history(tmp_path)
    assert history_section(read_material(tmp_path)) is None


def test_the_figure_has_a_panel_a_column_with_one_span(stepped):
    material = read_material(stepped)
    runs = histories(material.board, material.stores)
    figure = history_figure(material.board, runs)
    assert len(figure.axes) == len(material.board.columns) == 2
    spans = [round(float(np.diff(axes.get_ylim())[0]), 6) for axes in figure.axes]
    assert len(set(spans)) == 1
    drawn = [line.get_ydata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 3]
    entry = {r.encoder: r.entries[0] for r in material.board.rows}["byol-100"]
    assert any(value == pytest.approx(100 * entry.value) for value in drawn)


def test_a_value_outside_its_percentiles_is_drawn(stepped):
    material = read_material(stepped)
    entry = replace(material.board.rows[0].entries[0], value=0.5, low=0.51, high=0.6)
    row = replace(material.board.rows[0], entries=(entry, *material.board.rows[0].entries[1:]))
    board = replace(material.board, rows=(row, *material.board.rows[1:]))
    figure = history_figure(board, histories(material.board, material.stores))
    ends = [y for c in figure.axes[0].collections for s in c.get_segments() for y in s[:, 1]]
    assert any(end == pytest.approx(60) for end in ends)


def test_the_section_draws_values_at_their_steps(stepped):
    import re

    material = read_material(stepped)
    section = history_section(material)
    drawing = section.content["figure"].drawing
    lines = re.findall(r'<polyline points="([^"]+)"', drawing)
    assert len(lines) == 4  # two runs in two panels
    first = [tuple(map(float, p.split(","))) for p in lines[0].split()]
    # steps 100, 500, 1000 lie as their numbers do
    (a, _), (b, _), (c, _) = first
    assert (b - a) / (c - a) == pytest.approx(400 / 900, abs=0.01)
    values = [{r.encoder: r.entries[0] for r in material.board.rows}[f"byol-{s}"].value for s in (100, 500, 1000)]
    (_, low), (_, high), (_, last) = first
    assert (low - high) / (low - last) == pytest.approx((values[1] - values[0]) / (values[2] - values[0]), abs=0.05)
    assert section.content["figure"].title == finding(histories(material.board, material.stores)[0])


def test_the_page_has_it(stepped):
    page = write_report(stepped).read_text()
    assert '<section id="history"' in page
    assert "the last change is not certain" in page
