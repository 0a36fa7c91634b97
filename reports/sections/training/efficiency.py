"""Sample efficiency: what encoders that were measured while they trained could do after so many steps, images, views and FLOPs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from relic_eval.efficiency import COUNTS, costs, ratios, reached, round_value
from reports.drawings.frame import limits
from reports.drawings.lines import Series
from reports.drawings.marks import key
from reports.drawings.multiples import Panel, multiples
from reports.sections.figure import Figure
from reports.sections.why.panels import LINES
from reports.sections.why.standing import names
from reports.style import Look, looks, short
from reports.tables import to_csv
from reports.words import joined, scale, several, verb

MEASURES = {"linear": "linear probe", "knn": "nearest neighbours"}
TITLES = {"step": "steps", "images": "images seen", "views": "views seen", "flops": "FLOPs"}
Manifest = Mapping[str, Any]
Rows = Sequence[Mapping[str, float]]


def monitored(manifests: Mapping[str, Manifest]) -> dict[str, Rows]:
    """The rows of each encoder that was measured while it trained, as its store's manifest holds them.

    >>> monitored({"mine": {"encoder": {"training": {"monitor": []}}}, "pixels": {"encoder": {"training": None}}})
    {}
    """
    found = {name: (m["encoder"].get("training") or {}).get("monitor") or [] for name, m in manifests.items()}
    return {name: rows for name, rows in found.items() if any(known(rows, m) for m in MEASURES)}


def known(rows: Rows, *names: str) -> list[Mapping[str, float]]:
    """The rows that have all these numbers.

    >>> known([{"knn": 0.5}, {"knn": math.nan}, {}], "knn")
    [{'knn': 0.5}]
    """
    return [row for row in rows if all(math.isfinite(row.get(name, math.nan)) for name in names)]


def shown_counts(runs: Mapping[str, Rows]) -> list[str]:
    """The counts that some row has, in their order.

    >>> shown_counts({"a": [{"step": 1, "flops": 2.0}], "b": [{"step": 1}]})
    ['step', 'flops']
    """
    return [c for c in COUNTS if any(known(rows, c) for rows in runs.values())]


def logarithmic(runs: Mapping[str, Rows]) -> bool:
    """Whether counts span a decade, so that the early steps and how many times as much one needs are better read as ratios.

    >>> logarithmic({"a": [{"step": 10}, {"step": 100}]}), logarithmic({"a": [{"step": 0}, {"step": 100}]})
    (True, False)
    """
    steps = [row["step"] for rows in runs.values() for row in rows]
    return 0 < 10 * min(steps) <= max(steps)


def efficiency_content(
    manifests: Mapping[str, Manifest], value: float | None = None, look: Mapping[str, Look] | None = None
) -> dict[str, Any] | None:
    """The figure and a table of what it took to reach `value`; None where no encoder was measured while it trained.

    Without a value it is the highest multiple of five points that two of them reach by linear probe.
    """
    runs, look = monitored(manifests), look or looks(manifests)
    if not runs:
        return None
    value = value or round_value(runs, "linear")
    title, note = _finding(runs, look, value), _note(manifests, runs, look)
    drawn = _drawing({name: runs[name] for name in list(runs)[:LINES]}, look, value, title)
    note += f" Drawn: the {LINES} that come first, without {names(list(runs)[LINES:])}." if len(runs) > LINES else ""
    return {
        "figure": Figure("efficiency", title, drawn, _how(value), note, _csv(runs)),
        "table": _table(runs, look, value),
    }


def _drawing(runs: Mapping[str, Rows], look: Mapping[str, Look], value: float | None, title: str) -> Any:
    log_x, counts = logarithmic(runs), shown_counts(runs)
    everything = [100 * row[m] for rows in runs.values() for m in MEASURES for row in known(rows, m)]
    y = limits(everything)
    rows = []
    for measure, words in MEASURES.items():
        level = value if measure == "linear" else None
        panels = [_panel(runs, look, measure, count, level, log_x) for count in counts]
        rows.append((f"{words}, % right", [p for p in panels if p.series]))
    return multiples([r for r in rows if r[1]], (max(0.0, y[0]), min(100.0, y[1])), log_x, title)


def _panel(
    runs: Mapping[str, Rows], look: Mapping[str, Look], measure: str, count: str, level: float | None, log_x: bool
) -> Panel:
    there = {name: known(rows, measure, count) for name, rows in runs.items()}
    factor, unit = scale(max((row[count] for rows in there.values() for row in rows), default=1), count == "flops")
    series = []
    for name, rows in there.items():
        if rows:
            first = None if level is None else reached(rows, measure, level)
            x, y = [row[count] / factor for row in rows], [100 * row[measure] for row in rows]
            series.append(Series(look[name], short(name, 14), x, y, () if first is None else (rows.index(first),)))
    every = [x for s in series for x in s.x] or [0.0]
    low, high = (min(every) if log_x else 0.0), max(every)
    room = (high / low) ** 0.02 if log_x else 1.0
    ends = (low / room, high * room) if high > low else (low, low + 1)
    return Panel(series, ends, TITLES[count] + unit, None if level is None else 100 * level)


def _finding(runs: Mapping[str, Rows], look: Mapping[str, Look], value: float | None) -> str:
    """Within how many images the first and the last get there, and who needs fewest FLOPs where that is another."""
    took = _reaching(runs, value)
    if not took or value is None:
        return "Accuracy while encoders train, on training pictures held out from the probe"
    first, last = next(iter(took)), list(took)[-1]
    most, names = took[last]["images"], [short(name) for name in took]
    text = "On training pictures held out from the linear probe, "
    if most == took[first]["images"]:
        text += f"{several(names)} {verb(names, 'reaches', 'reach')} {100 * value:g}% within {most:,} images seen"
    else:
        text += f"{short(first)} reaches {100 * value:g}% within {took[first]['images']:,} images seen"
        text += f", {short(last)} within {most:,} ({most / took[first]['images']:.1f} times as many)"
    cheap = min(took, key=lambda name: took[name].get("flops", math.inf))
    if took[cheap].get("flops", math.inf) < took[first].get("flops", -math.inf):
        text += f"; in FLOPs {short(cheap)} needs the fewest"
    return text


def _reaching(runs: Mapping[str, Rows], value: float | None) -> dict[str, dict[str, float]]:
    """What it took those that reach the value, fewest images first."""
    took = {} if value is None else {n: c for n, c in costs(runs, "linear", value).items() if c and "images" in c}
    return dict(sorted(took.items(), key=lambda item: item[1]["images"]))


def _how(value: float | None) -> str:
    text = "Farther left and higher is better: as much is told apart for less."
    return text if value is None else f"{text} A ring is the first measurement on or above the dotted {100 * value:g}%."


def _note(manifests: Mapping[str, Manifest], runs: Mapping[str, Rows], look: Mapping[str, Look]) -> str:
    """On what was measured, how often, and what is not known."""
    tested = span([row["n"] for rows in runs.values() for row in known(rows, "n")])
    steps = [[row["step"] for row in rows] for rows in runs.values()]
    often = span([b - a for each in steps for a, b in pairwise(each)])
    told = [look[n].title for n in runs if manifests[n]["encoder"]["training"].get("method") == "supervised"]
    return (
        "Linear probe and vote of nearest neighbours learn from four fifths of some pictures that the encoder trains on, "
        f"and are tested on the rest{f' (n = {tested})' if tested else ''}, which the encoder has seen too"
        + (f", {joined(told)} with their labels. " if told else ", without labels. ")
        + (f"Measured every {often} steps. " if often else "")
        + "One run each: no intervals. FLOPs are the encoder's, forward and backward, without heads and losses."
    )


def span(values: Sequence[float]) -> str:
    """The one value, or from where to where; nothing of none.

    >>> span([20, 20]), span([400, 20]), span([])
    ('20', '20 to 400', '')
    """
    return " to ".join(f"{v:,}" for v in sorted({min(values), max(values)})) if values else ""


def _table(runs: Mapping[str, Rows], look: Mapping[str, Look], value: float | None) -> dict[str, Any] | None:
    """Counts at the first measurement that reaches the value, and how many times as much that is as the first one's."""
    took = _reaching(runs, value)
    if not took or value is None:
        return None
    first, counts = next(iter(took)), shown_counts(runs)
    factor, unit = scale(max((cost["flops"] for cost in took.values() if "flops" in cost), default=1), True)
    times = {**ratios(took, first), first: None}
    in_order = {name: runs[name] for name in [*took, *(n for n in runs if n not in took)]}
    heads = [TITLES[c] + unit if c == "flops" else TITLES[c].capitalize() for c in counts]
    rows = [
        {
            "title": look[name].title,
            "key": key(look[name]),
            "cells": [_cell(took[name], times[name] or {}, c, factor) for c in counts if name in took],
            "best": max((row["linear"] for row in known(rows, "linear")), default=None),
        }
        for name, rows in in_order.items()
    ]
    at_once = [look[name].title for name in took if runs[name][0] is reached(runs[name], "linear", value)]
    return {
        "value": f"{100 * value:g}",
        "heads": heads,
        "rows": rows,
        "first": look[first].title,
        "several": len(took) > 1,
        "at_once": joined(at_once) if at_once else "",
    }


def _cell(cost: Mapping[str, float], times: Mapping[str, float], count: str, factor: float) -> tuple[str, str]:
    if count not in cost:
        return "", ""
    shown = f"{cost[count] / factor:.3g}" if count == "flops" else f"{cost[count]:,}"
    return shown, f"×{times[count]:.2f}" if count in times else ""


def _csv(runs: Mapping[str, Rows]) -> str:
    names = list(
        dict.fromkeys([*COUNTS, "loss", *MEASURES, *(name for rows in runs.values() for row in rows for name in row)])
    )
    return to_csv(
        [{"encoder": run, **{name: row.get(name, "") for name in names}} for run, rows in runs.items() for row in rows]
    )
