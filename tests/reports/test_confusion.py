"""Confusion: counts are those of the predictions, and each picture is of an image of its cell."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from relic_eval.cells import Result
from relic_eval.records import Cell, Measurement
from relic_eval.results import read_results
from reports.drawings.heat import heat
from reports.page import to_html
from reports.sections.choose import shown
from reports.sections.pictures.confusion import (
    BESIDE,
    LARGEST,
    NAMED,
    PICTURED,
    confusion_content,
    confusion_section,
    counts,
    shares,
)
from reports.sections.section import Material
from reports.sections.sheet import THUMB, Sheet
from reports.style import looks
from tests.reports.made import material, probe_result, thumbnail


def content_of(results, order, sheet=None):
    return confusion_content(shown(results, "linear-byol", order), looks(order), sheet or Sheet({}))


def test_confusion_counts_the_predictions(shifted_results):
    cell = next(r for r in shifted_results if (r.encoder, r.task, r.protocol) == ("byol", "fashion", "linear-byol"))
    share_CC, table = shares(cell), cell.cell.predictions
    assert np.allclose(share_CC.sum(1), 1)
    assert counts(cell).sum() == len(table["true"])
    assert np.isclose(np.diag(share_CC).mean(), table["correct"].mean())  # classes are balanced
    assert share_CC[0, 1] == np.mean(table["predicted"][table["true"] == 0] == 1)
    figure = content_of(shifted_results, ["byol", "supervised", "pixels"])["figure"]
    assert figure.title.startswith("BYOL")
    assert [name for name, _ in figure.beside] == ["BYOL", "Supervised"]
    assert [name for name, _ in figure.more] == ["Pixels"]


def test_a_probe_without_an_error_says_so():
    right = probe_result(0, 2, 4, right=1.0)
    content = confusion_content([right], looks([right.encoder]), Sheet({}))
    assert content["figure"].title == "encoder-00: no test image is taken for another class"
    assert content["largest"] == []
    assert confusion_section(Material([], material([right]).board)) is None


def test_a_cell_s_colour_follows_its_share_and_rare_ones_stay_empty():
    share_CC = np.array([[0.9, 0.1, 0.0], [0.004, 0.996, 0.0], [0.3, 0.3, 0.4]])
    drawing = heat(["a", "b", "c"], share_CC, "label")
    assert re.findall(r">(\d+\.\d)<", drawing) == ["90.0", "10.0", "99.6", "30.0", "30.0", "40.0"]
    depths = {
        (kind, float(depth)): path.count("m")
        for kind, its in re.findall(r'<g class="(right|wrong)">(.*?)</g>', drawing)
        for depth, path in re.findall(r'fill-opacity="([\d.]+)" d="([^"]*)"', its)
    }
    assert sum(depths.values()) == 6
    assert depths[("wrong", 0.65)] == 2
    assert not re.findall(r">\d+\.\d<", heat([f"class {i}" for i in range(30)], np.eye(30), "label"))


@pytest.fixture(scope="module")
def confused(tmp_path_factory):
    """Three encoders that err on six classes, with a picture of one colour of each image."""
    results = [probe_result(e, 6, 40, 0.7 - 0.2 * e) for e in range(3)]
    file = tmp_path_factory.mktemp("confused") / "page.html"
    file.write_text(to_html(material(results, pictures=True)))
    return file, {r.encoder: r for r in results}


def sprite(file):
    uri = re.search(r'id="sheet" href="data:image/webp;base64,([^"]*)"', file.read_text()).group(1)
    return Image.open(io.BytesIO(base64.b64decode(uri))).convert("RGB")


def at(sheet, box):
    x, y, width, height = (int(v) for v in box.split())
    assert (width, height) == (THUMB, THUMB)
    return np.array(sheet.getpixel((x + THUMB // 2, y + THUMB // 2)), int)


def colour(item):
    with Image.open(io.BytesIO(thumbnail(("digest", item)))) as picture:
        return np.array(picture.convert("RGB").getpixel((5, 5)), int)


def in_the_cell(result, true, predicted):
    table = result.cell.predictions
    return table["item"][(table["true"] == true) & (table["predicted"] == predicted)].tolist()


def chosen(page):
    return [int(v) for v in page.locator("#confusion-cell select").evaluate_all("all => all.map((s) => s.value)")]


def test_pictures_of_every_cell_are_of_images_that_were_so_confused(confused, visit):
    file, results = confused
    page, faults = visit(file)
    titles = page.locator("#confusion-cell select").first.locator("option").all_inner_texts()
    sheet, seen, grey = sprite(file), set(), 0
    for e, title in enumerate(titles):
        for true in range(6):
            for said in range(6):
                page.locator("#confusion-cell select").nth(0).select_option(str(e))
                page.locator("#confusion-cell select").nth(1).select_option(str(true))
                page.locator("#confusion-cell select").nth(2).select_option(str(said))
                expected = in_the_cell(results[title], true, said)
                found = page.locator("#confusion-cell .slot .pic").evaluate_all(
                    "all => all.map((p) => [p.ariaLabel, p.getAttribute('viewBox')])"
                )
                items = [item for item, _ in found]
                assert set(items) <= set(expected)
                assert len(items) == len(set(items)) <= 8
                words = page.locator(".said-cell").last.inner_text()
                assert words.startswith(f"{title}: {len(expected)} of 40" if expected else f"{title}: too few")
                assert ("Shown are" in words) == (len(items) < len(expected))
                assert items == [item for item in expected[:8] if item in items]  # in the order of the table
                assert items or not expected or true == said
                for item, box in found:
                    if box == "0 -64 64 64":
                        grey += 1
                        continue
                    seen.add(item)
                    assert np.abs(at(sheet, box) - colour(item)).max() < 24
    assert len(seen) == PICTURED
    assert grey > 0
    assert faults == []


def test_a_cell_is_pointed_at_touched_and_kept(confused, visit):
    file, _ = confused
    page, faults = visit(file)
    heat = page.locator("#confusion-matrix .heat").nth(1)
    heat.scroll_into_view_if_needed()
    box = heat.locator(".cells .floor").bounding_box()
    side, height = box["width"] / 6, page.evaluate("document.documentElement.scrollHeight")

    def to(row, column):
        return box["x"] + side * (column + 0.5), box["y"] + side * (row + 0.5)

    page.mouse.move(*to(2, 4))
    assert chosen(page) == [1, 2, 4]
    page.mouse.click(*to(3, 5))
    page.mouse.move(*to(0, 0))
    assert chosen(page) == [1, 3, 5]
    assert page.locator("#confusion-cell button").get_attribute("aria-pressed") == "true"
    page.mouse.click(*to(3, 5))
    page.mouse.move(*to(0, 1))
    assert chosen(page) == [1, 0, 1]
    bands = page.locator("#confusion-matrix .cells .band").evaluate_all(
        "all => all.map((b) => [b.getAttribute('x'), b.getAttribute('y')])"
    )
    assert bands == [["1", "0"]] * 3  # the same cell in every matrix
    assert page.evaluate("document.documentElement.scrollHeight") == height
    assert faults == []


def test_keys_choose_a_cell(confused, visit):
    page, _ = visit(confused[0], 400)
    true = page.locator("#confusion-cell select").nth(1)
    true.focus()
    before = chosen(page)[1]
    true.press("ArrowDown" if before < 5 else "ArrowUp")
    assert abs(chosen(page)[1] - before) == 1
    assert page.locator("#confusion-cell .said-cell").get_attribute("aria-live") == "polite"
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_without_scripts_the_largest_confusions_stand_with_pictures(confused, visit):
    file, results = confused
    page, _ = visit(file, java_script_enabled=False)
    assert page.locator("#confusion-matrix > .heats .heat:visible").count() == 2
    assert page.locator("#confusion-cell:visible").count() == 0
    page.locator("#largest summary").click()
    rows = page.locator("#largest tbody tr")
    assert rows.count() == LARGEST
    sheet = sprite(file)
    for row in rows.all():
        true, said, who, count = (row.locator("th, td").nth(i).inner_text() for i in range(4))
        expected = in_the_cell(results[who], int(true[-3:]), int(said[-3:]))
        assert int(count) == len(expected)
        found = row.locator(".pic").evaluate_all("all => all.map((p) => [p.ariaLabel, p.getAttribute('viewBox')])")
        assert [item for item, _ in found] == expected[:BESIDE]
        assert all(np.abs(at(sheet, box) - colour(item)).max() < 24 for item, box in found)
    tops = [counts(r) for r in list(results.values())]
    largest = max(int((c * (1 - np.eye(6, dtype=int))).max()) for c in tops[:2])
    assert int(rows.first.locator("td").nth(2).inner_text()) == largest


def test_an_image_of_another_data_set_has_no_picture_of_the_first():
    """The same ids, other data: a picture is never taken by its id alone."""
    first, other = probe_result(0, 3, 20, 0.5), probe_result(1, 3, 20, 0.4, data="other")
    held = {("digest", item): thumbnail(("digest", item)) for item in first.cell.predictions["item"].tolist()}
    sheet = Sheet(held)
    content = confusion_content([first, other], looks([first.encoder, other.encoder]), sheet)
    data = content["data"]
    for item in {i for cell in data["cells"][1] for i in cell}:
        assert data["places"][item] == -1
    assert any(data["places"][i] >= 0 for cell in data["cells"][0] for i in cell)
    assert "encoder-01 saw other pictures" in content["figure"].note


def test_many_classes_and_encoders_stay_small():
    results = [probe_result(e, 300, 4, 0.6) for e in range(15)]
    content = confusion_content(results, looks(r.encoder for r in results), Sheet({}))
    drawn = [*content["figure"].beside, *content["figure"].more]
    assert len(drawn) == 8
    assert "Not drawn: encoder-08, encoder-09, encoder-10 and 4 others" in content["figure"].note
    assert "Shown are the 24 classes that encoder-00 gets right least often" in content["figure"].note
    assert sum(len(svg) for _, svg in drawn) + len(str(content["data"])) < 90_000
    assert len(content["data"]["names"]) <= NAMED


def test_names_that_try_to_be_code_stay_text(visit, tmp_path):
    evil = '</script><img src=x onerror="window.marker=1">'
    table = {
        "item": np.array([evil, "b", "c", "d"]),
        "true": np.array([0, 0, 1, 1]),
        "predicted": np.array([1, 0, 1, 0]),
        "correct": np.array([0.0, 1, 1, 0]),
        "score": np.array([0.0, 1, 1, 0]),
    }
    made = probe_result(0, 2, 4, 0.5)
    rows = (Measurement("top1", 0.5, 0.1, 0.9, 4, {"penalty": 1.0, "edge": 0}),)
    result = Result(evil, "made", "linear-byol", Cell(rows, table), {**made.about, "classes": [evil, "‮🐝"]})
    file = tmp_path / "page.html"
    file.write_text(to_html(material([result])))
    page, faults = visit(file)
    assert page.evaluate("window.marker") is None
    assert page.locator("main img").count() == 0
    assert evil in page.locator("#confusion-cell .said-cell").inner_text()
    assert page.locator("#confusion-cell .slot span").first.get_attribute("title") == evil
    assert faults == []


def test_the_page_of_a_real_run_has_confusion_of_its_own_predictions(digits_page, visit):
    page, faults = visit(digits_page)
    cells = {r.encoder: r for r in read_results(digits_page.parents[1]) if r.protocol == "linear-byol"}
    titles = {"Pixels": "pixels", "Random initialisation": "random"}
    e, true, said = chosen(page)
    name = page.locator("#confusion-cell select").first.locator("option").nth(e).inner_text()
    expected = in_the_cell(cells[titles[name]], true, said)
    items = page.locator("#confusion-cell .pic").evaluate_all("all => all.map((p) => p.ariaLabel)")
    assert items == expected[:8]
    assert faults == []
