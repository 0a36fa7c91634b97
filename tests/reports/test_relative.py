"""Bars against the baseline: where they end, what is cut off, and what their title says."""

from __future__ import annotations

import re

import numpy as np
import pytest

from reports.drawings.bars import Bars, grouped, panels
from reports.sections.board.relative import against, axis_limit, finding, relative
from reports.sections.board.shades import legend, shade, shades
from reports.style import looks
from tests.reports.made_boards import made_board, page_of

SIX = ["supervised", "pixels", "byol", "relic", "relicv2", "simclr"]
PATH = r'd="([^"]*)"'


def test_grouped_bars_end_where_the_axis_says():
    look = looks(["byol"])["byol"]
    drawing = str(grouped(["T", "U"], [Bars(look, [(5.0, 2.0, 8.0), (-40.0, -45.0, -35.0)])], 10, "y", "label"))
    level = {
        w: float(y) for y, w in re.findall(r'class="(?:grid|axis)" d="M58 ([\d.]+)H[^>]*/><text[^>]*>([^<]*)<', drawing)
    }
    zero, ten = level["0"], level["+10"]
    assert level["−10"] - zero == pytest.approx(zero - ten)
    bars = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)V([\d.]+)h-", drawing)
    assert [float(b[1]) for b in bars] == pytest.approx([zero, zero], abs=0.06)
    assert float(bars[0][3]) == pytest.approx((zero + ten) / 2, abs=0.06)
    assert float(bars[1][3]) == pytest.approx(level["−10"], abs=0.06)  # cut off at the limit
    whiskers = re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", re.search(r'class="whisker" ' + PATH, drawing)[1])
    assert [float(v) for v in whiskers[0]] == pytest.approx(
        [zero - 0.2 * (zero - ten), zero - 0.8 * (zero - ten)], abs=0.06
    )
    assert len(re.search(r'class="ink" ' + PATH, drawing)[1].split("z")) == 2  # one arrow, at the bar that goes on


def test_panels_end_where_their_axes_say():
    names = looks(["byol", "relic"])
    its = [Bars(names["byol"], [(5.0, 2.0, 8.0), None]), Bars(names["relic"], [(-5.0, -8.0, 1.0), (99.0, 9.0, 120.0)])]
    drawing = str(panels(["T", "U"], its, 10, "x", "label"))
    lows, highs = ([int(x) for x in re.findall(rf'text x="(\d+)"[^>]*>{sign}10<', drawing)] for sign in ("−", r"\+"))
    bodies = [re.findall(r"M(\d+) \d+H(\d+)", d) for d in re.findall(r'stroke-width="9" ' + PATH, drawing)]
    middles = [(a + b) / 2 for a, b in zip(lows, highs, strict=True)]
    half = [(b - a) / 2 for a, b in zip(lows, highs, strict=True)]
    assert [len(b) for b in bodies] == [1, 2]
    assert float(bodies[0][0][1]) == pytest.approx(middles[0] + 0.5 * half[0], abs=1)
    assert float(bodies[1][0][1]) == pytest.approx(middles[1] - 0.5 * half[1], abs=1)
    assert float(bodies[1][1][1]) == pytest.approx(highs[1], abs=1)
    assert drawing.count('class="ink"') == 1


def test_the_title_counts_what_is_above_and_certainly_so():
    board = made_board(SIX, 11, n=4000)
    row = against(board)[0]
    changes = [e.change for e in row.entries]
    above, below = sum(c > 0 for c in changes), sum(c < 0 for c in changes)
    side, count = ("below", below) if below > above else ("above", above)
    sure = sum(
        (d := board.difference(row.encoder, "supervised", i)).certain and (d.better == row.encoder) == (side == "above")
        for i in range(11)
    )
    said = finding(board, row, range(11))
    assert f"{side} Supervised on {count} of 11 tasks" in said
    assert said.endswith(f"certainly on {sure}" if sure else "on none certainly")


def test_an_encoder_that_is_far_off_does_not_set_the_axis():
    board = made_board(SIX, 6)
    limit = axis_limit(board)
    learned = [e.change for r in board.rows if r.encoder != "pixels" for e in r.entries]
    pixels = [e.change for r in board.rows if r.encoder == "pixels" for e in r.entries]
    assert max(map(abs, learned)) <= limit < max(map(abs, pixels))
    only = made_board(["supervised", "pixels"], 3)
    assert axis_limit(only) >= max(abs(r.entries[c].change) for r in only.rows for c in range(3))
    note = relative(board, looks(SIX))[0].note
    assert f"Arrows: beyond the axis, Pixels to −{max(map(abs, pixels)):.1f}%." in note


def test_each_protocol_has_a_drawing_and_missing_cells_no_bar():
    board = made_board(SIX, 4, protocols=("linear-byol", "knn"), missing=0.2)
    found = relative(board, looks(SIX))
    assert [f.how for f in found] == ["linear probe", "nearest neighbours"]
    for f, places in zip(found, (range(4), range(4, 8)), strict=True):
        drawn = len(re.findall(r"M[\d.]+ [\d.]+h[\d.]+V", f.drawing))
        assert drawn == sum(r.entries[i] is not None for r in against(board) for i in places)
    assert relative(made_board(["byol"], 2), looks(["byol"])) == []


def test_many_encoders_stand_in_panels_and_say_how_many_are_left_out():
    names = [f"encoder-{i:02}" for i in range(60)]
    found = relative(made_board(names, 3, n=200), looks(names))[0]
    assert found.panels
    assert found.drawing.count('stroke-width="9"') == 24
    assert "The first 24 of 59 encoders" in found.note


def test_shades_are_even_steps_to_both_sides():
    assert [shade(c, 10) for c in (-30, -10, -9.9, -2.1, -1.9, 0.01, 1.9, 2.1, 10, 30)] == [
        *("d5", "d5", "d5", "d2", "d1", "s0", "u1", "u2", "u5", "u5"),
    ]
    assert [k for k, _ in legend(5)] == ["d5", "d4", "d3", "d2", "d1", "s0", "u1", "u2", "u3", "u4", "u5"]
    board = made_board(SIX, 3, missing=0.3, seed=1)
    table = shades(board, 10.0)[0]
    for (_, cells), row in zip(table.rows, board.rows, strict=True):
        for cell, entry in zip(cells, row.entries, strict=True):
            assert (cell is None) == (entry is None)
            assert entry is None or cell[2] == entry.tied_with_best


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_on_shades_can_be_read(visit, tmp_path, scheme):
    page, _ = visit(page_of(made_board(SIX, 3), tmp_path), scheme=scheme)
    found = page.evaluate(
        """() => { const paint = document.createElement("canvas").getContext("2d"), seen = [];
        const ground = getComputedStyle(document.body).backgroundColor;
        document.getElementById("shades").open = true;
        for (const td of document.querySelectorAll(".swatch")) {
          paint.fillStyle = ground; paint.fillRect(0, 0, 1, 1);
          paint.fillStyle = getComputedStyle(td).backgroundColor; paint.fillRect(0, 0, 1, 1);
          const under = [...paint.getImageData(0, 0, 1, 1).data.slice(0, 3)];
          paint.fillStyle = getComputedStyle(document.body).color; paint.fillRect(0, 0, 1, 1);
          seen.push([under, [...paint.getImageData(0, 0, 1, 1).data.slice(0, 3)]]);
        } return seen; }"""
    )
    assert len(found) == 11
    for under, ink in found:
        a, b = sorted((_light(under), _light(ink)))
        assert (b + 0.05) / (a + 0.05) >= 4.5


def _light(colour):
    c = np.array(colour) / 255
    return float(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def test_of_a_single_task_the_title_counts_nothing():
    board = made_board(SIX, 1, n=4000)
    row = against(board)[0]
    assert re.fullmatch(
        r".+ (is|are) (above|below) Supervised on the only task of both, (not )?certainly", finding(board, row, [0])
    )
