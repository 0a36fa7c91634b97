"""Distance ratios of all encoders: medians, histograms over each other, and the shares of images at or below each ratio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from relic_eval.cells import Result
from reports.figures.style import DIM, LETTER, LINE, SMALL, WIDTH, dot, in_style, look_of, pen, wrapped
from reports.sections.distances.distances import density
from reports.sections.distances.medians import median_of
from reports.style import Look, short
from reports.words import number

BESIDE = 5.0  # inches from which on histogram and shares stand side by side
AXIS = "mean distance to other classes / to the own class"


@in_style
def discriminability_figure(
    results: list[Result],
    baseline: str | None = None,
    look: Mapping[str, Look] | None = None,
    width: float = WIDTH,
) -> Figure:
    """Above, medians with 95% intervals, in their order; beneath, histograms and ECDFs, the baseline under the others."""
    look, lanes, wide = look_of(look, [r.encoder for r in results]), LINE * (len(results) + 1) + 0.3, width >= BESIDE
    tall = min(2.3, 0.42 * width) if wide else 3.4
    figure = Figure(figsize=(width, lanes + tall), layout="constrained")
    above, beneath = figure.subfigures(2, 1, height_ratios=[lanes, tall]).ravel()  # type: ignore[union-attr]
    medians = above.subplots()
    histogram, shares = beneath.subplots(1 if wide else 2, 2 if wide else 1)
    drawn = sorted(results, key=lambda r: r.encoder != baseline)
    shape = density(drawn)
    ends = min(float(x[0]) for x, _ in shape.values()), max(float(x[-1]) for x, _ in shape.values())
    if ends[0] == ends[1]:  # one bin holds all
        ends = ends[0] - 0.5, ends[1] + 0.5
    _medians(medians, results, look, min(30, int(0.3 * width / LETTER)))
    for name, (x, y) in shape.items():
        held = np.flatnonzero(y)
        part, peak = slice(max(0, held[0] - 1), held[-1] + 2), int(y.argmax())
        histogram.plot(x[part], y[part], lw=1.3, **pen(look[name]))
        histogram.plot(x[peak], y[peak], ms=4.5, **dot(look[name]))
    for name, (x, y) in shares_below(drawn, ends).items():
        half = int(np.searchsorted(y, 50))
        shares.plot(x, y, lw=1.3, **pen(look[name]))
        shares.plot(x[half : half + 1], y[half : half + 1], ms=4.5, **dot(look[name]))
    said = wrapped(AXIS, (width / 2 if wide else width) - 0.5)
    histogram.set(ylabel="% of test images", ylim=(0, None), xlim=ends)
    shares.set(ylabel="% at or below", ylim=(0, 100), xlim=ends, xlabel=said)
    histogram.set_xlabel(said if wide else "")
    for panel in (medians, histogram, shares):
        panel.axvline(1, color=DIM, lw=0.8, ls=":", zorder=0)
        panel.grid(axis="y")
    return figure


def shares_below(results: Sequence[Result], ends: tuple[float, float]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each encoder per cent of images at or below 101 ratios between two ends; those beyond them count too."""
    at = np.linspace(*ends, 101)
    ratios = {r.encoder: (s := (r.cell.predictions or {})["score"])[np.isfinite(s)] for r in results}
    return {name: (at, 100 * np.searchsorted(np.sort(v), at, "right") / len(v)) for name, v in ratios.items()}


def _medians(lanes: Any, results: Sequence[Result], look: Mapping[str, Look], longest: int) -> None:
    """A line an encoder, the highest median at the top; names at the left, numbers at the right."""
    ranked = sorted(results, key=lambda r: -(median_of(r).value or 0))
    for place, r in enumerate(ranked):
        m, its = median_of(r), look[r.encoder]
        if m.low is not None and m.high is not None:
            lanes.plot([m.low, m.high], [place, place], color=its.colour, lw=2, solid_capstyle="butt")
        lanes.plot(m.value or 0, place, ms=4, **dot(its))
        lanes.annotate(
            number(m.value),
            (1, place),
            (4, 0),
            lanes.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            size=SMALL,
        )
    lanes.set(ylim=(len(ranked) - 0.4, -0.6))
    lanes.set_yticks(range(len(ranked)), [short(r.encoder, longest) for r in ranked])
    lanes.set_title("median of the images, with its 95% interval", loc="left", size=SMALL, color=DIM)
    lanes.tick_params(axis="y", length=0)
    lanes.tick_params(axis="x", length=2)
    for side in lanes.spines.values():
        side.set_visible(False)
