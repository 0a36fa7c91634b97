"""Small multiples: the same lines over several quantities, side by side, with one scale upwards and names at the right end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from reports.drawings.frame import Frame, axes, drawing, grid, log_ticks, spread, text, ticks
from reports.drawings.lines import GAP, Series
from reports.drawings.marks import spots
from reports.drawings.trail import Point, curve
from reports.style import Look

LEFT, RIGHT, BETWEEN, TOP, FOOT = 52, 132, 18, 14, 46
WIDE, HIGH = 212, 168  # of a panel's plot
DOTTED = 12  # points at most for each to be marked: more would touch


@dataclass(frozen=True)
class Panel:
    """Lines over one quantity, ringed where a series is `marked`; `level` is a value upwards with a dotted line."""

    series: Sequence[Series]
    x: tuple[float, float]
    title: str
    level: float | None = None


def multiples(rows: Sequence[tuple[str, Sequence[Panel]]], y: tuple[float, float], log_x: bool, label: str) -> Markup:
    """Rows of panels, each row with its title upwards; all share the limits `y`."""
    across = max(len(panels) for _, panels in rows)
    width, step = LEFT + across * WIDE + (across - 1) * BETWEEN + RIGHT, TOP + HIGH + FOOT
    parts = []
    for down, (title, panels) in enumerate(rows):
        for place, panel in enumerate(panels):
            left = LEFT + place * (WIDE + BETWEEN)
            frame = Frame(
                panel.x,
                y,
                width=width,
                height=(down + 1) * step,
                left=left,
                right=width - left - WIDE,
                top=down * step + TOP,
                bottom=FOOT,
                log_x=log_x,
            )
            parts.append(_panel(panel, frame, title if place == 0 else None))
        parts.append(_names(panels[-1].series, replace(frame, x=panels[-1].x)))
    return drawing(width, len(rows) * step, label, "".join(parts), "plot broad")


def _panel(panel: Panel, frame: Frame, title: str | None) -> str:
    upwards = ticks(*frame.y, 5)
    x_ticks = log_ticks(*frame.x) if frame.log_x else ticks(*frame.x, 4)
    parts = [axes(frame, (panel.title, title or ""), x_ticks, upwards if title is not None else ())]
    if title is None:
        parts.append(grid(frame, [frame.at(frame.x[0], v)[1] for v in upwards]))
    if panel.level is not None:
        height = frame.at(frame.x[0], panel.level)[1]
        parts.append(f'<path d="M{frame.left} {height:.1f}H{frame.end}" class="axis" stroke-dasharray="2 3"/>')
    for one in panel.series:
        points = [frame.at(a, b) for a, b in zip(one.x, one.y, strict=True)]
        parts.append(curve(one.look, points))
        parts += [_dots(one.look, points)] if len(points) <= DOTTED else []
        parts.append(spots(one.look, points[-1:], 4))
        parts += [_ring(*points[i]) for i in one.marked]
    return "".join(parts)


def _dots(look: Look, points: Sequence[Point]) -> str:
    path = "".join(f"M{round(x, 1):g} {round(y, 1):g}h0" for x, y in points)  # no length and round ends: a dot
    return f'<path class="dots" stroke="{look.colour}" d="{path}"/>'


def _ring(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" class="ring"/>'


def _names(series: Sequence[Series], frame: Frame) -> str:
    ends = [frame.at(s.x[-1], s.y[-1]) for s in series]
    places = spread([y for _, y in ends], GAP, frame.top + 4, frame.floor - 2)
    parts = []
    for one, (x, y), place in zip(series, ends, places, strict=True):
        parts.append(f'<path d="M{x + 3:.1f} {y:.1f}L{frame.end + 8} {place}" class="lead"/>')
        parts.append(spots(one.look, [(frame.end + 15, place)], 4) + text(frame.end + 24, place + 4, one.label))
    return "".join(parts)
