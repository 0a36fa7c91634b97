"""Accuracy over the number of labelled images a class: who needs fewer labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.lines import Series, lines
from reports.sections.choose import of_protocol
from reports.sections.figure import Figure
from reports.sections.why.panels import (
    Choice,
    Looks,
    all_looks,
    choose,
    curve_of,
    heading,
    left_out,
    metric_axis,
    panel_frame,
    reach,
    rounded,
    scope,
    task_title,
)
from reports.sections.why.standing import SURELY, above, names, standing
from reports.style import short
from reports.tables import to_csv
from reports.words import percent, verb

PROTOCOL, ALL = "fewshot", "linear-byol"
BEYOND = 2.6  # times the largest number of images: where all labels stand on the axis
LEAST = 1.25  # how many times fewer labels are worth a title
Curve = Mapping[int, Measurement]


def curve(result: Result) -> dict[int, Measurement]:
    """The measurement at each number of images a class, in their order."""
    found = {m.params["shots"]: m for m in result.cell.rows if m.params.get("shots") != "mean" and m.value is not None}
    return {int(k): found[k] for k in sorted(found, key=int)}


def shots_figure(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> Figure | None:
    """A curve an encoder over 1 to 16 labelled images a class, with all labels at the right; a panel a task."""
    results = list(results)
    choice = choose([r for r in of_protocol(results, PROTOCOL, None) if curve(r)], order)
    if choice is None:
        return None
    look = all_looks(results, look)
    full = {
        (r.task, r.encoder): r.cell.rows[0] for r in of_protocol(results, ALL, None) if r.cell.rows[0].value is not None
    }
    title, first = finding(choice), next(iter(choice.first.values()))
    panels = _panels(choice, look, full)
    draws = max(first.about.get("settings", {}).get("draws", [0]), default=0)
    return Figure(
        "shots",
        title,
        panels[0][1],
        "Each line rises with the number of labelled images a class; higher on the left is an encoder that needs fewer labels.",
        f"{scope(choice)}Protocol {PROTOCOL}{f', {draws} draws' if draws else ''}; marks at the right: {ALL}, all labels. Bars are 95% intervals over draws and images. "
        f"{SURELY} At least: by the ends of both intervals, no line is continued.{left_out(choice, look)}",
        _csv(choice, full),
        beside=panels,
    )


def _panels(choice: Choice, look: Looks, full: Mapping[tuple[str, str], Measurement]) -> list[tuple[str, Markup]]:
    numbers = sorted({k for task in choice.cells for r in choice.shown(task) for k in curve(r)})
    beyond = numbers[-1] * BEYOND
    series = {
        task: [_series(r, look, full.get((task, r.encoder)), beyond) for r in choice.shown(task)]
        for task in choice.cells
    }
    marks = [(float(k), f"{k}") for k in numbers]
    if any(s.apart for its in series.values() for s in its):
        marks.append((beyond, "all"))
    frame = panel_frame(
        (numbers[0], max(marks[-1][0], numbers[0] + 1)), reach(s for its in series.values() for s in its), log_x=True
    )
    return [
        (
            heading(choice.head(task)),
            lines(
                its,
                frame,
                ("labelled images a class", metric_axis(choice.head(task))),
                f"Accuracy over labelled images a class, {short(task)}",
                marks,
            ),
        )
        for task, its in series.items()
    ]


def _series(r: Result, look: Looks, full: Measurement | None, beyond: float) -> Series:
    points = [(float(k), m) for k, m in curve(r).items()] + ([(beyond, full)] if full else [])
    return curve_of(look[r.encoder], points, apart=full is not None)


def finding(choice: Choice) -> str:
    """What the first task shows: fewer labels where interpolation bears it out, else where one lies above others."""
    curves = {name: curve(r) for name, r in choice.first.items()}
    where = task_title(next(iter(choice.first.values())))
    means = {name: r.cell.rows[0] for name, r in choice.first.items()}
    s = standing(means)
    if s is None:
        return f"Accuracy over labelled images a class: {where}"
    best = short(s.best)
    if len(curves) == 1:
        its = list(curves[s.best].items())
        (first, a), (last, b) = its[0], its[-1]
        return f"{where}: {best} {verb(best, 'reaches', 'reach')} {percent(a.value)}% with {first} labelled a class, {percent(b.value)}% with {last}"
    below = [n for n in (*s.below, *s.near) if always_above(curves[s.best], curves[n])]
    below.sort(key=lambda n: -(means[n].value or 0))
    near = [n for n in (*s.below, *s.near) if n not in below]
    also = f"; not told apart from {names(near)} at some number" if near else ""
    if not below:
        return f"{where}: {best} {verb(best, 'is', 'are')} highest on average{choice.among} over the numbers of labels{also}"
    fewer = times_fewer(curves[s.best], curves[below[0]])
    if fewer and fewer[1] >= LEAST:
        level, times, least = fewer
        return (
            f"{where}: {best} {verb(best, 'reaches', 'reach')} {level}% with about {times:.2g} times fewer labels than {short(below[0])} "
            f"(at least {least:.2g}){also}"
        )
    return f"{where}: {best} {verb(best, 'is', 'are')} above {names(below)} at every number of labels{also}"


def always_above(one: Curve, other: Curve) -> bool:
    """Whether the interval of the one lies above that of the other wherever both were measured."""
    both = [k for k in one if k in other]
    return bool(both) and all(above(one[k], other[k]) for k in both)


def times_fewer(one: Curve, other: Curve) -> tuple[int, float, float] | None:
    """The highest multiple of 5% that both curves cross, how many times fewer labels the one needs there, and how many at least.

    At least: where the lower ends of the one cross it against the upper ends of the other. None where one of the four curves does
    not cross within what was measured: nothing is extrapolated.
    """
    lists = [
        [(k, getattr(m, end)) for k, m in c.items()]
        for c, end in ((one, "value"), (other, "value"), (one, "low"), (other, "high"))
    ]
    if any(v is None for its in lists for _, v in its):
        return None
    top = min(max(v for _, v in its) for its in lists)
    for level in range(5 * math.floor(20 * top + 1e-9), 0, -5):
        found = [crossing(its, level / 100) for its in lists]
        if all(f is not None for f in found):
            mine, theirs, mine_late, theirs_early = (f or 1.0 for f in found)
            return level, theirs / mine, theirs_early / mine_late
    return None


def crossing(points: Sequence[tuple[float, float]], level: float) -> float | None:
    """Where a curve first reaches a level from below, on straight lines over the logarithm; None where it does not.

    >>> crossing([(1, 0.25), (4, 0.75)], 0.5), crossing([(1, 0.75), (4, 0.875)], 0.5), crossing([(1, 0.25)], 0.5)
    (2.0, None, None)
    """
    for (a, low), (b, high) in pairwise(points):
        if low <= level <= high and low < high:
            return float(2 ** (math.log2(a) + (level - low) / (high - low) * math.log2(b / a)))
    return None


def _csv(choice: Choice, full: Mapping[tuple[str, str], Measurement]) -> str:
    numbers = sorted({k for its in choice.cells.values() for r in its.values() for k in curve(r)})
    rows = []
    for task, its in choice.cells.items():
        for name, r in its.items():
            values = [*((f"{k}", curve(r).get(k)) for k in numbers), ("all", full.get((task, name)))]
            row: dict[str, object] = {"encoder": name, "task": task, "n": r.cell.rows[0].n}
            for k, m in values:
                row |= {f"{what}_{k}": rounded(getattr(m, what)) if m else "" for what in ("value", "low", "high")}
            rows.append(row)
    return to_csv(rows)
