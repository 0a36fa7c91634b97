"""Encoders down, a share across: the value, its interval, and where chance lies."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from relic_eval.records import Measurement
from reports.drawings.frame import Frame, axes, drawing, text
from reports.drawings.marks import mark
from reports.style import Look, short
from reports.words import percent

ROW, RIGHT = 22, 164  # pixels of a line, and of the numbers, of which "100.0 (100.0 to 100.0)" is the longest


def intervals(rows: Sequence[tuple[Look, Measurement, Measurement | None]], x_title: str, label: str) -> Markup:
    """A line an encoder on one axis from 0 to 100: mark and interval, grey where chance lies, the numbers at the right."""
    names = [short(look.name, 20) for look, _, _ in rows]
    left = 18 + round(7.6 * max(map(len, names)))
    width, height = left + 190 + RIGHT, 50 + ROW * len(rows)
    frame = Frame((0, 100), (0, 1), width, height, left=left, right=RIGHT, top=4)
    parts = []
    for place, (name, (look, m, chance)) in enumerate(zip(names, rows, strict=True)):
        y = frame.top + ROW * (place + 0.5)
        if chance is not None and chance.low is not None and chance.high is not None:
            x0, x1 = _at(frame, chance.low), _at(frame, chance.high)
            parts.append(f'<rect class="chance" x="{x0}" y="{y - 9:g}" width="{max(2, x1 - x0):.1f}" height="18"/>')
        parts.append(text(left - 8, y + 4, name, "end"))
        if m.low is not None and m.high is not None:
            parts.append(f'<path class="span-line" d="M{_at(frame, m.low)} {y:g}H{_at(frame, m.high)}"/>')
        if m.value is not None:
            parts.append(mark(look, _at(frame, m.value), y, 4.5))
        words = percent(m.value) + (f" ({percent(m.low)} to {percent(m.high)})" if m.low is not None else "")
        parts.append(text(frame.end + 10, y + 4, words, kind="tight"))
    parts.append(axes(frame, (x_title, ""), (0, 25, 50, 75, 100)))
    return drawing(width, height, label, "".join(parts))


def _at(frame: Frame, share: float) -> float:
    return round(frame.at(100 * share, 0)[0], 1)
