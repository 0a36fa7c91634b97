"""What a notebook shows of what users hold: inert, without script or colours of its own, narrow."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import relic_eval
from relic_eval.board import Board
from relic_eval.board.notebook import board_html

HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)> & \"'"
ALLOWED = {"table", "thead", "tbody", "tr", "th", "td", "ul", "li", "div", "img"}


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def inert(text):
    """Well-formed, no tag that runs or loads anything, no colour."""
    tags = Tags(text).found
    assert {tag for tag, _ in tags} <= ALLOWED
    for _, attributes in tags:
        assert set(attributes) <= {"style", "src", "width", "height", "alt", "title"}
        assert attributes.get("src", "data:image/webp;base64,").startswith("data:image/webp;base64,")
        assert not re.search(r"colou?r|background|url|#", attributes.get("style", ""))
    return tags


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    rng, y = np.random.default_rng(0), np.repeat([0, 1], 40)
    names = np.array([HOSTILE, "b"])[y]
    a, b = (np.eye(2)[y] + rng.normal(0, s, (80, 2)) for s in (0.3, 1.0))
    return relic_eval.compare(a, b, names, names=(HOSTILE, "b"), out=tmp_path_factory.mktemp("out"))


def test_a_comparison_shows_board_cka_and_overlap(compared):
    text = compared._repr_html_()
    inert(text)
    assert "&lt;script&gt;" in text
    assert f"CKA {compared.cka:.3f}; {100 * compared.overlap:.0f}% of nearest neighbours in both" in text
    entry = compared.board.rows[0].entries[0]
    assert f">{100 * entry.value:.1f}*<" in text
    assert f">{100 * entry.low:.1f} to {100 * entry.high:.1f}<" in text
    assert "<table" in text


def test_a_board_shows_each_value_once(compared):
    board = compared.board
    tags = inert(board._repr_html_())
    cells = sum(e is not None for r in board.rows for e in r.entries)
    assert sum(tag == "tr" for tag, _ in tags) == 2 + len(board.rows) + cells
    assert "The first 1 of" in board_html(board, most=1)
    assert board_html(Board(None, (), (), ())).count("Nothing has been measured.") == 1


def test_a_store_shows_what_it_is(digits, compared):
    (store,) = relic_eval.stores(digits)
    text = store._repr_html_()
    tags = inert(text)
    pictures = [a for tag, a in tags if tag == "img"]
    assert len(pictures) == 16
    assert all(a["alt"] == a["title"] for a in pictures)
    for words in ("digits", f"{store.rows:,}", f"{store.dims}", "10: 0, 1", store.digest[:12], "pixels (pixels)"):
        assert words in text
    assert repr(store).startswith("Store('pixels', 'digits', 'all': 1,797 x 64, 10 classes, ")
    assert store.load().x_ND.shape == (store.rows, store.dims)
    for one in relic_eval.stores(compared.out):
        shown = one._repr_html_()
        inert(shown)
        assert "No small pictures." in shown
        assert "&lt;script&gt;" in shown


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return relic_eval.embed("pixels", "digits", tmp_path_factory.mktemp("digits"))


def test_stores_are_found_by_folder_path_or_paths(digits):
    (path,) = digits
    for where in (digits, path, str(path), path.parents[3]):
        assert [s.path for s in relic_eval.stores(where)] == [path]
    assert relic_eval.stores("/nowhere") == []


def test_ipython_takes_it(compared):
    formatters = pytest.importorskip("IPython.core.formatters")
    assert formatters.HTMLFormatter()(compared) == compared._repr_html_()
