"""Who uses a keyboard, a screen reader, another zoom or no colours: no rule of WCAG 2.1 AA that axe knows is broken."""

from __future__ import annotations

import pytest


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
