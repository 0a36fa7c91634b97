"""Small bars: in the cells of the board, of its means and ranks, and of changes in other tables."""

from __future__ import annotations

from markupsafe import Markup

HEAD = '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
WIDE = 84  # pixels of the bars of a cell; what lies behind them (track and zero) is in board.css
DOTS = 66  # pixels of a rank's bar


def cell_bars(
    value: float,
    low: float,
    high: float,
    scale: tuple[float, float],
    change: tuple[float, float | None, float | None] | None,
    limit: float,
) -> Markup:
    """Above a tick for the value on a line for its interval, all of a column on one scale; beneath the change, from the middle.

    The colour of the upper one is that of its row. A change beyond the limit ends there.
    """
    start, end = scale
    a, v, b = (WIDE * (number - start) / ((end - start) or 1.0) for number in (low, value, high))
    upper = f'<path d="M{_p(a)} 4H{_p(b)}M{_p(v)} 0v8"/>'
    return Markup(f'<svg aria-hidden="true">{upper}{_change(change, limit) if change else ""}</svg>')


def mean_bar(change: float, low: float | None, high: float | None, limit: float) -> Markup:
    """The lower bar of a cell alone.

    >>> mean_bar(-5, -8, -2, 10)
    Markup('<svg aria-hidden="true"><path class="worse" d="M42 14H21"/><path d="M8 14H34"/></svg>')
    """
    return Markup(f'<svg aria-hidden="true">{_change((change, low, high), limit)}</svg>')


def _change(change: tuple[float, float | None, float | None], limit: float) -> str:
    value, low, high = change

    def place(number: float) -> int:
        """A pixel, never that of zero for what is not zero."""
        middle, x = WIDE // 2, round(WIDE / 2 * (1 + max(-1.0, min(1.0, number / limit))))
        return max(x, middle + 1) if number > 0 else min(x, middle - 1) if number < 0 else middle

    side = "worse" if value < 0 else "better"
    bar = f'<path class="{side}" d="M{WIDE // 2} 14H{place(value)}"/>'
    if low is None or high is None:
        return bar
    return f'{bar}<path d="M{place(low)} 14H{place(high)}"/>'


def _p(number: float) -> str:
    """Whole pixels: the numbers stand beside.

    >>> _p(4.0), _p(12.34)
    ('4', '12')
    """
    return f"{round(number)}"


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


def rank_bar(first: int, last: int, count: int) -> Markup:
    """From the first rank to the last that an encoder may have, on a scale from 1 to the number of encoders; one is a dot.

    >>> rank_bar(1, 3, 3)
    Markup('<svg class="ranks" aria-hidden="true"><path d="M4 5H62"/></svg>')
    """
    a, b = (4 + (DOTS - 8) * (rank - 1) / max(1, count - 1) for rank in (first, last))
    return Markup(f'<svg class="ranks" aria-hidden="true"><path d="M{_p(a)} 5H{_p(b)}"/></svg>')
