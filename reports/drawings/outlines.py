"""Histograms over each other as outlines, with medians and their intervals in lanes above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from relic_eval.records import Measurement
from reports.drawings.frame import Frame, axes, drawing, text, ticks
from reports.drawings.marks import line, mark
from reports.style import Look, short
from reports.words import number

LANE = 18


@dataclass(frozen=True)
class Outline:
    """A histogram (per cent a bin, at the middle of the bin) and the median."""

    look: Look
    x: np.ndarray
    y: np.ndarray
    median: Measurement


def outlines(shown: Sequence[Outline], titles: tuple[str, str], label: str, reference: float) -> Markup:
    """Drawn in the order given; names in the order of their medians, each in the lane of its median."""
    by_median = sorted(shown, key=lambda o: -(o.median.value or 0))
    lanes = LANE * len(shown) + 14
    x0, x1 = float(min(o.x[0] for o in shown)), float(max(o.x[-1] for o in shown))
    top = max(float(o.y.max()) for o in shown) * 1.06
    frame = Frame((min(x0, reference), x1), (0, top), 760, 280 + lanes, right=206, top=lanes)
    parts = [axes(frame, titles, ticks(*frame.x, 8), ticks(*frame.y, 5))]
    px = frame.at(reference, 0)[0]
    parts.append(f'<path d="M{px:.1f} 4V{frame.floor}" class="axis" stroke-dasharray="2 3"/>')
    for o in shown:
        held = np.flatnonzero(o.y)  # no line along the axis where there is no image
        part = slice(max(0, held[0] - 1), held[-1] + 2)
        points = [frame.at(x, y) for x, y in zip(o.x[part], o.y[part], strict=True)]
        parts.append(line(o.look, points))
        parts.append(mark(o.look, *points[int(o.y[part].argmax())], 5))
    for place, o in enumerate(by_median):
        parts.append(_lane(o, frame, LANE * place + 10))
    return drawing(frame.width, frame.height, label, "".join(parts), "plot large")


def _lane(o: Outline, frame: Frame, y: int) -> str:
    m = o.median
    at = frame.at(min(m.value or 0, frame.x[1]), 0)[0]
    parts = [f'<path d="M{at:.1f} {y}H{frame.end + 4}" class="grid"/>']
    if m.low is not None and m.high is not None:
        a, b = (frame.at(min(v, frame.x[1]), 0)[0] for v in (m.low, m.high))
        parts.append(f'<path d="M{a:.1f} {y}H{b:.1f}" stroke="{o.look.colour}" stroke-width="3"/>')
    parts.append(f'<path d="M{at:.1f} {y - 7}v14" stroke="{o.look.colour}" stroke-width="2.5"/>')
    parts.append(mark(o.look, frame.end + 12, y, 4.5))
    parts.append(text(frame.end + 24, y + 4, f"{number(m.value)} {short(o.look.name, 17)}"))
    return "".join(parts)
