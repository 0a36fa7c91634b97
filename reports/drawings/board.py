"""The small bars in the cells of the board."""

from __future__ import annotations

from markupsafe import Markup

HEAD = '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'


def interval_bar(value: float, low: float, high: float, colour: str, scale: tuple[float, float]) -> Markup:
    """A tick for the value on a line for its interval; all bars of a column have one scale."""
    start, end = scale
    span = end - start or 1.0
    a, v, b = (100 * (number - start) / span for number in (low, value, high))
    return Markup(
        f'{HEAD}<path d="M0 5H100" class="track"/><path d="M{a:.1f} 5H{b:.1f}" stroke="{colour}" stroke-width="3"/>'
        f'<path d="M{v:.1f} 0V10" stroke="{colour}" class="fixed"/></svg>'
    )


def change_bar(change: float, low: float | None, high: float | None, limit: float) -> Markup:
    """A bar from 0, to the right and blue where it is better, with its interval; limits are symmetric."""

    def place(number: float) -> float:
        return 50 + 50 * max(-1.0, min(1.0, number / limit))

    x = sorted((50.0, place(change)))
    side = "worse" if change < 0 else "better"
    whisker = (
        "" if low is None or high is None else f'<path d="M{place(low):.1f} 5H{place(high):.1f}" class="whisker"/>'
    )
    return Markup(
        f'{HEAD}<rect x="{x[0]:.1f}" y="1" width="{x[1] - x[0]:.1f}" height="8" class="{side}"/>{whisker}'
        f'<path d="M50 0V10" class="axis"/></svg>'
    )
