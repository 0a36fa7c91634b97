"""Neighbour block matrices and the scale of their colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from reports.drawings.frame import drawing, text
from reports.drawings.scatter import points
from reports.style import CIVIDIS

FINEST = 150  # more classes than this have no lines of their own: they would cover what lies between them


def shades(value_NK: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """Which of the ten colours each number has; beyond the scale, the last one.

    >>> shades(np.array([[0.0, 1.0, 9.0]]), (0.0, 2.0)).tolist()
    [[0, 5, 9]]
    """
    share_NK = (value_NK - scale[0]) / (scale[1] - scale[0])
    return np.clip((share_NK * len(CIVIDIS)).astype(int), 0, len(CIVIDIS) - 1)


def dot_size(n: int) -> float:
    """Diameter of a dot in rows: larger than a row where there are many, so that it shows.

    >>> dot_size(20), dot_size(160)
    (1.0, 2.0)
    """
    return max(1.0, n / 80)


def dots(rows_R: np.ndarray, index_RK: np.ndarray, shade_RK: np.ndarray) -> dict[int, str]:
    """Path data of each shade, row before column: a line that is not seen, of a step from dot to dot.

    Read shade after shade, the dots of a row are its neighbours from the nearest on: the page's script reads them so, and no
    other list of them is on the page.

    >>> dots(np.array([0, 1]), np.array([[1, 2], [0, 2]]), np.array([[0, 3], [0, 0]]))
    {0: 'm0 1 1-1 0 2', 3: 'm0 2'}
    """
    paths: dict[int, str] = {}
    for shade in np.unique(shade_RK).tolist():
        places, ranks = np.nonzero(shade_RK == shade)
        steps_x, steps_y = np.diff(index_RK[places, ranks], prepend=0), np.diff(rows_R[places], prepend=0)
        paths[shade] = "m" + points(np.stack([steps_y, steps_x], 1))
    return paths


def block_matrix(
    title: str,
    index_RK: np.ndarray,
    shade_RK: np.ndarray,
    class_ends: Sequence[int],
    above_ends: Sequence[int],
    rows_R: np.ndarray | None = None,
    size: int | None = None,
) -> Markup:
    """A dot a neighbour: row = image, column = neighbour. `rows_R` are the rows that are drawn, of `size`, where not all are.

    The dots themselves are in `colour_bar`, one a colour, and stand at each corner of a line by a rule of drawing.css.
    """
    rows_R = np.arange(len(index_RK)) if rows_R is None else rows_R
    n = size or len(index_RK)
    drawn = dots(rows_R, index_RK, shade_RK)
    paths = "".join(f'<path class="shade-{shade}" d="{d}"/>' for shade, d in drawn.items())
    thin = [e for e in class_ends if 0 < e < n and e not in set(above_ends)]
    lines = _lines(thin if len(class_ends) < FINEST else [], n, "thin")
    lines += _lines([e for e in above_ends if 0 < e < n] if len(above_ends) < FINEST else [], n, "thick")
    return Markup(
        f'<svg class="blocks" viewBox="0 0 {n} {n}" role="img" data-title="{escape(title)}" aria-label="Neighbour block '
        f'matrix of {escape(title)}"><rect width="{n}" height="{n}" class="sheet"/>{lines}'
        f'<g class="dots" transform="matrix(0 1 1 0 .5 .5)" fill="none">{paths}</g></svg>'
    )


def _lines(ends: Sequence[int], n: int, kind: str) -> str:
    path = "".join(f"M0 {e}H{n}M{e} 0V{n}" for e in ends)
    return f'<path d="{path}" class="{kind}"/>' if path else ""


def colour_bar(scale: tuple[float, float], n: int) -> Markup:
    """The ten colours with the numbers between them, and the dots of each in a matrix of n rows."""
    low, high = scale
    step, wide, left = (high - low) / len(CIVIDIS), 24, 28
    digits = 1 if round(20 * step, 6).is_integer() else 2  # every number that stands there is exact
    parts = [
        f'<marker id="shade-{place}" markerUnits="userSpaceOnUse" overflow="visible"><circle r="{dot_size(n) / 2:.2g}" fill="{colour}"/></marker>'
        for place, colour in enumerate(CIVIDIS)
    ]
    parts += [
        f'<rect x="{left + wide * place}" y="2" width="{wide}" height="12" fill="{colour}"/>'
        for place, colour in enumerate(CIVIDIS)
    ]
    for place in range(0, len(CIVIDIS) + 1, 2):
        words = f"{low + step * place:.{digits}f}"
        words = f"≤ {words}" if place == 0 else f"≥ {words}" if place == len(CIVIDIS) else words
        parts.append(text(left + wide * place, 29, words, "middle"))
    label = f"Colour scale: from {low:.{digits}f}, dark, near, to {high:.{digits}f}, yellow, far"
    return drawing(2 * left + wide * len(CIVIDIS), 34, label, "".join(parts), "plot scale")
