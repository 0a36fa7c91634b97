"""How far apart the classes are: the images' ratios in bins, against a baseline, task by task, and the classes one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relic_eval.board import shares_below
from relic_eval.cells import Result
from reports.drawings.dots import dots
from reports.drawings.marks import key
from reports.drawings.outlines import Outline, outlines
from reports.sections.choose import with_ratio
from reports.sections.distances.bins import Bins, bin_counts, pointing, shared_bins
from reports.sections.distances.medians import median_of, shift_content, tasks_table
from reports.sections.figure import Figure
from reports.sections.section import Material, Section
from reports.sections.sheet import Sheet
from reports.style import Look, looks, short
from reports.tables import to_csv
from reports.words import counted, number

RATIO = "distance to other classes / to the own class"
MOST = 10  # classes from either end
DRAWN = 8  # encoders in a drawing: more outlines over each other are told apart by nobody, and take too much room
CSV_ROWS = 2000  # ratios of classes that the page's own file holds; tables/measurements.csv holds all


def density(results: Sequence[Result]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Histograms of the images' ratios, per cent a bin: in bins that all encoders share, by the middle of each."""
    bins = shared_bins(results)
    middle = (bins.edges_E[1:] + bins.edges_E[:-1]) / 2
    counts = {r.encoder: bin_counts(r, bins) for r in results}
    return {name: (middle, 100 * count_B[1:-1] / count_B.sum()) for name, count_B in counts.items()}


def distances_section(m: Material) -> Section | None:
    """Figures and tables; None where no encoder has a ratio."""
    results = with_ratio(m.results, m.order)
    if not results:
        return None
    content = distances_content(results, m.board.baseline, m.look, m.sheet)
    content["tasks"] = tasks_table(m.results, m.order, m.look)
    csv = {f.key: f.csv for f in content["figures"]}
    shift, data = content["shift"], {}
    if shift is not None:
        csv["ratio-shifts"] = shift["csv"]
        data = {"shifts": shift["data"]}
    if content["pointing"]:
        its = {name: value for name, value in content["pointing"].items() if name != "rows"}
        data |= {"bins": its}
    return Section("distances", "Distances", content, csv, data=data or None)


def distances_content(
    results: Sequence[Result], baseline: str | None, look: Mapping[str, Look] | None = None, sheet: Sheet | None = None
) -> dict[str, Any]:
    """Figures and tables of the cells of one task that have a ratio."""
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
    drawn, bins = drawn_first(results, baseline), shared_bins(results)
    shown = [_outline(r, bins, look[r.encoder]) for r in drawn]
    figures = [_outlines(results, shown, bins, look)]
    if any(per_class.values()):
        figures.append(_classes(drawn, look, per_class))
    return {
        "figures": figures,
        "pointing": pointing(drawn, shown, bins, sheet or Sheet({}), look) if _alike(drawn) else None,
        "shift": shift_content(results, baseline, look),
        "table": table,
        "tasks": None,
        "n": results[0].cell.rows[0].n,
        "title": results[0].about["title"],
    }


def drawn_first(results: Sequence[Result], baseline: str | None) -> list[Result]:
    """The encoders that are drawn, the baseline first, so that it lies beneath the others, then the first ones in order."""
    first = [r for r in results if r.encoder == baseline]
    return [*first, *(r for r in results if r.encoder != baseline)][:DRAWN]


def _alike(results: Sequence[Result]) -> bool:
    """Whether all cells are of the same images: a picture stands beside the numbers of each."""
    its = [(r.about["data"]["test"], (r.cell.predictions or {})["item"].tolist()) for r in results]
    return all(i == its[0] for i in its)


def _outline(result: Result, bins: Bins, look: Look) -> Outline:
    below = shares_below([result])[result.encoder]
    return Outline(look, bins.edges_E, bin_counts(result, bins), median_of(result), below)


def _outlines(results: Sequence[Result], shown: Sequence[Outline], bins: Bins, look: Mapping[str, Look]) -> Figure:
    ranked = sorted(results, key=lambda r: -(median_of(r).value or 0))
    best, last = ranked[0], ranked[-1]
    title = f"Under {look[best.encoder].title} the median image lies {number(median_of(best).value)} times as far from other classes as from its own"
    if len(ranked) > 1:
        title += f", {number(median_of(last).value)} times under {look[last.encoder].title}"
    counts = {r.encoder: bin_counts(r, bins) for r in results}
    rows = [
        {"ratio": bins.name(place), **{name: int(count_B[place]) for name, count_B in counts.items()}}
        for place in range(len(bins.edges_E) + 1)
    ]
    outside = max(float(o.count_B[[0, -1]].sum() / o.count_B.sum()) for o in shown)
    note = f"{results[0].about['title']}, n = {results[0].cell.rows[0].n:,}; protocol discriminability; bars are 95% intervals of the medians."
    if outside > 0:
        note += f" Beyond the ends of the axis lie {'at most ' if len(shown) > 1 else ''}{100 * outside:.1f}% of the images{' of an encoder' if len(shown) > 1 else ''}."
    return Figure(
        "outlines",
        title,
        outlines(shown, (f"mean {RATIO}", "% of test images", "% of test images below"), title, 1.0),
        "Above, each outline is a histogram over images with a mark on its peak, and the lanes hold the medians; below, the same "
        "images added up from the left. Farther right is better; left of the dotted line an image lies nearer to other classes "
        "than to its own." + left_out(results, shown),
        note,
        to_csv(rows),
    )


def left_out(results: Sequence[Any], shown: Sequence[Any]) -> str:
    """What is said where not all encoders are drawn.

    >>> left_out([1, 2], [1, 2]), left_out(range(60), range(8))
    ('', ' Drawn are the baseline and the first of the board, 8 of 60 encoders; the file of the data holds all.')
    """
    if len(shown) == len(results):
        return ""
    return f" Drawn are the baseline and the first of the board, {len(shown)} of {len(results)} encoders; the file of the data holds all."


def _classes(drawn: Sequence[Result], look: Mapping[str, Look], per_class: Mapping[str, Mapping]) -> Figure:
    names = list(dict.fromkeys(c for found in per_class.values() for c in found))
    mean = {c: float(np.mean([f[c] for f in per_class.values() if f.get(c) is not None])) for c in names}
    ordered = sorted(names, key=lambda c: -mean[c])
    kept = ordered if len(ordered) <= 2 * MOST else ordered[:MOST] + ordered[-MOST:]
    its = [r.encoder for r in drawn]
    rows = [(c, [(look[e], v) for e in its if (v := per_class[e].get(c)) is not None]) for c in kept]
    title = _extremes(per_class)
    gone = len(names) - len(kept)
    held = ordered if len(names) * len(per_class) <= CSV_ROWS else kept
    table = [{"class": c, **{e: _rounded(f.get(c)) for e, f in per_class.items()}} for c in held]
    note = f"{drawn[0].about['title']}; intervals of one class are in its cell and not drawn."
    if gone:
        note += f" {counted(gone, 'class', 'classes')} in the middle left out."
    if len(held) < len(names):
        note += " The file of the data holds the classes drawn, tables/measurements.csv all."
    return Figure(
        "classes",
        title,
        dots(rows, [look[e] for e in its], f"mean {RATIO}", title, 1.0),
        "One line a class, from the best set apart on average at the top; each mark is an encoder."
        + left_out(list(per_class), its),
        note,
        to_csv(table),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _extremes(per_class: Mapping[str, Mapping[str, float]]) -> str:
    worst = Counter(min(found, key=lambda c: found[c]) for found in per_class.values() if found)
    best = Counter(max(found, key=lambda c: found[c]) for found in per_class.values() if found)
    (bad, times), (good, often) = worst.most_common(1)[0], best.most_common(1)[0]
    bad, good, every = short(bad, 48), short(good, 48), len([f for f in per_class.values() if f])
    if every == 1:
        return f"{good} is set apart best, {bad} worst"
    best_words = (
        f"{good} is set apart best by {often} of {every} encoders"
        if often > 1
        else "No two encoders set the same class apart best"
    )
    return f"{best_words}, {bad} worst by {times}" if times > 1 else f"{best_words}; no two agree on the worst"
