"""What the numbers say, in sentences."""

from __future__ import annotations

from reports.sections.section import Material, Section
from reports.sections.why.shifts import sentence, shifted_pairs
from reports.summary import statements


def words_section(m: Material) -> Section:
    """Sentences, each with the anchor of its figure."""
    said = statements(m.board, m.failures, sentence(shifted_pairs(m.results, m.order)))
    return Section("words", "In words", {"said": said})
