"""A probe of one set on other sets of the same classes: ImageNetV2, -R, -Sketch, ObjectNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.frame import Frame
from reports.drawings.lines import lines
from reports.sections.choose import in_order, of_protocol
from reports.sections.figure import Figure
from reports.sections.why.panels import LINES, Looks, all_looks, curve_of, reach, rounded, task_title
from reports.sections.why.robustness import strengths
from reports.sections.why.standing import SURELY, said, standing
from reports.style import short
from reports.tables import to_csv
from reports.words import several

PROTOCOL, HERE = "robust-sets", "linear-byol"
SETS = 6  # at most, drawn


def elsewhere_figure(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> Figure | None:
    """A line an encoder from the set that its probe was fitted on to the others."""
    results = list(results)
    here = [r for r in of_protocol(results, PROTOCOL, None) if not strengths(r) and r.cell.rows[0].value is not None]
    if not here:
        return None
    look, n = all_looks(results, look), {r.task: r.cell.rows[0].n for r in here}
    own = {str(r.about.get("task_settings", {}).get("trains_on", "")) for r in here}
    at_home = [r for r in of_protocol(results, HERE, None) if r.task in own and r.cell.rows[0].value is not None]
    tasks = [*sorted({r.task for r in at_home}), *sorted(n, key=lambda t: (-n[t], t))]
    titles = {r.task: task_title(r) for r in (*here, *at_home)}
    cells: dict[str, dict[str, Measurement]] = {}
    for r in in_order([*here, *at_home], order):
        cells.setdefault(r.encoder, {})[r.task] = r.cell.rows[0]
    cells = {name: its for name, its in cells.items() if set(its) & set(n)}
    shown, columns = list(cells)[:LINES], tasks[:SETS]
    found = {name: [(float(i), cells[name][t]) for i, t in enumerate(columns) if t in cells[name]] for name in shown}
    series = [replace(curve_of(look[name], its), marked=tuple(range(len(its)))) for name, its in found.items() if its]
    frame = Frame((0, max(1, len(columns) - 1)), reach(series))
    marks = [(float(i), short(titles[t], 60 // len(columns))) for i, t in enumerate(columns)]
    farthest = columns[-1]
    s = standing({name: its[farthest] for name, its in cells.items() if farthest in its})
    title = f"{short(titles[farthest], 40)}: {said(s, 'top-1')}" if s else "One probe on several sets"
    rest = [f"{titles[t]} (n = {n[t]:,})" for t in tasks if t in n]
    undrawn = [*map(short, list(cells)[LINES:]), *(titles[t] for t in tasks[SETS:])]
    out = f" Not drawn: {several(undrawn)}." if undrawn else ""
    return Figure(
        "elsewhere",
        title,
        lines(series, frame, ("tested on", "top-1, %"), title, marks),
        "Each line shows one probe, tested on the set that it was fitted on, where that is there, and on sets of the same classes.",
        f"Protocol {PROTOCOL}, among all classes of the probe: {', '.join(rest)}. Bars are 95% intervals. {SURELY}{out}",
        to_csv(
            [
                {
                    "encoder": name,
                    "tested_on": t,
                    "value": rounded(m.value),
                    "low": rounded(m.low),
                    "high": rounded(m.high),
                    "n": m.n,
                }
                for name, its in cells.items()
                for t, m in its.items()
            ]
        ),
    )
