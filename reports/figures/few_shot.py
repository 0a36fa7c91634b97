"""Accuracy over the number of labelled images a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.figures.panels import Line, Panel, by_task, panels_figure
from reports.figures.style import WIDTH, look_of
from reports.sections.why.shots import curve
from reports.style import Look
from reports.words import METRICS

PROTOCOL = "fewshot"


def few_shot_figure(
    results: Sequence[Result], order: Sequence[str], look: Mapping[str, Look] | None = None, width: float = WIDTH
) -> Figure | None:
    """A panel a task: means over draws with 95% intervals over draws and test images; None where no encoder has the protocol."""
    look, panels, seen = look_of(look, [r.encoder for r in results]), [], set()
    for its in by_task(results, PROTOCOL, order).values():
        lines = [_line(look[r.encoder], rows) for r in its if (rows := [*curve(r).values()])]
        seen |= {x for line in lines for x in line.x}
        metric = its[0].cell.rows[0].metric
        panels.append(Panel(its[0].about["title"], lines, f"{METRICS.get(metric, metric)}, %"))
    panels = [p for p in panels if p.lines]
    ticks = sorted(seen)
    return panels_figure(panels, order, "labelled images a class", width, log_x=True, ticks=ticks) if panels else None


def _line(look: Look, rows: Sequence[Measurement]) -> Line:
    value = [100 * (m.value or 0) for m in rows]
    low, high = (
        [100 * (end if end is not None else 0) for end in ends] for ends in zip(*map(_ends, rows), strict=True)
    )
    return Line(look, [float(m.params["shots"]) for m in rows], value, low, high, range(len(rows)))


def _ends(m: Measurement) -> tuple[float | None, float | None]:
    return (m.value, m.value) if m.low is None or m.high is None else (m.low, m.high)
