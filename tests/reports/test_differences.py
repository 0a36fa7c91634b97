"""Two encoders picture by picture: counts, classes and pictures are those of the cells, for every pair that can be chosen."""

from __future__ import annotations

import base64
import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from relic_eval.duel import disagreements
from relic_eval.results import read_results
from relic_eval.store import find_stores, read_thumbnails
from reports.assets import unpacked
from reports.material import read_material
from reports.sections.pictures.differences import MOST, PICTURES, chosen_encoders, comparable, differences_section
from reports.sections.section import Material
from reports.sections.sheet import view


@pytest.fixture(scope="module")
def digits(digits_page):
    return digits_page.parents[1]


def right_of(out, encoder, protocol="linear-byol"):
    """By id, of one task: whether it is right, and the class it was taken for."""
    (cell,) = (r for r in read_results(out) if (r.encoder, r.protocol) == (encoder, protocol))
    table, classes = cell.cell.predictions, cell.about["classes"]
    rows = zip(table["item"].tolist(), table["correct"], table["predicted"], table["true"], strict=True)
    return {item: (bool(right), classes[said], classes[true]) for item, right, said, true in rows}


def test_counts_and_pictures_are_those_of_a_loop_over_both_cells(digits):
    m = read_material(digits)
    section = differences_section(m)
    data, names = section.data, [r.encoder for r in chosen_encoders(comparable(m, "linear-byol"), m.board.baseline)]
    a, b = (right_of(digits, name) for name in names)
    only = [[i for i in a if a[i][0] and not b[i][0]], [i for i in a if b[i][0] and not a[i][0]]]
    both = sum(a[i][0] and b[i][0] for i in a)
    assert data["pairs"]["0,1"]["counts"] == [
        both,
        len(only[0]),
        len(only[1]),
        len(a) - both - len(only[0]) - len(only[1]),
    ]
    assert data["pairs"]["1,0"]["counts"][1:3] == [len(only[1]), len(only[0])]
    for side, (wrong, where) in enumerate(((b, 1), (a, 0))):
        shown = data["pairs"]["0,1"]["only"][side]
        assert len(shown) == min(PICTURES, len(only[side]))
        for number in shown:
            item = data["names"][number]
            assert item in only[side]
            assert data["classes"][data["true"][number]] == wrong[item][2]
            assert data["classes"][data["said"][where][number]] == wrong[item][1] != wrong[item][2]
    duel = disagreements(digits, *names, task=comparable(m, "linear-byol")[0].task)
    signs = [row[4] for row in data["pairs"]["0,1"]["classes"]]
    expected = {g.name: round(100 * g.difference, 1) for g in duel.groups if g.kind == "class"}
    assert signs == [expected[data["classes"][row[0]]] for row in data["pairs"]["0,1"]["classes"]]
    assert [row[4] for row in data["pairs"]["1,0"]["classes"]] == [-s for s in signs]


def test_every_picture_is_the_one_of_its_id(digits):
    m = read_material(digits)
    data = differences_section(m).data
    sheet = Image.open(io.BytesIO(base64.b64decode(m.sheet.uri().split(",")[1]))).convert("L")
    small = {}
    for store in find_stores(digits):
        small.update(read_thumbnails(store.path))
    assert min(data["places"]) >= 0
    for name, place in zip(data["names"], data["places"], strict=True):
        x, y, side, _ = (int(v) for v in view(place).split())
        drawn = np.asarray(sheet.crop((x, y, x + side, y + side)), float)
        own = Image.open(io.BytesIO(small[name])).convert("L").resize((side, side))
        assert np.abs(drawn - np.asarray(own, float)).mean() < 12, name


def test_cells_of_other_images_are_not_set_against_each_other(digits):
    m = read_material(digits)
    moved = [
        dataclasses.replace(r, about={**r.about, "data": {**r.about["data"], "test": "others"}})
        if r.encoder == "pixels"
        else r
        for r in m.results
    ]
    assert differences_section(dataclasses.replace(m, results=moved)) is None


def test_without_a_linear_probe_the_neighbours_are_compared_and_ids_stand_where_there_are_no_pictures(
    shifted_results, shifted_folder
):
    m = read_material(shifted_folder)
    assert differences_section(m).content["protocol"] == "linear-byol"
    assert not differences_section(m).content["pictures"]
    left = Material([r for r in m.results if r.protocol != "linear-byol"], m.board)
    assert differences_section(left).content["protocol"] == "knn"


def test_of_many_encoders_the_leader_the_baseline_and_two_more_can_be_chosen(shifted_results):
    (one,) = (r for r in shifted_results if (r.encoder, r.task, r.protocol) == ("byol", "fashion", "linear-byol"))
    many = [dataclasses.replace(one, encoder=f"e{i}") for i in range(8)]
    assert [r.encoder for r in chosen_encoders(many, "e6")] == ["e0", "e6", "e1", "e2"]
    assert [r.encoder for r in chosen_encoders(many, "e0")] == ["e0", "e1", "e2", "e3"]
    assert len(chosen_encoders(many[:2], None)) == 2
    assert MOST == 4


def shown_on(page):
    lists = page.locator(".faces").all()
    return [[p.get_attribute("aria-label") for p in one.locator(".pic").all()] for one in lists]


def test_another_pair_is_shown_by_mouse_and_keyboard(digits_page, visit):
    page, faults = visit(digits_page)
    data = unpacked(page.locator("#data").text_content())["differences"]
    title, (first, second) = page.locator("#pair-title").inner_text(), shown_on(page)
    assert title == data["pairs"]["0,1"]["title"]
    page.locator("#pair-a").select_option("1")  # the other gives way
    assert page.locator("#pair-b").input_value() == "0"
    assert page.locator("#pair-title").inner_text() == data["pairs"]["1,0"]["title"] != title
    assert shown_on(page) == [second, first]
    assert [int(t) for t in page.locator(".counts dd").all_inner_texts()] == data["pairs"]["1,0"]["counts"]
    page.locator("#pair-a").focus()
    page.keyboard.press("ArrowUp")
    assert shown_on(page) == [first, second]
    taken = page.locator(".faces").first.locator("li").first.inner_text().split("\n")
    number = data["names"].index(first[0])
    assert taken == [data["classes"][data["true"][number]], f"≠ {data['classes'][data['said'][1][number]]}"]
    assert faults == []


def test_without_scripts_the_first_pair_stands_there(digits_page, visit):
    page, _ = visit(digits_page, 400, java_script_enabled=False)
    text = digits_page.read_text()
    data = unpacked(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))["differences"]
    assert shown_on(page) == [[data["names"][n] for n in side] for side in data["pairs"]["0,1"]["only"]]
    assert page.locator("select:visible").count() == 0
    assert page.locator("#pair-classes tbody tr").count() == len(data["pairs"]["0,1"]["classes"])
