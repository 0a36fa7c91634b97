"""What the page cannot show because files are gone or damaged; why a cell is missing stands beside the board."""

from __future__ import annotations

from reports.sections.section import Material, Section


def lacking_section(m: Material) -> Section | None:
    """A line on each thing; None where nothing is lacking."""
    return Section("lacking", "What is lacking", list(m.lacking)) if m.lacking else None
