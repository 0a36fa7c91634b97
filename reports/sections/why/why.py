"""Why one leads: small figures beside each other, each of one question."""

from __future__ import annotations

from collections.abc import Callable

from reports.sections.figure import Figure
from reports.sections.section import Material, Section
from reports.sections.why.elsewhere import elsewhere_figure
from reports.sections.why.probes import penalty_figure, votes_figure
from reports.sections.why.robustness import kinds_table, robust_figure
from reports.sections.why.semi import semi_figure
from reports.sections.why.shifts import few_labels_figure, shifted_figure
from reports.sections.why.shots import shots_figure
from reports.sections.why.spectrum import spectrum_figure

FIGURES: tuple[Callable[..., Figure | None], ...] = (
    shifted_figure,
    few_labels_figure,
    shots_figure,
    semi_figure,
    robust_figure,
    elsewhere_figure,
    penalty_figure,
    votes_figure,
    spectrum_figure,
)


def why_section(m: Material) -> Section | None:
    """The figures that the cells allow."""
    made = [make(m.results, m.order, m.look) for make in FIGURES]
    figures = [f for f in made if f]
    content = {"figures": figures, "kinds": kinds_table(m.results, m.order, m.look)}
    return Section("why", "Why", content, {f.key: f.csv for f in figures}) if figures else None
