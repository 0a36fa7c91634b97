"""Accuracy over what an encoder costs: a mark an encoder with its interval, names at the right; the script moves what is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from reports.drawings.frame import Frame, drawing, limits, log_ticks, spread, text, ticks
from reports.drawings.marks import mark
from reports.style import Look, short

WIDTH, LEFT, RIGHT, GAP = 760, 52, 196, 17
NAMED = 24  # encoders with names at the right, the best first; others have marks alone


@dataclass(frozen=True)
class Upward:
    """One thing to draw upwards: of each encoder value, low and high in per cent (the ends are None where there are none)."""

    values: Sequence[tuple[float, float | None, float | None] | None]


def height(count: int) -> int:
    """Of the drawing, so that the names have room.

    >>> height(3), height(20)
    (320, 416)
    """
    return max(320, 76 + GAP * min(count, NAMED))


def across(numbers: Sequence[float | None], count: int) -> dict[str, Any]:
    """Pixels from the left of numbers on a logarithmic axis, and its ticks."""
    there = [n for n in numbers if n]
    frame = _frame(count, x=(0.8 * min(there), 1.25 * max(there)))
    at = [None if not n else round(frame.at(n, 0)[0]) for n in numbers]
    marked = log_ticks(*frame.x) or sorted({float(f"{n:.2g}") for n in there})[:1]  # all of about one size
    return {"at": at, "ticks": [[round(frame.at(t, 0)[0]), f"{t:,.12g}"] for t in marked]}


def upward(its: Upward) -> dict[str, Any]:
    """Pixels from the top of value, low, high and name of each encoder on a linear axis, and its ticks."""
    count = len(its.values)
    ends = [x for v in its.values if v for x in v if x is not None]
    frame = _frame(count, y=limits(ends))
    tops = [None if v is None else [None if x is None else round(frame.at(1, x)[1]) for x in v] for v in its.values]
    first = {i: t[0] for i, t in enumerate(tops) if t and t[0] is not None}
    order = sorted(first, key=lambda i: (first[i], i))[:NAMED]
    named = dict(zip(order, spread([first[i] for i in order], GAP, frame.top, frame.floor), strict=True))
    at = [None if t is None else [*t, round(named[i]) if i in named else None] for i, t in enumerate(tops)]
    return {"at": at, "ticks": [[round(frame.at(1, t)[1]), f"{t:g}"] for t in ticks(*frame.y, 6)]}


def _frame(count: int, x: tuple[float, float] = (1, 10), y: tuple[float, float] = (0, 1)) -> Frame:
    return Frame(x, y, WIDTH, height(count), LEFT, RIGHT, 14, 46, log_x=True)


def sizes(looks: Sequence[Look], x: dict[str, Any], y: dict[str, Any], titles: tuple[str, str], label: str) -> Markup:
    """The drawing of one choice of both; parts that move carry what the script looks for."""
    frame = _frame(len(looks))
    middle = (frame.top + frame.floor) / 2
    parts = [
        f'<g data-y="">{y_ticks(y)}</g><g data-x="">{"".join(_x_tick(p, w, frame.floor) for p, w in x["ticks"])}</g>',
        f'<path class="axis" d="M{LEFT} {frame.floor}H{frame.end}"/>',
        f'<text data-title="" x="{(LEFT + frame.end) / 2:g}" y="{frame.height - 6}" text-anchor="middle" class="dim">{escape(titles[0])}</text>',
        f'<text transform="translate(12 {middle:g}) rotate(-90)" text-anchor="middle" class="dim">{escape(titles[1])}</text>',
        *(_its(look, left, place, frame.end) for look, left, place in zip(looks, x["at"], y["at"], strict=True)),
    ]
    return drawing(WIDTH, frame.height, label, "".join(parts), "plot large")


def y_ticks(y: dict[str, Any]) -> str:
    """Lines across with their numbers."""
    line = '<path d="M{} {}H{}" class="grid"/>'
    return "".join(line.format(LEFT, p, WIDTH - RIGHT) + text(LEFT - 7, p + 4, w, "end") for p, w in y["ticks"])


def _x_tick(place: int, words: str, floor: int) -> str:
    return f'<path d="M{place} {floor}v4" class="axis"/>' + text(place, floor + 18, words, "middle")


def _its(look: Look, left: int | None, place: Sequence[int | None] | None, end: int) -> str:
    """Lead to the name, interval, mark and name, in that order; not displayed where a number is missing."""
    gone = left is None or place is None
    x, (y, low, high, name) = left or 0, place or (0, None, None, None)
    whisker = "" if low is None or high is None else f"M{x} {low}V{high}"
    lead = "" if name is None else f"M{x} {y}L{end + 8} {name}"
    return (
        f'<g data-its=""{" display=" + chr(34) + "none" + chr(34) if gone else ""}><path class="lead" d="{lead}"/>'
        f'<path stroke="{look.colour}" stroke-width="1.5" d="{whisker}"/><g transform="translate({x} {y})">{mark(look, 0, 0, 5.5)}</g>'
        f'<g transform="translate({end + 16} {name or 0})"{" display=" + chr(34) + "none" + chr(34) if name is None else ""}>'
        f"{mark(look, 0, 0, 4)}{text(10, 4, short(look.name, 22))}</g></g>"
    )
