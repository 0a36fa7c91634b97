"""The board taken along: CSV, JSON, Markdown and LaTeX of the page are, byte for byte, what lies in tables/."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
from playwright.sync_api import expect

from relic_eval.board import Cost, board_table
from reports.copies import board_files, board_json, board_markdown, pairs_csv
from reports.sections.board.fields import fields
from reports.tables import board_records
from reports.write import write_report
from tests.reports.made_boards import made_board, page_of
from tests.reports.test_downloads import saved

HARD = 'a|b, "c" <img src=x onerror="window.marker=1"> *_`'
COPIED = """window.copied = []; Object.defineProperty(navigator, "clipboard",
  { value: { writeText: async (text) => { window.copied.push(text); } }, configurable: true })"""


@pytest.fixture(scope="module")
def board():
    """Names that are hard to write, a missing cell, a change with no end, and numbers of every size."""
    made = made_board(["supervised", HARD, "=1+1", "‮rtl 🐝"], 3, n=120, missing=0.3, seed=2)
    first = made.rows[0]
    whole = next(i for i, e in enumerate(first.entries) if e)
    ends = {"change": 1e-7, "change_low": -3.0, "change_high": math.inf, "low": 1.25e-5}
    entries = list(first.entries)
    entries[whole] = dataclasses.replace(entries[whole], **ends)
    return dataclasses.replace(made, rows=(dataclasses.replace(first, entries=tuple(entries)), *made.rows[1:]))


def test_what_the_page_gives_out_is_what_lies_beside_it(board, visit, tmp_path):
    costs = {"supervised": Cost(25_557_032, 4.0, 2048)}
    files = board_files(board, costs)
    stores = {"supervised": [{"dims": 2048, "encoder": {"kind": "k", "parameters": 25_557_032, "gflops": 4.0}}]}
    page, faults = visit(page_of(board, tmp_path, stores), accept_downloads=True)
    for kind in ("csv", "json"):
        name, text = saved(page, "#leaderboard", f"Data ({kind.upper()})")
        assert name == f"board.{kind}"
        assert text == files[name]
    assert any(None in (r["value"], r["change_high"]) for r in json.loads(files["board.json"]))
    page.evaluate(COPIED)
    for what, name in (("Markdown", "board.md"), ("LaTeX", "board.tex")):
        page.locator("#leaderboard .tools button", has_text=what).press("Enter")
        expect(page.locator("#board-said")).to_have_text(f"The board is copied as {what}.")
        assert page.evaluate("window.copied.pop()") == files[name]
    assert page.evaluate("window.marker") is None
    assert faults == []


def test_without_a_clipboard_a_field_holds_the_text(board, visit, tmp_path):
    page, _ = visit(page_of(board, tmp_path))
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined }); document.execCommand = () => false;"
    )
    area = page.locator("#board-copy textarea")
    assert not area.is_visible()
    page.locator("#leaderboard .tools button", has_text="LaTeX").click()
    assert area.is_visible()
    assert area.input_value() == board_files(board, {})["board.tex"]
    assert area.evaluate("e => document.activeElement === e && e.selectionEnd === e.value.length")
    assert "copy it from there" in page.locator("#board-said").inner_text()


def test_the_report_writes_what_the_page_copies(shifted_folder, visit):
    file = write_report(shifted_folder)
    beside = {f.name: f.read_text() for f in (file.parent / "tables").iterdir()}
    assert {"board.csv", "board.json", "board.md", "board.tex", "pairs.csv", "measurements.csv"} <= set(beside)
    page, _ = visit(file, accept_downloads=True)
    assert saved(page, "#leaderboard", "JSON")[1] == beside["board.json"]
    page.evaluate(COPIED)
    page.locator("#leaderboard .tools button", has_text="Markdown").click()
    expect(page.locator("#board-said")).to_have_text("The board is copied as Markdown.")
    assert page.evaluate("window.copied[0]") == beside["board.md"]


def test_markdown_has_a_row_an_encoder_and_the_same_columns_everywhere(board):
    lines = [line for line in board_markdown(board).splitlines() if line.startswith("|")]
    bars = [line.replace("\\|", "").count("|") for line in lines]
    assert len(lines) == 2 + len(board.rows)
    assert set(bars) == {len(board.columns) + 4}
    for row, line in zip(board.rows, lines[2:], strict=True):
        assert line.count("**") == 2 * sum(e is not None and e.tied_with_best for e in row.entries)
    assert "<img" not in board_markdown(board).replace("\\<", "")


def six(value):
    """What a file keeps of a number: six digits."""
    return float(np.format_float_positional(value, 6, fractional=False, unique=False))


def test_json_holds_the_records_and_pairs_hold_every_pair(board):
    records = json.loads(board_json(board))
    for found, expected in zip(records, board_table(board), strict=True):
        its = {k: None if isinstance(v, float) and math.isinf(v) else v for k, v in expected.items()}
        assert found == {k: six(v) if isinstance(v, float) else v for k, v in its.items()}
    rows = list(csv.DictReader(io.StringIO(pairs_csv(board))))
    assert len(rows) == len(board.differences)
    assert [float(r["difference"]) for r in rows] == [six(d.value) for d in board.differences]
    assert [r["excludes_0"] for r in rows] == [str(d.sure) for d in board.differences]


def test_records_that_are_packed_take_few_bytes():
    board = made_board([f"encoder-{i}" for i in range(20)], 12)
    text = json.dumps(fields(board_records(board), 20, 12), separators=(",", ":"))
    assert len(text) < 140 * 240
    assert len(board_files(board)["board.csv"]) > 2 * len(text)
