"""How far apart the classes are: outlines of the images' ratios, and the classes one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.dots import dots
from reports.drawings.marks import key
from reports.drawings.outlines import Outline, outlines
from reports.sections.choose import with_ratio
from reports.sections.figure import Figure
from reports.sections.section import Material, Section
from reports.style import Look, looks
from reports.tables import to_csv
from reports.words import counted, number

RATIO = "distance to other classes / to the own class"
MOST = 10  # classes from either end


def density(results: Sequence[Result]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Histograms of the images' ratios with bins that all encoders share, cut at the 0.5% and 99.5% points."""
    ratios = {r.encoder: (s := (r.cell.predictions or {})["score"])[np.isfinite(s)] for r in results}
    low, high = np.percentile(np.concatenate(list(ratios.values())), [0.5, 99.5])
    edges = np.linspace(low, max(high, low + 1e-6), 61)
    middle = (edges[1:] + edges[:-1]) / 2
    return {name: (middle, 100 * np.histogram(v, edges)[0] / len(v)) for name, v in ratios.items()}


def median_of(result: Result) -> Measurement:
    """The median ratio of a cell."""
    return next(m for m in result.cell.rows if m.metric == "distance_ratio_median")


def distances_section(m: Material) -> Section | None:
    """The two figures and the table; None where no encoder has a ratio."""
    results = with_ratio(m.results, m.order)
    if not results:
        return None
    content = distances_content(results, m.board.baseline, m.look)
    return Section("distances", "Distances", content, {f.key: f.csv for f in content["figures"]})


def distances_content(
    results: Sequence[Result], baseline: str | None, look: Mapping[str, Look] | None = None
) -> dict[str, Any]:
    """Figures and table of cells that have a ratio."""
    look = look or looks(r.encoder for r in results)
    per_class = {r.encoder: {m.params["class"]: m.value for m in r.cell.rows if "class" in m.params} for r in results}
    table = [
        {
            "title": look[r.encoder].title,
            "key": key(look[r.encoder]),
            "overall": r.cell.rows[0],
            "median": median_of(r),
            "worst": min(per_class[r.encoder].items(), key=lambda c: c[1] or 0, default=None),
            "best": max(per_class[r.encoder].items(), key=lambda c: c[1] or 0, default=None),
        }
        for r in results
    ]
    figures = [_outlines(results, look, baseline)]
    if any(per_class.values()):
        figures.append(_classes(results, look, per_class))
    return {"figures": figures, "table": table, "n": results[0].cell.rows[0].n, "title": results[0].about["title"]}


def _outlines(results: Sequence[Result], look: Mapping[str, Look], baseline: str | None) -> Figure:
    first = sorted(results, key=lambda r: r.encoder != baseline)  # the baseline lies beneath the others
    shape = density(first)
    shown = [Outline(look[r.encoder], *shape[r.encoder], median_of(r)) for r in first]
    ranked = sorted(results, key=lambda r: -(median_of(r).value or 0))
    best, last = ranked[0], ranked[-1]
    title = f"Under {look[best.encoder].title} the median image lies {number(median_of(best).value)} times as far from other classes as from its own"
    if len(ranked) > 1:
        title += f", {number(median_of(last).value)} times under {look[last.encoder].title}"
    rows = [
        {"encoder": name, "ratio": round(float(a), 4), "percent_of_images": round(float(b), 3)}
        for name, (x, y) in shape.items()
        for a, b in zip(x, y, strict=True)
    ]
    return Figure(
        "outlines",
        title,
        outlines(shown, (f"mean {RATIO}", "% of test images"), title, 1.0),
        "Each outline is a histogram over images: farther right is better, and left of the dotted line an image lies "
        "nearer to other classes than to its own. The mark sits on the peak; the lanes above hold the medians.",
        f"{results[0].about['title']}, n = {results[0].cell.rows[0].n:,}; protocol discriminability; bars are 95% intervals "
        "of the medians. The outer 0.5% of images at either end are cut off.",
        to_csv(rows),
    )


def _classes(results: Sequence[Result], look: Mapping[str, Look], per_class: Mapping[str, Mapping]) -> Figure:
    names = list(dict.fromkeys(c for found in per_class.values() for c in found))
    mean = {c: float(np.mean([f[c] for f in per_class.values() if f.get(c) is not None])) for c in names}
    ordered = sorted(names, key=lambda c: -mean[c])
    kept = ordered if len(ordered) <= 2 * MOST else ordered[:MOST] + ordered[-MOST:]
    rows = [(c, [(look[e], v) for e, f in per_class.items() if (v := f.get(c)) is not None]) for c in kept]
    title = _extremes(per_class)
    left_out = len(names) - len(kept)
    table = [{"encoder": e, "class": c, "ratio": v} for e, found in per_class.items() for c, v in found.items()]
    return Figure(
        "classes",
        title,
        dots(rows, [look[r.encoder] for r in results], f"mean {RATIO}", title, 1.0),
        "One line a class, from the best set apart on average at the top; each mark is an encoder.",
        f"{results[0].about['title']}; intervals of one class are in its cell and not drawn."
        + (f" {counted(left_out, 'class', 'classes')} in the middle left out." if left_out else ""),
        to_csv(table),
    )


def _extremes(per_class: Mapping[str, Mapping[str, float]]) -> str:
    worst = Counter(min(found, key=lambda c: found[c]) for found in per_class.values() if found)
    best = Counter(max(found, key=lambda c: found[c]) for found in per_class.values() if found)
    (bad, times), (good, often) = worst.most_common(1)[0], best.most_common(1)[0]
    every = len([f for f in per_class.values() if f])
    if every == 1:
        return f"{good} is set apart best, {bad} worst"
    return f"{good} is set apart best by {often} of {every} encoders, {bad} worst by {times}"
