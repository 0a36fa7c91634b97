"""The map: every point where its cell has it, the same image ringed everywhere, its own picture beside its class."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from relic_eval.records import Cell
from reports.assets import packed, unpacked
from reports.coded import names_of
from reports.drawings.scatter import HALF, points, whole
from reports.material import read_material
from reports.sections.pictures.map import finding, map_content, map_section
from reports.sections.sheet import Sheet
from reports.style import title


def numbers(path):
    return np.array([int(v) for v in re.findall(r"-?\d+", path)]).reshape(-1, 2)


def test_points_are_those_of_the_cells_class_by_class(digits_page):
    m = read_material(digits_page.parents[1])
    section = map_section(m)
    here = sorted((r for r in m.results if r.protocol == "map"), key=lambda r: m.order.index(r.encoder))
    for r, panel in zip(here, section.content["panels"], strict=True):
        table, curve = r.cell.predictions, r.cell.curves
        drawn = whole(np.stack([curve["x"], curve["y"]], 1))
        lines = re.findall(r'points="([^"]*)"', panel["svg"])
        for group, line in enumerate(lines):
            assert (numbers(line) == drawn[table["true"] == group]).all()
        assert panel["near"] == f"{100 * table['correct'].mean():.0f}"
    data, table = section.data, here[0].cell.predictions
    true = dict(zip(table["item"].tolist(), table["true"].tolist(), strict=True))
    assert [true[name] for name in names_of(data["names"])] == data["true"]
    assert f"under {title(here[0].encoder)}" in section.content["finding"] == finding(here)


def test_six_maps_of_a_thousand_points_are_small(shifted_results):
    (one,) = (r for r in shifted_results if (r.encoder, r.task, r.protocol) == ("byol", "fashion", "map"))
    rng, many = np.random.default_rng(0), []
    table = {
        "item": np.array([f"test/{i:04}.png" for i in range(1000)]),
        "true": np.repeat(np.arange(4), 250),
        "predicted": np.zeros(1000, int),
        "correct": np.zeros(1000),
        "score": np.zeros(1000),
    }
    for number in range(6):
        curve = {"name": np.full(1000, "pca"), "x": rng.normal(size=1000), "y": rng.normal(size=1000)}
        many.append(dataclasses.replace(one, encoder=f"e{number}", cell=Cell(one.cell.rows, table, curve)))
    content = map_content(many, Sheet({}))
    assert sum(len(p["svg"]) for p in content["panels"]) < 40_000
    assert len(packed(content["data"])) < 1_000


def test_pictures_that_are_there_already_are_shown_and_a_few_more():
    from reports.sections.pictures.map import PICTURES, _places

    items = [str(i) for i in range(900)]
    sheet = Sheet({("d", i): b"" for i in items})
    sheet.places("d", items[5:8])
    found = _places("d", items, sheet)
    assert {number: found[number] for number in (5, 6, 7)} == {5: 0, 6: 1, 7: 2}
    assert sum(place >= 0 for place in found) == 3 + PICTURES
    assert all(sheet.place("d", items[number]) == place for number, place in enumerate(found) if place >= 0)
    assert _places("other", items, sheet) == [-1] * 900


def test_numbers_need_no_space_before_a_minus():
    assert points(np.array([[-5, 12], [-HALF, -3]])) == "-5 12-99-3"


def rings(page):
    return page.locator(".map .here").evaluate_all(
        "all => all.map((c) => [+c.getAttribute('cx'), +c.getAttribute('cy')])"
    )


@pytest.mark.parametrize("touch", [False, True])
def test_pointing_and_keys_ring_the_same_image_in_every_map(digits_page, visit, touch):
    page, faults = visit(digits_page, 400 if touch else 1280, has_touch=touch)
    data = unpacked(page.locator("#data").text_content())["map"]
    places = [
        np.concatenate([numbers(line) for line in svg])
        for svg in page.locator(".map").evaluate_all(
            "all => all.map((s) => [...s.querySelectorAll('polyline')].map((l) => l.getAttribute('points')))"
        )
    ]

    def check(number):
        assert rings(page) == [p[number].tolist() for p in places]
        assert page.locator("#point-class").inner_text() == data["classes"][data["true"][number]]
        name, place = names_of(data["names"])[number], data["places"][number]
        assert name in page.locator("#point-name").inner_text()
        x = "0 -64 64 64" if place < 0 else f"{place % 20 * 64} {place // 20 * 64} 64 64"
        assert page.locator("#point .pic").get_attribute("viewBox") == x

    check(0)
    page.locator("#point-number").focus()
    page.keyboard.press("ArrowRight")
    check(1)
    far = int(np.abs(places[0]).sum(1).argmax())
    svg = page.locator(".map").first
    svg.scroll_into_view_if_needed()
    box, (x, y) = svg.bounding_box(), places[0][far]
    at = {"x": (x / 212 + 0.5) * box["width"], "y": (y / 212 + 0.5) * box["height"]}
    svg.tap(position=at) if touch else svg.hover(position=at)
    number = int(page.locator("#point-number").input_value()) - 1
    assert places[0][number].tolist() == places[0][far].tolist()
    check(number)
    assert faults == []
