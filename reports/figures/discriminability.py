"""Histograms of the distance ratios of all encoders over each other."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from relic_eval.results import Result
from reports.figures.style import new_figure
from reports.sections import density
from reports.style import colours, short


def discriminability_figure(results: list[Result]) -> Figure:
    """Outlines with medians as triangles; `results` are discriminability cells of one task."""
    figure, (axes,) = new_figure()
    colour = colours([r.encoder for r in results])
    for name, (x, y) in density(results).items():
        axes.plot(x, y, color=colour[name], label=short(name))
    for r in results:
        score = (r.cell.predictions or {})["score"]
        axes.plot(np.nanmedian(score), 0, "^", color=colour[r.encoder], clip_on=False)
    axes.set(xlabel="mean distance to other classes / to the own class", ylabel="% of test images", ylim=(0, None))
    axes.legend(frameon=False)
    return figure
