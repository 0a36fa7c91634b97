"""Numbers of each two encoders as the lower half of a square, coloured from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from reports.drawings.frame import drawing, text, texts
from reports.style import CIVIDIS

SIDE = 36
DARK = 5  # shades on which white is read


def matrix(names: Sequence[str], value_MM: np.ndarray, decimals: int, factor: float, label: str) -> Markup:
    """Each pair once; brighter is more alike; a dash where a number is not known.

    >>> svg = matrix(["a", "b"], np.array([[1.0, 0.25], [0.25, 1.0]]), 0, 100, "pairs")
    >>> svg.count("M"), ">25<" in svg
    (1, True)
    """
    longest = max(map(len, names))
    left, beside, words = 12 + round(8 * longest), [], []
    squares: dict[int, list[str]] = {}
    for row in range(1, len(names)):
        y = SIDE * (row - 1)
        beside.append(text(left - 8, y + 22, names[row]))
        numbers: dict[str, list[str]] = {}  # by how they are written: those of a line in one element
        for column in range(row):
            x, value = left + SIDE * column, float(value_MM[row, column])
            known = bool(np.isfinite(value))
            shade = shade_of(value) if known else 0
            if known:
                squares.setdefault(shade, []).append(f"M{x} {y + SIDE // 2}h{SIDE - 1}")
            kind = ("pale" if shade < DARK else "deep") if known else "dim"
            said = _said(value, decimals, factor) if known else "–"
            numbers.setdefault(kind, []).append(f'<tspan x="{x + SIDE // 2}">{said}</tspan>')
        words += [f'<text y="{y + 22}" class="{kind}">{"".join(its)}</text>' for kind, its in sorted(numbers.items())]
    depth, below = SIDE * (len(names) - 1), []
    for column, name in enumerate(names[:-1]):
        middle = left + SIDE * column + SIDE / 2 + 5
        below.append(f'<text transform="translate({middle:g} {depth + 10}) rotate(-45)">{escape(name)}</text>')
    parts = [f'<path d="{"".join(its)}" stroke="{CIVIDIS[shade]}"/>' for shade, its in sorted(squares.items())]
    width, height = left + depth + 12, depth + 20 + round(5.6 * longest)
    coloured = f'<g stroke-width="{SIDE - 1}">{"".join(parts)}</g>'  # lines as thick as a square is high
    said = texts(words, "middle") + texts([*beside, *below], "end")
    return drawing(width, height, label, coloured + said, "plot matrix")


def shade_of(value: float) -> int:
    """Which of ten shades; what lies outside of 0 to 1 has the last one on its side.

    >>> shade_of(-0.1), shade_of(0.55), shade_of(1.0)
    (0, 5, 9)
    """
    return max(0, min(len(CIVIDIS) - 1, int(value * len(CIVIDIS))))


def _said(value: float, decimals: int, factor: float) -> str:
    said = f"{value * factor:.{decimals}f}"
    return (said if float(said) else said.lstrip("-")).replace("-", "−")
