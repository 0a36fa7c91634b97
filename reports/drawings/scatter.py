"""Points in a square, a group a line of markers: few bytes a point, a shape and a colour a group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from reports.drawings.frame import drawing, text
from reports.drawings.marks import mark
from reports.style import OTHERS, Look

HALF = 99  # coordinates are whole numbers from -99 to 99: a step is less than a pixel
EDGE = 106  # half the side of the square
SIZE = 2.6  # of a mark
KINDS = (  # of groups: dark enough and light enough for both pages, and each with a shape of its own
    ("#0072b2", "circle"),
    ("#d55e00", "square"),
    ("#009e73", "triangle"),
    ("#cc79a7", "diamond"),
    ("#b8860b", "down"),
    ("#8f6bc8", "plus"),
    ("#2a9fb8", "star"),
    ("#8c8c8c", "cross"),
)


def group_look(number: int) -> Look:
    """How a group of points looks.

    >>> group_look(1).mark
    'square'
    """
    return Look("", "", *KINDS[number % len(KINDS)], OTHERS[0][2])


def markers(count: int) -> str:
    """The shapes of so many groups, once for all drawings of a page."""
    parts = [
        f'<marker id="dot-{g}" viewBox="-5 -5 10 10" markerUnits="userSpaceOnUse" markerWidth="10" markerHeight="10">'
        f"{mark(group_look(g), 0, 0, SIZE)}</marker>"
        for g in range(count)
    ]
    return f"<defs>{''.join(parts)}</defs>"


def named(group: int, name: str) -> Markup:
    """The mark of a group with its name, a drawing of its own so that several find room in a line."""
    parts = mark(group_look(group), 8, 9, 5) + text(18, 14, name)
    return drawing(22 + 8 * len(name), 18, name, parts)


def whole(place_N2: np.ndarray) -> np.ndarray:
    """Coordinates as whole numbers from -HALF to HALF, both axes on one scale, the middle of the points in the middle; y upwards.

    >>> whole(np.array([[0.0, 0.0], [4.0, 1.0]])).tolist()
    [[-99, 25], [99, -25]]
    """
    low_2, high_2 = place_N2.min(0), place_N2.max(0)
    span = (high_2 - low_2).max() or 1.0
    made_N2 = (place_N2 - (low_2 + high_2) / 2) * [1, -1] * (2 * HALF / span)
    return np.rint(made_N2).astype(int)


def scatter(place_N2: np.ndarray, groups: Sequence[np.ndarray], label: str, shapes: str = "") -> Markup:
    """The points of `whole`, group by group; each group's are rows in `groups`. The first drawing of a page brings the shapes."""
    lines = [shapes]
    for g, rows in enumerate(groups):
        if len(rows):
            ends = "".join(f' marker-{end}="url(#dot-{g})"' for end in ("start", "mid", "end"))
            lines.append(f'<polyline{ends} points="{points(place_N2[rows])}"/>')
    box = f"{-EDGE} {-EDGE} {2 * EDGE} {2 * EDGE}"
    return Markup(
        f'<svg class="plot map" viewBox="{box}" width="220" height="220" role="img" aria-label="{escape(label)}" fill="none">{"".join(lines)}</svg>'
    )


def points(place_N2: np.ndarray) -> str:
    """Numbers with nothing between them that a reader of SVG does not need: a minus sign parts two as well as a space.

    >>> points(np.array([[1, -2], [-3, 4]]))
    '1-2-3 4'
    """
    return " ".join(map(str, place_N2.ravel().tolist())).replace(" -", "-")
