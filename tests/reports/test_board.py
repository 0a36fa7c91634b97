"""The board in a browser: sort, filter, hide, print; the bars in its cells; and how many bytes a large one has."""

from __future__ import annotations

import json
import re

import pytest

from relic_eval.board import board_table
from relic_eval.published import Published
from reports.assets import environment
from reports.drawings.board import cell_bars, change_bar, rank_bar
from reports.sections.board.beside import beside
from reports.sections.board.board import board_section
from reports.sections.board.pairs import MOST, pairs
from reports.sections.section import Material
from reports.words import roughly
from reports.write import write_report
from tests.reports.made_boards import made_board, page_of

SIX = ["supervised", "pixels", "byol", "relic", "relicv2", "simclr"]
TWENTY = [*SIX, *(f"timm-resnet50-recipe-{i:02}" for i in range(14))]
HARD = '</script><img src=x onerror="window.marker=1">' + "‮rtl 🐝 " * 40


def names(page):
    return [t.split("\n")[0].strip() for t in page.locator("#board-table tbody th:visible").all_inner_texts()]


def values(page, column):
    """What stands in a column, as a number: value, mean change, or first rank."""
    return page.locator(f"#board-table tbody tr[data-row] td:nth-child({column})").evaluate_all(
        r"""all => all.map((c) => [...c.childNodes].find((n) => /\d/.test(n.textContent) && n.nodeName !== "I")
        .textContent).map((t) => parseFloat(t.replace("−", "-").replace("*", "")))"""
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
    for cell in page.locator("#board-table td b").all():
        assert cell.inner_text().endswith("*")
    assert page.locator("#board-table td b").count() >= page.locator("#board-table thead th").count() - 3


def test_bars_lie_where_the_numbers_say():
    bars = cell_bars(0.5, 0.4, 0.8, (0.4, 0.9), (-5, -8, -2), 10)
    assert 'd="M0 4H67M17 0v8"' in bars
    assert 'class="worse" d="M42 14H21"' in bars
    assert 'd="M8 14H34"' in bars
    slight = cell_bars(0.5, 0.499, 0.501, (0.1, 0.9), (0.3, 0.1, 0.6), 100)  # no pixel is long enough
    assert 'class="better" d="M42 14H43"/><path d="M43 14H43"/>' in slight
    assert '<path d="M41 14H43"/>' in cell_bars(0.5, 0.4, 0.6, (0.1, 0.9), (0, -0.1, 0.1), 100)
    assert 'class="better" d="M42 14H84"' in cell_bars(0.5, 0.4, 0.8, (0.4, 0.9), (50, 40, 60), 10)
    worse, better = change_bar(-5, -8, -2, 10), change_bar(5, 2, 8, 10)
    assert re.search(r'x="25.0" y="1" width="25.0" height="8" class="worse"', worse)
    assert re.search(r'x="50.0" y="1" width="25.0" height="8" class="better"', better)
    assert 'd="M10.0 5H40.0" class="whisker"' in worse
    assert 'd="M4 5H62"' in rank_bar(1, 20, 20)
    assert 'd="M33 5H33"' in rank_bar(3, 3, 5)
    assert 'd="M4 5H4"' in rank_bar(1, 1, 1)


def test_ties_say_how_many_more_images_would_tell(shifted_folder):
    from relic_eval.board import read_board

    board = read_board(shifted_folder)[0]
    counts = [d.more_images for d in board.differences if d.more_images]
    text = write_report(shifted_folder).read_text()
    assert counts
    assert all(not board.columns[d.column].protocol.startswith("fewshot") for d in board.differences if d.more_images)
    for count in counts:
        assert f"<td>no, tied</td><td>about {roughly(count)}</td>" in text


def weight(board):
    """Bytes of the section: its HTML and its data."""
    section = board_section(Material((), board))
    html = environment().get_template("board.html").render(board=section.content)
    return len(html.encode()) + len(json.dumps(section.data, ensure_ascii=False, separators=(",", ":")).encode())


def test_twelve_tasks_and_twenty_encoders_fit_the_budget():
    assert weight(made_board(TWENTY, 12)) <= 150_000
    assert weight(made_board(TWENTY, 12, missing=0.4)) <= 150_000


def test_of_many_pairs_those_that_say_where_the_lead_ends_are_listed():
    board = made_board(TWENTY, 12)
    shown = pairs(board)
    assert shown.count == 12 * 190
    assert len(shown.rows) <= MOST
    for column in range(12):
        its, best = [d for r in shown.rows if (d := r["difference"]).column == column], board.best(column)
        assert {d.better for d in its} == {best}
        behind = sorted(
            (d for d in board.differences if d.column == column and d.better == best), key=lambda d: d.value
        )
        assert behind[-1] in its
        assert next(d for d in behind if d.sure) in its
    few = made_board(SIX, 2)
    assert [r["difference"] for r in pairs(few).rows] == list(few.differences)


@pytest.mark.parametrize(
    "board",
    [
        made_board([f"encoder-{i:02}-of-a-name-that-is-long" for i in range(60)], 3, n=200, missing=0.2),
        made_board(["byol"], 1),
        made_board(["supervised", HARD, "x" * 10_000], 1, missing=0.5),
    ],
    ids=["sixty", "one", "hostile"],
)
@pytest.mark.parametrize("width", [1280, 400])
def test_boards_of_any_size_stay_within_the_page(board, visit, tmp_path, width):
    page, faults = visit(page_of(board, tmp_path), width)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#board-table tbody tr[data-row]").count() == len(board.rows)
    page.locator("#board-table thead button").nth(1).click()
    found = [v for v in values(page, 2) if v == v]
    assert found == sorted(found, reverse=True)
    assert page.evaluate("window.marker") is None
    assert faults == []


def test_of_many_columns_those_of_one_protocol_are_shown_at_first(visit, tmp_path):
    board = made_board(SIX, 5, protocols=("linear-byol", "knn", "ridge"))
    file = page_of(board, tmp_path)
    page, faults = visit(file)
    heads = page.locator("#board-table thead th:visible")
    assert heads.count() == 5 + 3
    assert page.locator("#filtered").inner_text() == "5 of 15 columns shown"
    page.locator("#board-protocol").select_option("knn")
    assert all("nearest neighbours" in t for t in heads.all_inner_texts()[1:-2])
    page.locator("#board-task").fill("flowers")
    assert [t.split("\n")[0] for t in heads.all_inner_texts()][1:-2] == ["Oxford Flowers"]
    page.locator("#board-protocol").select_option("")
    assert heads.count() == 3 + 3
    page.locator("#board-task").fill("")
    assert heads.count() == 15 + 3
    assert faults == []
    plain, _ = visit(file, java_script_enabled=False)
    assert plain.locator("#board-table thead th:visible").count() == 15 + 3


def test_on_paper_every_column_stands_once_and_in_the_order_of_the_reader(visit, tmp_path):
    board = made_board(SIX, 8, protocols=("linear-byol", "knn"))
    page, _ = visit(page_of(board, tmp_path))
    page.locator("#board-table thead button").nth(2).click()
    order = names(page)
    page.locator("#board-controls summary").click()
    page.locator("#board-controls fieldset input").first.uncheck()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    shown = page.locator("table.board").evaluate_all(
        "all => all.map((t) => [...t.tHead.rows[0].cells].map((c, i) => [c, i]).filter(([c]) => !c.hidden).map(([, i]) => i))"
    )
    inner = [[i for i in its if 1 <= i <= 16] for its in shown]
    assert sorted(i for its in inner for i in its) == list(range(2, 17))
    assert max(map(len, inner)) <= 5
    for number in range(len(shown)):
        lines = page.locator("table.board").nth(number).locator("tbody tr[data-row] th span:first-of-type")
        assert [t.strip() for t in lines.all_inner_texts()] == order
        box = page.locator("table.board").nth(number).bounding_box()
        assert box["width"] <= 1280
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("table.board").count() == 1


def test_mean_and_rank_stay_in_sight_when_the_table_scrolls(visit, tmp_path):
    page, _ = visit(page_of(made_board(SIX, 12), tmp_path))
    region = page.locator("#leaderboard .scroll")
    assert region.evaluate("e => e.scrollWidth > e.clientWidth")
    before = [page.locator(f"#board-table tbody .{kind}").first.bounding_box()["x"] for kind in ("mean", "rank")]
    region.evaluate("e => { e.scrollLeft = 200; }")
    after = [page.locator(f"#board-table tbody .{kind}").first.bounding_box()["x"] for kind in ("mean", "rank")]
    assert after == before
    assert before[1] + 84 <= 1280


def test_published_numbers_are_rows_apart_that_no_sorting_moves(monkeypatch, visit, tmp_path):
    board = made_board(SIX, 3)
    about = ("resnet50", 24.0, "ImageNet", "task-1", "linear-byol", "top1", 1000)
    rows = (
        Published("SimCLR", *about, 91.2, "a paper", "seen", True),
        Published("BYOL", *about, 99.9, "from memory", "mem lo", False, "a note"),
    )
    monkeypatch.setattr("relic_eval.published.beside.published", lambda: rows)
    found = beside(board, {})
    assert found.columns == [next(i for i, c in enumerate(board.columns) if c.task == "task-1")]
    assert {r["method"]: r["values"] for r in found.rows} == {"SimCLR": ["91.2"], "BYOL": ["(99.9)"]}
    page, faults = visit(page_of(board, tmp_path))
    column = found.columns[0] + 2
    page.locator("#board-published").press("Space")
    lines = page.locator("#board-table tbody.published tr")
    assert lines.count() == 2
    assert all("published" in t for t in lines.locator("th").all_inner_texts())
    assert sorted(lines.locator(f":nth-child({column})").all_inner_texts()) == ["(99.9)", "91.2"]
    assert "".join(lines.locator(".rank, td:last-child").all_inner_texts()) == ""
    page.locator("#board-table thead button").nth(1).click()
    assert page.locator("#board-table tbody tr:visible").evaluate_all(
        "all => all.slice(-2).every((r) => r.parentNode.className === 'published')"
    )
    page.locator("#board-published").press("Space")
    assert page.locator("#board-table tbody.published").count() == 0
    assert faults == []
    assert {r["encoder"] for r in board_table(board)} == set(SIX)  # none among ours
    monkeypatch.setattr("relic_eval.published.beside.published", tuple)
    assert beside(board, {}) is None


def test_nothing_of_a_board_with_missing_cells_is_cut_off_on_paper(visit, tmp_path):
    page, _ = visit(page_of(made_board(SIX, 11, missing=0.3), tmp_path), 720)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("table.board").count() == 3
    for table in [*page.locator("table.board").all(), *page.locator("table.shades").all()]:
        box = table.bounding_box()
        assert box["x"] + box["width"] <= 720
    assert page.locator("table.board .tip:visible").count() > 6


def test_heads_can_be_repeated_on_the_next_page_of_paper(visit, tmp_path):
    page, _ = visit(page_of(made_board(SIX, 2), tmp_path))
    page.emulate_media(media="print")  # chromium repeats the text of a head, not buttons in it
    shown = page.locator("#board-table thead button").evaluate_all("all => all.map((b) => getComputedStyle(b).display)")
    assert set(shown) == {"contents"}
    assert page.locator("#leaderboard").evaluate("(e) => getComputedStyle(e).breakInside") == "auto"
    assert page.locator("#relative").evaluate("(e) => getComputedStyle(e).breakInside") == "avoid"
