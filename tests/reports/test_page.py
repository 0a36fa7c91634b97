"""The page: nothing but itself, same bytes, inert names; in a real browser no request, no error, no sideways scrolling."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import re

import numpy as np
import pytest

from relic_eval.board import make_board
from relic_eval.cells import write_failure
from relic_eval.intake import import_arrays
from relic_eval.results import read_results
from relic_eval.run import evaluate
from reports.assets import unpacked
from reports.material import read_material
from reports.page import to_html
from reports.sections.section import Material
from reports.write import write_report

EVIL = '</script><img src=x onerror="window.marker=1">'


def page_of(folder, **options):
    return to_html(dataclasses.replace(read_material(folder), **options))


def test_the_page_needs_nothing_else_and_is_the_same_twice(shifted_folder):
    pages = [page_of(shifted_folder) for _ in range(2)]
    assert pages[0] == pages[1]
    assert not re.search(r'(src|href)="(?!data:|#)', pages[0])
    assert "http" not in pages[0].replace("http-equiv", "").replace('const NS = "http://www.w3.org/2000/svg"', "")
    assert " style=" not in pages[0]


def test_the_policy_allows_the_page_s_own_styles_and_scripts_by_hash_and_nothing_else(shifted_folder):
    page = page_of(shifted_folder)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    blocks = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", page, re.S)
    assert len(blocks) == 3
    for text in blocks:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy


def test_every_link_within_the_page_has_its_place(shifted_folder):
    page = page_of(shifted_folder)
    places = re.findall(r' id="([^"]+)"', page)
    assert len(places) == len(set(places))
    linked = set(re.findall(r'href="#([^"]+)"', page))
    assert {"board", "blocks", "distances", "why", "shifted", "differences", "alike", "sets", "provenance"} <= linked
    assert linked - {"sheet"} <= set(places)


def test_two_runs_of_the_same_make_the_same_files(shifted_folder):
    def files():
        report = write_report(shifted_folder).parent
        found = {str(p.relative_to(report)): p.read_bytes() for p in report.rglob("*") if p.is_file()}
        for path in report.rglob("*.json"):
            path.unlink()  # what says that the report is there
        return found

    first, second = files(), files()
    assert first == second
    assert {
        "index.html",
        "figures/leaderboard.svg",
        "figures/neighbour-blocks.svg",
        "tables/board.csv",
        "tables/purity.tex",
    } <= set(first)


def test_headings_step_down_one_at_a_time(shifted_folder):
    levels = [int(n) for n in re.findall(r"<h([1-6])", page_of(shifted_folder))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_no_request_no_error_no_sideways_scrolling(digits_page, shifted_folder, visit, width, scheme):
    for file in (digits_page, write_report(shifted_folder)):
        page, faults = visit(file, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("#board-table tbody tr[data-row]").count() >= 2
        assert faults == []


def test_names_that_try_to_be_code_stay_text(tmp_path, visit):
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 30)
    import_arrays(tmp_path, EVIL, "same", np.eye(2)[y] + rng.normal(0, 0.5, (60, 2)), np.array([EVIL, "‮rtl 🐝"])[y])
    evaluate(tmp_path)
    write_failure(tmp_path, EVIL, "same", "other", f"expected {EVIL}")
    page, faults = visit(write_report(tmp_path))
    assert not set("<>&") & set(page.locator("#data").text_content())
    page.locator("#row").press("ArrowDown")
    assert page.evaluate("window.marker") is None
    assert page.locator("main img").count() == 0
    assert EVIL in page.locator("h1").inner_text()
    assert EVIL in page.locator("#provenance").inner_text()
    assert faults == []


def test_without_scripts_the_page_still_shows_board_figures_and_a_row(digits_page, visit):
    page, _ = visit(digits_page, java_script_enabled=False)
    assert page.locator("#board-table tbody tr:visible").count() == 2
    assert page.locator("svg.blocks:visible").count() == 2
    assert page.locator("#outlines .plot:visible").count() == 1
    assert page.locator("#strip .slot:visible").count() == 2 * 5
    assert page.locator("#strip .query .pic").get_attribute("viewBox") != "0 -64 64 64"
    assert page.locator("button:visible, input:visible").count() == 0


def test_the_toggle_turns_the_page_dark_and_light_again(digits_page, visit):
    page, faults = visit(digits_page, scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.locator("#theme").click()
    assert page.evaluate(ground) == "rgb(18, 18, 18)"
    assert page.locator("#theme").inner_text() == "Light page"
    page.locator("#theme").press("Enter")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    assert faults == []


def test_print_is_light_opens_what_is_folded_and_leaves_the_controls_out(digits_page, visit, tmp_path):
    page, _ = visit(digits_page, scheme="dark")
    assert page.locator("main details[open]").count() == 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("main details:not([open])").count() == 0
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav:visible, input:visible, .tools button:visible, #pin:visible").count() == 0
    assert page.locator("#strip .pic:visible").count() == 1 + 2 * 5
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("main details[open]").count() == 0
    assert page.pdf()[:5] == b"%PDF-"


def test_a_failed_cell_is_named_with_its_reason(shifted_folder):
    failures = [{"encoder": "byol", "task": "fashion", "protocol": "knn", "error": "expected rows, received none."}]
    page = page_of(shifted_folder, failures=failures)
    assert "1 cell is missing: BYOL on fashion (knn): expected rows, received none." in page
    assert "No cell failed" not in page
    assert "No cell failed" in page_of(shifted_folder)


def test_a_missing_cell_is_empty_and_says_why(shifted_folder, visit, tmp_path):
    results = [r for r in read_results(shifted_folder) if (r.encoder, r.protocol) != ("byol", "fewshot-5")]
    failures = [{"encoder": "byol", "task": "fashion", "protocol": "fewshot-5", "error": "too few rows."}]
    file = tmp_path / "page.html"
    file.write_text(to_html(Material(results, make_board(results), failures=failures)))
    page, faults = visit(file)
    hint = page.locator("td.empty .hint").first
    assert hint.get_attribute("aria-label") == "Missing: too few rows."
    assert not page.locator(".tip").first.is_visible()
    hint.focus()
    assert page.locator(".tip").first.is_visible()
    assert page.locator("#board-table tr", has_text="BYOL").locator("td").last.inner_text().strip() == "none"
    assert faults == []


def test_the_embedded_numbers_are_packed_so_that_nothing_breaks_out_of_them(shifted_folder):
    text = re.search(r'<script type="text/plain" id="data">(.*?)</script>', page_of(shifted_folder), re.S).group(1)
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", text)
    data = unpacked(text)
    assert set(data) >= {"board", "blocks", "csv"}
    assert set(data["csv"]) >= {"outlines", "classes", "shifted", "few-labels", "penalty", "votes"}


def test_a_browser_that_cannot_unpack_shows_the_page_as_without_scripts(digits_page, browser):
    context = browser.new_context(offline=True)
    context.add_init_script("delete window.DecompressionStream")
    page, faults = context.new_page(), []
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.goto(f"file://{digits_page}")
    assert page.evaluate("document.documentElement.className") == ""
    assert page.locator("#board-table tbody tr:visible").count() == 2
    assert page.locator(".tools button, #rows:visible").count() == 0
    assert faults == []
    context.close()
