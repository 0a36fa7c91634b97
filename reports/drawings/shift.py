"""A difference with its interval on a symmetric scale, as small as a cell of a table."""

from __future__ import annotations

from markupsafe import Markup

HALF = 46  # of 100: what the largest difference takes on either side of nothing


def shift_bar(value: float, low: float, high: float, limit: float, colour: str) -> Markup:
    """A tick for the value on a line for its interval; `limit` is at either end, and the style draws where no difference lies.

    >>> "M73.0 5H96.0M82.2 0V10" in shift_bar(0.7, 0.5, 1.0, 1.0, "#000")
    True
    """
    a, v, b = (50 + HALF * max(-1.0, min(1.0, number / limit)) for number in (low, value, high))
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="M{a:.1f} 5H{b:.1f}M{v:.1f} 0V10" stroke="{colour}" class="fixed"/></svg>'
    )
