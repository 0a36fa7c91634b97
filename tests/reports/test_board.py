"""The board in a browser: sort, filter, hide; and the bars in its cells."""

from __future__ import annotations

import re

from reports.drawings.board import change_bar, interval_bar
from reports.words import roughly
from reports.write import write_report


def names(page):
    return [t.split("\n")[0].strip() for t in page.locator("#board-table tbody th:visible").all_inner_texts()]


def values(page, column):
    return page.locator(f"#board-table tbody tr[data-row] td:nth-child({column})").evaluate_all(
        "all => all.map((c) => +c.dataset.value)"
    )


def test_sorting_by_mouse_and_keys_says_its_direction_and_stays_in_print(shifted_folder, visit):
    page, faults = visit(write_report(shifted_folder))
    head = page.locator("#board-table thead th").nth(1)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert values(page, 2) == sorted(values(page, 2), reverse=True)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    up = values(page, 2)
    assert up == sorted(up)
    assert page.locator("#board-table thead th[aria-sort]").count() == 1
    page.emulate_media(media="print")
    assert values(page, 2) == up
    page.emulate_media(media="screen")
    page.locator("#board-table thead button").first.click()
    assert names(page) == ["BYOL", "Pixels", "Supervised"]
    page.locator("#board-table thead button").last.click()
    assert values(page, page.locator("#board-table thead th").count()) == sorted(
        values(page, page.locator("#board-table thead th").count())
    )
    assert faults == []


def test_the_board_says_how_it_is_sorted_at_first(shifted_folder, visit):
    page, _ = visit(write_report(shifted_folder))
    column = page.locator("#board-table thead th").evaluate_all(
        "all => all.findIndex((h) => h.ariaSort === 'descending')"
    )
    found = values(page, column + 1)
    assert found == sorted(found, reverse=True)
    assert len(set(found)) > 1


def test_filtering_shows_only_the_encoders_asked_for(shifted_folder, visit):
    page, faults = visit(write_report(shifted_folder))
    page.locator("#filter").fill("pix")
    assert names(page) == ["Pixels"]
    assert page.locator("#filtered").inner_text() == "1 of 3 encoders shown"
    page.locator("#filter").fill("nobody")
    assert names(page) == []
    assert page.locator("#no-row").is_visible()
    page.locator("#filter").fill("")
    assert len(names(page)) == 3
    assert not page.locator("#no-row").is_visible()
    assert faults == []


def test_hiding_a_column_hides_its_head_and_cells(shifted_folder, visit):
    page, faults = visit(write_report(shifted_folder))
    page.locator("#board-controls summary").click()
    before = page.locator("#board-table thead th:visible").count()
    page.locator("#board-controls fieldset input").nth(1).uncheck()
    assert page.locator("#board-table thead th:visible").count() == before - 1
    assert not page.locator("#board-table thead th").nth(2).is_visible()
    assert page.locator("#board-table tbody td:nth-child(3):visible").count() == 0
    page.locator("#board-controls fieldset input").nth(1).check()
    assert page.locator("#board-table tbody td:nth-child(3):visible").count() == 3
    assert faults == []


def test_the_names_stay_when_the_table_scrolls_inside_itself(shifted_folder, visit):
    page, _ = visit(write_report(shifted_folder), 400)
    region = page.locator("#board .scroll").first
    assert region.evaluate("e => e.scrollWidth > e.clientWidth")
    before = page.locator("#board-table tbody th").first.bounding_box()["x"]
    cell = page.locator("#board-table tbody td").first.bounding_box()["x"]
    region.evaluate("e => { e.scrollLeft = 150; }")
    assert page.locator("#board-table tbody th").first.bounding_box()["x"] == before
    assert page.locator("#board-table tbody td").first.bounding_box()["x"] < cell - 100


def test_six_columns_fit_a_laptop(shifted_folder, visit):
    page, _ = visit(write_report(shifted_folder))
    room = page.locator("#board .scroll").first.evaluate("e => e.clientWidth")
    page.evaluate("document.getElementById('board-table').style.width = 'min-content'")
    widths = page.locator("#board-table thead th").evaluate_all("all => all.map((h) => h.offsetWidth)")
    name, columns, rest = widths[0], widths[1:-2], widths[-2:]
    assert name + 6 * sum(columns) / len(columns) + sum(rest) <= room


def test_ties_are_marked_by_a_sign_and_not_by_weight_alone(shifted_folder, visit):
    page, _ = visit(write_report(shifted_folder))
    for cell in page.locator("#board-table .best").all():
        assert cell.inner_text().endswith("*")
    assert page.locator("#board-table .best").count() >= page.locator("#board-table thead th").count() - 3


def test_bars_lie_where_the_numbers_say():
    bar = interval_bar(0.5, 0.4, 0.8, "#000000", (0.4, 0.9))
    assert 'd="M0.0 5H80.0"' in bar
    assert 'd="M20.0 0V10"' in bar
    worse, better = change_bar(-5, -8, -2, 10), change_bar(5, 2, 8, 10)
    assert re.search(r'x="25.0" y="1" width="25.0" height="8" class="worse"', worse)
    assert re.search(r'x="50.0" y="1" width="25.0" height="8" class="better"', better)
    assert 'd="M10.0 5H40.0" class="whisker"' in worse


def test_ties_say_how_many_more_images_would_tell(shifted_folder):
    from relic_eval.board import read_board

    board = read_board(shifted_folder)[0]
    counts = [d.more_images for d in board.differences if d.more_images]
    text = write_report(shifted_folder).read_text()
    assert counts
    assert all(not board.columns[d.column].protocol.startswith("fewshot") for d in board.differences if d.more_images)
    for count in counts:
        assert f"no, tied; about {roughly(count)} more test images would tell these two apart" in text
