"""Values over training steps: a small panel a quantity, every panel as many points high, intervals as whiskers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from reports.drawings.frame import Frame, axes, drawing, text, ticks
from reports.drawings.legend import legend
from reports.drawings.marks import line, mark
from reports.style import Look
from reports.words import scale

ACROSS, WIDE, HIGH = 4, 226, 138  # panels in a row; of the plot of one
LEFT, GAP, TOP, FOOT = 58, 46, 26, 42


@dataclass(frozen=True)
class Points:
    """One run in one panel: steps, values and ends of their intervals."""

    look: Look
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def steps(panels: Sequence[tuple[str, Sequence[Points]]], looks: Sequence[Look], label: str) -> Markup:
    """Panels (title, runs) in rows; they share the steps, and each is as many points high about its own middle."""
    every = [p for _, points in panels for p in points]
    first, last = min(min(p.x) for p in every), max(max(p.x) for p in every)
    factor, unit = scale(last)
    room = 0.04 * (last - first)
    x = ((first - room) / factor, (last + room) / factor)
    high = max(max(h for p in points for h in p.high) - min(v for p in points for v in p.low) for _, points in panels)
    span = 1.12 * high or 1.0
    above, head = legend(looks, LEFT) if len(looks) > 1 else ("", 0)
    across, step = min(ACROSS, len(panels)), TOP + HIGH + FOOT + 14
    width, height = LEFT + across * (WIDE + GAP) - GAP + 30, head + step * -(-len(panels) // across)
    parts = [above]
    for place, (title, points) in enumerate(panels):
        down, right = divmod(place, across)
        left, top = LEFT + right * (WIDE + GAP), head + down * step + TOP
        middle = (max(h for p in points for h in p.high) + min(v for p in points for v in p.low)) / 2
        frame = Frame(
            *(x, (middle - span / 2, middle + span / 2)),
            width=width,
            height=top + HIGH + FOOT,
            left=left,
            right=width - left - WIDE,
            top=top,
            bottom=FOOT,
        )
        # the last panel of each column names the axis
        named = f"step{unit}" if place + across >= len(panels) else ""
        parts += [axes(frame, (named, "" if right else "%"), _few(frame, every, factor), ticks(*frame.y, 4))]
        parts += [text(left, top - 9, title), *(_run(p, frame, factor) for p in points)]
    return drawing(width, height, label, "".join(parts), "plot broad" if across > 2 else "plot large")


def _few(frame: Frame, every: Sequence[Points], factor: float) -> list[float]:
    """The steps themselves as ticks where they are few and apart, else round numbers."""
    at = sorted({v / factor for p in every for v in p.x})
    places = [frame.at(v, frame.y[0])[0] for v in at]
    apart = all(b - a >= 34 for a, b in pairwise(places))
    return at if len(at) <= 5 and apart else ticks(*frame.x, 4)


def _run(points: Points, frame: Frame, factor: float) -> str:
    at = [frame.at(x / factor, y) for x, y in zip(points.x, points.y, strict=True)]
    ends = [
        (frame.at(x / factor, low), frame.at(x / factor, high))
        for x, low, high in zip(points.x, points.low, points.high, strict=True)
    ]
    whiskers = "".join(f"M{a:.1f} {b:.1f}V{d:.1f}" for (a, b), (_, d) in ends)
    colour = points.look.colour
    drawn = f'<path d="{whiskers}" stroke="{colour}" stroke-width="1.2" fill="none"/>'
    return drawn + line(points.look, at, 1.8) + "".join(mark(points.look, *p, 3.6) for p in at)
