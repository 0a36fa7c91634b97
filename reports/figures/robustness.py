"""Accuracy over the strength of corruptions, from clean pictures on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.figures.panels import Line, Panel, by_task, panels_figure
from reports.figures.style import WIDTH, look_of
from reports.sections.why.robustness import strengths
from reports.style import Look
from reports.words import METRICS

PROTOCOL = "robust"


def robustness_figure(
    results: Sequence[Result], order: Sequence[str], look: Mapping[str, Look] | None = None, width: float = WIDTH
) -> Figure | None:
    """A panel a task: means over the kinds of corruption with 95% intervals; None where no encoder has the protocol."""
    look, panels, seen = look_of(look, [r.encoder for r in results]), [], {0}
    for its in by_task(results, PROTOCOL, order).values():
        lines = []
        for r in its:
            rows = strengths(r)
            if not rows:
                continue
            value, low, high = ([100 * (v or 0) for v in vs] for vs in zip(*map(_three, rows.values()), strict=True))
            lines.append(Line(look[r.encoder], [float(s) for s in rows], value, low, high, range(len(rows))))
            seen |= set(rows)
        metric = its[0].cell.rows[0].metric
        if lines:
            panels.append(Panel(its[0].about["title"], lines, f"{METRICS.get(metric, metric)}, %"))
    ticks = sorted(seen)
    labels = ["clean" if t == 0 else str(t) for t in ticks]
    return panels_figure(panels, order, "strength of corruption", width, ticks=ticks, labels=labels) if panels else None


def _three(m: Measurement) -> tuple[float | None, float | None, float | None]:
    return (m.value, m.value, m.value) if m.low is None or m.high is None else (m.value, m.low, m.high)
