"""Loss curves of every encoder that was trained here, with the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reports.drawings.frame import Frame, limits, ticks
from reports.drawings.lines import Series, lines
from reports.drawings.marks import key
from reports.sections.efficiency import efficiency_content
from reports.sections.figure import Figure
from reports.sections.section import Material, Section
from reports.style import looks
from reports.tables import to_csv

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
    runs, efficiency = training_runs(m.first_stores), efficiency_content(m.first_stores)
    figures = [*(run["figure"] for run in runs), *([efficiency["figure"]] if efficiency else [])]
    content = {"runs": runs, "efficiency": efficiency}
    return Section("training", "Training", content, {f.key: f.csv for f in figures}) if runs else None


def training_runs(manifests: Mapping[str, Manifest]) -> list[dict[str, Any]]:
    """A figure and the settings of each."""
    look = looks(manifests)
    found = []
    for place, (name, record) in enumerate(training_records(manifests).items()):
        found.append(
            {
                "title": look[name].title,
                "key": key(look[name]),
                "figure": _figure(f"training-{place + 1}", record, look[name]),
                "config": sorted(record["config"].items()),
                "method": record["method"],
            }
        )
    return found


def _figure(key_: str, record: Mapping[str, Any], look: Any) -> Figure:
    history = {term: points for term, points in record["history"].items() if points}
    terms = sorted(history, key=lambda term: term != "loss")  # the whole first, then its parts
    series = [
        Series(replace(look, dash=dash), term, [p[0] for p in history[term]], [p[1] for p in history[term]])
        for term, dash in zip(terms, DASHES, strict=False)
    ]
    last = max(x for s in series for x in s.x) or 1
    values = [y for s in series for y in s.y]
    y = limits(values, zero=min(values) >= 0)
    first, final = series[0].y[0], series[0].y[-1]
    title = f"{look.title}: {series[0].label} {first:.2f} at the start, {final:.2f} after {record['steps']:,} steps"
    return Figure(
        key_,
        title,
        lines(series, Frame((0, last), y), ("step", "loss"), title, ticks(0, last, 4)),
        "",
        "",
        to_csv([{"term": t, "step": x, "value": v} for t in terms for x, v in history[t]]),
    )
