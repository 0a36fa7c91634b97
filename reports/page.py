"""What is shown -> one HTML page that needs nothing else. A pure function: same input, same bytes."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from reports.assets import around, environment
from reports.sections.alike import alike_section
from reports.sections.board.board import board_section
from reports.sections.board.scaling import scaling_section
from reports.sections.distances.distances import distances_section
from reports.sections.measures import measures_section
from reports.sections.neighbours.blocks import blocks_section
from reports.sections.origin.data import data_section
from reports.sections.origin.lacking import lacking_section
from reports.sections.origin.provenance import provenance_section
from reports.sections.pictures.confusion import confusion_section
from reports.sections.pictures.differences import differences_section
from reports.sections.pictures.map import map_section
from reports.sections.pictures.segmentation import segmentation_section
from reports.sections.section import Material, Section
from reports.sections.training.history import history_section
from reports.sections.training.training import training_section
from reports.sections.why.why import why_section
from reports.sections.words import words_section
from reports.summary import heading

# from top to bottom; one that has nothing to show is None, and neither it nor its script is on the page
SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    words_section,
    board_section,
    scaling_section,
    blocks_section,
    distances_section,
    why_section,
    confusion_section,
    differences_section,
    alike_section,
    map_section,
    segmentation_section,
    measures_section,
    history_section,
    training_section,
    data_section,
    lacking_section,
    provenance_section,
)


def to_html(material: Material) -> str:
    """The whole page."""
    sections, templates = [s for make in SECTIONS if (s := make(material))], environment()
    bodies = [Markup(templates.get_template(f"{s.key}.html").render({s.key: s.content})) for s in sections]
    data = {s.key: s.data for s in sections if s.data is not None}
    csv = {name: text for s in sections for name, text in s.csv.items()}
    return templates.get_template("page.html").render(
        heading=heading(material.order, len({r.task for r in material.results})),
        cells=len(material.results),
        failures=len(material.failures),
        sections=list(zip(sections, bodies, strict=True)),
        sheet={
            "uri": material.sheet.uri(),
            "height": material.sheet.height,
        },  # once all sections have asked for pictures
        **around([s.key for s in sections], {**data, "csv": csv}, "".join(s.style for s in sections)),
    )
