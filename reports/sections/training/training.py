"""Loss curves of every encoder that was trained here, with the settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reports.drawings.frame import Frame, limits, ticks
from reports.drawings.lines import Series, lines
from reports.drawings.marks import key
from reports.sections.figure import Figure
from reports.sections.section import Material, Section
from reports.sections.training.efficiency import efficiency_content
from reports.sections.why.panels import LINES, Looks
from reports.style import Look, looks, short
from reports.tables import to_csv
from reports.words import counted

DASHES = ("", "7 4", "2 3", "9 3 2 3", "4 4", "1 4")  # of the terms of one loss
Manifest = Mapping[str, Any]


def training_records(manifests: Mapping[str, Manifest]) -> dict[str, Mapping[str, Any]]:
    """The records of training in stores' manifests, where there is a history.

    >>> training_records({"mine": {"encoder": {"training": None}}})
    {}
    """
    found = {name: m["encoder"].get("training") for name, m in manifests.items()}
    return {name: t for name, t in found.items() if t and any(t["history"].values())}


def training_section(m: Material) -> Section | None:
    """Sample efficiency and loss curves; None where nothing was trained here."""
    runs, efficiency = training_runs(m.first_stores, m.look), efficiency_content(m.first_stores, look=m.look)
    figures = [*(run["figure"] for run in runs if run["figure"]), *([efficiency["figure"]] if efficiency else [])]
    content = {"runs": runs, "efficiency": efficiency}
    return Section("training", "Training", content, {f.key: f.csv for f in figures}) if runs else None


def training_runs(manifests: Mapping[str, Manifest], look: Looks | None = None) -> list[dict[str, Any]]:
    """The settings of each, and of the first ones a figure: losses of different methods share no scale, so each has its own."""
    look = look or looks(manifests)
    found = []
    for place, (name, record) in enumerate(training_records(manifests).items()):
        found.append(
            {
                "title": look[name].title,
                "key": key(look[name]),
                "figure": _figure(f"training-{place + 1}", record, look[name]) if place < LINES else None,
                "config": sorted(record["config"].items()),
                "method": record["method"],
            }
        )
    return found


def _figure(key_: str, record: Mapping[str, Any], look: Look) -> Figure | None:
    # a loss that is no number any more is drawn up to there
    finite = {t: [p for p in points if math.isfinite(p[1])] for t, points in record["history"].items()}
    history = {term: points for term, points in finite.items() if points}
    if not history:
        return None
    terms = sorted(history, key=lambda term: term != "loss")  # the whole first, then its parts
    series = [
        Series(replace(look, dash=dash), term, [p[0] for p in history[term]], [p[1] for p in history[term]])
        for term, dash in zip(terms, DASHES, strict=False)
    ]
    last = max(x for s in series for x in s.x) or 1
    values = [y for s in series for y in s.y]
    y = limits(values, zero=min(values) >= 0)
    first, final = series[0].y[0], series[0].y[-1]
    title = (
        f"{short(look.name)}: {series[0].label} {first:.2f} at the start, {final:.2f} after {record['steps']:,} steps"
    )
    return Figure(
        key_,
        title,
        lines(series, Frame((0, last), y), ("step", "loss"), title, ticks(0, last, 4)),
        "",
        f"One run, {counted(len(history[terms[0]]), 'point')}; no interval.",
        to_csv([{"term": t, "step": x, "value": v} for t in terms for x, v in history[t]]),
    )
