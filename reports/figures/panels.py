"""A panel a task, a line an encoder: what curves over labels, strengths, penalties and directions have in common."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from relic_eval.cells import Result
from reports.drawings.frame import decades
from reports.figures.style import LETTER, LINE, SMALL, WIDTH, dot, end_names, in_style, keys, new_figure, pen, wrapped
from reports.sections.choose import in_order, of_protocol
from reports.style import Look

NARROWEST = 1.55  # inches of a panel
WITH_BARS = 6  # encoders whose intervals are drawn; of more they would cover each other


@dataclass(frozen=True)
class Line:
    """One encoder over a number; where `low` and `high` are there, its intervals. `marked` are the places that carry its mark."""

    look: Look
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    marked: Sequence[int] = ()


@dataclass(frozen=True)
class Panel:
    """The lines of one task, and what stands above and beside them."""

    title: str
    lines: Sequence[Line]
    upwards: str = ""


def by_task(results: Iterable[Result], protocol: str, order: Sequence[str]) -> dict[str, list[Result]]:
    """The cells of a protocol task by task, those of most test images first, encoders in order."""
    found = of_protocol(results, protocol, None)
    tests = {r.task: r.about["counts"]["test"] for r in found}
    names = sorted(tests, key=lambda t: (-tests[t], t))
    return {name: in_order([r for r in found if r.task == name], order) for name in names}


def power(value: float) -> str:
    """A power of ten as people write it.

    >>> power(1.0), power(1e-6), power(100.0)
    ('1', '10⁻⁶', '10²')
    """
    exponent = f"{round(np.log10(value))}"
    return "1" if exponent == "0" else "10" + exponent.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


@in_style
def panels_figure(
    panels: Sequence[Panel],
    order: Sequence[str],
    sideways: str,
    width: float = WIDTH,
    *,
    log_x: bool = False,
    log_y: bool = False,
    ticks: Sequence[float] = (),
    labels: Sequence[str] = (),
) -> Figure:
    """All panels with their own limits upwards; names beside the last point of a single panel, beneath several."""
    found = {line.look.name: line.look for panel in panels for line in panel.lines}
    looks = [found[name] for name in dict.fromkeys([*order, *found]) if name in found]
    across = max(1, min(len(panels), int(width / NARROWEST)))
    rows = -(-len(panels) // across)
    across, alone = -(-len(panels) // rows), len(panels) == 1
    tall = max(1.6, 0.45 * width, LINE * len(looks) + 0.3) if alone else 1.65
    figure, every = new_figure(across, width, min(tall, 0.8 * width) if alone and len(looks) < 9 else tall * rows, rows)
    for spare in every[len(panels) :]:
        spare.set_visible(False)
    for place, (axes, panel) in enumerate(zip(every, panels, strict=False)):
        _draw(axes, panel.lines, log_x)
        if log_x:
            axes.set_xscale("log")
        if log_y:
            axes.set_yscale("log")
            tens = decades(*axes.get_ylim())
            axes.set_yticks(tens, [power(t) for t in tens])
            axes.yaxis.set_minor_locator(NullLocator())
        if ticks:
            axes.set_xticks(ticks, labels or [f"{t:g}" for t in ticks])
            axes.xaxis.set_minor_locator(NullLocator())
        axes.grid(axis="y")
        wide = int((width / across - 0.45) / LETTER / 0.92)
        axes.set_title("\n".join(textwrap.wrap(panel.title, wide, max_lines=2, placeholder=" …")), loc="left", size=7.5)
        if place % across == 0 or panel.upwards != panels[place - 1].upwards:
            axes.set_ylabel(panel.upwards)
        if place >= len(panels) - across:
            axes.set_xlabel(wrapped(sideways, width / across - 0.5), size=SMALL)
    if alone:
        last = [(line.look, line.y[-1]) for line in panels[0].lines]
        end_names(every[0], last, figure.get_figheight() - 0.6)
    else:
        keys(figure, looks, dots=any(line.marked for panel in panels for line in panel.lines))
    return figure


def _draw(axes: Any, lines: Sequence[Line], log_x: bool) -> None:
    bars = len(lines) <= WITH_BARS
    for place, line in enumerate(lines):
        x, y = np.asarray(line.x, float), np.asarray(line.y, float)
        aside = 0.015 * (place - (len(lines) - 1) / 2) if bars and len(line.low) else 0.0  # intervals side by side
        x = x * 10**aside if log_x else x + 4 * aside
        axes.plot(x, y, lw=1.3, **pen(line.look))
        marked = list(line.marked)
        axes.plot(x[marked], y[marked], ms=4, **dot(line.look))
        if bars and len(line.low):
            axes.vlines(x, line.low, line.high, color=line.look.colour, lw=0.9)
