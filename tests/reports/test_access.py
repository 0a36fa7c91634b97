"""Who uses a keyboard, a screen reader, another zoom or no colours: no rule of WCAG 2.1 AA that axe knows is broken."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from reports.assets import TEMPLATES
from reports.page import to_html
from reports.style import KNOWN, OTHERS, TWINS
from tests.reports.made import material, probe_result


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")])
def test_axe_finds_nothing(digits_page, shifted_page, visit, violations, width, scheme):
    for file in (digits_page, shifted_page):
        page, faults = visit(file, width, scheme)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert violations(page) == []
        assert faults == []


def test_axe_sees_a_fault(digits_page, visit, violations):
    page, _ = visit(digits_page)
    page.evaluate("document.querySelector('#row').closest('label').replaceWith(document.querySelector('#row'))")
    assert [name for name, *_ in violations(page)] == ["label"]


def test_at_twice_the_size_nothing_scrolls_sideways(shifted_page, visit):
    page, _ = visit(shifted_page, 640)  # what 1280 pixels are at 200%
    assert page.evaluate("document.documentElement.scrollWidth") <= 640


def light(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def test_every_encoder_stands_out_from_a_dark_page():
    drawn = {TWINS.get(colour, colour) for colour, *_ in (*KNOWN.values(), *OTHERS)}
    assert {c: round((light(c) + 0.05) / (light("#121212") + 0.05), 1) for c in drawn if light(c) < 0.11} == {}
    assert len(drawn) == len(KNOWN) + len(OTHERS)


def test_dim_colours_have_twins_on_a_dark_screen_and_nowhere_else(tmp_path, visit):
    file = tmp_path / "page.html"
    file.write_text(to_html(material([replace(probe_result(0, 3, 20, 0.5), encoder="relic")])))
    page, _ = visit(file, 1280, "dark")
    colour = """(its) => { const e = document.querySelector(`[${its}="#332288"]`); return getComputedStyle(e)[its]; }"""
    assert page.evaluate(colour, "fill") == "rgb(122, 104, 216)"
    page.emulate_media(media="print")
    assert page.evaluate(colour, "fill") == "rgb(51, 34, 136)"
    page.emulate_media(media="screen", color_scheme="light")
    assert page.evaluate(colour, "fill") == "rgb(51, 34, 136)"
    page.click("#theme")
    assert page.evaluate(colour, "fill") == "rgb(122, 104, 216)"


@pytest.mark.parametrize("width", [1280, 400])
def test_what_is_read_and_touched_is_large_enough(shifted_page, digits_page, visit, width):
    for file in (shifted_page, digits_page):
        page, _ = visit(file, width)
        sizes = page.evaluate("""() => [...document.querySelectorAll("svg text")].filter((t) => t.getClientRects().length)
          .map((t) => [parseFloat(getComputedStyle(t).fontSize) * Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b), t.closest("figure").id, t.textContent])
          .filter(([size]) => size > 0 && size < 11.2)""")
        assert sizes == []
        low = page.evaluate("""() => [...document.querySelectorAll("button,select,summary,nav a,[type=range]")]
          .map((e) => [e.getBoundingClientRect().height, e.textContent]).filter(([high]) => high > 0 && high < 23.9)""")
        assert low == []


def test_on_a_phone_the_pictures_of_a_row_lie_beneath_the_name_of_their_encoder(digits_page, visit):
    page, _ = visit(digits_page, 400)
    lines = page.evaluate("""() => [...document.querySelectorAll(".near")].map((line) => {
      const at = (e) => e.getBoundingClientRect(), slots = [...line.querySelectorAll(".slot")].map(at);
      return [at(line.querySelector(".who")).bottom, Math.min(...slots.map((s) => s.top)), new Set(slots.map((s) => s.top)).size,
        Math.max(...slots.map((s) => s.bottom)), at(line).bottom];
    })""")
    assert lines
    for name, top, rows, low, end in lines:
        assert name <= top
        assert low <= end + 1
        assert rows == 1


def test_no_section_styles_what_another_has():
    rules = {p.stem: re.sub(r"/\*.*?\*/", "", p.read_text(encoding="utf-8")) for p in TEMPLATES.glob("*.css")}
    heads = {
        name: {h.strip() for text in re.findall(r"([^{}]+)\{", css) if "@" not in text for h in text.split(",")}
        for name, css in rules.items()
        if name not in ("page", "drawing")
    }
    assert [(name, h) for name, its in heads.items() for h in its if re.fullmatch(r"[a-z]+", h)] == []
    bare = [h for its in heads.values() for h in its if re.fullmatch(r"\.[\w-]+", h)]
    assert [h for h in set(bare) if bare.count(h) > 1] == []
