"""What no figure shows: a table a protocol, with every number of its cells that is over all images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.marks import key
from reports.sections.choose import in_order
from reports.sections.section import Material, Section
from reports.sections.why.panels import Looks, all_looks
from reports.sections.why.robustness import strengths
from reports.words import number, percent

# protocols with a figure; neighbour blocks and maps have one too
DRAWN = ("linear-byol", "fewshot-5", "fewshot", "knn", "discriminability", "robust", "semi-1pct", "semi-10pct")
PARTLY = {"spectrum": ("rankme", "effective_rank", "alpha_req")}  # what the figure of a protocol says
PARTS = ("class", "kind", "query", "split")  # parameters of numbers that are over a part: measurements.csv holds them
SHARES = ("top1", "top5", "mean_per_class", "recall", "mean_average_precision", "clean_top1", "miou", "pixel_accuracy")
TITLES = {
    "top1": "top-1, %",
    "top5": "top-5, %",
    "mean_per_class": "mean per class, %",
    "recall": "recall, %",
    "mean_average_precision": "mean average precision, %",
    "miou": "mean IoU, %",
    "pixel_accuracy": "pixels right, %",
    "clean_top1": "top-1 as they are, %",
    "rankme": "RankMe",
    "alpha_req": "alpha-ReQ",
    "lidar": "LiDAR",
    "distance_ratio": "ratio",
    "distance_ratio_median": "median ratio of an image",
}


def measures_section(m: Material) -> Section | None:
    """The tables; None where every protocol has a figure."""
    tables = measure_tables(m.results, m.order, m.look)
    return Section("measures", "Other measures", tables) if tables else None


def measure_tables(results: Iterable[Result], order: Sequence[str], look: Looks | None = None) -> list[dict[str, Any]]:
    """A table for each protocol and task that no figure shows; measurements.csv holds what is left out of it."""
    found: dict[tuple[str, str], list[Result]] = {}
    for r in sorted(results, key=lambda r: (r.protocol, r.task)):
        first = r.protocol.split("-")[0]
        if r.protocol not in DRAWN and first not in ("blocks", "map") and not any(strengths(r)):
            found.setdefault((r.protocol, r.task), []).append(r)
    return [
        _table(protocol, its, all_looks(its, look))
        for (protocol, _), here in found.items()
        if any(map(measured, its := in_order(here, order)))
    ]


def measured(result: Result) -> dict[str, Measurement]:
    """The numbers over all images by their heads; of a vote only those at the chosen number of neighbours."""
    kept = [m for m in result.cell.rows if not set(PARTS) & set(m.params) and m.params.get("chosen", 1)]
    kept = [m for m in kept if m.metric not in PARTLY.get(result.protocol, ())]
    found: dict[str, Measurement] = {}
    for m in kept:
        found.setdefault(_head(m), m)  # the first is what a cell is about
    return found


def _head(m: Measurement) -> str:
    text = TITLES.get(m.metric, m.metric.replace("_", " "))
    return f"{text}, k = {m.params['k']}" if "k" in m.params and "chosen" not in m.params else text


def _table(protocol: str, here: Sequence[Result], look: Looks) -> dict[str, Any]:
    every = [measured(r) for r in here]
    heads = list(dict.fromkeys(head for its in every for head in its))
    return {
        "protocol": protocol,
        "what": here[0].about["settings"].get("source", ""),
        "task": here[0].about["title"],
        "n": here[0].cell.rows[0].n,
        "heads": heads,
        "rows": [
            {
                "key": key(look[r.encoder]),
                "title": look[r.encoder].title,
                "values": [_texts(its.get(head)) for head in heads],
            }
            for r, its in zip(here, every, strict=True)
        ],
    }


def _texts(m: Measurement | None) -> tuple[str, str]:
    """A value and its interval as people read them; what is missing is said."""
    if m is None or m.value is None:
        return "none", ""
    said = percent if m.metric in SHARES else figures
    return said(m.value), "" if m.low is None else f"{said(m.low)} to {said(m.high)}"


def figures(value: float | None) -> str:
    """Three digits of a number, or all before the point.

    >>> figures(114.97), figures(1.0364), figures(-0.6611), figures(0.0161), figures(0.00012345), figures(0.0)
    ('115', '1.04', '−0.661', '0.0161', '1.23e−04', '0.00')
    """
    if value is None:
        return ""
    if 0 < abs(value) < 1e-3:
        return f"{value:.2e}".replace("-", "−")
    before = math.floor(math.log10(abs(value))) if value else 0
    return number(value, max(0, 2 - before)).replace("-", "−")
