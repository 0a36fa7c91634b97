"""Loss over steps of every encoder that was trained here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from reports.drawings.frame import spread
from reports.figures.style import LETTER, SMALL, WIDTH, in_style, look_of, new_figure, pen
from reports.sections.training.training import DASHES
from reports.style import Look, short

NARROWEST = 1.75  # inches of a panel


@in_style
def losses_figure(
    training: Mapping[str, Mapping[str, Any]], look: Mapping[str, Look] | None = None, width: float = WIDTH
) -> Figure:
    """A panel a method, the terms of the loss over each other and named at their ends; each panel has its own scale."""
    across = min(len(training), max(1, int(width / NARROWEST)))
    rows = -(-len(training) // across)
    across = -(-len(training) // rows)
    tall = min(1.9, 0.6 * width)
    figure, every = new_figure(across, width, tall * rows, rows)
    look = look_of(look, training)
    for spare in every[len(training) :]:
        spare.set_visible(False)
    for axes, (name, record) in zip(every, training.items(), strict=False):
        history = {term: points for term, points in record["history"].items() if points}
        terms = sorted(history, key=lambda term: term != "loss")
        for term, dash in zip(terms, DASHES, strict=False):
            axes.plot(*zip(*history[term], strict=True), lw=1.3, **pen(replace(look[name], dash=dash)))
        low = min(0.0, min(y for points in history.values() for _, y in points))
        top = axes.get_ylim()[1]
        places = spread([history[t][-1][1] for t in terms], 0.105 * (top - low) * 1.9 / tall, low, top)
        for term, place in zip(terms, places, strict=True):
            axes.annotate(
                term, (history[term][-1][0], place), (4, 0), textcoords="offset points", va="center", fontsize=SMALL
            )
        axes.set(xlabel="step", xlim=(0, None), ylim=(low, None))
        axes.set_title(short(name, int(width / across / LETTER * 0.8)), loc="left")
        axes.grid(axis="y")
    for first in every[::across]:
        first.set_ylabel("loss")
    return figure
