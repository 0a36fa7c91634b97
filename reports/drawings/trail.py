"""Short paths: lines and whiskers in as few bytes as they can be read from; a page holds hundreds of lines."""

from __future__ import annotations

from collections.abc import Sequence

from reports.style import Look

Point = tuple[float, float]


def trail(points: Sequence[Point]) -> str:
    """A path through points, each relative to the one before; rounding to a tenth does not add up.

    >>> trail([(0, 10), (4.34, 9), (8.68, 9.26)])
    'M0 10l4.3-1 4.4.3'
    """
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    x, y = tenths[0]
    path = f"M{x / 10:g} {y / 10:g}"
    for place, (a, b) in enumerate(tenths[1:]):
        path += ("l" if place == 0 else "") + _pair(a - x, b - y, first=place == 0)
        x, y = a, b
    return path


def fewer(points: Sequence[Point], off: float = 0.4) -> list[Point]:
    """The points without those that a straight line passes within `off` pixels of, which nobody sees.

    >>> fewer([(0, 0), (1, 0.1), (2, 0), (3, 5)])
    [(0, 0), (2, 0), (3, 5)]
    """
    if len(points) < 3:
        return list(points)
    kept, spans = {0, len(points) - 1}, [(0, len(points) - 1)]
    while spans:
        a, b = spans.pop()
        (x0, y0), (x1, y1) = points[a], points[b]
        far = [
            (abs(y0 + (points[i][0] - x0) / ((x1 - x0) or 1) * (y1 - y0) - points[i][1]), i) for i in range(a + 1, b)
        ]
        if far and max(far)[0] > off:
            middle = max(far)[1]
            kept.add(middle)
            spans += [(a, middle), (middle, b)]
    return [points[i] for i in sorted(kept)]


def _pair(x: int, y: int, first: bool) -> str:
    """Two tenths as SVG reads them without a blank before a minus; a point after a decimal parts numbers too."""
    a, b = _plain(x), _plain(y)
    before = "" if first or a[0] == "-" else " "
    return before + a + ("" if b[0] == "-" or (b[0] == "." and "." in a) else " ") + b


def _plain(tenths: int) -> str:
    return f"{tenths / 10:g}".replace("0.", ".") if abs(tenths) < 10 and tenths else f"{tenths / 10:g}"


def whisker(x: float, high: float, low: float) -> str:
    """An upright line; it stands a little aside as it is, so its place across is a whole pixel.

    >>> whisker(5.2, 10, 20.5)
    'M5 10V20.5'
    """
    return f"M{x:.0f} {round(high, 1):g}V{round(low, 1):g}"


def curve(look: Look, points: Sequence[Point], upright: str = "") -> str:
    """A line through points with its whiskers, in the encoder's colour; of one point the whiskers alone.

    >>> curve(Look("m", "M", "#000000", "square", "6 3"), [(0, 0), (1, 2)], "M0 0V4")
    '<g class="curve" stroke="#000000"><path stroke-dasharray="6 3" d="M0 0l1 2"/><path class="span" d="M0 0V4"/></g>'
    """
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    path = f'<path{dash} d="{trail(points)}"/>' if len(points) > 1 else ""
    span = f'<path class="span" d="{upright}"/>' if upright else ""
    return f'<g class="curve" stroke="{look.colour}">{path}{span}</g>' if path or span else ""
