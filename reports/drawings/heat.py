"""A table of shares as colours with numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from reports.drawings.frame import drawing, text

SIDE = 32


def heat(names: Sequence[str], share_CC: np.ndarray, label: str) -> Markup:
    """Rows are true classes, columns what was predicted, in per cent; blue is right, orange wrong, paler is less."""
    fit = [n if len(n) <= 14 else n[:13] + "…" for n in names]
    longest = max(map(len, fit))
    left, top = 14 + round(8 * longest), 14 + round(5 * longest)
    parts = []
    for place, name in enumerate(fit):
        middle = SIDE * place + SIDE / 2
        parts.append(text(left - 6, top + middle + 4, name, "end"))
        parts.append(f'<g transform="translate({left + middle + 2:g} {top - 5}) rotate(-45)">{text(0, 0, name)}</g>')
    for (row, column), share in np.ndenumerate(share_CC):
        if np.isfinite(share) and share >= 0.005:  # what is rarer stays empty
            parts.append(_place(row == column, float(share), left + SIDE * column, top + SIDE * row))
    width, height = left + SIDE * len(fit) + 6 * longest, top + SIDE * len(fit) + 4
    return drawing(width, height, label, "".join(parts), "plot heat")


def _place(right: bool, share: float, x: int, y: int) -> str:
    # the strongest shade leaves the number readable, light and dark
    depth, kind = (0.75 * share, "right") if right else (min(0.65, 0.1 + 1.8 * share), "wrong")
    return (
        f'<rect x="{x}" y="{y}" width="{SIDE - 1}" height="{SIDE - 1}" class="{kind}" fill-opacity="{depth:.2f}"/>'
        + text(x + (SIDE - 1) / 2, y + 20, f"{100 * share:.1f}", "middle", "tight")
    )
