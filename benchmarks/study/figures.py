"""The figures of the pretraining study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from benchmarks.study.arms import ARMS, BASE
from benchmarks.study.table import COLUMNS, half_width, means, values
from reports.figures.style import DIM, new_figure
from reports.style import title

OVERLAID = ("supervised", "simclr", "byol", "relic", "relicv2", "twice as wide")


def arms_figure(rows: Sequence[dict[str, Any]]) -> Figure:
    """A panel a figure: the mean of each arm with its 95% interval, its seeds as small dots, RELICv2 as a line."""
    arms = [a for a in ARMS if a in values(rows, ("linear",), 1)]
    figure, every = new_figure(3, 8.4, 2 * (0.9 + 0.2 * len(arms)), 2, sharey=True)
    for axes, (name, figures, by) in zip(every, COLUMNS, strict=True):
        of = values(rows, figures, by)
        known = means(of)
        for place, arm in enumerate(arms):
            mean, half = known[arm].value, half_width(known[arm])
            colour = "#d55e00" if arm == BASE else "#7f7f7f" if arm == "random" else "#0072b2"
            axes.plot([mean - half, mean + half], [place, place], color=colour, lw=1.4)
            axes.plot(of[arm], [place] * len(of[arm]), ".", color=colour, ms=3, alpha=0.7)
            axes.plot(mean, place, "o", color=colour, ms=5)
        if BASE in of:
            axes.axvline(of[BASE].mean(), color=DIM, lw=0.6, ls=(0, (3, 3)))
        axes.set_title(name, loc="left")
        axes.grid(axis="y")
        axes.tick_params(axis="y", length=0)
        for side in axes.spines.values():
            side.set_visible(side.spine_type == "bottom")
    every[0].set(ylim=(len(arms) - 0.5, -0.5), yticks=range(len(arms)), yticklabels=[title(arm) for arm in arms])
    figure.supxlabel(
        "Lines are 95% intervals of the mean over seeds (small dots); arms of RELICv2 share the spread of theirs.",
        fontsize=8,
        x=0.01,
        ha="left",
    )
    return figure


def efficiency_figure(rows: Sequence[dict[str, Any]]) -> Figure:
    """Accuracy while training over steps, images, views and operations, all seeds of the methods and of both widths."""
    from reports.figures.sample_efficiency import sample_efficiency_figure

    runs = {arm: [r["curve"] for r in rows if r["arm"] == arm and not {"tuning", "full"} & set(r)] for arm in OVERLAID}
    return sample_efficiency_figure({arm: curves for arm, curves in runs.items() if curves})
