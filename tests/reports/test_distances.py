"""Distances: bins, cumulative shares, differences against a baseline, and what pointing shows, against the cells."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from relic_eval.board import Board, Row, ratio_shifts
from relic_eval.cells import Result
from relic_eval.records import Cell, Measurement
from relic_eval.results import read_results
from reports.assets import environment, unpacked
from reports.drawings.outlines import panels
from reports.sections.choose import with_ratio
from reports.sections.distances.bins import PICTURES, SLOTS, chosen_pictures, ratios, shared_bins
from reports.sections.distances.distances import DRAWN, _outline, distances_content, distances_section, drawn_first
from reports.sections.section import Material
from reports.style import looks


def cells_of(folder):
    return [r for r in read_results(folder) if r.protocol == "discriminability"]


@pytest.fixture(scope="module")
def digits(digits_page):
    return with_ratio(cells_of(digits_page.parents[1]), ["random", "pixels"])


def made(encoders, n=2000, classes=20, seed=0):
    """Cells of the distance ratio as they come from an evaluator, of made-up numbers."""
    rng, found = np.random.default_rng(seed), []
    names = [f"class {c}" for c in range(classes)]
    true_N = np.sort(np.arange(n) % classes)
    items = np.array([f"test/{i:05}.png" for i in range(n)])
    base_N = rng.normal(0, 0.1, n)
    for e in range(encoders):
        ratio_N = 1.05 + 0.01 * e + base_N + rng.normal(0, 0.05, n)
        table = {"item": items, "true": true_N, "predicted": true_N, "correct": np.ones(n), "score": ratio_N}
        mid = float(np.median(ratio_N))
        rows = [
            Measurement("distance_ratio", float(ratio_N.mean()), 1.0, 1.2, n),
            Measurement("distance_ratio_median", mid, mid - 0.01, mid + 0.01, n),
        ]
        per = [(c, float(ratio_N[true_N == c].mean())) for c in range(classes) if (true_N == c).any()]
        rows += [Measurement("distance_ratio", v, n=9, params={"class": names[c]}) for c, v in per]
        about = {
            "title": "Made up",
            "classes": names,
            "counts": {"test": n},
            "data": {"train": "d", "test": "d"},
        }
        found.append(Result(f"encoder-{e:02}", "t", "discriminability", Cell(tuple(rows), table), about))
    return found


def material(results, baseline=None):
    names = list(dict.fromkeys(r.encoder for r in results))
    rows = tuple(Row(n, (), None, None, None, None, None, 0, False) for n in names)
    return Material(results, Board(baseline or names[0], (), rows, ()))


def section_of(results, baseline=None):
    section = distances_section(material(results, baseline))
    body = environment().get_template("distances.html").render(distances=section.content)
    return section, body


def test_bins_hold_the_images_of_the_cells_and_begin_at_round_numbers(digits):
    bins = shared_bins(digits)
    step = np.diff(bins.edges_E)
    assert np.allclose(step, step[0])
    assert f"{step[0]:e}"[0] in "125"
    assert 15 <= len(step) <= 40
    section = distances_content(digits, "pixels")
    for e, name in enumerate(section["pointing"]["encoders"]):
        cell = next(r for r in digits if looks([r.encoder])[r.encoder].title == name)
        rounded = np.round(ratios(cell), bins.decimals)
        inner = np.array(
            [((rounded >= a) & (rounded < b)).sum() for a, b in zip(bins.edges_E, bins.edges_E[1:], strict=False)]
        )
        counts = section["pointing"]["counts"][e]
        assert counts[1:-1] == inner.tolist()
        assert counts[0] == (rounded < bins.edges_E[0]).sum()
        assert sum(counts) == np.isfinite(rounded).sum()


def test_both_panels_lie_on_one_axis_and_the_curves_go_where_the_numbers_are(digits):
    bins, look = shared_bins(digits), looks(r.encoder for r in digits)
    first_drawn = drawn_first(digits, "pixels")
    shown = [_outline(r, bins, look[r.encoder]) for r in first_drawn]
    first, second = panels(shown, 1.0)
    assert first.at(1.1, 0)[0] == second.at(1.1, 0)[0]
    drawing = distances_content(digits, "pixels")["figures"][0].drawing
    lines = re.findall(r'<path d="(M[^"]*[vh][^"]*)" fill="none" stroke="(#\w+)"', drawing)
    assert [colour for _, colour in lines] == [look[r.encoder].colour for r in first_drawn]  # the baseline lies beneath
    for result, (path, _) in zip(first_drawn, lines, strict=True):
        _, steps, curve = path.split("M")
        rounded = np.round(ratios(result), bins.decimals)
        begin, moves = curve.split("l")
        numbers = np.array(re.findall(r"-?\d+", moves), float).reshape(-1, 2)
        places = np.cumsum([[float(v) for v in begin.split()], *numbers], axis=0)
        expected = [second.at(x, 100 * (rounded < x).mean()) for x in bins.edges_E]
        np.testing.assert_allclose(places, expected, atol=0.51)
        x, y = (float(v) for v in re.match(r"\d+ \d+", steps).group().split())
        for up, across in re.findall(r"v(-?\d+)h(\d+)", steps):
            left, x, y = x, x + float(across), y + float(up)
            bin_ = np.abs(np.array([first.at(float(e), 0)[0] for e in bins.edges_E]) - left).argmin()
            share = 100 * ((rounded >= bins.edges_E[bin_]) & (rounded < bins.edges_E[bin_ + 1])).mean()
            assert y == pytest.approx(first.at(0, share)[1], abs=0.51)


def test_the_share_below_one_stands_at_its_name(digits):
    drawing = distances_content(digits, "pixels")["figures"][0].drawing
    for r in digits:
        name = {"pixels": "Pixels", "random": "Random init."}[r.encoder]
        assert f">{100 * (ratios(r) < 1).mean():.1f} {name}<" in drawing


def test_pictures_are_chosen_for_bins_that_have_none_yet():
    rng = np.random.default_rng(0)
    place_MN = np.minimum(rng.poisson(6, (4, 500)), 20)
    place_MN[:, :100] = -1  # no picture of these
    taken = chosen_pictures(place_MN)
    assert len(taken) == len(set(taken)) <= PICTURES
    assert min(taken) >= 100
    wanted = {(m, b) for m in range(4) for b in np.unique(place_MN[m, 100:])}
    assert {(m, int(place_MN[m, n])) for m in range(4) for n in taken} == wanted
    assert taken == chosen_pictures(place_MN)
    few = chosen_pictures(np.zeros((1, 50), int))
    assert len(few) == SLOTS  # no more than are shown


def test_differences_in_the_table_are_those_of_the_board(digits):
    content = distances_content(digits, "pixels")["shift"]
    (s,) = [s for s in ratio_shifts(digits, ["pixels"]) if s.baseline == "pixels"]
    row = next(r for r in content["rows"] if not r["base"])
    assert float(row["words"][0].replace("−", "-")) == pytest.approx(s.median, abs=0.006)
    medians = {r.encoder: r.cell.rows[1].value for r in digits}
    assert s.median == pytest.approx(medians["random"] - medians["pixels"])
    assert ("above that under" in content["finding"]) == (s.median_low > 0)


def test_each_of_six_may_be_the_baseline_and_of_more_only_the_board_s():
    for count, pairs in ((6, 6 * 5), (7, 6)):
        content = distances_content(made(count, 200, 4), "encoder-00")["shift"]
        assert len(content["csv"].splitlines()) == 1 + pairs
        assert len(content["bases"]) == (6 if count == 6 else 0)
    _, body = section_of(made(7, 200, 4))
    assert "against-base" not in body
    assert distances_content(made(1, 200, 4), "encoder-00")["shift"] is None


def test_twenty_encoders_of_two_thousand_images_take_forty_kilobytes():
    section, body = section_of(made(20))
    assert len(body) + len(json.dumps(section.data, separators=(",", ":"))) <= 40_000
    assert sum(map(len, section.csv.values())) <= 8_000  # the files of its data
    assert section.content["pointing"]["pictures"]["places"] == []


def test_of_sixty_encoders_the_first_are_drawn_and_a_thousand_classes_are_twenty_lines():
    section, body = section_of(made(60, 3000, 1000), "encoder-40")
    drawn = section.content["pointing"]["encoders"]
    assert drawn == ["encoder-40", *(f"encoder-{e:02}" for e in range(DRAWN - 1))]
    assert "8 of 60 encoders" in body
    assert body.count('<marker id="d') == DRAWN
    assert len(section.csv["classes"].splitlines()) == 21
    assert "tables/measurements.csv all" in body
    assert section.csv["outlines"].splitlines()[0].count(",") == 60
    assert "980 classes in the middle left out" in body
    assert len(body) + len(json.dumps(section.data)) < 100_000


def test_equal_ratios_one_encoder_and_few_classes_are_drawn():
    (cell,) = made(1, 40, 2)
    cell.cell.predictions["score"][:] = 1.25
    section, body = section_of([cell])
    assert "encoder-00" in body
    assert sum(section.content["pointing"]["counts"][0]) == 40
    assert "nan" not in body.lower()


def test_every_task_has_its_median(shifted_folder):
    results = cells_of(shifted_folder)
    tasks = distances_section(material(results)).content["tasks"]
    assert len(tasks["columns"]) == len({r.task for r in results}) > 1
    for row in tasks["rows"]:
        its = {r.cell.rows[1].value for r in results if looks([r.encoder])[r.encoder].title == row["title"]}
        assert {m.value for m in row["medians"]} == its


def bins_of(page):
    return unpacked(page.locator("#data").text_content())["distances"]["bins"]


def check_bin(page, digits, place):
    """What the strip shows for a bin, against the cells."""
    bins = shared_bins(digits)
    assert page.locator("#bin-name").inner_text() == bins.name(place)
    for row in page.locator(".in-bin").all():
        title = row.locator(".who span").inner_text()
        cell = next(r for r in digits if looks([r.encoder])[r.encoder].title == title)
        table, inside = cell.cell.predictions, bins.place(ratios(cell)) == place
        assert int(row.locator(".held b").inner_text().split()[0]) == inside.sum()
        names = np.array(cell.about["classes"])[table["true"][inside]]
        words = row.locator(".held .note").inner_text()
        for name, count in re.findall(r"(\w+) (\d+)(?:,|$| and)", words):
            assert int(count) == (names == name).sum() > 0
        assert bool(words) == bool(inside.sum())
        for one in row.locator(".one").all():
            kind, item = one.locator(".pic").get_attribute("aria-label").split(", ")
            n = int(np.flatnonzero(table["item"] == item)[0])
            assert inside[n]
            assert kind == cell.about["classes"][table["true"][n]]
            assert float(one.locator(".note").inner_text()) == round(float(ratios(cell)[n]), bins.decimals)


@pytest.mark.parametrize("width", [1280, 400])
def test_pointing_at_a_bin_lists_what_lies_in_it_and_a_click_pins_it(digits_page, digits, visit, width):
    page, faults = visit(digits_page, width)
    svg, d = page.locator("#outlines .plot"), bins_of(page)
    svg.scroll_into_view_if_needed()
    heights = [page.evaluate("document.documentElement.scrollHeight")]

    def to(place, panel=0):
        box = svg.bounding_box()
        scale = box["width"] / d["wide"]
        return {"x": (d["x"][place - 1] + d["x"][place]) / 2 * scale, "y": (d["y"][2 * panel] + 40) * scale}

    check_bin(page, digits, d["bin"])
    for place, panel in ((3, 0), (6, 1)):
        svg.hover(position=to(place, panel))
        check_bin(page, digits, place)
        band = page.locator("#outlines .bin").first
        assert float(band.get_attribute("x")) == d["x"][place - 1]
        heights.append(page.evaluate("document.documentElement.scrollHeight"))
    svg.click(position=to(5))
    assert page.locator("#bin-pin").get_attribute("aria-pressed") == "true"
    svg.hover(position=to(2))
    check_bin(page, digits, 5)
    page.locator("#bin").press("Escape")
    svg.hover(position=to(2))
    check_bin(page, digits, 2)
    assert len(set(heights)) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert faults == []


def test_arrow_keys_step_through_all_bins_and_enter_pins(digits_page, digits, visit):
    page, faults = visit(digits_page)
    slider, last = page.locator("#bin"), len(shared_bins(digits).edges_E)
    slider.press("Home")
    check_bin(page, digits, 0)
    slider.press("ArrowRight")
    check_bin(page, digits, 1)
    slider.press("End")
    check_bin(page, digits, last)
    assert slider.get_attribute("aria-valuetext").endswith("and above")
    assert page.locator("#bin-heard").text_content().startswith(shared_bins(digits).name(last))
    slider.press("Enter")
    assert page.locator("#bin-pin").inner_text() == "Pinned"
    assert faults == []


def test_a_touch_shows_a_bin(digits_page, digits, visit):
    page, faults = visit(digits_page, 400, has_touch=True)
    svg, d = page.locator("#outlines .plot"), bins_of(page)
    svg.scroll_into_view_if_needed()
    scale = svg.bounding_box()["width"] / d["wide"]
    svg.tap(position={"x": (d["x"][3] + d["x"][4]) / 2 * scale, "y": (d["y"][0] + 30) * scale})
    check_bin(page, digits, 4)
    assert faults == []


def test_another_baseline_turns_the_differences_round(digits_page, digits, visit):
    page, faults = visit(digits_page)
    choice, table = page.locator("#against-base"), page.locator("#shift-table")
    names = {looks([r.encoder])[r.encoder].title: r.encoder for r in digits}
    for label, base in names.items():
        choice.select_option(label=label)
        (s,) = [s for s in ratio_shifts(digits, [base]) if s.baseline == base]
        row = table.locator("tbody tr", has_text=looks([s.encoder])[s.encoder].title)
        cells = [t.replace("−", "-") for t in row.locator("td").all_inner_texts()]
        assert float(cells[2]) == pytest.approx(s.median, abs=0.006)
        assert [float(v) for v in cells[3].split(" to ")] == pytest.approx([s.median_low, s.median_high], abs=0.006)
        assert float(cells[5]) == pytest.approx(100 * s.below, abs=0.06)
        line = row.locator(".bar path").get_attribute("d")
        assert (float(re.match(r"M([\d.]+) 5H", line).group(1)) > 50) == (s.median_low > 0)
        assert table.locator("tbody tr", has_text=label).locator("td").nth(2).inner_text() == "baseline"
        assert page.locator("#against-name").inner_text() == label
    assert faults == []


def test_without_scripts_and_on_paper_one_bin_and_one_baseline_stand_there(digits_page, digits, visit):
    page, _ = visit(digits_page, java_script_enabled=False)
    check_bin(page, digits, int(page.locator("#bin").get_attribute("value")))
    assert page.locator("#bins:visible, #against:visible").count() == 0
    assert page.locator("#shift-table tbody tr:visible").count() == 2
    page.emulate_media(media="print")
    assert page.locator(".in-bin:visible").count() == 2


def test_names_that_try_to_be_code_stay_text(visit, tmp_path):
    evil = '</script><img src=x onerror="window.marker=1">'
    results = [dataclasses.replace(r, encoder=evil) if r.encoder == "encoder-01" else r for r in made(3, 90, 3)]
    for r in results:
        r.about["classes"][0] = evil
    section, body = section_of(results)
    assert "<img" not in body
    assert "encoder-00" in section.content["shift"]["finding"] or "img" in section.content["shift"]["finding"]
