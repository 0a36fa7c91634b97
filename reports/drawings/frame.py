"""Where numbers lie on a drawing: limits, margins, axes with ticks, and labels that do not cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

Ticks = Sequence[float] | Sequence[tuple[float, str]]  # the words where they are not the number


@dataclass(frozen=True)
class Frame:
    """Limits of both axes and the size of the drawing in pixels; x may be logarithmic.

    >>> Frame((0, 1), (0, 1), width=100, height=100, left=0, right=0, top=0, bottom=0).at(0.5, 1)
    (50.0, 0.0)
    """

    x: tuple[float, float]
    y: tuple[float, float]
    width: int = 420
    height: int = 260
    left: int = 46
    right: int = 128
    top: int = 12
    bottom: int = 44
    log_x: bool = False

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a point."""
        (x0, x1), (y0, y1) = self.x, self.y
        share = np.log(x / x0) / np.log(x1 / x0) if self.log_x else (x - x0) / (x1 - x0)
        wide, high = self.width - self.left - self.right, self.height - self.top - self.bottom
        return float(self.left + share * wide), float(self.top + (y1 - y) / (y1 - y0) * high)

    @property
    def end(self) -> int:
        """Pixels from the left to where the data end."""
        return self.width - self.right

    @property
    def floor(self) -> int:
        """Pixels from the top to the x axis."""
        return self.height - self.bottom


def limits(values: Sequence[float], zero: bool = False, pad: float = 0.05) -> tuple[float, float]:
    """Axis limits with a little room, never of no width.

    >>> limits([1.0, 2.0], zero=True)
    (0.0, 2.1)
    """
    low, high = (0.0 if zero else min(values)), max(values)
    room = pad * (high - low) or pad * abs(high) or 1.0
    return (low if zero else low - room), high + room


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two limits.

    >>> ticks(0, 10), ticks(0.9, 2.1, 4)
    ([0.0, 2.0, 4.0, 6.0, 8.0, 10.0], [1.0, 1.5, 2.0])
    """
    raw = (high - low) / most
    step = 10 ** np.floor(np.log10(raw))
    step *= next(f for f in (1, 2, 5, 10) if f * step >= raw * (1 - 1e-9))
    return [round(float(v), 10) + 0.0 for v in np.arange(np.ceil(low / step - 1e-9) * step, high + step / 1e6, step)]


def decades(low: float, high: float) -> list[float]:
    """Powers of ten between two limits, every second one where there are many.

    >>> decades(1e-2, 10)
    [0.01, 0.1, 1.0, 10.0]
    """
    powers = list(range(int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9)) + 1))
    return [10.0**p for p in powers[:: 1 if len(powers) <= 6 else 2]]


def log_ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers between two limits of a logarithmic axis: 1, 2 and 5 times the powers of ten, or fewer where there are many.

    >>> log_ticks(20, 500), log_ticks(3, 4000), log_ticks(1, 9)
    ([20.0, 50.0, 100.0, 200.0, 500.0], [10.0, 100.0, 1000.0], [1.0, 2.0, 5.0])
    """
    tens = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    every = [float(f"{f}e{p}") for p in tens for f in (1, 2, 5)]
    within = [v for v in every if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
    return within if len(within) <= most + 1 else decades(low, high)


def power(value: float) -> str:
    """A power of ten that fits beneath an axis.

    >>> power(0.01), power(100000.0), power(1e-6)
    ('0.01', '1e5', '1e-6')
    """
    return f"{value:g}" if 0.001 < value < 10_000 else f"1e{round(np.log10(value))}"


def axes(frame: Frame, titles: tuple[str, str], x_ticks: Ticks = (), y_ticks: Ticks = ()) -> str:
    """Ticks, faint lines across, and titles with units; no box. Each kind is one element: a page holds hundreds of drawings."""
    parts = []
    if x_ticks:
        named = [(frame.at(value, frame.y[0])[0], words) for value, words in _named(x_ticks, frame.log_x)]
        short = "".join(f"M{round(px, 1):g} {frame.floor}v4" for px, _ in named)
        below = [text(px, frame.floor + 18, words) for px, words in named]
        parts += [f'<path d="{short}" class="axis"/>', texts(below, "middle")]
    if y_ticks:
        named = [(frame.at(frame.x[0], value)[1], words) for value, words in _named(y_ticks)]
        beside = [text(frame.left - 7, py + 4, words) for py, words in named]
        parts += [grid(frame, [py for py, _ in named]), texts(beside, "end")]
    parts.append(text((frame.left + frame.end) / 2, frame.height - 6, titles[0], "middle", "dim"))
    middle = (frame.top + frame.floor) / 2
    parts.append(
        f'<text transform="translate(12 {middle:g}) rotate(-90)" text-anchor="middle" class="dim">{escape(titles[1])}</text>'
        if titles[1]
        else ""
    )
    return "".join(parts)


def _named(marks: Ticks, powers: bool = False) -> list[tuple[float, str]]:
    """Each tick with its words, which are its number where it has none of its own."""
    return [m if isinstance(m, tuple) else (m, power(m) if powers else f"{m:g}") for m in marks]


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    """Words at the pixel of a point; nothing where there are none.

    >>> text(1, 2, "a & b")
    '<text x="1" y="2">a &amp; b</text>'
    """
    if not words:
        return ""
    end = "" if anchor == "start" else f' text-anchor="{anchor}"'
    sort = f' class="{kind}"' if kind else ""
    return f'<text x="{round(x)}" y="{round(y)}"{end}{sort}>{escape(words)}</text>'


def texts(parts: Sequence[str], anchor: str, kind: str = "") -> str:
    """Texts that stand by the same end and are of one kind, which is said once.

    >>> texts([text(1, 2, "a"), text(1, 3, "b")], "end")
    '<g text-anchor="end"><text x="1" y="2">a</text><text x="1" y="3">b</text></g>'
    """
    sort = f' class="{kind}"' if kind else ""
    return f'<g text-anchor="{anchor}"{sort}>{"".join(parts)}</g>'


def grid(frame: Frame, heights: Sequence[float]) -> str:
    """Faint lines from the left to where the data end."""
    lines = "".join(f"M{frame.left} {round(py, 1):g}H{frame.end}" for py in heights)
    return f'<path d="{lines}" class="grid"/>'


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places moved apart to at least `gap`, in the same order, within the limits as far as they suffice.

    >>> spread([5.0, 5.0, 50.0], 10, 0, 100)
    [0.0, 10.0, 50.0]
    """
    order = sorted(range(len(places)), key=lambda i: (places[i], i))
    ys = [places[i] for i in order]
    for _ in range(50):  # neighbours that are too close give way to both sides
        for i in range(len(ys) - 1):
            lack = max(0.0, gap - (ys[i + 1] - ys[i]))
            ys[i], ys[i + 1] = ys[i] - lack / 2, ys[i + 1] + lack / 2
    for i in range(len(ys)):
        ys[i] = max(ys[i], ys[i - 1] + gap if i else low)
    for i in reversed(range(len(ys))):
        ys[i] = min(ys[i], high - (len(ys) - 1 - i) * gap)
    found = [0.0] * len(ys)
    for place, i in enumerate(order):
        found[i] = round(ys[place], 1)
    return found


def drawing(width: int, height: int, label: str, parts: str, kind: str = "plot") -> Markup:
    """The SVG around the parts, which are safe already; `label` is what a screen reader says."""
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{parts}</svg>'
    )
