"""The marks of encoders, and lines in their colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

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
    '<path class="mark" fill="#000000" d="M8.2 8.2L11.8 8.2L11.8 11.8L8.2 11.8z"/>'
    """
    return f'<path class="mark" fill="{look.colour}" d="{outline(look, x, y, size)}"/>'


def outline(look: Look, x: float, y: float, size: float) -> str:
    """The path of a mark alone: several make one element.

    >>> outline(Look("m", "M", "#000000", "square", ""), 10, 10, 2)
    'M8.2 8.2L11.8 8.2L11.8 11.8L8.2 11.8z'
    """
    if look.mark == "circle":
        return f"M{x - size:.1f} {y:.1f}a{size} {size} 0 1 0 {2 * size} 0a{size} {size} 0 1 0 {-2 * size} 0z"
    return "M" + "L".join(f"{x + size * a:.1f} {y + size * b:.1f}" for a, b in SHAPES[look.mark]) + "z"


def marker(look: Look, name: str, size: float) -> str:
    """The mark of an encoder to be set many times by `marks`, under a name that nothing else on the page has."""
    head = f'<marker id="{name}" markerUnits="userSpaceOnUse" overflow="visible">'
    return f"{head}{mark(look, 0, 0, size)}</marker>"


def marks(name: str, places: Sequence[tuple[float, float]]) -> str:
    """A marker at each of these places, along a line that is not seen: a few bytes a place.

    >>> marks("m", [(1, 2), (3, 4.25)])
    '<path d="M1 2L3 4.2" fill="none" marker-start="url(#m)" marker-mid="url(#m)" marker-end="url(#m)"/>'
    """
    at = "L".join(f"{round(float(x), 1):g} {round(float(y), 1):g}" for x, y in places)
    ends = "".join(f' marker-{part}="url(#{name})"' for part in ("start", "mid", "end"))
    return f'<path d="M{at}" fill="none"{ends}/>' if places else ""


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
    return Markup(f'<svg class="key" viewBox="-7 -7 14 14" aria-hidden="true">{mark(look, 0, 0, 5)}</svg>')
