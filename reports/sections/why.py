"""Why one leads: small figures beside each other, each of one question."""

from __future__ import annotations

from collections.abc import Callable

from reports.sections.figure import Figure
from reports.sections.probes import penalty_figure, votes_figure
from reports.sections.section import Material, Section
from reports.sections.shifts import few_labels_figure, shifted_figure

FIGURES: tuple[Callable[..., Figure | None], ...] = (
    shifted_figure,
    few_labels_figure,
    penalty_figure,
    votes_figure,
)


def why_section(m: Material) -> Section | None:
    """The figures that the cells allow."""
    figures = [f for make in FIGURES if (f := make(m.results, m.order))]
    return Section("why", "Why", {"figures": figures}, {f.key: f.csv for f in figures}) if figures else None
