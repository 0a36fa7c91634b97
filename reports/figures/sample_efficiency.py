"""Accuracy over steps, images, views and FLOPs of encoders that were measured while they trained; several seeds where there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.drawings.frame import log_ticks, spread
from reports.figures.style import DIM, dot, new_figure, pen
from reports.sections.efficiency import MEASURES, TITLES, known, logarithmic, shown_counts
from reports.style import Look, looks, short
from reports.words import scale

Rows = Sequence[Mapping[str, float]]
ABOUT = "Measured on pictures that the encoder trains on and the probe does not"


def sample_efficiency_figure(
    runs: Mapping[str, Rows | Sequence[Rows]], *, level: float | None = None, look: Mapping[str, Look] | None = None
) -> Figure:
    """A row a measure, a column a count, one scale upwards; `level` is an accuracy that a dotted line marks.

    Each name has the rows of a `monitor.csv` (`relic_eval.monitor.read_monitor`), or a list of those, one a seed: thin lines,
    with their mean, thick, at the steps that all of them have. Rows without a number are passed over.
    """
    seeds = {name: _seeds(found) for name, found in runs.items()}
    every = {f"{name} {place}": rows for name, found in seeds.items() for place, rows in enumerate(found)}
    counts, log_x = shown_counts(every), logarithmic(every)
    measures = [m for m in MEASURES if any(known(rows, m) for rows in every.values())]
    figure, panels = new_figure(
        len(counts), 2.1 * len(counts) + 0.9, 1.9 * len(measures) + 0.35, len(measures), sharey=True, sharex="col"
    )
    look = look or looks(runs)
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
            axes.set_xticks(log_ticks(low, high), [f"{v:g}" for v in log_ticks(low, high)])
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
            _names(axes, ends)
    several = any(len(found) > 1 for found in seeds.values())
    figure.suptitle(ABOUT + ("; thin: single seeds, thick: their mean" if several else ""), x=0.01, ha="left", size=9)
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


def _seeds(found: Any) -> list[Rows]:
    """Several runs as they are, one run as the only one."""
    return [found] if found and isinstance(found[0], Mapping) else [rows for rows in found if len(rows)]


def _lines(
    axes: Any, look: Look, found: Sequence[Rows], measure: str, count: str, factor: float
) -> list[tuple[Look, float, float]]:
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
            return [(look, float(thick[0][-1]), float(thick[1][-1]))]
        thick = (mean[:, 0] / factor, 100 * mean[:, 1])
    axes.plot(*thick, lw=1.8, **pen(look))
    axes.plot(thick[0][-1:], thick[1][-1:], ms=4.5, **dot(look))
    return [(look, float(thick[0][-1]), float(thick[1][-1]))]


def _names(axes: Any, ends: Sequence[tuple[Look, float, float]]) -> None:
    """Each name at the right of the last panel, as high as its line ends, apart from the others."""
    low, high = axes.get_ylim()
    places = spread([y for _, _, y in ends], 0.11 * (high - low), low, high)
    right = axes.get_yaxis_transform()
    for (look, _, _), place in zip(ends, places, strict=True):
        axes.plot(1.04, place, ms=4.5, transform=right, clip_on=False, **dot(look))
        axes.annotate(
            short(look.name, 14), (1.04, place), (6, 0), right, textcoords="offset points", va="center", fontsize=8
        )
