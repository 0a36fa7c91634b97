"""Histograms of the distance ratios of all encoders over each other, with the medians above them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from relic_eval.cells import Result
from reports.figures.style import DIM, dot, new_figure, pen
from reports.sections.distances import density, median_of
from reports.style import looks, short
from reports.words import number


def discriminability_figure(results: list[Result], baseline: str | None = None) -> Figure:
    """Outlines, the baseline beneath the others; above them medians with 95% intervals, in their order."""
    height = 3.0 + 0.2 * len(results)
    figure, (lanes, axes) = new_figure(
        1, 6.4, height, 2, sharex=True, gridspec_kw={"height_ratios": [0.2 * len(results) + 0.1, 2.6]}
    )
    look = looks(r.encoder for r in results)
    shape = density(sorted(results, key=lambda r: r.encoder != baseline))
    for name, (x, y) in shape.items():
        peak = int(y.argmax())
        held = np.flatnonzero(y)
        part = slice(max(0, held[0] - 1), held[-1] + 2)
        axes.plot(x[part], y[part], lw=1.6, **pen(look[name]))
        axes.plot(x[peak], y[peak], ms=6, **dot(look[name]))
    ranked = sorted(results, key=lambda r: -(median_of(r).value or 0))
    end = max(float(x[-1]) for x, _ in shape.values())
    for place, r in enumerate(ranked):
        m, its = median_of(r), look[r.encoder]
        if m.low is not None and m.high is not None:
            lanes.plot([m.low, m.high], [place, place], color=its.colour, lw=2.5, solid_capstyle="butt")
        lanes.plot(m.value or 0, place, "|", color=its.colour, ms=9, mew=1.6)
        lanes.plot(1.02, place, ms=5, transform=lanes.get_yaxis_transform(), clip_on=False, **dot(its))
        lanes.annotate(
            f"{number(m.value)}  {short(r.encoder)}",
            (end, place),
            (14, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
        )
    lanes.set(ylim=(len(ranked) - 0.5, -0.5), yticks=[], ylabel="median")
    lanes.yaxis.label.set(rotation=0, ha="right", va="center")
    lanes.tick_params(axis="x", length=0)
    for side in lanes.spines.values():
        side.set_visible(False)
    lanes.set_yticks(range(len(ranked)), labels=[])
    lanes.tick_params(axis="y", length=0)
    lanes.grid(axis="y")
    axes.grid(axis="y")
    for panel in (lanes, axes):
        panel.axvline(1, color=DIM, lw=0.8, ls=":", zorder=0)
    axes.set(xlabel="mean distance to other classes / to the own class", ylabel="% of test images", ylim=(0, None))
    axes.set_xlim(None, end)
    return figure
