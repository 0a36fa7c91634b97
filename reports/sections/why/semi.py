"""Accuracy with 1%, 10% and all of the labels, the network trained further on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.lines import lines
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

SHARES = {"semi-1pct": 1.0, "semi-10pct": 10.0}  # per cent of the labels
WHOLE = ("finetune-kornblith", "finetune-small", "linear-byol")  # of all labels: the first that an encoder has
Values = Mapping[tuple[str, str], Mapping[float, Measurement]]  # task and encoder -> share -> measurement


def semi_figure(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> Figure | None:
    """A line an encoder from 1% to 10% of the labels, and a mark with all of them; a panel a task."""
    results = list(results)
    few = [r for r in results if r.protocol in SHARES and r.cell.rows[0].value is not None]
    # a cell a task and encoder stands for both shares where tasks are chosen
    choice = choose({(r.task, r.encoder): r for r in few}.values(), order)
    if choice is None:
        return None
    look, whole = all_looks(results, look), _whole(results, few)
    values = _values(results, few, whole)
    series = {
        task: [
            curve_of(look[r.encoder], list(its.items()), apart=100.0 in its)
            for r in choice.shown(task)
            if (its := values[task, r.encoder])
        ]
        for task in choice.cells
    }
    frame = panel_frame((1, 100), reach(s for its in series.values() for s in its), log_x=True)
    ticks = [(1.0, "1%"), (10.0, "10%"), (100.0, "all")]
    panels = []
    for task, drawn in series.items():
        first = choice.head(task)
        titles = ("labels trained on", metric_axis(first))
        panels.append(
            (heading(first), lines(drawn, frame, titles, f"Accuracy over the share of labels, {short(task)}", ticks))
        )
    rest = (
        f" Marks at the right: {whole}, all labels{', the network frozen' if whole == WHOLE[-1] else ''}."
        if whole
        else ""
    )
    return Figure(
        "semi",
        _finding(choice, values),
        panels[0][1],
        "Higher on the left is an encoder that needs fewer labels when all its weights are trained further.",
        f"{scope(choice)}Protocols {' and '.join(p for p in SHARES if any(r.protocol == p for r in few))}; bars are 95% intervals.{rest} "
        f"{SURELY}{left_out(choice, look)}",
        _csv(values),
        beside=panels,
    )


def _whole(results: Sequence[Result], few: Sequence[Result]) -> str:
    """The protocol of all labels, one for the whole figure: numbers of several would not be comparable."""
    pairs = {(r.task, r.encoder) for r in few}
    there = {r.protocol for r in results if (r.task, r.encoder) in pairs and r.cell.rows[0].value is not None}
    return next((p for p in WHOLE if p in there), "")


def _values(results: Sequence[Result], few: Sequence[Result], whole: str) -> Values:
    found: dict[tuple[str, str], dict[float, Measurement]] = {(r.task, r.encoder): {} for r in few}
    for r in results:
        share = 100.0 if r.protocol == whole else SHARES.get(r.protocol)
        if share is not None and (r.task, r.encoder) in found and r.cell.rows[0].value is not None:
            found[r.task, r.encoder][share] = r.cell.rows[0]
    return {key: dict(sorted(its.items())) for key, its in found.items()}


def _finding(choice: Choice, values: Values) -> str:
    first = choice.first
    task = next(iter(first.values()))
    share = min(s for r in first.values() for s in values[r.task, r.encoder])
    s = standing({r.encoder: its[share] for r in first.values() if share in (its := values[r.task, r.encoder])})
    where = f"{task_title(task)}, {share:g}% of the labels" if share < 100 else task_title(task)
    return f"{where}: {said(s, 'accuracy' + choice.among)}" if s else where


def _csv(values: Values) -> str:
    return to_csv(
        [
            {
                "encoder": encoder,
                "task": task,
                "labels_percent": f"{share:g}",
                "value": rounded(m.value),
                "low": rounded(m.low),
                "high": rounded(m.high),
                "n": m.n,
            }
            for (task, encoder), its in values.items()
            for share, m in its.items()
        ]
    )
