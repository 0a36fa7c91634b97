"""The data and figure buttons: files that hold what is shown, without a network."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest
from PIL import Image

from relic_eval.results import read_results
from reports.write import write_report

FIGURES = [
    "relative",
    "outlines",
    "classes",
    "shifted",
    "few-labels",
    "penalty",
    "votes",
    "confusion-matrix",
    "purity",
    "neighbour-classes",
]


def saved(page, figure, kind):
    with page.expect_download() as waiting:
        page.locator(figure).locator(".tools button", has_text=kind).click()
    download = waiting.value
    return download.suggested_filename, download.path().read_text(encoding="utf-8")


def test_the_data_of_the_board_is_the_table_beside_the_page(shifted_folder, visit):
    file = write_report(shifted_folder)
    page, faults = visit(file, accept_downloads=True)
    name, text = saved(page, "#leaderboard", "CSV")
    assert name == "board.csv"
    assert text == (file.parent / "tables" / "board.csv").read_text()
    assert faults == []


def test_the_data_of_the_blocks_are_the_neighbours_in_the_cells(digits_page, visit):
    page, faults = visit(digits_page, accept_downloads=True)
    name, text = saved(page, "#squares", "CSV")
    rows = list(csv.DictReader(io.StringIO(text)))
    cell = next(r for r in read_results(digits_page.parents[1]) if (r.protocol, r.encoder) == ("blocks", "pixels")).cell
    mine = [r for r in rows if r["encoder"] == "Pixels"]
    assert name == "blocks.csv"
    assert [r["neighbour"] for r in mine] == cell.neighbours["item"].tolist()
    assert [r["query"] for r in mine] == cell.neighbours["query"].tolist()
    assert all(
        abs(float(r["distance"]) - d) < 0.01 * d
        for r, d in zip(mine, cell.neighbours["distance"].tolist(), strict=True)
    )
    assert faults == []


def test_the_data_of_the_shift_are_the_cells(shifted_folder, shifted_results, visit):
    page, _ = visit(write_report(shifted_folder), accept_downloads=True)
    _, text = saved(page, "#shifted", "CSV")
    found = {(r["encoder"], r["test"]): float(r["top1"]) for r in csv.DictReader(io.StringIO(text))}
    tasks = {"fashion": "unshifted", "fashion-shifted": "shifted"}
    expected = {
        (r.encoder, tasks[r.task]): r.cell.rows[0].value
        for r in shifted_results
        if r.protocol == "linear-byol" and r.task in tasks
    }
    assert found == expected


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_saved_as_a_drawing_that_stands_alone(shifted_folder, visit, scheme):
    page, faults = visit(write_report(shifted_folder), scheme=scheme, accept_downloads=True)
    for figure in FIGURES:
        name, text = saved(page, f"#{figure}", "SVG")
        assert name == f"{figure}.svg"
        drawing = ElementTree.fromstring(text)
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        assert int(drawing.get("width")) > 200
        assert "var(" not in text
        assert "#1a1a1a" in text  # the ink of the light page
        words = {e.text for e in drawing.iter("{http://www.w3.org/2000/svg}text")}
        assert len(words) > 5
    assert faults == []


def test_the_squares_are_saved_together_with_names_and_scale(digits_page, visit):
    page, faults = visit(digits_page, accept_downloads=True)
    name, text = saved(page, "#squares", "SVG")
    drawing = ElementTree.fromstring(text)
    squares = [e for e in drawing if e.get("class") == "blocks"]
    assert name == "blocks.svg"
    assert len(squares) == 2
    assert float(squares[0].get("x")) < float(squares[1].get("x"))
    assert not [e for e in drawing.iter() if e.get("class") in ("band", "hit")]
    words = {e.text for e in drawing.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Pixels", "Random initialisation"} <= words
    assert any(w.startswith("≤") for w in words)
    # the dots are there with what they are drawn with
    kinds = {e.get("class") for e in drawing.iter() if (e.get("class") or "").startswith("shade-")}
    assert kinds
    assert kinds <= {e.get("id") for e in drawing.iter() if e.tag.endswith("marker")}
    assert all(f".{kind}{{marker:url(#{kind})}}" in text for kind in kinds)
    assert faults == []


@pytest.mark.parametrize("figure", ["#outlines", "#penalty"])
def test_the_json_of_a_figure_is_its_csv(shifted_folder, visit, figure):
    page, faults = visit(write_report(shifted_folder), accept_downloads=True)
    _, text = saved(page, figure, "CSV")
    name, records = saved(page, figure, "JSON")
    assert name == f"{figure[1:]}.json"
    expected = [{k: _plain(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(text))]
    assert json.loads(records) == expected
    assert faults == []


def _plain(text):
    try:
        return float(text)
    except ValueError:
        return text or None


def test_the_json_of_names_with_commas_quotes_and_breaks(shifted_folder, visit):
    page, _ = visit(write_report(shifted_folder), accept_downloads=True)
    hard = 'a,name\n"a ""quoted"", one",\n,007\n"two\nlines",-1.5e-3\n'
    page.evaluate("text => { tables.outlines = () => text; }", hard)
    _, text = saved(page, "#outlines", "JSON")
    assert json.loads(text) == [
        {"a": 'a "quoted", one', "name": None},
        {"a": None, "name": "007"},
        {"a": "two\nlines", "name": -0.0015},
    ]


def test_the_png_of_a_figure_is_its_drawing_at_twice_the_size(shifted_folder, visit):
    page, faults = visit(write_report(shifted_folder), accept_downloads=True)
    with page.expect_download() as waiting:
        page.locator("#outlines .tools button", has_text="PNG").click()
    assert waiting.value.suggested_filename == "outlines.png"
    with Image.open(waiting.value.path(), formats=["PNG"]) as picture:
        size, colours = picture.size, {c[:3] for _, c in picture.convert("RGB").getcolors(1 << 20)}
    box = page.locator("#outlines .plot").first.get_attribute("viewBox").split()
    assert size == (2 * int(float(box[2])), 2 * int(float(box[3])))
    assert {(255, 255, 255), (0, 158, 115)} <= colours  # paper, and the green of the supervised encoder
    assert faults == []
