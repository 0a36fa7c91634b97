"""A table of shares as colours, with numbers where they fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from reports.drawings.frame import drawing, text, texts

NUMBERED = 24  # classes at most whose cells hold numbers; cells of more are coloured squares
ROOMY = 12  # classes at most whose numbers have a decimal
LEAST = 0.005  # what is rarer stays empty


def side_of(count: int) -> int:
    """Side of a cell in pixels, by the number of classes.

    >>> side_of(4), side_of(24), side_of(60)
    (32, 26, 12)
    """
    return 32 if count <= ROOMY else 26 if count <= NUMBERED else 12


def heat(names: Sequence[str], share_CC: np.ndarray, label: str, numbers: bool = True, least: float = LEAST) -> Markup:
    """Rows are classes, columns what they were taken for or lie beside, in per cent; blue is the own class, orange another, paler is less.

    All cells of one colour and strength are one path, in cells; the script finds a cell through the transform of `.cells`.
    """
    side, count = side_of(len(names)), len(names)
    fit = [n if len(n) <= 14 else n[:13] + "…" for n in names]
    longest = max(map(len, fit))
    turn = -45 if side > 12 else -90  # narrow columns have upright names
    left, top = 14 + round(8 * longest), 14 + round((5 if side > 12 else 7.4) * longest)
    x = 2 if side > 12 else 4
    parts = [texts([text(left - 6, top + side * (i + 0.5) + 4, name) for i, name in enumerate(fit)], "end")]
    parts += [
        f'<text transform="translate({left + side * (i + 0.5) + x:g} {top - 5})rotate({turn})">{escape(name)}</text>'
        for i, name in enumerate(fit)
    ]
    cells = [(r, c, s) for (r, c), s in np.ndenumerate(share_CC) if np.isfinite(s) and s >= least]
    parts.append(f'<g class="cells" transform="translate({left} {top}) scale({side})">')
    parts.append(f'<path class="floor" d="M0 0h{count}v{count}h-{count}z"/>{_squares(cells)}</g>')
    if numbers and count <= NUMBERED:
        digits = 1 if count <= ROOMY else 0
        words = (text(left + side * (c + 0.48), top + side * (r + 0.62), f"{100 * s:.{digits}f}") for r, c, s in cells)
        parts.append(f'<g text-anchor="middle" font-size="12">{"".join(words)}</g>')
    width, height = left + side * count + 6 * longest, top + side * count + 4
    return drawing(width, height, label, "".join(parts), "plot heat")


def _squares(cells: Sequence[tuple[int, int, float]]) -> str:
    """A path for each colour and strength, each cell a step from the one before."""
    paths: dict[tuple[str, float], str] = defaultdict(str)
    last: dict[tuple[str, float], tuple[int, int]] = {}
    for row, column, share in cells:
        key = _strength(row == column, share)
        y, x = last.get(key, (0, 0))
        paths[key] += f"m{column - x} {row - y}h1v1h-1z"
        last[key] = (row, column)
    by_kind: dict[str, str] = defaultdict(str)
    for (kind, depth), path in sorted(paths.items()):
        by_kind[kind] += f'<path fill-opacity="{depth:g}" d="{path}"/>'
    return "".join(f'<g class="{kind}">{its}</g>' for kind, its in by_kind.items())


def _strength(right: bool, share: float) -> tuple[str, float]:
    # the strongest shade leaves the number readable, light and dark; steps of a twentieth keep the paths few
    depth = 0.75 * share if right else min(0.65, 0.1 + 1.8 * share)
    return ("right" if right else "wrong"), max(0.05, round(round(depth * 20) / 20, 2))
