"""Histograms over each other as outlines, medians with their intervals above, and beneath, on the same axis, cumulative shares."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from markupsafe import Markup

from relic_eval.records import Measurement
from reports.drawings.frame import Frame, axes, drawing, text, ticks
from reports.drawings.marks import marker, marks
from reports.style import Look, short
from reports.words import number

LANE = 18
WIDE, RIGHT, PANEL, GAP = 760, 206, 230, 30


@dataclass(frozen=True)
class Outline:
    """Images of one encoder by bin, those below the first edge first and those from the last one on at the end; the median."""

    look: Look
    edges_E: np.ndarray
    count_B: np.ndarray  # one more than there are edges
    median: Measurement
    below: float  # share of images left of the reference

    @property
    def percent(self) -> np.ndarray:
        """Per cent of all images in each bin between two edges."""
        return 100 * self.count_B[1:-1] / self.count_B.sum()

    @cached_property
    def cumulative(self) -> np.ndarray:
        """Per cent of all images below each edge."""
        return 100 * np.cumsum(self.count_B)[:-1] / self.count_B.sum()


def panels(shown: Sequence[Outline], reference: float) -> tuple[Frame, Frame]:
    """Where the histograms and the cumulative shares lie: one axis of ratios for both."""
    lanes, edges_E = LANE * len(shown) + 30, shown[0].edges_E
    x = (min(float(edges_E[0]), reference), float(edges_E[-1]))
    top = max(float(o.percent.max()) for o in shown) * 1.06 or 1.0
    first = Frame(x, (0, top), WIDE, lanes + PANEL + 8, right=RIGHT, top=lanes, bottom=8)
    labels = 18 * len(shown) + 20  # each name has a place at the height where its line is
    high = max(PANEL, labels)
    return first, Frame(x, (0, 100), WIDE, first.height + GAP + high + 44, right=RIGHT, top=first.height + GAP)


def outlines(shown: Sequence[Outline], titles: tuple[str, str, str], label: str, reference: float) -> Markup:
    """Drawn in the order given: outlines with their names by the lanes of their medians, then cumulative shares with theirs."""
    first, second = panels(shown, reference)
    by_median = sorted(shown, key=lambda o: -(o.median.value or 0))
    px = first.at(reference, 0)[0]
    parts = [axes(first, ("", titles[1]), (), ticks(*first.y, 5))]
    parts.append(axes(second, (titles[0], titles[2]), ticks(*second.x, 8), ticks(0, 100, 5)))
    parts.append(
        f'<path d="M{px:.1f} 18V{first.floor}M{px:.1f} {second.top}V{second.floor}" class="axis" stroke-dasharray="2 3"/>'
    )
    parts.append(text(first.end + 24, 12, "Median", kind="dim"))
    parts.append(text(first.end + 24, second.top - 10, f"% below {reference:g}", kind="dim"))
    lanes = {o.look.name: LANE * place + 26 for place, o in enumerate(by_median)}
    named = dict(
        zip((o.look.name for o in by_median[::-1]), levels(len(shown)), strict=True)
    )  # the leftmost line first
    leads = "".join(f"M{first.left} {y}H{first.end + 4}" for y in lanes.values())
    parts.append(f'<path d="{leads}" class="grid"/>')
    for place, o in enumerate(shown):
        y, level = lanes[o.look.name], named[o.look.name]
        peak = int(o.percent.argmax())
        top = first.at(float(o.edges_E[peak : peak + 2].mean()), float(o.percent[peak]))
        x, low = second.at(float(np.interp(level, o.cumulative, o.edges_E)), level)
        curve = [second.at(x, c) for x, c in zip(o.edges_E, o.cumulative, strict=True)]
        parts += [_lane(o, first, y), f'<path d="M{x:.1f} {low:.1f}H{first.end + 4}" class="lead"/>']
        parts.append(text(first.end + 24, low + 4, f"{100 * o.below:.1f} {short(o.look.name, 17)}"))
        at = [(first.end + 12, y), top, (x, low), (first.end + 12, low)]
        parts += [
            _drawn(o.look, _steps(o, first), _relative(curve)),
            marker(o.look, f"o{place}", 5),
            marks(f"o{place}", at),
        ]
    return drawing(WIDE, second.height, label, "".join(parts), "plot large")


def levels(count: int) -> list[float]:
    """Heights, in per cent from the top down, at which so many lines are named: apart, and around the middle.

    >>> levels(1), levels(2), [round(v) for v in levels(12)][::11]
    ([50.0], [60.0, 40.0], [92, 8])
    """
    step = min(20.0, 84 / max(count - 1, 1))
    return [50 + step * (count - 1) / 2 - step * place for place in range(count)]


def _steps(o: Outline, frame: Frame) -> str:
    """A histogram as a path of steps, without a line along the axis where there is no image."""
    held = np.flatnonzero(o.percent)
    start, stop = (int(held[0]), int(held[-1]) + 1) if len(held) else (0, 0)
    xs = [round(frame.at(float(x), 0)[0]) for x in o.edges_E[start : stop + 1]]
    ys = [frame.floor, *(round(frame.at(0, float(y))[1]) for y in o.percent[start:stop]), frame.floor]
    ups = [f"v{below - above}" for above, below in itertools.pairwise(ys)]
    across = [f"h{right - left}" for left, right in itertools.pairwise(xs)]
    return f"M{xs[0]} {ys[0]}" + "".join(u + a for u, a in zip(ups, across, strict=False)) + ups[-1]


def _relative(points: Sequence[tuple[float, float]]) -> str:
    """A line as a path of short steps between whole pixels; it is the places that are rounded, so that errors do not add up.

    >>> _relative([(10, 10), (12.52, 9), (20, 9)])
    'M10 10l3-1 7 0'
    """
    at = [(round(x), round(y)) for x, y in points]
    steps = [f"{x1 - x0}{'-' if y1 < y0 else ' '}{abs(y1 - y0)}" for (x0, y0), (x1, y1) in itertools.pairwise(at)]
    return f"M{at[0][0]} {at[0][1]}l" + " ".join(steps)


def _drawn(look: Look, *paths: str) -> str:
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    return f'<path d="{"".join(paths)}" fill="none" stroke="{look.colour}" stroke-width="2"{dash}/>'


def _lane(o: Outline, frame: Frame, y: int) -> str:
    """The median and its interval above the histograms, and the name."""
    m = o.median
    at = frame.at(_within(m.value or 0, frame), 0)[0]
    bar = ""
    if m.low is not None and m.high is not None:
        a, b = (frame.at(_within(v, frame), 0)[0] for v in (m.low, m.high))
        bar = f"M{a:.1f} {y}H{b:.1f}"
    path = f'<path d="{bar}M{at:.1f} {y - 7}v14" stroke="{o.look.colour}" stroke-width="2.5"/>'
    return path + text(frame.end + 24, y + 4, f"{number(m.value)} {short(o.look.name, 17)}")


def _within(value: float, frame: Frame) -> float:
    return min(max(value, frame.x[0]), frame.x[1])
