"""Without a mouse: Tab reaches every control once and leads out again, and each answer of the mouse can be had by keys."""

from __future__ import annotations

import pytest

CONTROLS = "a[href], button, input, select, summary, textarea, [tabindex='0']"
# all that can be seen and used, in the order of the page
REACHABLE = """(wanted) => [...document.querySelectorAll(wanted)].filter((e) => e.checkVisibility() && !e.disabled)
  .map((e, place) => { e.dataset.walk = place; return `${e.tagName} ${e.id || e.textContent.trim().slice(0, 30) || e.getAttribute("aria-label")}`; })"""
FOCUSED = "() => { const e = document.activeElement; return e && e.dataset.walk !== undefined ? +e.dataset.walk : -1; }"


@pytest.mark.parametrize("width", [1280, 400])
def test_tab_reaches_every_control_in_order_and_leads_out(digits_page, visit, width):
    page, faults = visit(digits_page, width)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    names = page.evaluate(REACHABLE, CONTROLS)
    walked = []
    for _ in range(len(names)):
        page.keyboard.press("Tab")
        walked.append(page.evaluate(FOCUSED))
    missed = [names[i] for i in sorted(set(range(len(names))) - set(walked))]
    assert missed == []
    assert walked == sorted(walked)
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) in (-1, 0)  # out of the page, or at its start again: nothing holds it
    assert faults == []


def position(page, selector, x, y):
    """Move the mouse to a share of a drawing's sides."""
    drawing = page.locator(selector).first
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


SEEN = """(place) => { const copy = place.cloneNode(true); copy.querySelectorAll(".unseen").forEach((e) => e.remove());
  return copy.textContent.replace(/\\s+/g, " ").replace(/,? ?pinned/, ""); }"""


def answer(page, selector):
    """All that a place shows: its words, and which pictures; not what is said to a screen reader alone."""
    pictures = page.locator(f"{selector} .pic").evaluate_all("all => all.map((p) => p.getAttribute('viewBox'))")
    return page.locator(selector).evaluate(SEEN), pictures


def test_the_row_that_is_pointed_at_can_be_stepped_to(digits_page, visit):
    page, _ = visit(digits_page)
    for share in (0.2, 0.7):
        position(page, ".blocks", 0.3, share)
        pointed, row = answer(page, "#strip"), page.locator("#row").input_value()
        page.locator("#row").press("Home")
        assert answer(page, "#strip") != pointed
        for _ in range(int(row) - 1):
            page.locator("#row").press("ArrowRight")
        assert answer(page, "#strip") == pointed


def test_the_bin_that_is_pointed_at_can_be_stepped_to(digits_page, visit):
    page, _ = visit(digits_page)
    for share in (0.2, 0.4):
        position(page, "#outlines .plot", share, 0.4)
        pointed, place = answer(page, "#bin-strip"), int(page.locator("#bin").input_value())
        page.locator("#bin").press("Home")
        assert answer(page, "#bin-strip") != pointed
        for _ in range(place):
            page.locator("#bin").press("ArrowRight")
        assert answer(page, "#bin-strip") == pointed


def test_the_image_that_is_pointed_at_on_a_map_can_be_stepped_to(digits_page, visit):
    page, _ = visit(digits_page)
    position(page, ".map", 0.4, 0.6)
    pointed, number = answer(page, "#point .query"), int(page.locator("#point-number").input_value())
    page.locator("#point-number").press("Home")
    for _ in range(number - 1):
        page.locator("#point-number").press("ArrowRight")
    assert answer(page, "#point .query") == pointed
    assert number > 1


@pytest.mark.parametrize("place", ["confusion", "classes"])
def test_the_cell_that_is_pointed_at_can_be_chosen_in_lists(digits_page, visit, place):
    page, _ = visit(digits_page)
    figure = {"confusion": "#confusion-matrix", "classes": "#neighbour-classes"}[place]
    cells = page.locator(f"{figure} .cells").first
    cells.scroll_into_view_if_needed()
    box = cells.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.1 * box["height"])
    lists = page.locator(f"{figure} .cell select")
    pointed, chosen = answer(page, f"{figure} .cell"), [lists.nth(i).input_value() for i in range(3)]
    for step in ("Home", None):
        for i in range(3):
            lists.nth(i).focus()
            page.keyboard.press("Home")
            for _ in range(int(chosen[i]) if step is None else 0):
                page.keyboard.press("ArrowDown")
    assert [lists.nth(i).input_value() for i in range(3)] == chosen
    assert chosen[1:] != ["0", "0"]
    found = answer(page, f"{figure} .cell")
    assert (found[0].replace("Kept", "Keep"), found[1]) == (pointed[0].replace("Kept", "Keep"), pointed[1])


def test_the_board_is_sorted_filtered_and_narrowed_by_keys(shifted_page, visit):
    page, _ = visit(shifted_page)
    names = lambda: page.locator("#board-table tbody tr[data-row]:visible th span:first-of-type").all_inner_texts()  # noqa: E731
    before = names()
    head = page.locator("#board-table thead button").first
    head.focus()
    page.keyboard.press("Enter")
    assert names() == sorted(before, key=str.lower)
    page.keyboard.press("Enter")
    assert names() == sorted(before, key=str.lower, reverse=True)
    page.locator("#filter").focus()
    page.keyboard.type("byol")
    assert names() == ["BYOL"]
    columns = page.locator("#board-table thead th:visible").count()
    page.locator("#board-controls summary").first.focus()
    page.keyboard.press("Enter")
    page.locator("#board-controls fieldset input").first.focus()
    page.keyboard.press("Space")
    assert page.locator("#board-table thead th:visible").count() == columns - 1


def test_a_pair_of_encoders_is_chosen_by_keys(shifted_page, visit):
    page, _ = visit(shifted_page)
    lists = page.locator("#differences select")
    before = page.locator("#differences figure").first.inner_text()
    lists.nth(1).focus()
    page.keyboard.press("ArrowDown")
    assert page.locator("#differences figure").first.inner_text() != before
