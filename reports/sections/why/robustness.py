"""What is left of a linear probe's accuracy on corrupted pictures: over strengths, and kind by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.lines import lines
from reports.drawings.marks import key
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
from reports.sections.why.standing import SURELY, said, standing
from reports.style import short
from reports.tables import to_csv
from reports.words import percent

SHADES = 6  # of the places of the table
OVER = {"relative_drop": "relative drop, %", "mce": "mCE, %", "relative_mce": "relative mCE, %"}


def corrupted(results: Sequence[Result]) -> list[Result]:
    """The cells that were tested at several strengths: of pictures that were corrupted here, and of ImageNet-C."""
    return [r for r in results if r.protocol in ("robust", "robust-sets") and any(strengths(r))]


def strengths(r: Result) -> dict[int, Measurement]:
    """The mean over kinds at each strength; 0 is pictures as they are."""
    found = {
        int(m.params["strength"]): m
        for m in r.cell.rows
        if "strength" in m.params and "kind" not in m.params and m.value is not None
    }
    clean = [m for m in r.cell.rows if m.metric.startswith("clean_") and m.value is not None]
    if found and clean:
        found[0] = clean[0]
    return dict(sorted(found.items()))


def robust_choice(results: Sequence[Result], order: Sequence[str]) -> Choice | None:
    """The tasks and encoders that figure and table show."""
    return choose(corrupted(list(results)), order)


def robust_figure(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> Figure | None:
    """A line an encoder over the strengths, from pictures as they are; a panel a task."""
    choice = robust_choice(results, order)
    if choice is None:
        return None
    look, first = all_looks(results, look), next(iter(choice.first.values()))
    series = {
        task: [curve_of(look[r.encoder], [(float(x), m) for x, m in strengths(r).items()]) for r in choice.shown(task)]
        for task in choice.cells
    }
    at = sorted({x for its in series.values() for s in its for x in s.x})
    frame = panel_frame((at[0], max(at[-1], at[0] + 1)), reach(s for its in series.values() for s in its))
    panels = []
    for task, its in series.items():
        cell = choice.head(task)
        titles = ("strength of corruption", metric_axis(cell))
        panels.append((heading(cell), lines(its, frame, titles, f"Accuracy over strength, {short(task)}", at)))
    kinds = first.cell.rows[0].params.get("kinds", "several")
    return Figure(
        "robust",
        _finding(choice),
        panels[0][1],
        "Each line falls from pictures as they are (0) to the strongest corruption; the probe never saw one. A flatter line minds less.",
        f"{scope(choice)}Protocol {' and '.join(sorted({r.protocol for its in choice.cells.values() for r in its.values()}))}; mean over {kinds} kinds; "
        f"bars are 95% intervals over images. {SURELY}{left_out(choice, look)}",
        _csv(choice),
        beside=panels,
    )


def _finding(choice: Choice) -> str:
    where = task_title(next(iter(choice.first.values())))
    s = standing({name: r.cell.rows[0] for name, r in choice.first.items()})
    if s is None:
        return f"Accuracy on corrupted pictures: {where}"
    its, mean = strengths(choice.first[s.best]), choice.first[s.best].cell.rows[0]
    clean = (
        f" ({percent(mean.value)}%, {percent(its[0].value)}% as they are)" if 0 in its else f" ({percent(mean.value)}%)"
    )
    return f"{where}, corrupted: {said(s, 'mean accuracy' + choice.among + clean)}"


def kinds_table(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> dict[str, Any] | None:
    """Kinds down, drawn encoders across, accuracy at a middle strength of the first task; then what is over all of them."""
    choice = robust_choice(results, order)
    if choice is None:
        return None
    look, shown = all_looks(results, look), choice.shown(next(iter(choice.cells)))
    at = sorted({s for r in shown for s in strengths(r) if s})
    middle = at[len(at) // 2] if len(at) % 2 else at[len(at) // 2 - 1]
    each = [kinds_at(r, middle) for r in shown]
    kinds = list(dict.fromkeys(k for its in each for k in its))
    values = [v for its in each for v in its.values()]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)

    def place(value: float | None) -> tuple[str, int]:
        share = 0.0 if value is None or high == low else (value - low) / (high - low)
        return percent(value), min(SHADES - 1, int(share * SHADES))

    return {
        "caption": f"Accuracy at strength {middle}, kind by kind: {task_title(shown[0])}, n = {shown[0].cell.rows[0].n:,}",
        "heads": [(key(look[r.encoder]), short(r.encoder, 14)) for r in shown],
        "rows": [(k.replace("_", " "), [place(its.get(k)) for its in each]) for k in kinds],
        "over": _over(shown),
    }


def _over(shown: Sequence[Result]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The rows over all kinds and strengths, with intervals."""
    rows: list[tuple[str, list[Measurement | None]]] = [("mean, %", [r.cell.rows[0] for r in shown])]
    rows.append(("as they are, %", [strengths(r).get(0) for r in shown]))
    for metric, title in OVER.items():
        rows.append(
            (title, [next((m for m in r.cell.rows if m.metric == metric and not m.params), None) for r in shown])
        )
    return [(title, [_text(m) for m in its]) for title, its in rows if any(its)]


def _text(m: Measurement | None) -> tuple[str, str]:
    if m is None or m.value is None:
        return "none", ""
    return percent(m.value), "" if m.low is None else f"{percent(m.low)} to {percent(m.high)}"


def kinds_at(r: Result, strength: int) -> dict[str, float]:
    """The accuracy under each kind at one strength."""
    curves = r.cell.curves or {}
    if not curves:
        return {}
    return {
        str(name): float(y)
        for name, x, y in zip(curves["name"], curves["x"], curves["y"], strict=True)
        if int(x) == strength
    }


def _csv(choice: Choice) -> str:
    at = sorted({s for its in choice.cells.values() for r in its.values() for s in strengths(r)})
    rows = []
    for task, its in choice.cells.items():
        for name, r in its.items():
            found: Mapping[int, Measurement] = strengths(r)
            row: dict[str, object] = {"encoder": name, "task": task, "n": r.cell.rows[0].n}
            for s in at:
                m = found.get(s)
                row |= {f"{what}_{s}": rounded(getattr(m, what)) if m else "" for what in ("value", "low", "high")}
            rows.append(row)
    return to_csv(rows)
