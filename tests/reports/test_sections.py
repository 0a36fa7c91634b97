"""Figures read cells: what is drawn and said is what stands in them."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import shlex

import numpy as np
import pytest

from pretrain.config import METHODS, config_dict, override
from relic_eval.cells import Result
from relic_eval.records import Cell, Measurement
from relic_eval.results import read_results
from reports.drawings.frame import Frame, spread, ticks
from reports.drawings.intervals import intervals
from reports.sections.choose import shifts
from reports.sections.distances.distances import density, distances_content
from reports.sections.measures import measure_tables
from reports.sections.origin.data import unreadable
from reports.sections.origin.provenance import commands, provenance_content
from reports.sections.training.training import training_runs
from reports.sections.why.probes import penalty_figure, votes_figure
from reports.sections.why.shifts import few_labels_figure, kept, shifted_figure, shifted_pairs
from reports.style import OTHERS, looks, title

ORDER = ["supervised", "byol", "pixels"]


def test_a_look_is_fixed_by_name_whoever_else_is_there():
    alone, together = looks(["byol"])["byol"], looks(["byol", "relicv2", "mine", "zoo"])["byol"]
    assert alone == together
    assert looks(["mine"])["mine"] == looks(["byol", "mine"])["mine"]


def test_twenty_encoders_are_told_apart():
    made = looks([f"encoder {i}" for i in range(20)])
    assert len({(look.colour, look.mark) for look in made.values()}) == 20
    assert {look.colour for look in made.values()} == {colour for colour, _, _ in OTHERS}


def test_a_point_lies_where_the_axis_says():
    frame = Frame((1, 100), (0, 10), width=300, height=200, left=50, right=50, top=10, bottom=10, log_x=True)
    assert frame.at(10, 5) == (150.0, 100.0)
    assert ticks(0, 1, 5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_labels_keep_their_order_and_distance():
    rng = np.random.default_rng(0)
    for _ in range(50):
        places = rng.uniform(0, 200, 8).tolist()
        moved = spread(places, 16, 0, 220)
        assert np.argsort(moved).tolist() == np.argsort(places).tolist()
        assert np.diff(sorted(moved)).min() > 15.8
        assert min(moved) >= -0.1
        assert max(moved) <= 220.1


def test_shifted_cells_are_paired_with_the_same_question(shifted_results):
    found = shifts(shifted_results, "linear-byol")
    assert [(a.task, b.task, a.encoder == b.encoder) for a, b in found] == [("fashion", "fashion-shifted", True)] * 3


def test_the_shift_names_what_the_best_keeps_and_who_keeps_least(shifted_results):
    pairs = shifted_pairs(shifted_results, ORDER)
    best, last = max(pairs, key=lambda p: p.after.value), min(pairs, key=kept)
    figure = shifted_figure(shifted_results, ORDER)
    assert figure.title.startswith(f"{best.look.title} keep")
    assert f"{100 * best.after.value / best.before.value:.0f}%" in figure.title
    assert f"{last.look.title} keep" in figure.title
    for pair in pairs:
        assert f">{100 * pair.after.value:.1f} " in figure.drawing
    assert shifted_figure([r for r in shifted_results if r.task == "fashion"], ORDER) is None


def test_few_labels_are_set_against_all_on_the_same_task(shifted_results):
    figure = few_labels_figure(shifted_results, ORDER)
    assert "with 5 labelled images a class" in figure.title
    assert "20 draws" in figure.note
    assert few_labels_figure([r for r in shifted_results if r.protocol != "fewshot-5"], ORDER) is None


def test_the_chosen_penalty_is_marked_and_an_edge_is_warned_of(shifted_results):
    figure = penalty_figure(shifted_results, ORDER)
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    cells = {(r.encoder, r.task): r for r in shifted_results if r.protocol == "linear-byol"}
    assert {(r["encoder"], r["task"]) for r in rows} == set(cells)  # every task that is drawn
    for row in rows:
        cell = cells[row["encoder"], row["task"]].cell
        assert float(row["chosen"]) == pytest.approx(cell.rows[0].params["penalty"], rel=1e-3)
        x = np.array([float(name) for name in list(row)[3:]])
        assert np.allclose(x, cell.curves["x"][: len(x)], rtol=0.01)
        assert np.allclose([float(v) for v in list(row.values())[3:]], cell.curves["y"][: len(x)], atol=1e-4)
    edge = [_with_params(r, edge=int(r.encoder == "byol")) for r in shifted_results]
    warned = penalty_figure(edge, ORDER)
    assert "at an end of the path for BYOL:" in warned.title
    assert "At an end: BYOL on Fashion, ten classes" in warned.note
    inside = [_with_params(r, edge=0) for r in shifted_results]
    assert "inside the path" in penalty_figure(inside, ORDER).title


def _with_params(result: Result, **params):
    rows = tuple(dataclasses.replace(m, params={**m.params, **params}) for m in result.cell.rows)
    return dataclasses.replace(result, cell=dataclasses.replace(result.cell, rows=rows))


def test_votes_are_drawn_for_every_k_with_the_chosen_one_marked(shifted_results):
    figure = votes_figure(shifted_results, ORDER)
    rows = {(r["encoder"], r["task"]): r for r in csv.DictReader(io.StringIO(figure.csv))}
    cells = {(r.encoder, r.task): r.cell for r in shifted_results if r.protocol == "knn"}
    assert set(rows) == set(cells)
    for which, cell in cells.items():
        for m in cell.rows:
            assert float(rows[which][f"value_{m.params['k']}"]) == pytest.approx(m.value, abs=1e-4)
        assert int(rows[which]["chosen_k"]) == cell.rows[0].params["k"]
    assert len(figure.beside) == len({task for _, task in cells})
    for _, drawing in figure.beside:
        marks = re.findall(r'class="mark" fill="[^"]*" d="([^"]*)"', drawing)
        assert [path.count("M") for path in marks] == [2] * 3  # one on each line, one at its name


def test_the_baseline_is_drawn_first_and_names_stand_in_the_order_of_medians(shifted_results):
    cells = [r for r in shifted_results if (r.task, r.protocol) == ("fashion", "discriminability")]
    drawing = distances_content(cells, "pixels")["figures"][0].drawing
    strokes = re.findall(r'<path [^>]*fill="none" stroke="(#\w+)"', drawing)
    look = looks(ORDER)
    assert strokes[0] == look["pixels"].colour
    medians = {r.encoder: next(m.value for m in r.cell.rows if m.metric == "distance_ratio_median") for r in cells}
    named = [look[e].title for e in sorted(medians, key=medians.get, reverse=True)]
    assert set(re.findall(r'<text x="\d+" y="([\d.]+)">\d\.\d\d \w+<', drawing)) == {"30", "48", "66"}
    lanes = re.findall(r'y="([\d.]+)">\d\.\d\d (\w+)<', drawing)
    assert [name for _, name in sorted(lanes, key=lambda lane: float(lane[0]))] == named


def test_outlines_hold_all_images_but_the_outermost(shifted_results):
    cells = [r for r in shifted_results if (r.task, r.protocol) == ("fashion", "discriminability")]
    held = np.mean([y.sum() for _, y in density(cells).values()])  # all encoders have as many images
    assert 98.5 < held < 99.5
    edges = {tuple(x) for x, _ in density(cells).values()}
    assert len(edges) == 1


def test_best_and_worst_classes_are_those_of_the_cells(shifted_results):
    cells = [r for r in shifted_results if (r.task, r.protocol) == ("fashion", "discriminability")]
    table = distances_content(cells, None)["table"]
    for row, cell in zip(table, cells, strict=True):
        ratios = {m.params["class"]: m.value for m in cell.cell.rows if "class" in m.params}
        assert row["best"] == max(ratios.items(), key=lambda c: c[1])
        assert row["worst"] == min(ratios.items(), key=lambda c: c[1])


MANIFEST = {
    "encoder": {
        "kind": "file:thin-resnet",
        "parameters": 10,
        "training": {
            "method": "relicv2",
            "steps": 20,
            "config": {"seed": 3, "name": "a b"},
            "data": {"name": "fashion"},
            "history": {"contrastive": [[0, 2.0], [20, 1.0]], "loss": [[0, 2.5], [20, 1.25]], "unused": []},
        },
    },
    "data": {"name": "fashion", "split": "test", "unreadable": ["x.png"]},
    "dims": 8,
    "content": "c" * 64,
    "rows": 5,
}


def test_losses_are_named_with_the_whole_first():
    (section,) = training_runs({"relicv2": MANIFEST})
    assert section["figure"].title == "RELICv2: loss 2.50 at the start, 1.25 after 20 steps"
    assert section["figure"].csv.splitlines()[1] == "loss,0,2.5"
    assert ">contrastive<" in section["figure"].drawing
    assert training_runs({"pixels": {**MANIFEST, "encoder": {"training": None}}}) == []


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_command_of_a_run_gives_its_settings_back(method):
    """What is printed goes through the command line's own reading of it."""
    config = override(METHODS[method](), {"seed": 3, "blur": (1.0, 0.1)})
    training = {**MANIFEST["encoder"]["training"], "method": method, "config": config_dict(config)}
    made = commands({"my run": [{**MANIFEST, "encoder": {**MANIFEST["encoder"], "training": training}}]}, None)
    words = shlex.split(made.split("relic-eval embed")[0].replace("\\\n", " "))
    assert words[:8] == ["relic-eval", "pretrain", method, "--data", "fashion", "--name", "my run", "--out"]
    pairs = [w for w in words[9:] if w != "--set"]
    assert override(METHODS[method](), dict(p.split("=", 1) for p in pairs)) == config
    assert "relic-eval embed OUT/pretrain/'my run' --data fashion --out OUT" in made


def test_commands_name_what_was_given():
    def of(kind, **more):
        return {**MANIFEST, **more, "encoder": {"kind": kind, "parameters": None, "training": None}}

    birds = {"data": {**MANIFEST["data"], "name": "my birds"}, "request": {"on_error": "skip"}}
    stores = {
        "pixels": [of("pixels"), of("pixels", **birds)],
        "raw": [of("pixels")],
        "random": [of("random:thin-resnet")],
        "network": [of("python:mine:network")],
    }
    made = commands({**stores, "mine\n; rm": [of("imported")]}, "raw").splitlines()
    assert made == [
        "relic-eval embed pixels --name raw --data fashion --out OUT",
        "# mine ; rm: embeddings came from Python (save_embeddings or embed) or a .npy file",
        "relic-eval embed pixels random:thin-resnet python:mine:network --data fashion --out OUT",
        "relic-eval embed pixels --data 'PATH/TO/my birds' --on-error skip --out OUT",
        "relic-eval evaluate --out OUT",
        "relic-eval report --out OUT --baseline raw",
    ]


def test_unreadable_pictures_and_doubtful_fits_are_told(shifted_results):
    doubtful = [
        dataclasses.replace(
            r,
            cell=dataclasses.replace(r.cell, rows=tuple(dataclasses.replace(m, converged=False) for m in r.cell.rows)),
        )
        if (r.encoder, r.task, r.protocol) == ("byol", "fashion", "linear-byol")
        else r
        for r in shifted_results
    ]
    doubtful[0] = dataclasses.replace(doubtful[0], about={**doubtful[0].about, "unreadable": ["train/p3"]})
    section = provenance_content(doubtful, {"relicv2": [MANIFEST]}, [], None)
    unread = unreadable({"relicv2": [MANIFEST], "byol": [MANIFEST]}, doubtful)
    assert unread[1:] == [
        {
            "encoders": title(doubtful[0].encoder),
            "data": f"{doubtful[0].task}, {doubtful[0].protocol}",
            "pictures": ["train/p3"],
        }
    ]
    assert unread[0] == {"encoders": "RELICv2 and BYOL", "data": "fashion test", "pictures": ["x.png"]}
    assert section["doubts"] == ["BYOL, Fashion, ten classes, linear-byol"]


@pytest.mark.parametrize("make", [shifted_figure, few_labels_figure, penalty_figure, votes_figure])
def test_no_cell_no_figure(make):
    assert make([], ORDER) is None


def test_protocols_that_no_figure_shows_stand_in_tables(digits_page):
    out = digits_page.parent.parent
    results = read_results(out)
    (table,) = measure_tables(results, ["random", "pixels"])
    # RankMe, effective rank and alpha-ReQ stand at the lines of the figure
    assert (table["protocol"], table["heads"]) == (
        "spectrum",
        ["participation ratio", "uniformity", "collapse", "dead columns"],
    )
    assert [row["title"] for row in table["rows"]] == ["Random initialisation", "Pixels"]
    rows = next(r for r in results if (r.encoder, r.protocol) == ("pixels", "spectrum")).cell.rows
    rank = next(m.value for m in rows if m.metric == "participation_ratio")
    assert float(table["rows"][1]["values"][0][0]) == pytest.approx(rank, rel=0.01)
    page = digits_page.read_text()
    assert "spectrum: pictures" in page.replace(results[0].about["title"], "pictures")


def test_a_table_says_what_is_missing_and_keeps_the_chosen_vote():
    about = {"settings": {"source": "s"}, "title": "t"}
    votes = tuple(
        Measurement("top1", v, 0.1, 0.9, 10, {"k": k, "chosen": int(k == 5)}) for k, v in ((1, 0.3), (5, 0.5))
    )
    found = Measurement("recall", 0.25, 0.2, 0.3, 10, {"k": 5, "left_out": 0})
    lost = (Measurement("distance_ratio", None, n=10), Measurement("distance_ratio", 2.0, n=5, params={"class": "a"}))
    made = {
        "knn-dino": votes,
        "retrieval": (found,),
        "discriminability-fisher": lost,
    }
    results = [Result("mine", "t", protocol, Cell(rows), about) for protocol, rows in made.items()]
    tables = {t["protocol"]: (t["heads"], t["rows"][0]["values"]) for t in measure_tables(results, ["mine"])}
    assert tables == {
        "knn-dino": (["top-1, %"], [("50.0", "10.0 to 90.0")]),
        "retrieval": (["recall, %, k = 5"], [("25.0", "20.0 to 30.0")]),
        "discriminability-fisher": (["ratio"], [("none", "")]),
    }


def test_numbers_beside_an_interval_lie_within_the_drawing(digits_page, visit):
    """Full purity has the longest words: 100.0 (100.0 to 100.0)."""
    full = Measurement("purity", 1.0, 1.0, 1.0, 200)
    svg = intervals([(looks(["byol"])["byol"], full, None)], "share, %", "purity")
    page, _ = visit(digits_page)
    page.evaluate("svg => { document.querySelector('#purity').insertAdjacentHTML('beforeend', svg); }", str(svg))
    drawn = page.locator("#purity svg").last
    ends = drawn.evaluate("e => [...e.querySelectorAll('text')].map((t) => t.getBBox().x + t.getBBox().width)")
    assert max(ends) <= float(drawn.get_attribute("viewBox").split()[2])
