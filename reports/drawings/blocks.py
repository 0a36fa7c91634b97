"""Neighbour block matrices and the scale of their colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from reports.drawings.frame import drawing, text
from reports.style import CIVIDIS


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


def block_matrix(
    title: str, index_NK: np.ndarray, shade_NK: np.ndarray, class_ends: Sequence[int], above_ends: Sequence[int]
) -> Markup:
    """A dot a neighbour: row = image, column = neighbour."""
    n = len(index_NK)
    paths = []
    for shade, colour in enumerate(CIVIDIS):
        rows, places = np.nonzero(shade_NK == shade)
        dots = "".join(f"M{index_NK[r, k]} {r}h0" for r, k in zip(rows.tolist(), places.tolist(), strict=True))
        if dots:  # a line of no length with round ends is a dot, in print too
            paths.append(f'<path d="{dots}" stroke="{colour}"/>')
    lines = "".join(
        f'<path d="M0 {e}H{n}M{e} 0V{n}" class="{"thick" if e in above_ends else "thin"}"/>'
        for e in class_ends
        if 0 < e < n
    )
    return Markup(
        f'<svg class="blocks" viewBox="0 0 {n} {n}" role="img" data-title="{escape(title)}" aria-label="Neighbour block '
        f'matrix of {escape(title)}"><rect width="{n}" height="{n}" class="sheet"/>{lines}'
        f'<g transform="translate(.5 .5)" stroke-width="{dot_size(n):.2g}" stroke-linecap="round">{"".join(paths)}</g></svg>'
    )


def colour_bar(scale: tuple[float, float]) -> Markup:
    """The ten colours with the numbers between them."""
    low, high = scale
    step, wide, left = (high - low) / len(CIVIDIS), 24, 20
    parts = [
        f'<rect x="{left + wide * place}" y="2" width="{wide}" height="12" fill="{colour}"/>'
        for place, colour in enumerate(CIVIDIS)
    ]
    for place in range(0, len(CIVIDIS) + 1, 2):
        words = f"{low + step * place:.1f}"
        words = f"≤ {words}" if place == 0 else f"≥ {words}" if place == len(CIVIDIS) else words
        parts.append(text(left + wide * place, 29, words, "middle"))
    label = f"Colour scale: from {low:.1f}, dark, near, to {high:.1f}, yellow, far"
    return drawing(2 * left + wide * len(CIVIDIS), 34, label, "".join(parts), "plot scale")
