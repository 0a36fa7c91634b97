"""How the eigenvalues of the embeddings fall off: how many directions are in use."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from relic_eval.cells import Result
from reports.drawings.frame import decades, limits, power
from reports.drawings.lines import Series, lines
from reports.sections.choose import of_protocol
from reports.sections.figure import Figure
from reports.sections.why.panels import (
    Choice,
    Looks,
    all_looks,
    choose,
    heading,
    left_out,
    panel_frame,
    scope,
    task_title,
)
from reports.style import short
from reports.tables import to_csv
from reports.words import number, verb

PROTOCOL = "spectrum"
SHOWN = ("rankme", "effective_rank", "alpha_req")  # said at the lines; the other measures stand in a table
A_DECADE = 12  # ranks that are drawn between one power of ten and the next
FLOOR = 1e-6  # of the first eigenvalue: what is smaller is rounding


def ranks(last: int) -> list[int]:
    """Ranks from the first to the last, at equal steps of the logarithm: at most 60 up to a hundred thousand.

    >>> ranks(7), len(ranks(2048)), ranks(2048)[-1]
    ([1, 2, 3, 4, 5, 6, 7], 37, 2048)
    """
    steps = {round(10 ** (k / A_DECADE)) for k in range(math.ceil(A_DECADE * math.log10(last)) + 1 if last > 1 else 1)}
    return sorted({*(s for s in steps if s <= last), last})


def falling(r: Result) -> tuple[list[int], list[float]]:
    """Ranks and eigenvalues over the first one, without those that are rounding."""
    curves = r.cell.curves or {}
    if not curves:
        return [], []
    value_R = np.asarray(curves["y"], float)[np.asarray(curves["name"]).astype(str) == "eigenvalues"]
    if not len(value_R) or not value_R[0] > 0:
        return [], []
    share_R = value_R / value_R[0]
    at = ranks(int((share_R > FLOOR).sum()))
    return at, [float(share_R[k - 1]) for k in at]


def spectrum_figure(results: Sequence[Result], order: Sequence[str], look: Looks | None = None) -> Figure | None:
    """A line an encoder, both axes logarithmic; a panel a task."""
    choice = choose([r for r in of_protocol(results, PROTOCOL, None) if falling(r)[0]], order, most=16)
    if choice is None:
        return None
    look = all_looks(results, look)
    series = {task: [_series(r, look) for r in choice.shown(task)] for task in choice.cells}
    last = max(s.x[-1] for its in series.values() for s in its)
    low, high = limits([y for its in series.values() for s in its for y in s.y])
    frame = panel_frame((1, max(last, 2)), (low, high), log_x=True)
    y_ticks = [(math.log10(v), power(v)) for v in decades(10**low, 10**high)]
    panels = [
        (
            heading(choice.head(task)),
            lines(
                its,
                frame,
                ("rank", "eigenvalue / first"),
                f"Eigenvalues over rank, {short(task)}",
                decades(1, last),
                y_ticks,
            ),
        )
        for task, its in series.items()
    ]
    return Figure(
        "spectrum",
        _finding(choice),
        panels[0][1],
        "A line that stays high uses many directions; one that drops has its variance in few. Beneath a name: RankMe / effective rank / α of alpha-ReQ.",
        f"{scope(choice)}Protocol {PROTOCOL}, test images, no label is looked at; no intervals: a rank of resampled images is too low. "
        f"Values below {FLOOR:g} of the first are left out as rounding.{left_out(choice, look, 'tables/measurements.csv has the measures of the others')}",
        _csv(choice),
        beside=panels,
    )


def _measures(r: Result) -> dict[str, float]:
    return {m.metric: m.value for m in r.cell.rows if m.metric in SHOWN and m.value is not None}


def _series(r: Result, look: Looks) -> Series:
    at, share = falling(r)
    its = _measures(r)
    under = " / ".join(number(its.get(name), 2 if name == "alpha_req" else 0) or "none" for name in SHOWN)
    y = [math.log10(v) for v in share]
    return Series(look[r.encoder], short(r.encoder, 11), [float(k) for k in at], y, (len(at) - 1,), under=under)


def _finding(choice: Choice) -> str:
    where = task_title(next(iter(choice.first.values())))
    its = {name: m["rankme"] for name, r in choice.first.items() if "rankme" in (m := _measures(r))}
    if not its:
        return f"How eigenvalues fall off: {where}"
    most, least = max(its, key=lambda n: its[n]), min(its, key=lambda n: its[n])
    text = f"{where}: {short(most)} {verb(short(most), 'spreads', 'spread')} over the most directions{choice.among}, RankMe {its[most]:.0f}"
    bound = next(m.params.get("most") for m in choice.first[most].cell.rows if m.metric == "rankme")
    text += f" of at most {bound}" if bound else ""
    return text if most == least else f"{text}; {short(least)} over the fewest, {its[least]:.0f}"


def _csv(choice: Choice) -> str:
    cells = [r for task in choice.cells for r in choice.shown(task)]
    found = [dict(zip(*falling(r), strict=True)) for r in cells]
    every = sorted({k for its in found for k in its})
    rows = []
    for r, its in zip(cells, found, strict=True):
        row: dict[str, object] = {"encoder": r.encoder, "task": r.task}
        row |= {f"rank_{k}": f"{its[k]:.3g}" if k in its else "" for k in every}
        rows.append(row)
    return to_csv(rows)
