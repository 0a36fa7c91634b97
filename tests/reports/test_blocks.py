"""Neighbour blocks: every picture in its place; pointing, touching and keys mark the row in every square."""

from __future__ import annotations

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from relic_eval.results import read_results
from relic_eval.store import find_stores, read_thumbnails
from reports.sections.choose import shown
from reports.sections.neighbours.blocks import blocks_content, colour_scale, read_blocks
from reports.sections.neighbours.strip import make_strip
from reports.sections.sheet import THUMB, Sheet, view
from tests.reports.test_downloads import saved


def thumbnail(rng):
    file = io.BytesIO()
    Image.new("RGB", (28, 28), tuple(int(v) for v in rng.integers(0, 255, 3))).save(file, "WEBP", lossless=True)
    return file.getvalue()


def on_the_sheet(uri, place):
    """The colour in the middle of a place."""
    x, y, width, height = (int(v) for v in view(place).split())
    assert (width, height) == (THUMB, THUMB)
    sheet = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")
    return np.array(sheet.getpixel((x + THUMB // 2, y + THUMB // 2)))


def test_every_picture_of_the_sheet_is_in_its_place():
    rng = np.random.default_rng(0)
    pictures = {(data, str(name)): thumbnail(rng) for data in ("one set", "another") for name in range(25)}
    sheet = Sheet(pictures)
    asked = rng.permutation(50)
    places = {tuple(key): sheet.place(*key) for key in np.array([*pictures])[asked].tolist()}
    assert sorted(places.values()) == list(range(50))
    assert sheet.height == 3 * THUMB
    uri = sheet.uri()
    for key, place in places.items():  # ids are those of both sets
        expected = Image.open(io.BytesIO(pictures[key])).convert("RGB").getpixel((14, 14))
        assert np.abs(np.array(expected) - on_the_sheet(uri, place)).max() < 16


def test_a_full_sheet_keeps_what_it_has():
    sheet = Sheet({("data", str(name)): b"" for name in range(5)}, most=2)
    assert sheet.places("data", ["3", "1", "0", "3"]) == [0, 1, -1, 0]
    assert Sheet({}).uri() == ""


def test_a_picture_that_is_missing_is_not_another(shifted_results):
    blocks = read_blocks(shown(shifted_results, "blocks", ["supervised"]), ["supervised"])
    items = blocks[0].result.cell.predictions["item"].tolist()
    data, one = blocks[0].result.about["data"]["test"], thumbnail(np.random.default_rng(0))
    labels = [{"name": "class", "rows": len(items)}]
    sheet = Sheet({(data, items[3]): one, ("another set", items[4]): one})
    strip = make_strip(blocks, np.arange(len(items)), labels, sheet)
    views = [strip.picture(row)["view"] for row in range(len(items))]
    assert views[3] == f"0 0 {THUMB} {THUMB}"
    assert set(views[:3] + views[4:]) == {f"0 -{THUMB} {THUMB} {THUMB}"}


def test_squares_are_of_the_same_pictures_not_of_the_same_ids(shifted_results):
    cells = shown(shifted_results, "blocks", ["supervised", "byol"])
    about = {**cells[1].about, "data": {**cells[1].about["data"], "test": "other pictures by the same ids"}}
    cells[1] = dataclasses.replace(cells[1], about=about)
    assert [b.encoder for b in read_blocks(cells, ["supervised", "byol"])] == ["supervised", "pixels"]


def test_all_squares_have_one_colour_scale_and_one_order_of_rows(shifted_results):
    order = ["supervised", "byol", "pixels"]
    blocks = read_blocks(shown(shifted_results, "blocks", order), order)
    assert [b.encoder for b in blocks] == order
    items = [b.result.cell.predictions["item"].tolist() for b in blocks]
    assert items[0] == items[1] == items[2]
    low, high = colour_scale(blocks)
    everything = np.concatenate([b.relative_NK.ravel() for b in blocks])
    assert 0.88 < np.mean((everything >= low) & (everything <= high)) <= 1
    section = blocks_content(blocks)
    assert f"≤ {low:.1f}" in section["scale"]
    assert f"≥ {high:.1f}" in section["scale"]


def test_thick_lines_part_superclasses_and_thin_ones_classes(shifted_results):
    section = blocks_content(read_blocks(shown(shifted_results, "blocks", ["byol"]), ["byol"]))
    n = section["n"]
    ends = np.cumsum([label["rows"] for label in section["labels"]])[:-1].tolist()
    lines = re.findall(r'<path d="[^"]*" class="(?:thin|thick)"', section["squares"][0]["svg"])
    lines = [("thick" if "thick" in line else "thin", line) for line in lines]
    kinds = [next(kind for kind, path in lines if f"M0 {e}H{n}M{e} 0V{n}" in path) for e in ends]
    assert kinds == ["thin", "thick", "thin"]


def marked_rows(page):
    return page.locator(".blocks .band").evaluate_all(
        "all => all.map((m) => +m.getAttribute('y') + m.getAttribute('height') / 2 - 0.5)"
    )


def neighbours_of(page, digits_page, encoder, row):
    """What the strip shows for an encoder, and what its cell says."""
    cell = next(r for r in read_results(digits_page.parents[1]) if (r.protocol, r.encoder) == ("blocks", encoder)).cell
    query = cell.predictions["item"][row]
    near = zip(cell.neighbours["query"], cell.neighbours["item"], cell.neighbours["distance"], strict=True)
    expected = [(item, float(distance)) for q, item, distance in near if q == query]
    line = page.locator("#strip .near", has_text="Pixels" if encoder == "pixels" else "Random")
    pictures = line.locator(".pic").evaluate_all("all => all.map((p) => p.ariaLabel)")
    distances = [float(t) for t in line.locator(".far").all_inner_texts()]
    assert page.locator("#strip .query .pic").get_attribute("aria-label") == query
    return pictures, distances, expected


def check_strip(page, digits_page, row):
    for encoder in ("pixels", "random"):
        pictures, distances, expected = neighbours_of(page, digits_page, encoder, row)
        assert pictures == [item for item, _ in expected]
        assert np.allclose(distances, [d for _, d in expected], rtol=0.01)


def painted(page, colour):
    """Of each square the pixels of nearly that colour."""
    found = []
    for square in page.locator(".blocks").all():
        with Image.open(io.BytesIO(square.screenshot())) as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        found.append(int((np.abs(pixels - colour).max(-1) < 40).sum()))
    return found


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light")])
def test_dots_are_painted(digits_page, visit, width, scheme):
    """They are drawn by markers of another drawing, which a browser leaves out where that is hidden."""
    page, _ = visit(digits_page, width, scheme)
    near = np.array([0, 0x22, 0x4E])
    assert min(painted(page, near)) > 20
    page.evaluate("document.querySelectorAll('marker').forEach((m) => m.remove())")
    page.evaluate("document.querySelectorAll('.band, .hit').forEach((m) => m.remove())")
    assert max(painted(page, near)) < 20  # it is the dots that were counted


def test_dots_are_painted_in_a_picture_that_is_saved(digits_page, visit, tmp_path):
    page, _ = visit(digits_page, accept_downloads=True)
    _, text = saved(page, "#squares", "SVG")
    (tmp_path / "saved.html").write_text(f'<html class="ready">{text}')
    alone, _ = visit(tmp_path / "saved.html")
    assert min(painted(alone, np.array([0, 0x22, 0x4E]))) > 20


def test_the_strip_first_shows_the_most_disputed_row(digits_page, visit):
    page, faults = visit(digits_page)
    row = int(page.locator("#row").input_value()) - 1
    cells = [r.cell for r in read_results(digits_page.parents[1]) if r.protocol == "blocks"]
    shares = np.stack([c.predictions["correct"] for c in cells])
    assert np.ptp(shares, 0)[row] == np.ptp(shares, 0).max()
    check_strip(page, digits_page, row)
    assert set(marked_rows(page)) == {row}
    assert faults == []


def test_arrow_keys_mark_the_row_in_every_square_and_show_its_pictures(digits_page, visit):
    page, faults = visit(digits_page)
    page.locator("#row").press("Home")
    page.locator("#row").press("ArrowDown")
    assert marked_rows(page) == [1, 1]
    check_strip(page, digits_page, 1)
    page.locator("#row").press("PageDown")
    page.locator("#row").press("ArrowUp")
    assert marked_rows(page) == [10, 10]
    check_strip(page, digits_page, 10)
    assert "Row 11" in page.locator("#heard").text_content()
    store = next(s for s in find_stores(digits_page.parents[1]) if s.encoder == "pixels")
    assert set(page.locator("#strip .pic").evaluate_all("all => all.map((p) => p.ariaLabel)")) <= set(
        read_thumbnails(store.path)
    )
    assert faults == []


@pytest.mark.parametrize("width", [1280, 400])
def test_pointing_marks_the_row_and_a_click_pins_it_without_moving_the_page(digits_page, visit, width):
    page, faults = visit(digits_page, width)
    square, n = page.locator(".blocks").first, int(page.locator("#row").get_attribute("max"))
    heights = [page.evaluate("document.documentElement.scrollHeight")]

    def to(row):
        square.scroll_into_view_if_needed()
        return {"x": 20, "y": square.bounding_box()["height"] * (row + 0.5) / n}

    square.hover(position=to(20))
    (row,) = set(marked_rows(page))  # the same in both squares
    assert abs(row - 20) <= 1  # at 400 pixels a row is lower than a pixel
    check_strip(page, digits_page, int(row))
    heights.append(page.evaluate("document.documentElement.scrollHeight"))
    square.click(position=to(30))
    assert page.locator("#pin").get_attribute("aria-pressed") == "true"
    (pinned,) = set(marked_rows(page))
    assert abs(pinned - 30) <= 1
    square.hover(position=to(70))
    assert set(marked_rows(page)) == {pinned}
    assert "pinned" in page.locator("#query-note").inner_text()
    heights.append(page.evaluate("document.documentElement.scrollHeight"))
    square.click(position=to(30))
    square.hover(position=to(70))
    assert all(abs(row - 70) <= 1 for row in marked_rows(page))  # released
    assert len(set(heights)) == 1
    assert faults == []


def test_a_touch_shows_a_row(digits_page, visit):
    page, faults = visit(digits_page, 400, has_touch=True)
    square, n = page.locator(".blocks").last, int(page.locator("#row").get_attribute("max"))
    square.scroll_into_view_if_needed()
    square.tap(position={"x": 30, "y": square.bounding_box()["height"] * 50.5 / n})
    (row,) = set(marked_rows(page))
    assert abs(row - 50) <= 1
    check_strip(page, digits_page, int(row))
    assert faults == []


def test_enter_pins_and_escape_releases(digits_page, visit):
    page, _ = visit(digits_page)
    page.locator("#row").press("Enter")
    assert page.locator("#pin").inner_text() == "Pinned"
    page.locator("#row").press("Escape")
    assert page.locator("#pin").inner_text() == "Pin"


def test_another_class_has_a_frame_and_a_sign(digits_page, visit):
    page, _ = visit(digits_page)  # the most disputed row has neighbours of both sorts
    query = page.locator("#query").inner_text()
    for slot in page.locator("#strip .slot").all():
        other = slot.locator(".class").inner_text() != query
        sign = slot.locator(".class").evaluate("e => getComputedStyle(e, '::before').content")
        frame = slot.locator(".pic").evaluate("e => getComputedStyle(e).outlineStyle")
        assert ("≠" in sign, frame == "solid") == (other, other)
    assert page.locator("#strip .slot.other").count() > 0
