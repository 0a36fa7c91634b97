"""Masks on the page: the pixels and pictures that cells keep, and numbers that agree with them."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from relic_eval.board import make_board
from relic_eval.cells import Result, read_cell, write_cell
from relic_eval.metrics.segmentation import picture_counts
from relic_eval.tuning.overlaps import make_cell
from relic_eval.tuning.shown import chosen_places, overlays, shrunk
from reports.page import to_html
from reports.sections.pictures.masks import INKS, SHOWN, STEP, colours_of, item_ious, kept_of, shown_items
from reports.sections.pictures.segmentation import finding, segmentation_section
from reports.sections.section import Material
from reports.style import looks

CLASSES = ("rest", "cat", "dog")
ITEMS = np.array([f"test/{n:02}" for n in range(20)])


def scene(n):
    """A picture of its own colour, larger than what is kept, and its mask."""
    rng = np.random.default_rng(n)
    high, wide = 120 + 8 * (n % 3), 150
    mask = np.zeros((high, wide), int)
    mask[20 : 60 + n, 30:90], mask[70:110, 60 + n : 140], mask[0] = 1, 2, -1
    picture = np.full((high, wide, 3), (12 * n, 255 - 12 * n, 100), np.uint8) + rng.integers(0, 6, 3).astype(np.uint8)
    return picture, mask


def made(name, worse, task="pets"):
    """A cell whose masks are moved, picture by picture farther, so that IoU falls."""
    counts, kept = [], {}
    for n in range(len(ITEMS)):
        picture, mask = scene(n)
        said = np.roll(np.maximum(mask, 0), worse * (n * 7 % 20), 1)
        counts.append(picture_counts(mask[None], said[None], 3, ignore=-1))
        if n in chosen_places(len(ITEMS)):
            kept[n] = shrunk(picture, mask, said)
    params = {"trainings": 1}
    cell = make_cell(np.concatenate(counts, 1)[:, None], ITEMS, CLASSES, params, {}, None, overlays(kept, ITEMS))
    halves = {"train": "a", "test": "b"}
    about = {
        "key": "k",
        "title": "Pets",
        "classes": list(CLASSES),
        "settings": {},
        "versions": {},
        "stores": {},
        "data": halves,
        "counts": {"train": 1, "valid": 1, "test": len(ITEMS)},
        "task_settings": {
            "title": "",
            "dataset": task,
            "train": "train",
            "test": "test",
            "level": "class",
            "seed": 0,
            "metric": "miou",
        },
    }
    return Result(name, task, "segment-linear", cell, about)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Written and read again."""
    out, cells = tmp_path_factory.mktemp("cells"), [made("byol", 1), made("pixels", 2)]
    return [read_cell(write_cell(out, r.encoder, r.task, r.protocol, r.cell, r.about)) for r in cells]


@pytest.fixture(scope="module")
def page(results):
    return to_html(Material(results, make_board(results, protocols=("segment-linear",))))


def image(page, name):
    data = re.search(rf'<image id="segmentation-0-{name}"[^>]*href="data:image/\w+;base64,([^"]*)"', page).group(1)
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_mask_pixels_on_the_page_are_those_of_the_cells(page, results):
    items, numbers = shown_items(results), np.asarray(image(page, "m"))
    assert len(items) == SHOWN
    for column, item in enumerate(items):
        for row, (result, which) in enumerate([(results[0], "true"), *((r, "predicted") for r in results)]):
            mask = kept_of(result, item)[which]
            high, wide = mask.shape
            assert max(high, wide) == 96
            part = numbers[row * STEP : row * STEP + high, column * STEP : column * STEP + wide]
            assert np.array_equal(part, np.where(mask == 255, 0, mask.astype(int) + 1))
        lines = numbers[3 * STEP : 3 * STEP + high, column * STEP : column * STEP + wide]
        assert set(np.unique(lines)) == {0, *INKS}
    palette, alpha = np.array(image(page, "m").getpalette()).reshape(-1, 3), image(page, "m").info["transparency"]
    colours = colours_of(CLASSES)
    assert [alpha[n] > 0 for n in (0, 1, 2, 3)] == [False, False, True, True]  # no label and the ground are clear
    assert ["#{:02x}{:02x}{:02x}".format(*palette[n]) for n in (2, 3)] == colours[1:]


def test_each_column_shows_its_own_picture(page, results):
    pixels = np.asarray(image(page, "p").convert("RGB")).astype(int)
    for column, item in enumerate(shown_items(results)):
        own, _ = scene(int(item[-2:]))
        part = pixels[10:60, column * STEP + 10 : column * STEP + 80]
        assert np.abs(part - own[5, 5]).mean() < 6
        assert f'<span class="note">{item}</span>' in page


def test_the_iou_of_a_kept_mask_is_that_of_the_picture_but_for_what_shrinking_costs(results):
    for result in results:
        ious = item_ious(result)
        for item in result.cell.overlays["item"].tolist():
            its = kept_of(result, item)
            true, said = its["true"].astype(int), its["predicted"].astype(int)
            counts = picture_counts(np.where(true == 255, -1, true)[None], said[None], 3, ignore=-1)[:, 0]
            small = counts[0] / (counts[1] + counts[2] - counts[0])
            whole = [ious[item][c] for c in range(3)]
            np.testing.assert_allclose(small, whole, atol=0.04)


@pytest.mark.parametrize("content", [b"RIFF", None])
def test_a_damaged_or_other_mask_costs_its_picture_alone(results, content):
    item = shown_items(results)[0]
    last = results[-1]
    table = {name: column.copy() for name, column in last.cell.overlays.items()}
    row = table["item"].tolist().index(item)
    small = shrunk(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), int), np.zeros((8, 8), int))[2]
    table["predicted"][row] = small if content is None else content
    its = [*results[:-1], replace(last, cell=replace(last.cell, overlays=table))]
    section = segmentation_section(Material(its, make_board(its, protocols=("segment-linear",))))
    names = section.content["figures"][0]["pictures"]["names"]
    assert len(names) == SHOWN
    assert item not in names


def test_pictures_go_from_the_worst_to_the_best_and_are_the_same_for_all(results):
    items = shown_items(results)
    mean = {i: np.mean([np.mean(list(item_ious(r)[i].values())) for r in results]) for i in ITEMS.tolist()}
    kept = results[0].cell.overlays["item"].tolist()
    assert [mean[i] for i in items] == sorted(mean[i] for i in items)
    assert mean[items[0]] == min(mean[i] for i in kept)
    assert mean[items[-1]] == max(mean[i] for i in kept)
    section = segmentation_section(Material(results, make_board(results, protocols=("segment-linear",))))
    lines = section.content["figures"][0]["pictures"]["lines"]
    for line, result in zip(lines[1:], results, strict=True):
        expected = [f"{100 * np.mean(list(item_ious(result)[i].values())):.1f}" for i in items]
        assert [tile["iou"] for tile in line["tiles"]] == expected


def test_the_table_and_the_title_say_what_the_cells_say(results):
    section = segmentation_section(Material(results, make_board(results, protocols=("segment-linear",))))
    figure, look = section.content["figures"][0], looks(["byol", "pixels"])
    for row, result in zip(figure["rows"], results, strict=True):
        m = result.cell.rows[0]
        assert row["miou"] == f"{100 * m.value:.1f}"
        assert row["ends"] == f"{100 * m.low:.1f} to {100 * m.high:.1f}"
        classes = {r.params["class"]: r.value for r in result.cell.rows if r.metric == "iou"}
        assert row["by_class"] == [f"{100 * classes[c]:.1f}" for c in CLASSES]
    assert finding(results, look).startswith("BYOL: mean IoU")
    sure = results[1].cell.rows[0].high < results[0].cell.rows[0].low
    assert finding(results, look).endswith("above the intervals of all others") == sure
    lines = section.csv["segmentation-0"].splitlines()
    assert lines[0] == "picture,class,byol,pixels"
    assert len(lines) == 1 + 3 * SHOWN + 3


def test_cells_of_before_have_a_table_and_no_pictures(results):
    older = [
        Result(
            r.encoder,
            r.task,
            r.protocol,
            made(r.encoder, 1).cell.__class__(r.cell.rows, overlaps=r.cell.overlaps),
            r.about,
        )
        for r in results
    ]
    board = make_board(older, protocols=("segment-linear",))
    section = segmentation_section(Material(older, board))
    assert section.content["figures"][0]["pictures"] is None
    assert "evaluate anew to see masks" in to_html(Material(older, board))
    mixed = segmentation_section(Material([results[0], older[1]], board))
    lines = mixed.content["figures"][0]["pictures"]["lines"]
    assert [line["title"] for line in lines] == ["True mask", "BYOL"]
    assert segmentation_section(Material([], board)) is None


@pytest.mark.parametrize("scripts", [True, False])
def test_it_stands_in_a_browser_with_and_without_scripts_and_never_scrolls_the_page(page, visit, tmp_path, scripts):
    file = tmp_path / "page.html"
    file.write_text(page)
    shown, faults = visit(file, 400, java_script_enabled=scripts)
    assert shown.locator("#segmentation .tile:visible").count() == 3 * SHOWN
    names = shown.locator("#segmentation .classes li").all_inner_texts()
    assert [name.strip() for name in names] == ["rest: clear", "cat", "dog"]
    if scripts:
        assert shown.evaluate("document.documentElement.scrollWidth") <= 400
        box = shown.locator("#segmentation .tile").first.bounding_box()
        wide, high = kept_of_size(page)
        assert box["width"] / box["height"] == pytest.approx(wide / high, rel=0.03)
    assert faults == []


def kept_of_size(page):
    _, _, wide, high = re.search(r'class="tile" viewBox="([^"]*)"', page).group(1).split()
    return int(wide), int(high)
