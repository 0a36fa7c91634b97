"""Loss over steps of every encoder that was trained here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from reports.figures.style import new_figure
from reports.style import colours, short


def losses_figure(training: Mapping[str, Mapping[str, Any]]) -> Figure:
    """A panel a method, the terms of the loss over each other; `training` is the record in each store's manifest."""
    figure, every = new_figure(len(training), width=2.6 * len(training), height=2.4)
    colour = colours(list(training))
    for axes, (name, record) in zip(every, training.items(), strict=True):
        for style, (term, points) in zip(("-", "--", ":"), record["history"].items(), strict=False):
            axes.plot([p[0] for p in points], [p[1] for p in points], style, color=colour[name], label=term)
        axes.set(xlabel="step", title=short(name))
        axes.legend(frameon=False, fontsize=7)
    every[0].set_ylabel("loss")
    return figure
