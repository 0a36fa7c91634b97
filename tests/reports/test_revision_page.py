"""The page of what changed between two results, in a browser: readable at any width, on paper, by keyboard."""

from __future__ import annotations

import pytest

from relic_eval.board.revised import Differs, Revised, Revision
from reports.revision import finding, revision_page, sentences

HOSTILE = "</script><img src=x onerror=alert(1)>"


def cell(place, change, certain, **more):
    numbers = {
        "before": 0.5,
        "before_low": 0.4,
        "before_high": 0.6,
        "after": 0.5 + change,
        "after_low": 0.45,
        "after_high": 0.65,
    }
    its = {
        "change": change,
        "low": change - 0.02,
        "high": change + 0.02,
        "p": 0.0001 if certain else 0.4,
        "certain": certain,
    }
    names = {
        "encoder": f"encoder-{place}",
        "after_encoder": f"encoder-{place}",
        "task": "t",
        "protocol": "knn",
        "title": "T",
        "metric": "top1",
    }
    return Revised(**{**names, **numbers, **its, "n": 2000, "how": "paired", "why": "on the same images", **more})


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Sixty cells: gains, losses, uncertain ones, a measure that is no accuracy, and a name that would break out."""
    cells = [cell(p, (-1) ** p * 0.002 * p, p > 20) for p in range(58)]
    ratio = cell(58, 0.1, True, metric="distance_ratio", how="unpaired", why="as if of other images")
    odd = cell(59, 0.01, False, encoder=HOSTILE, after_encoder=HOSTILE, title=HOSTILE, weights="changed")
    revision = Revision(
        (*cells, ratio, odd),
        (("gone", "t", "knn"),),
        (),
        (Differs("knn", "k", "5", HOSTILE),),
        (),
        (f"x, t, knn: {HOSTILE}",),
    )
    file = tmp_path_factory.mktemp("page") / "changes.html"
    file.write_text(revision_page(revision, ("old", HOSTILE)))
    return file, revision


def test_it_says_what_changed(page):
    _, revision = page
    assert (
        finding(revision)
        == "38 of 60 cells changed for certain: 18 better, 19 worse and 1 of measures that are no accuracy"
    )
    assert (
        "The largest certain gain: encoder-56 on T (knn), +11.2 points (95% interval +9.2 to +13.2, n = 2,000)."
        in sentences(revision)
    )
    assert "The largest certain loss: encoder-57 on T (knn), \u221211.4 points" in " ".join(sentences(revision))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_it_is_laid_out_and_nothing_runs(visit, page, width, scheme):
    opened, faults = visit(page[0], width=width, scheme=scheme)
    assert faults == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.locator("img").count() == 0
    assert opened.locator("tbody").first.locator("tr").count() == 60
    assert opened.locator("h1").inner_text() == finding(page[1])


def test_bars_lie_on_one_scale(visit, page):
    opened, _ = visit(page[0])
    rows = opened.locator(".changes tbody tr")
    found = {}
    for place in range(60):
        rect = rows.nth(place).locator(".bar rect")
        if rect.count():
            found[rows.nth(place).locator("th").inner_text().split("\n")[0]] = (
                float(rect.get_attribute("width")),
                rect.get_attribute("class"),
            )
    # 11.4 points are the whole half of the bar
    assert found["encoder-57"] == (50.0, "worse")
    assert found["encoder-28"] == (pytest.approx(50 * 5.6 / 11.4, abs=0.1), "better")
    assert "encoder-58" not in found  # a ratio has another unit


def test_the_table_scrolls_and_saves_by_keyboard(visit, page, tmp_path):
    opened, _ = visit(page[0], width=400)
    region = opened.get_by_role("region", name="Changes of each cell")
    region.focus()
    before = region.evaluate("e => e.scrollLeft")
    for _ in range(4):
        opened.keyboard.press("ArrowRight")
    opened.wait_for_timeout(300)
    assert before == 0
    assert region.evaluate("e => e.scrollLeft") > 0
    with opened.expect_download() as saved:
        opened.locator("#changes .tools button").first.press("Enter")
    saved.value.save_as(tmp_path / "c.csv")
    assert len((tmp_path / "c.csv").read_text().splitlines()) == 61


def test_on_paper_nothing_is_cut(visit, page):
    opened, _ = visit(page[0])
    opened.emulate_media(media="print")
    opened.set_viewport_size({"width": 690, "height": 900})
    wide = opened.evaluate(
        "Math.max(...[...document.querySelectorAll('table')].map((t) => t.getBoundingClientRect().right))"
    )
    assert wide <= 690
    assert opened.locator(".tools").first.is_hidden()
