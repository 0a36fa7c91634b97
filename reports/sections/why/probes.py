"""How the probes came to their numbers: accuracy over the penalty, and over the number of neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relic_eval.cells import Result
from reports.drawings.frame import decades, limits
from reports.drawings.lines import Series, lines
from reports.sections.choose import of_protocol
from reports.sections.figure import Figure
from reports.sections.why.panels import (
    Choice,
    Looks,
    all_looks,
    choose,
    ends_of,
    heading,
    left_out,
    metric_axis,
    panel_frame,
    reach,
    rounded,
    scope,
    task_title,
)
from reports.sections.why.standing import SURELY, said, standing
from reports.style import short, title
from reports.tables import to_csv
from reports.words import counted, percent, several

LINEAR = "linear-byol"


def path_of(r: Result) -> tuple[list[float], list[float]]:
    """Penalties and the validation value at each, by the metric of the task."""
    curves = r.cell.curves
    if curves is None:
        return [], []
    rows = np.char.startswith(curves["name"].astype(str), "validation ")
    return curves["x"][rows].tolist(), curves["y"][rows].tolist()


def chosen_place(r: Result) -> int:
    """Where on its path the chosen penalty lies."""
    return int(np.abs(np.log(np.array(path_of(r)[0]) / r.cell.rows[0].params["penalty"])).argmin())


def penalty_figure(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> Figure | None:
    """Validation accuracy along the path of penalties, the chosen one marked; tasks where one lies at an end come first."""
    results = list(results)
    here = [r for r in of_protocol(results, LINEAR, None) if path_of(r)[0]]
    ends = [r for r in here if r.cell.rows[0].params.get("edge")]
    choice = choose(here, order, 16, [r.task for r in ends])
    if choice is None:
        return None
    look = all_looks(results, look)
    series = {task: [_path(r, look) for r in choice.shown(task)] for task in choice.cells}
    x_all = [x for its in series.values() for s in its for x in s.x]
    y = limits([y for its in series.values() for s in its for y in s.y])
    frame = panel_frame((min(x_all), max(x_all)), y, log_x=True)
    panels = []
    for task, its in series.items():
        cell = choice.head(task)
        words = f"{task_title(cell)} ({counted(cell.about['counts']['valid'], 'validation image')})"
        titles = ("penalty", f"validation {metric_axis(cell)}")
        panels.append(
            (words, lines(its, frame, titles, f"Validation accuracy over penalty, {short(task)}", decades(*frame.x)))
        )
    their = [f"{title(r.encoder)} on {r.about['title']}" for r in ends]
    at_end = (
        f" At an end: {'; '.join(their[:6])}{f' and {len(their) - 6} others' if len(their) > 6 else ''}."
        if their
        else ""
    )
    return Figure(
        "penalty",
        _edges(ends) or _inside(here),
        panels[0][1],
        "The mark is the penalty that was chosen, on validation images only; a flat top means that the choice hardly matters.",
        f"{scope(choice)}Protocol {LINEAR}; no intervals.{at_end}{left_out(choice, look, 'the chosen penalties of the others stand in tables/measurements.csv')}",
        _paths_csv(choice),
        beside=panels,
    )


def _path(r: Result, look: Looks) -> Series:
    x, y = path_of(r)
    return Series(look[r.encoder], short(r.encoder, 11), x, [100 * v for v in y], (chosen_place(r),))


def _edges(ends: Sequence[Result]) -> str:
    names = list(dict.fromkeys(short(r.encoder) for r in ends))
    return (
        f"The best penalty lies at an end of the path for {several(names)}: a better one may lie beyond"
        if names
        else ""
    )


def _inside(here: Sequence[Result]) -> str:
    """The range of the chosen penalties over all tasks, drawn or not."""
    chosen = [(float(r.cell.rows[0].params["penalty"]), r) for r in here]
    (low, first), (high, last) = min(chosen, key=lambda c: c[0]), max(chosen, key=lambda c: c[0])
    if low == high:
        return f"The chosen penalty, {_plain(low)}, lies inside the path"
    return f"All chosen penalties lie inside the path, from {_plain(low)} ({short(first.encoder)}) to {_plain(high)} ({short(last.encoder)})"


def _plain(value: float) -> str:
    return f"{float(f'{value:.2g}'):,g}"


def _paths_csv(choice: Choice) -> str:
    """A row a drawn line, a column a penalty: one row a point would be a large part of the page."""
    cells = [r for task in choice.cells for r in choice.shown(task)]
    found = [dict(zip(*path_of(r), strict=True)) for r in cells]
    every = sorted({x for its in found for x in its})
    rows = []
    for r, its in zip(cells, found, strict=True):
        row: dict[str, object] = {
            "encoder": r.encoder,
            "task": r.task,
            "chosen": f"{r.cell.rows[0].params['penalty']:.4g}",
        }
        row |= {f"{x:.3g}": rounded(its.get(x)) for x in every}
        rows.append(row)
    return to_csv(rows)


def votes_figure(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> Figure | None:
    """Test accuracy of a vote over the number of neighbours, the chosen number marked; a panel a task."""
    results = list(results)
    choice = choose([r for r in of_protocol(results, "knn", None) if r.cell.rows[0].value is not None], order, most=16)
    if choice is None:
        return None
    look = all_looks(results, look)
    series = {task: [_votes(r, look) for r in choice.shown(task)] for task in choice.cells}
    ks = sorted({x for its in series.values() for s in its for x in s.x})
    frame = panel_frame((ks[0], max(ks[-1], ks[0] + 1)), reach(s for its in series.values() for s in its), log_x=True)
    panels = []
    for task, its in series.items():
        cell = choice.head(task)
        titles = ("neighbours that vote (k)", metric_axis(cell))
        shown_ks = [k for k in ks if k not in (10, 100)]  # their words would touch
        panels.append((heading(cell), lines(its, frame, titles, f"Accuracy over neighbours, {short(task)}", shown_ks)))
    return Figure(
        "votes",
        _best_votes(choice),
        panels[0][1],
        "The mark is the k chosen on validation images, with its 95% interval; a line that falls to the right has few near images of its class.",
        f"{scope(choice)}Protocol knn. {SURELY}{left_out(choice, look)}",
        _votes_csv(choice),
        beside=panels,
    )


def _votes(r: Result, look: Looks) -> Series:
    rows = sorted((m for m in r.cell.rows if m.value is not None), key=lambda m: m.params["k"])
    chosen = tuple(i for i, m in enumerate(rows) if m.params.get("chosen"))
    ends = [ends_of(m) if i in chosen else None for i, m in enumerate(rows)]
    y = [100 * (m.value or 0) for m in rows]
    return Series(look[r.encoder], short(r.encoder, 11), [float(m.params["k"]) for m in rows], y, chosen, ends)


def _best_votes(choice: Choice) -> str:
    first = next(iter(choice.first.values()))
    s = standing({name: r.cell.rows[0] for name, r in choice.first.items()})
    if s is None:
        return "Votes of nearest neighbours"
    m = choice.first[s.best].cell.rows[0]
    where, value = task_title(first), f"accuracy{choice.among} ({percent(m.value)}% at k = {m.params['k']})"
    return f"{where}, votes of nearest neighbours: {said(s, value)}"


def _votes_csv(choice: Choice) -> str:
    ks = sorted({m.params["k"] for its in choice.cells.values() for r in its.values() for m in r.cell.rows})
    rows = []
    for task, its in choice.cells.items():
        for name, r in its.items():
            found = {m.params["k"]: m for m in r.cell.rows}
            top = r.cell.rows[0]
            row: dict[str, object] = {"encoder": name, "task": task, "n": top.n, "chosen_k": top.params["k"]}
            row |= {"low": rounded(top.low), "high": rounded(top.high)}
            row |= {f"value_{k}": rounded(found[k].value) if k in found else "" for k in ks}
            rows.append(row)
    return to_csv(rows)
