"""Accuracy over steps, images, views and FLOPs of encoders that were measured while they trained; several seeds where there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.drawings.frame import log_ticks
from reports.figures.style import DIM, LETTER, SMALL, WIDTH, dot, end_names, in_style, new_figure, pen, wrapped
from reports.sections.training.efficiency import MEASURES, TITLES, known, logarithmic, shown_counts
from reports.style import Look, looks
from reports.words import scale

Rows = Sequence[Mapping[str, float]]
ABOUT = "Measured on pictures that the encoder trains on and the probe does not"
NARROWEST = 1.2  # inches of a panel
FIRST = ("images", "flops", "step", "views")  # counts that stay where the width is too small for all


@in_style
def sample_efficiency_figure(
    runs: Mapping[str, Rows | Sequence[Rows]],
    *,
    level: float | None = None,
    look: Mapping[str, Look] | None = None,
    width: float = WIDTH,
) -> Figure:
    """A row a measure, a column a count, one scale upwards; `level` is an accuracy that a dotted line marks.

    Where the width is too small for all counts, images and FLOPs stay.

    Each name has the rows of a `monitor.csv` (`relic_eval.monitor.read_monitor`), or a list of those, one a seed: thin lines,
    with their mean, thick, at the steps that all of them have. Rows without a number are passed over.
    """
    seeds = {name: _seeds(found) for name, found in runs.items()}
    every = {f"{name} {place}": rows for name, found in seeds.items() for place, rows in enumerate(found)}
    log_x, look, beside = logarithmic(every), look or looks(runs), LETTER * 14 + 0.6
    counts = _fit(shown_counts(every), int((width - beside) / NARROWEST))
    measures = [m for m in MEASURES if any(known(rows, m) for rows in every.values())]
    tall = max(1.6, 0.145 * len(runs) + 0.4)
    figure, panels = new_figure(
        len(counts), width, tall * len(measures) + 0.35, len(measures), sharey=True, sharex="col"
    )
    factors = {c: scale(max(r[c] for rows in every.values() for r in known(rows, c)), c == "flops") for c in counts}
    for place, axes in enumerate(panels):
        measure, count = measures[place // len(counts)], counts[place % len(counts)]
        factor, unit = factors[count]
        ends = []
        for name, found in seeds.items():
            ends += _lines(axes, look[name], [known(rows, measure, count) for rows in found], measure, count, factor)
        if log_x:
            axes.set_xscale("log")
            low, high = axes.get_xlim()
            ticks = log_ticks(low, high, 3)
            axes.set_xticks(ticks, [f"{v:g}" for v in ticks])
            axes.minorticks_off()
        else:
            axes.set_xlim(0, None)
        if level is not None and measure == "linear":
            axes.axhline(100 * level, color=DIM, lw=0.8, ls=":", zorder=0)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.grid(axis="y")
        if place >= len(panels) - len(counts):
            axes.set_xlabel(TITLES[count] + unit)
        if place % len(counts) == 0:
            axes.set_ylabel(f"{MEASURES[measure]}, %")
        if place % len(counts) == len(counts) - 1:
            end_names(axes, ends, tall - 0.2)
    several = any(len(found) > 1 for found in seeds.values())
    said = ABOUT + ("; thin: single seeds, thick: their mean" if several else "")
    figure.suptitle(wrapped(said, width), x=0.01, ha="left", size=SMALL, color=DIM)
    return figure


def mean_over_seeds(found: Sequence[Rows], measure: str, count: str) -> list[tuple[float, float]]:
    """(count, measure) averaged over seeds at each step that all of them have with both numbers.

    >>> a = [{"step": 1, "flops": 2.0, "knn": 0.5}, {"step": 2, "flops": 4.0, "knn": 0.6}]
    >>> mean_over_seeds([a, [{"step": 2, "flops": 4.0, "knn": 1.0}]], "knn", "flops")
    [(4.0, 0.8)]
    """
    by_step = [{row["step"]: row for row in known(rows, measure, count)} for rows in found]
    shared = sorted(set.intersection(*(set(rows) for rows in by_step))) if by_step else []
    return [tuple(float(np.mean([rows[s][n] for rows in by_step])) for n in (count, measure)) for s in shared]  # type: ignore[misc]


def _fit(counts: Sequence[str], most: int) -> list[str]:
    """As many of the counts as fit, at least one, in their order."""
    kept = sorted(counts, key=FIRST.index)[: max(1, most)]
    return [c for c in counts if c in kept]


def _seeds(found: Any) -> list[Rows]:
    """Several runs as they are, one run as the only one."""
    return [found] if found and isinstance(found[0], Mapping) else [rows for rows in found if len(rows)]


def _lines(
    axes: Any, look: Look, found: Sequence[Rows], measure: str, count: str, factor: float
) -> list[tuple[Look, float]]:
    """Draw one encoder; returns where its name belongs, or nothing."""
    found = [rows for rows in found if rows]
    single = [
        (np.array([r[count] for r in rows]) / factor, np.array([100 * r[measure] for r in rows])) for rows in found
    ]
    if not single:
        return []
    thick = single[0]
    if len(single) > 1:
        for x, y in single:
            axes.plot(x, y, lw=0.6, alpha=0.6, color=look.colour)
        mean = np.array(mean_over_seeds(found, measure, count))
        if not len(mean):
            return [(look, float(thick[1][-1]))]
        thick = (mean[:, 0] / factor, 100 * mean[:, 1])
    axes.plot(*thick, lw=1.6, **pen(look))
    axes.plot(thick[0][-1:], thick[1][-1:], ms=4.5, **dot(look))
    return [(look, float(thick[1][-1]))]
