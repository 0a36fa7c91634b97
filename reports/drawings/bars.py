"""Bars above and below zero with their intervals: groups side by side, or a panel a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from markupsafe import Markup

from reports.drawings.frame import Frame, axes, drawing, text, texts, ticks
from reports.drawings.legend import legend
from reports.drawings.marks import mark, outline
from reports.style import Look, short

WIDTH = 1080
Change = tuple[float, float, float] | None  # value, low, high


@dataclass(frozen=True)
class Bars:
    """Of one encoder: a change a task, None where there is none."""

    look: Look
    changes: Sequence[Change]


def grouped(names: Sequence[str], bars: Sequence[Bars], limit: float, y_title: str, label: str) -> Markup:
    """A group a task, in it a bar an encoder in the order of the names above, its mark at its foot; arrows go beyond the axis."""
    above, top = legend([b.look for b in bars], 58, WIDTH)
    step = (WIDTH - 70) / len(names)
    lines = [wrap(name, max(6, int(step / 7.2)), max_lines=3, placeholder="…") or [""] for name in names]
    deep = 14 * max(map(len, lines))
    frame = Frame(
        (0, len(names)), (-limit, limit), WIDTH, top + 268 + deep, left=58, right=12, top=top, bottom=18 + deep
    )
    wide = min(26.0, (step - min(18, step / 4)) / len(bars))
    parts = [above, axes(frame, ("", y_title)), _levels(frame)]
    for place, its in enumerate(lines):
        x = frame.at(place + 0.5, 0)[0]
        parts += [text(x, frame.floor + 18 + 14 * n, words, "middle") for n, words in enumerate(its)]
    for number, b in enumerate(bars):
        lefts = [frame.at(p + 0.5, 0)[0] + wide * (number - len(bars) / 2) for p in range(len(names))]
        parts.append(_upright(b, lefts, wide, frame))
    return drawing(WIDTH, frame.height, label, "".join(parts), "plot broad")


def _upright(b: Bars, lefts: Sequence[float], wide: float, frame: Frame) -> str:
    body, whisker, arrow, feet = [], [], [], []
    zero = frame.at(0, 0)[1]
    size = round(min(3.6, 0.36 * wide), 1)
    for left, change in zip(lefts, b.changes, strict=True):
        if change is None:
            continue
        y, low, high = (frame.at(0, _cut(v, frame.y[1]))[1] for v in change)
        middle, room = left + wide / 2, wide - min(2.0, wide / 5)
        body.append(f"M{left:.1f} {zero:.1f}h{room:.1f}V{y:.1f}h-{room:.1f}z")
        whisker.append(f"M{left + room / 2:.1f} {low:.1f}V{high:.1f}")
        if abs(change[0]) > frame.y[1]:
            way = -1 if change[0] > 0 else 1
            arrow.append(f"M{left:.1f} {y:.1f}h{room:.1f}l-{room / 2:.1f} {6 * way}z")
        feet.append(outline(b.look, middle - (wide - room) / 2, zero + (7 if change[0] > 0 else -7), size))
    its = f'<path fill="{b.look.colour}" d="{"".join([*body, *feet])}"/>'
    return its + _over("".join(whisker), "".join(arrow))


def _over(whisker: str, arrow: str) -> str:
    return f'<path class="whisker" d="{whisker}"/>' + (f'<path class="ink" d="{arrow}"/>' if arrow else "")


def _cut(value: float, limit: float) -> float:
    return max(-limit, min(limit, value))


def _levels(frame: Frame) -> str:
    """Lines across with their numbers, zero darker."""
    parts = []
    for value in ticks(*frame.y, 6):
        y = frame.at(0, value)[1]
        parts.append(f'<path class="{"grid" if value else "axis"}" d="M{frame.left} {y:.1f}H{frame.end}"/>')
        parts.append(text(frame.left - 7, y + 4, _signed(value), "end"))
    return "".join(parts)


def _signed(value: float) -> str:
    """A tick with its sign and a true minus.

    >>> _signed(-2.5), _signed(0.0), _signed(10.0)
    ('−2.5', '0', '+10')
    """
    return f"{value:+g}".replace("-", "−") if value else "0"


ROW, ACROSS, PANEL, GAP, NAMES = 15, 5, 164, 18, 158  # pixels of a row, a panel, between panels, and of the names


def panels(names: Sequence[str], bars: Sequence[Bars], limit: float, x_title: str, label: str) -> Markup:
    """A panel an encoder, in it a bar a task to the right or left of zero; tasks are named at the left of each line of panels."""
    high = 26 + ROW * len(names) + 40
    parts = []
    for number, b in enumerate(bars):
        down, across = divmod(number, ACROSS)
        left, top = NAMES + across * (PANEL + GAP), down * high + 26
        if across == 0:
            beside = [text(NAMES - 10, top + ROW * p + 12, _fit(n)) for p, n in enumerate(names)]
            parts.append(texts(beside, "end", "tight"))
        parts.append(_panel(b, left, top, limit, len(names)))
    rows = -(-len(bars) // ACROSS)
    parts.append(text(NAMES, rows * high + 6, x_title, kind="dim"))
    return drawing(WIDTH, rows * high + 14, label, "".join(parts), "plot broad")


def _fit(name: str) -> str:
    return name if len(name) <= 24 else name[:15] + "…" + name[-8:]


def _panel(b: Bars, left: int, top: int, limit: float, count: int) -> str:
    def place(value: float) -> float:
        return left + PANEL / 2 * (1 + _cut(value, limit) / limit)

    floor, middle = top + ROW * count, round(left + PANEL / 2)
    lines = "".join(f"M{place(v):.0f} {top}V{floor}" for v in (-limit, -limit / 2, limit / 2, limit))
    ends = ((-limit, "start"), (0.0, "middle"), (limit, "end"))  # within the panel, beside that of its neighbour
    words = "".join(text(round(place(v)), floor + 15, _signed(v), anchor) for v, anchor in ends)
    parts = [mark(b.look, left + 6, top - 12, 5), text(left + 16, top - 8, short(b.look.name, 20))]
    parts.append(f'<path class="grid" d="{lines}"/><g class="tight">{words}</g>')
    body, whisker, arrow = [], [], []
    for number, change in enumerate(b.changes):
        if change is None:
            continue
        y, (x, low, high) = top + ROW * number + 8, (place(v) for v in change)
        body.append(f"M{middle} {y}H{x:.0f}")
        whisker.append(f"M{low:.0f} {y}H{high:.0f}")
        if abs(change[0]) > limit:
            arrow.append(f"M{x:.0f} {y - 5}v10l{6 if change[0] > 0 else -6}-5z")
    parts.append(f'<path stroke="{b.look.colour}" stroke-width="9" d="{"".join(body)}"/>')
    parts.append(_over("".join(whisker), "".join(arrow)))
    return "".join(parts) + f'<path class="axis" d="M{middle} {top}V{floor}"/>'
