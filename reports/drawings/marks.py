"""The marks of encoders, and lines in their colours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from markupsafe import Markup

from reports.drawings.trail import Point, trail
from reports.style import Look

ARM = 0.36  # half the thickness of a plus


def _around(count: int, radii: Sequence[float], start: float = -90) -> list[tuple[float, float]]:
    angle = np.radians(start + 360 * np.arange(count) / count)
    radius = np.resize(np.array(radii, float), count)
    return [(float(r * np.cos(a)), float(r * np.sin(a))) for a, r in zip(angle, radius, strict=True)]


_HALF = [(ARM, -ARM), (ARM, -1.2), (-ARM, -1.2), (-ARM, -ARM), (-1.2, -ARM), (-1.2, ARM)]
_PLUS = [*_HALF, *[(-x, -y) for x, y in _HALF]]
SHAPES = {
    "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "triangle": _around(3, [1.25]),
    "down": _around(3, [1.25], 90),
    "diamond": _around(4, [1.25]),
    "plus": _PLUS,
    "cross": [((x - y) * 0.7071, (x + y) * 0.7071) for x, y in _PLUS],
    "star": _around(10, [1.4, 0.6]),
    "hexagon": _around(6, [1.1]),
}


def mark(look: Look, x: float, y: float, size: float = 4.5) -> str:
    """The mark of an encoder, its centre at a point.

    >>> mark(Look("m", "M", "#000000", "square", ""), 10, 10, 2)
    '<path class="mark" fill="#000000" d="M8.2 8.2h3.6v3.6h-3.6z"/>'
    """
    return spots(look, [(x, y)], size)


def spots(look: Look, points: Sequence[Point], size: float = 4.5) -> str:
    """The mark of an encoder at each of these points, as one path.

    >>> spots(Look("m", "M", "#000000", "square", ""), [(10, 10), (20, 10)], 2)
    '<path class="mark" fill="#000000" d="M8.2 8.2h3.6v3.6h-3.6zM18.2 8.2h3.6v3.6h-3.6z"/>'
    """
    path = "".join(outline(look, x, y, size) for x, y in points)
    return f'<path class="mark" fill="{look.colour}" d="{path}"/>'


def outline(look: Look, x: float, y: float, size: float) -> str:
    """The path of a mark alone: several make one element.

    >>> outline(Look("m", "M", "#000000", "triangle", ""), 10, 10, 2)
    'M10 7.5l2.2 3.8-4.4 0z'
    """
    (dx, dy), shape = _shape(look.mark, size)
    return f"M{round(x + dx, 1):g} {round(y + dy, 1):g}{shape}"


@cache
def _shape(name: str, size: float) -> tuple[Point, str]:
    """From the centre to where a mark begins, and the mark from there."""
    if name == "circle":
        return (-size, 0.0), f"a{size:g} {size:g} 0 1 0 {2 * size:g} 0a{size:g} {size:g} 0 1 0-{2 * size:g} 0z"
    points = [(size * a, size * b) for a, b in SHAPES[name]]
    if name == "square":
        side = f"{2 * 0.9 * size:g}"
        return points[0], f"h{side}v{side}h-{side}z"
    start = points[0]
    return start, trail([(x - start[0], y - start[1]) for x, y in points])[len("M0 0") :] + "z"


def marker(look: Look, name: str, size: float) -> str:
    """The mark of an encoder to be set many times by `marks`, under a name that nothing else on the page has."""
    head = f'<marker id="{name}" markerUnits="userSpaceOnUse" overflow="visible">'
    return f"{head}{mark(look, 0, 0, size)}</marker>"


def marks(name: str, places: Sequence[tuple[float, float]]) -> str:
    """A marker at each of these places, along a line that is not seen: a few bytes a place.

    >>> marks("m", [(1, 2), (3, 4.25)])
    '<path d="M1 2l2 2.2" fill="none" marker-start="url(#m)" marker-mid="url(#m)" marker-end="url(#m)"/>'
    """
    ends = "".join(f' marker-{part}="url(#{name})"' for part in ("start", "mid", "end"))
    return f'<path d="{trail(places)}" fill="none"{ends}/>' if places else ""


def line(look: Look, points: Sequence[tuple[float, float]], width: float = 2) -> str:
    """A line through points, in the encoder's colour and dash.

    >>> line(Look("m", "M", "#000000", "square", ""), [(0, 0), (1, 2)])
    '<polyline points="0.0,0.0 1.0,2.0" fill="none" stroke="#000000" stroke-width="2"/>'
    """
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{look.colour}" stroke-width="{width:g}"{dash}/>'


def key(look: Look) -> Markup:
    """The mark alone, as it stands beside a name."""
    return Markup(f'<svg class="key" aria-hidden="true">{mark(look, 7, 7, 5)}</svg>')
