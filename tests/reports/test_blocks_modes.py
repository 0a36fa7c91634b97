"""Neighbour blocks in every mode: bytes, many classes, encoders and neighbours, other tasks, and pictures that are what they say."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from relic_eval.results import read_results
from relic_eval.store import find_stores, read_thumbnails
from reports import assets
from reports.coded import front_coded, names_of, numbers_of, step_coded
from reports.drawings.blocks import colour_bar
from reports.page import to_html
from reports.sections.neighbours.blocks import blocks_content, read_blocks
from reports.sections.neighbours.neighbours import sort_out
from reports.sections.neighbours.purity import purity_figure
from reports.style import looks
from tests.reports.made import blocks_result, material, probe_result


def page_of(tmp_path, results, pictures=False):
    file = tmp_path / "page.html"
    probes = {r.encoder: probe_result(int(r.encoder[-2:]), 3, 10, 0.6) for r in results}
    file.write_text(to_html(material([*results, *probes.values()], pictures)))
    return file


def data_of(html):
    return assets.unpacked(re.search(r'id="data">(.*?)</script>', html, re.S).group(1))["blocks"]


def read_in_the_page(page, encoder):
    """Neighbours and distances by row, as the script has read them from the drawn dots."""
    return page.evaluate(
        "(e) => { const b = data.blocks; return b.neighbours[e].map((near, q) => [near.map((i) => b.names[i]), b.distances[e][q]]); }",
        encoder,
    )


@pytest.mark.parametrize(("k", "most"), [(5, 45_000), (10, 85_000)])
def test_six_encoders_of_200_rows_cost_few_bytes(k, most):
    results = [blocks_result(e, 4, 50, k, supers=2) for e in range(6)]
    content = blocks_content(read_blocks(results, [r.encoder for r in results]))
    squares = sum(len(s["svg"]) for s in content["squares"])
    assert content["rows"] == content["n"] == 200
    paths = [d for s in content["squares"] for d in re.findall(r'd="(m[^"]*)"', s["svg"])]
    assert sum(len(re.findall(r"-?\d+", d)) for d in paths) == 2 * 6 * 200 * k  # every dot is there
    assert squares + len(json.dumps(content["data"], separators=(",", ":"))) <= most


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ((0.8, 1.2), ["≤ 0.80", "0.88", "0.96", "1.04", "1.12", "≥ 1.20"]),
        ((0.5, 1.5), ["≤ 0.5", "0.7", "0.9", "1.1", "1.3", "≥ 1.5"]),
    ],
)
def test_every_number_of_the_colour_scale_is_exact(scale, words):
    bar = colour_bar(scale, 200)
    assert re.findall(r"<text[^>]*>([^<]*)<", bar) == words
    assert len(re.findall(r'<marker id="shade-\d"[^>]*><circle r="1.2" fill="#', bar)) == 10


def test_numbers_and_names_written_short_are_read_as_they_were():
    rng = np.random.default_rng(0)
    numbers = np.sort(rng.integers(0, 5000, (40, 7)), axis=1)
    assert np.array_equal(numbers_of(step_coded(numbers), 7), numbers)
    names = ["a🐝1", "a🐝2", "", "long" * 30 + "1", "long" * 30 + "2", "‮rtl"]
    assert names_of(front_coded(names)) == names
    assert front_coded(names)[1] == "1🐝2"  # the script counts a bee as two letters


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_script_reads_the_neighbours_of_the_cells_from_the_dots(tmp_path, visit, k):
    results = [blocks_result(e, 3, 20, k, supers=2) for e in range(2)]
    page, faults = visit(page_of(tmp_path, results))
    order = page.evaluate("data.blocks.encoders")
    for r in results:
        near = r.cell.neighbours
        by_query: dict[str, list] = {}
        for query, item, distance in zip(near["query"], near["item"], near["distance"], strict=True):
            by_query.setdefault(query, []).append((item, float(distance)))
        names = page.evaluate("data.blocks.names")
        found = read_in_the_page(page, order.index(r.encoder))
        assert len(found) == len(by_query)
        for name, (items, distances) in zip(names, found, strict=True):
            assert items == [item for item, _ in by_query[name]]
            assert np.allclose(distances, [d for _, d in by_query[name]], atol=0.006)
    assert page.locator("#strip .near").first.locator(".slot").count() == k
    assert page.locator(".nears.wide").count() == (k > 5)
    assert faults == []


def test_all_neighbours_of_a_row_can_be_reached(tmp_path, visit):
    page, _ = visit(page_of(tmp_path, [blocks_result(e, 3, 20, 12) for e in range(2)], pictures=True), 400)
    wide = page.locator(".nears.wide")
    assert wide.get_attribute("tabindex") == "0"
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    last = page.locator("#strip .near").first.locator(".slot").last
    wide.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    box = last.bounding_box()
    assert 0 < box["x"] + box["width"] <= 400
    who = page.locator("#strip .who").first.bounding_box()
    assert 0 <= who["x"] < 60  # the name stays
    page.emulate_media(media="print")
    edges = page.locator("#strip .slot").evaluate_all("all => all.map((s) => s.getBoundingClientRect().right)")
    assert max(edges) <= 400


def test_superclasses_lie_together_whatever_the_order_of_the_classes(tmp_path):
    result = blocks_result(0, 6, 10, supers=2)
    (block,) = read_blocks([result], [result.encoder])
    true = block.result.cell.predictions["true"]
    groups = [result.about["superclasses"][c] for c in true.tolist()]
    assert groups == sorted(groups)
    near, items = result.cell.neighbours, block.result.cell.predictions["item"].tolist()
    row = items.index("test/001/0003.jpg")
    expected = [i for q, i in zip(near["query"], near["item"], strict=True) if q == "test/001/0003.jpg"]
    assert [items[i] for i in block.index_NK[row]] == expected


def test_of_many_rows_some_are_drawn_and_the_page_says_so(tmp_path, visit):
    results = [blocks_result(e, 50, 50, 5, supers=5) for e in range(2)]
    file = page_of(tmp_path, results)
    page, faults = visit(file)
    assert page.locator("#row").get_attribute("max") == "400"
    assert "400 of the 2,500 rows are drawn" in page.locator("#squares figcaption").inner_text()
    page.locator("#row").press("Home")
    page.locator("#row").press("ArrowDown")
    row = page.evaluate("data.blocks.rows[1]")
    assert f"Row {row + 1} of 2,500" in page.locator("#query-note").inner_text()
    bands = page.locator(".blocks .band").evaluate_all(
        "all => all.map((m) => +m.getAttribute('y') + m.getAttribute('height') / 2 - 0.5)"
    )
    assert np.allclose(bands, row)
    assert page.locator("#neighbour-classes .heat text").count() == 2 * 2 * 50  # names, no numbers
    names = page.locator(".labels i").evaluate_all(
        "all => all.map((i) => [i.scrollHeight, i.parentElement.clientHeight])"
    )
    assert len(names) <= 16
    assert all(text <= room + 2 for text, room in names)
    assert faults == []


def test_a_thousand_classes_are_laid_out_and_small(tmp_path, visit):
    file = page_of(tmp_path, [blocks_result(e, 1000, 3, 5) for e in range(2)])
    html = file.read_text()
    blocks = re.search(r'<section id="blocks".*?</section>', html, re.S).group(0)
    assert len(blocks) + len(json.dumps(data_of(html), separators=(",", ":"))) < 170_000
    page, faults = visit(file, 400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("#neighbour-classes tbody tr").count() == 40
    shares = [float(t) for t in page.locator("#neighbour-classes tbody td:nth-child(3)").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert "Drawn are 60 of 1,000 classes" in page.locator("#neighbour-classes").inner_text()
    assert faults == []


def test_one_class_and_one_encoder(tmp_path, visit):
    page, faults = visit(page_of(tmp_path, [blocks_result(0, 1, 12)]))
    assert page.locator("#purity h3").inner_text() == "There is one class, so every neighbour is of it"
    assert page.locator(".blocks").count() == 1
    assert (
        page.locator("#neighbour-classes h3").inner_text() == "encoder-00: every neighbour is of the image's own class"
    )
    assert "100.0% (60 of 60)" in page.locator("#mix-cell .said-cell").inner_text()
    assert faults == []


def test_of_many_encoders_the_first_and_the_baseline_are_drawn_and_all_have_their_purity(tmp_path):
    results = [blocks_result(e, 3, 20) for e in range(15)]
    order = [r.encoder for r in results]
    content = blocks_content(read_blocks(results, order), baseline="encoder-14")
    assert [s["title"] for s in content["squares"]] == [*order[:7], "encoder-14"]
    assert content["undrawn"] == order[7:14]
    assert [line.split(",")[0] for line in content["purity"].csv.splitlines()[1:]] == order


def test_purity_lies_where_its_axis_says(tmp_path):
    results = [blocks_result(e, 3, 20, supers=2) for e in (0, 3)]
    figure = purity_figure(results, looks(r.encoder for r in results))
    rows = [next(m for m in r.cell.rows if m.metric == "purity") for r in results]
    drawing = figure.beside[0][1]
    left, right = (float(re.search(rf'<text x="([\d.]+)"[^>]*>{v}</text>', drawing).group(1)) for v in (0, 100))
    lines = re.findall(r'class="span-line" d="M([\d.]+) [\d.]+H([\d.]+)"', drawing)
    for m, ends in zip(rows, lines, strict=True):
        assert np.allclose([(float(x) - left) / (right - left) for x in ends], [m.low, m.high], atol=0.002)
    chance = [next(m for m in r.cell.rows if m.metric == "purity_null") for r in results]
    bands = re.findall(r'class="chance" x="([\d.]+)"', drawing)
    assert np.allclose([(float(x) - left) / (right - left) for x in bands], [m.low for m in chance], atol=0.002)
    assert [name for name, _ in figure.beside] == ["Same class", "Same superclass"]
    lost = [r.encoder for r, m, c in zip(results, rows, chance, strict=True) if m.low <= c.high]
    assert lost == ["encoder-03"]
    assert figure.title.startswith("encoder-03 is not surely above the 32.2% of neighbours")
    alone = purity_figure(results[:1], looks(["encoder-00"]))
    assert alone.title == "encoder-00 has more neighbours of the same class than the 32.2% of chance"


def test_an_encoder_that_chance_could_be_is_named(tmp_path):
    result = blocks_result(0, 3, 20)
    rows = tuple(
        dataclasses.replace(m, value=0.3, low=0.2, high=0.4) if m.metric == "purity" else m for m in result.cell.rows
    )
    lost = dataclasses.replace(result, cell=dataclasses.replace(result.cell, rows=rows))
    title = purity_figure([lost], looks(["encoder-00"])).title
    assert title.startswith("encoder-00 is not surely above the 32.2%")


def test_pointing_at_a_cell_of_the_classes_gives_its_numbers_and_pairs(tmp_path, visit):
    results = [blocks_result(e, 4, 25) for e in range(3)]
    page, faults = visit(page_of(tmp_path, results, pictures=True))
    heat = page.locator("#neighbour-classes .heat").first
    heat.scroll_into_view_if_needed()
    box = heat.locator(".cells .floor").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 2.5 / 4, box["y"] + box["height"] * 1.5 / 4)
    name = page.evaluate("data.blocks.encoders[0]")
    cell = next(r for r in results if r.encoder == name).cell
    share = next(
        m.value
        for m in cell.rows
        if m.metric == "confusion" and (m.params["query"], m.params["neighbour"]) == ("class 001", "class 002")
    )
    words = page.locator("#mix-cell .said-cell").inner_text()
    assert f"of the neighbours of class 001, {100 * share:.1f}% ({round(share * 125)} of 125) are class 002" in words
    pairs = page.locator("#mix-cell .slot:not(.none)").evaluate_all(
        "all => all.map((s) => [...s.querySelectorAll('.pic')].map((p) => p.ariaLabel))"
    )
    near = set(zip(cell.neighbours["query"].tolist(), cell.neighbours["item"].tolist(), strict=True))
    assert len(pairs) == 6
    for query, item in pairs:
        assert (query[:8], item[:8]) == ("test/001", "test/002")
        assert (query, item) in near
    assert faults == []


def test_other_tasks_stand_folded_and_are_chosen_in_a_list(tmp_path, visit):
    shown = [blocks_result(e, 4, 20) for e in range(3)]
    other = [blocks_result(e, 3, 15, task="other") for e in range(2)]
    file = page_of(tmp_path, [*shown, *other])
    bare, _ = visit(file, java_script_enabled=False)
    assert bare.locator("details.task:visible").count() == 1
    page, faults = visit(file)
    assert page.locator("details.task:visible").count() == 0
    page.locator("#blocks-task").select_option(label="Other")
    words = page.locator("details.task:visible").inner_text()
    for r in other:
        assert f"{100 * r.cell.rows[0].value:.1f}" in words
    assert "relic-eval report --task other" in words
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.task:visible table:visible").count() == 1
    assert faults == []


def test_encoders_of_other_pictures_are_named_and_the_rest_is_shown(tmp_path, visit):
    same = [blocks_result(e, 3, 20) for e in (1, 2)]
    other = blocks_result(0, 3, 20, data="another digest")
    more = blocks_result(3, 3, 20, k=7)
    none = probe_result(4, 3, 10, 0.5)
    blocks, left_out = sort_out([other, *same, more], ["encoder-00"])
    assert [b.encoder for b in blocks] == ["encoder-01", "encoder-02"]  # those of most, though another comes first
    assert dict(left_out) == {
        "encoder-00": "judged on other pictures: the digest of the data differs",
        "encoder-03": "7 neighbours an image",
    }
    file = tmp_path / "page.html"
    file.write_text(to_html(material([other, *same, more, none], pictures=True)))
    page, faults = visit(file)
    words = page.locator("#blocks-absent li").all_inner_texts()
    assert "Not among the squares, encoder-00: judged on other pictures: the digest of the data differs." in words
    assert any("encoder-04: there is no cell for made, blocks" in w for w in words)
    assert page.evaluate("data.blocks.encoders") == ["encoder-01", "encoder-02"]
    held = page.evaluate("data.blocks.places")
    assert min(held) >= 0  # the others' pictures take nobody's place
    assert faults == []


def test_every_picture_of_every_row_is_the_thumbnail_of_its_image(digits_page, visit):
    """By pixels: the part of the sheet that is shown beside a name against the store's picture of that name."""
    page, faults = visit(digits_page)
    shown = page.evaluate(
        """() => {
          const slider = document.getElementById("row"), found = [];
          for (let at = 1; at <= slider.max; at++) {
            slider.value = at;
            slider.dispatchEvent(new Event("input"));
            for (const p of document.querySelectorAll("#strip .pic")) found.push([p.ariaLabel, p.getAttribute("viewBox")]);
          }
          return found;
        }"""
    )
    rows = int(page.locator("#row").get_attribute("max"))
    assert len(shown) == rows * 11
    pairs = {(item, box) for item, box in shown}
    out = digits_page.parents[1]
    cell = next(r for r in read_results(out) if r.protocol == "blocks").cell
    assert {item for item, _ in pairs} == set(cell.predictions["item"].tolist())
    assert len(pairs) == rows  # each picture has one place
    uri = re.search(r'id="sheet" href="data:image/webp;base64,([^"]*)"', digits_page.read_text()).group(1)
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri))).convert("L"), float)
    stores = [read_thumbnails(s.path) for s in find_stores(out) if s.split != "train"]
    thumbs = {}
    for item, webp in ((i, w) for store in stores for i, w in store.items()):
        with Image.open(io.BytesIO(webp)) as picture:
            thumbs[item] = np.asarray(picture.convert("RGB").resize((64, 64)).convert("L"), float)
    names = sorted({item for item, _ in pairs})
    every = np.stack([thumbs[n] for n in names])
    for item, box in pairs:
        x, y, width, height = (int(v) for v in box.split())
        distance = np.abs(every - sheet[y : y + height, x : x + width]).mean((1, 2))
        assert names[int(distance.argmin())] == item  # it is nearer to its own picture than to any other
        assert distance.min() < 8
    assert faults == []
