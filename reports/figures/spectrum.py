"""Eigenvalues of the covariance of test embeddings over their ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from relic_eval.cells import Result
from reports.figures.panels import Line, Panel, by_task, panels_figure
from reports.figures.style import WIDTH, look_of
from reports.style import Look

PROTOCOL = "spectrum"
DRAWN = 60  # ranks of a line, evenly apart on the logarithm
LEAST = 1e-6  # of the largest eigenvalue; what is smaller is rounding


def spectrum_figure(
    results: Sequence[Result], order: Sequence[str], look: Mapping[str, Look] | None = None, width: float = WIDTH
) -> Figure | None:
    """A panel a task, each line over its largest eigenvalue; None where no encoder has the protocol."""
    look, panels = look_of(look, [r.encoder for r in results]), []
    for its in by_task(results, PROTOCOL, order).values():
        lines = [line for r in its if (line := eigenvalues(r, look[r.encoder]))]
        if lines:
            panels.append(Panel(its[0].about["title"], lines, "eigenvalue / largest"))
    if not panels:
        return None
    most = max(x for panel in panels for line in panel.lines for x in line.x)
    ticks = [10.0**p for p in range(int(np.log10(most)) + 1)]
    return panels_figure(panels, order, "rank", width, log_x=True, log_y=True, ticks=ticks)


def eigenvalues(result: Result, look: Look) -> Line | None:
    """The line of one cell; None where all eigenvalues are 0."""
    curves = result.cell.curves or {}
    value_R = np.asarray(curves.get("y", []), float)
    value_R = value_R[value_R > LEAST * value_R.max(initial=0.0)]
    if not len(value_R):
        return None
    rank_R = np.unique(np.geomspace(1, len(value_R), min(DRAWN, len(value_R))).round().astype(int))
    return Line(look, rank_R.tolist(), (value_R[rank_R - 1] / value_R[0]).tolist())
