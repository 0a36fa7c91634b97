"""The page: nothing but itself, same bytes, inert names, and in a real browser no request, no error, the right picture."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from relic_eval.board import make_board
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.results import read_results
from relic_eval.run import evaluate
from relic_eval.store import find_stores, import_arrays, read_manifest, read_thumbnails
from reports.page import to_html
from reports.sections import THUMB, sprite
from reports.summary import sentences
from reports.write import write_report

EVIL = '</script><img src=x onerror="window.marker=1">'


@pytest.fixture(scope="module")
def digits_page(tmp_path_factory):
    out = tmp_path_factory.mktemp("digits")
    for name in ("pixels", "random:thin-resnet"):
        embed(find_encoder(name), "digits", out)
    assert evaluate(out).failed == 0
    return write_report(out)


def test_the_page_needs_nothing_else_and_is_the_same_twice(board_folder):
    results = read_results(board_folder)
    manifests = {s.encoder: read_manifest(s.path) for s in find_stores(board_folder)}
    pages = [to_html(results, make_board(results), manifests=manifests, thumbnails={}) for _ in range(2)]
    assert pages[0] == pages[1]
    assert not re.search(r'(src|href)="(?!data:|#)', pages[0])
    assert "http" not in pages[0].replace("http-equiv", "")
    style = re.search(r"<style>(.*?)</style>", pages[0], re.S).group(1)
    assert f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}" in pages[0]


def test_a_board_names_ties_and_a_sure_leader(board_folder):
    board = make_board(read_results(board_folder), baseline="far")
    assert [row.encoder for row in board.rows] == ["near", "far"]
    assert board.rows[0].rank == 1
    assert board.rows[1].rank == 2
    assert not board.rows[1].tied_with_best
    assert board.difference("near", "far", 0).sure
    assert "certain" in sentences(board, [])[0]


def test_an_encoder_beside_itself_is_tied(tmp_path):
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 50)
    x = np.eye(2)[y] + rng.normal(0, 0.8, (100, 2))
    for name in ("one", "two"):
        import_arrays(tmp_path, name, "same", x, y)
    evaluate(tmp_path)
    board = make_board(read_results(tmp_path))
    assert [(row.rank, row.rank_last, row.tied_with_best) for row in board.rows] == [(1, 2, True)] * 2
    assert "not certain" in sentences(board, [])[0]


def test_every_picture_of_the_sheet_is_in_its_place():
    rng, thumbnails = np.random.default_rng(0), {}
    for name in range(45):
        file = io.BytesIO()
        Image.new("RGB", (28, 28), tuple(int(v) for v in rng.integers(0, 255, 3))).save(file, "WEBP", lossless=True)
        thumbnails[str(name)] = file.getvalue()
    sheet = Image.open(io.BytesIO(base64.b64decode(sprite(list(thumbnails), thumbnails).split(",")[1]))).convert("RGB")
    for place, content in enumerate(thumbnails.values()):
        expected = Image.open(io.BytesIO(content)).convert("RGB").getpixel((14, 14))
        found = sheet.getpixel((place % 20 * THUMB + THUMB // 2, place // 20 * THUMB + THUMB // 2))
        assert np.abs(np.array(expected) - np.array(found)).max() < 16


@pytest.fixture(scope="module")
def browser():
    place = shutil.which("chromium") or shutil.which("chromium-browser")
    if place is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have chromium")
        pytest.skip("no chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=place, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    def go(page_file, width=1280, scheme="light"):
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme)
        page, faults = context.new_page(), []
        page.on("console", lambda m: faults.append(m.text))
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.on("request", lambda r: faults.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
        page.goto(f"file://{page_file}")
        return page, faults

    return go


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_no_request_no_error_no_sideways_scrolling(digits_page, visit, width, scheme):
    page, faults = visit(digits_page, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#board-table tbody tr").count() == 2
    assert faults == []


def test_keys_and_mouse_show_the_query_and_its_neighbours(digits_page, visit):
    page, faults = visit(digits_page)
    page.locator(".blocks").first.focus()
    page.keyboard.press("ArrowDown")
    assert "Image 2 of" in page.locator("#strip").inner_text()
    assert page.locator("#strip .one").count() == 1 + 2 * 5
    out = digits_page.parents[1]
    store = next(s for s in find_stores(out) if s.encoder == "pixels")
    cell = next(r for r in read_results(out) if r.protocol == "blocks" and r.encoder == "pixels").cell
    query = cell.predictions["item"][1]
    expected = [i for q, i in zip(cell.neighbours["query"], cell.neighbours["item"], strict=True) if q == query]
    shown = page.locator("#strip .near").nth(1).locator(".pic").evaluate_all("all => all.map((p) => p.dataset.item)")
    assert shown == expected
    assert set(expected) <= set(read_thumbnails(store.path))
    page.locator(".blocks").first.hover(position={"x": 20, "y": 100})
    assert "Image 2 of" not in page.locator("#strip").inner_text()
    assert faults == []


def test_sorting_by_a_column(digits_page, visit):
    page, _ = visit(digits_page)
    page.locator("#board-table thead button").first.click()
    values = page.locator("#board-table tbody tr td:nth-child(2)").evaluate_all(
        "all => all.map((c) => +c.dataset.value)"
    )
    assert values == sorted(values, reverse=True)


def test_names_that_try_to_be_code_stay_text(tmp_path, visit):
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 30)
    import_arrays(tmp_path, EVIL, "same", np.eye(2)[y] + rng.normal(0, 0.5, (60, 2)), np.array([EVIL, "‮rtl 🐝"])[y])
    evaluate(tmp_path)
    page, faults = visit(write_report(tmp_path))
    assert page.evaluate("window.marker") is None
    assert EVIL in page.locator("h1").inner_text()
    assert faults == []
