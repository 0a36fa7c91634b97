"""Validation accuracy along the path of penalties, the chosen one marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from relic_eval.cells import Result
from reports.drawings.frame import decades
from reports.figures.panels import Line, Panel, by_task, panels_figure, power
from reports.figures.style import WIDTH, look_of
from reports.sections.why.probes import LINEAR, chosen_place, path_of
from reports.style import Look
from reports.words import METRICS


def penalty_path_figure(
    results: Sequence[Result], order: Sequence[str], look: Mapping[str, Look] | None = None, width: float = WIDTH
) -> Figure | None:
    """A panel a task; None where no cell has a path."""
    look, panels, seen = look_of(look, [r.encoder for r in results]), [], []
    for its in by_task(results, LINEAR, order).values():
        lines = [line for r in its if (line := path(r, look[r.encoder]))]
        seen += [x for line in lines for x in line.x]
        metric = its[0].cell.rows[0].metric
        if lines:
            panels.append(Panel(its[0].about["title"], lines, f"validation {METRICS.get(metric, metric)}, %"))
    if not panels:
        return None
    ticks = decades(min(seen), max(seen))
    ticks = ticks[:: -(-len(ticks) // 4)]
    return panels_figure(panels, order, "penalty", width, log_x=True, ticks=ticks, labels=[power(t) for t in ticks])


def path(result: Result, look: Look) -> Line | None:
    """The line of one cell; None where it holds no path."""
    x, y = path_of(result)
    return Line(look, x, [100 * v for v in y], marked=(chosen_place(result),)) if x else None
