"""What is shown -> one HTML page that needs nothing else. A pure function: same input, same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports.sections.alike import alike_section
from reports.sections.blocks import blocks_section
from reports.sections.board import board_section
from reports.sections.confusion import confusion_section
from reports.sections.data import data_section
from reports.sections.differences import differences_section
from reports.sections.distances import distances_section
from reports.sections.history import history_section
from reports.sections.lacking import lacking_section
from reports.sections.map import map_section
from reports.sections.measures import measures_section
from reports.sections.provenance import provenance_section
from reports.sections.scaling import scaling_section
from reports.sections.section import Material, Section
from reports.sections.segmentation import segmentation_section
from reports.sections.training import training_section
from reports.sections.why import why_section
from reports.sections.words import words_section
from reports.summary import heading
from reports.words import number, percent, roughly, signed

TEMPLATES = Path(__file__).parent / "templates"
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
    sections = [s for make in SECTIONS if (s := make(material))]
    keys, environment = [s.key for s in sections], _environment()
    styles = [
        "".join([_text("page.css"), *(_text(f"{key}.css") for key in keys), *(s.style for s in sections)]),
        _text("drawing.css"),  # apart, because a figure that is saved takes it along
    ]
    scripts = ["".join([_text("page.js"), *(_text(f"{key}.js") for key in keys)])]
    bodies = [Markup(environment.get_template(f"{s.key}.html").render({s.key: s.content})) for s in sections]
    data = {s.key: s.data for s in sections if s.data is not None}
    return environment.get_template("page.html").render(
        heading=heading(material.order, len({r.task for r in material.results})),
        cells=len(material.results),
        failures=len(material.failures),
        sections=list(zip(sections, bodies, strict=True)),
        sheet={
            "uri": material.sheet.uri(),
            "height": material.sheet.height,
        },  # once all sections have asked for pictures
        data=_json({**data, "csv": _packed({name: text for s in sections for name, text in s.csv.items()})}),
        styles=[Markup(s) for s in styles],
        scripts=[Markup(s) for s in scripts],
        style_hashes=[_hash(s) for s in styles],
        script_hashes=[_hash(s) for s in scripts],
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(percent=percent, number=number, roughly=roughly, signed=signed)
    return environment


def _text(name: str) -> str:
    """A style or script; a section need not have one."""
    place = TEMPLATES / name
    return place.read_text(encoding="utf-8") if place.exists() else ""


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _packed(tables: Mapping[str, str]) -> str:
    """Tables that are wanted only when somebody saves one, a fifth as long."""
    return base64.b64encode(zlib.compress(json.dumps(tables).encode(), 9)).decode()


def _json(content: Any) -> Markup:
    """JSON that no text can break out of."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for sign, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(sign, code)
    return Markup(text)
