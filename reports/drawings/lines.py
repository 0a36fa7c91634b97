"""Lines over a number, with intervals where they are known, each named at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from reports.drawings.frame import Frame, Ticks, axes, drawing, spread, text, ticks
from reports.drawings.marks import spots
from reports.drawings.trail import Point, curve, fewer, whisker
from reports.style import Look

GAP = 16  # between labels
ASIDE = 1.6  # pixels between the whiskers of two encoders at one place: they would cover each other


@dataclass(frozen=True)
class Series:
    """One line; `marked` are the places that carry the mark of its encoder, `apart` says that the last point is not joined.

    `ends` are the intervals, `under` is a second line of the label.
    """

    look: Look
    label: str
    x: Sequence[float]
    y: Sequence[float]
    marked: tuple[int, ...] = ()
    ends: Sequence[tuple[float, float] | None] = ()
    apart: bool = False
    under: str = ""


def tall(frame: Frame, labels: int, gap: int = GAP) -> Frame:
    """The frame, taller where its labels need it.

    >>> tall(Frame((0, 1), (0, 1)), 20).height
    376
    """
    return replace(frame, height=max(frame.height, frame.top + frame.bottom + gap * labels))


def lines(
    series: Sequence[Series],
    frame: Frame,
    titles: tuple[str, str],
    label: str,
    x_ticks: Ticks,
    y_ticks: Ticks | None = None,
) -> Markup:
    """All series over each other; the name of each stands at its end, moved apart where they would touch."""
    gap = GAP + 12 * any(s.under for s in series)
    frame = tall(frame, len(series), gap)
    parts, leads = [axes(frame, titles, x_ticks, ticks(*frame.y, 5) if y_ticks is None else y_ticks)], ""
    ends = [frame.at(s.x[-1], s.y[-1]) for s in series]
    places = spread([y for _, y in ends], gap, frame.top + 4, frame.floor - 2 - (gap - GAP))
    for number, (one, (x, y), place) in enumerate(zip(series, ends, places, strict=True)):
        points = [frame.at(a, b) for a, b in zip(one.x, one.y, strict=True)]
        aside = ASIDE * (number - (len(series) - 1) / 2)
        parts.append(curve(one.look, fewer(points[:-1] if one.apart else points), _upright(one, frame, aside)))
        parts.append(_name(one, points, frame.end, place))
        leads += f"M{x + 3:.0f} {y:.0f}L{frame.end + 8} {place:.0f}"
    parts.insert(1, f'<path d="{leads}" class="lead"/>' if leads else "")
    return drawing(frame.width, frame.height, label, "".join(parts))


def _upright(one: Series, frame: Frame, aside: float) -> str:
    """The intervals of a series, a little aside: those of others at the same place would cover them."""
    found = []
    for x, ends in zip(one.x, one.ends, strict=False):
        if ends is not None:
            (px, low), (_, high) = frame.at(x, ends[0]), frame.at(x, ends[1])
            found.append(whisker(px + aside, high, low))
    return "".join(found)


def _name(one: Series, points: Sequence[Point], right: int, place: float) -> str:
    """The marks of a series, one more at its name, and the name."""
    marked = [points[i] for i in one.marked]
    marks = spots(one.look, [*marked, (right + 15, place)], 4) if marked else ""
    start = right + (24 if marked else 11)
    return marks + text(start, place + 4, one.label) + text(start, place + 16, one.under, kind="tight dim")
