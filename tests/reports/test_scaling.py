"""Accuracy over size: where marks lie, what the choices show, and what stands beside published numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

from relic_eval.board import Cost, costs_of
from relic_eval.published import Own
from reports.drawings.among import among
from reports.drawings.sizes import Upward, across, upward
from reports.sections.board.scaling import Choice, choices, finding, scaling_section
from reports.sections.section import Material
from reports.style import looks
from tests.reports.made_boards import made_board, page_of

SIX = ["supervised", "pixels", "byol", "relic", "relicv2", "simclr"]
STORES = {
    n: [{"dims": 8, "encoder": {"kind": "k", "parameters": p, "gflops": g}}]
    for n, p, g in (
        ("supervised", 25_000_000, 4.0),
        ("byol", 25_000_000, 1.0),
        ("relic", 5_000_000, None),
        ("relicv2", 100_000_000, 16.0),
    )
}


def test_marks_lie_where_the_axes_say():
    x, y = (
        across([1.0, 10.0, 100.0, None], 4),
        upward(Upward([(50.0, 40.0, 60.0), None, (75.0, None, None), (100.0, 99.0, 100.0)])),
    )
    assert x["at"][1] - x["at"][0] == pytest.approx(x["at"][2] - x["at"][1], abs=1)
    assert x["at"][3] is None
    at = {float(w.replace(",", "")): p for p, w in x["ticks"]}
    assert at[10] == x["at"][1]
    level = {float(w): p for p, w in y["ticks"]}
    slope, rest = np.polyfit(list(level), list(level.values()), 1)
    for place, value in ((0, (50, 40, 60)), (3, (100, 99, 100))):
        assert y["at"][place][:3] == pytest.approx([slope * v + rest for v in value], abs=1)
    assert y["at"][1] is None
    assert y["at"][2][1:3] == [None, None]


def test_the_title_names_the_best_its_size_and_the_smallest_that_is_tied():
    costs = costs_of(STORES)
    board = made_board(SIX, 2)
    names = [n for n in (r.encoder for r in board.rows) if n in STORES]
    for choice in choices(board, names):
        its = {n: v for n, v in zip(names, choice.values, strict=True) if v}
        best = max(its, key=lambda n: its[n][0])
        said = finding(choice, names, costs)
        assert f"{100 * its[best][0]:.1f}% with {costs[best].parameters / 1e6:.1f} M parameters" in said
        smaller = [n for n in its if costs[n].parameters < costs[best].parameters]
        tied = [n for n in smaller if its[n][3] and its[n][1] is not None]
        assert ("cannot be told apart" in said) == bool(tied)
        assert ("surely worse" in said) == (bool(smaller) and not tied and its[best][1] is not None)


def test_the_highest_of_known_size_is_not_called_the_best_of_all():
    choice = Choice("T", [(0.7, 0.68, 0.72, False), (0.6, 0.58, 0.62, False)], beaten=True)
    costs = {"a": Cost(parameters=10_000_000), "b": Cost(parameters=5_000_000)}
    said = finding(choice, ["a", "b"], costs)
    assert said.endswith("the highest of known size; every smaller one is surely worse than the best")
    board = made_board(["byol", "relic", "pixels"], 2)
    first = board.best(0)
    its = {c.name: c.beaten for c in choices(board, [r.encoder for r in board.rows])}
    assert not any(its.values())
    others = [r.encoder for r in board.rows if r.encoder != first]
    column = next(c for c in choices(board, others) if not c.name.startswith("Mean"))
    assert column.beaten


def test_the_selects_move_the_marks_to_the_numbers_of_the_column(visit, tmp_path):
    board = made_board(SIX, 3)
    section = scaling_section(Material((), board, STORES))
    page, faults = visit(page_of(board, tmp_path, STORES))
    unknown = page.locator("#sizes figcaption .note").inner_text()
    assert {"Pixels", "SimCLR"} == set(
        re.search(r"Without a known number of parameters: (.*)\.", unknown)[1].split(", ")
    )

    def drawn():
        return page.locator("#sizes [data-its] > g:nth-of-type(1)").evaluate_all(
            "all => all.map((g) => g.parentNode.getAttribute('display') ? null : g.getAttribute('transform').match(/[\\d.]+/g).map(Number))"
        )

    def expected(x, y):
        pairs = zip(section.data["x"][x]["at"], section.data["y"][y]["at"], strict=True)
        return [None if a is None or b is None else [a, b[0]] for a, b in pairs]

    assert drawn() == expected(0, 0)
    page.locator("#sizes-y").select_option("2")
    assert drawn() == expected(0, 2) != expected(0, 0)
    assert page.locator("#sizes-finding").inner_text() == section.data["titles"][2]
    page.locator("#sizes-x").select_option("1")
    assert drawn() == expected(1, 2)
    assert None in drawn()  # no GFLOPs are known of one
    assert "GFLOPs a picture" in page.locator("#sizes svg").text_content()
    assert faults == []
    plain, _ = visit(tmp_path / "page.html", java_script_enabled=False)
    assert plain.locator("#sizes [data-its]").count() == 4
    assert not plain.locator("#sizes-controls").is_visible()


def test_nothing_is_shown_where_sizes_are_not_known():
    board = made_board(SIX, 2)
    assert scaling_section(Material((), board, {})) is None
    assert scaling_section(Material((), board, {"byol": STORES["byol"]})) is None


def test_own_encoders_stand_among_published_ones_hollow_where_not_verified():
    own = [Own("relicv2", 24.0, 70.0)]
    drawing = str(among(own, looks(["relicv2"])))
    assert "RELICv2, published" in drawing
    assert drawing.count('class="hollow"') > 0
    below = re.search(r'<g text-anchor="middle">(.*?)</g>', drawing)[1]
    ticks = {float(w): float(x) for x, w in re.findall(r'<text x="(\d+)" y="\d+">(\d+)<', below)}
    slope, rest = np.polyfit(np.log(list(ticks)), list(ticks.values()), 1)
    circle = re.search(r'fill="#d55e00" d="M([\d.]+) [\d.]+a7', drawing)
    assert float(circle[1]) + 7 == pytest.approx(slope * np.log(24.0) + rest, abs=1)
    assert Cost().parameters is None


def test_encoders_of_one_size_have_a_tick_to_read_it_by():
    found = across([0.324, 0.324, None], 3)
    ((place, words),) = found["ticks"]
    assert words == "0.32"
    assert abs(place - found["at"][0]) < 20
