"""Lines over a number, each named at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from reports.drawings.frame import Frame, axes, drawing, spread, text, ticks
from reports.drawings.marks import line, mark
from reports.style import Look

GAP = 16  # between labels


@dataclass(frozen=True)
class Series:
    """One line; `marked` are the places that carry the mark of its encoder."""

    look: Look
    label: str
    x: Sequence[float]
    y: Sequence[float]
    marked: tuple[int, ...] = ()


def tall(frame: Frame, labels: int) -> Frame:
    """The frame, taller where its labels need it.

    >>> tall(Frame((0, 1), (0, 1)), 20).height
    376
    """
    return replace(frame, height=max(frame.height, frame.top + frame.bottom + GAP * labels))


def lines(
    series: Sequence[Series], frame: Frame, titles: tuple[str, str], label: str, x_ticks: Sequence[float]
) -> Markup:
    """All series over each other; the name of each stands at its end, moved apart where they would touch."""
    frame = tall(frame, len(series))
    parts = [axes(frame, titles, x_ticks, ticks(*frame.y, 5))]
    ends = [frame.at(s.x[-1], s.y[-1]) for s in series]
    places = spread([y for _, y in ends], GAP, frame.top + 4, frame.floor - 2)
    for one, (x, y), place in zip(series, ends, places, strict=True):
        points = [frame.at(a, b) for a, b in zip(one.x, one.y, strict=True)]
        parts.append(line(one.look, points))
        parts += [mark(one.look, *points[i]) for i in one.marked]
        parts.append(f'<path d="M{x + 3:.1f} {y:.1f}L{frame.end + 8} {place}" class="lead"/>')
        if one.marked:
            parts.append(mark(one.look, frame.end + 15, place, 4))
        parts.append(text(frame.end + (24 if one.marked else 11), place + 4, one.label))
    return drawing(frame.width, frame.height, label, "".join(parts))
