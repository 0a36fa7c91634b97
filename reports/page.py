"""What is shown -> one HTML page that needs nothing else. A pure function: same input, same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from relic_eval.board import Board, costs_of
from relic_eval.cells import Result
from relic_eval.commands import Command
from reports.sections.blocks import blocks_section, read_blocks
from reports.sections.board import board_section
from reports.sections.choose import shown_blocks, with_ratio
from reports.sections.confusion import confusion_figure
from reports.sections.distances import distances_section
from reports.sections.efficiency import efficiency_section
from reports.sections.figure import Figure
from reports.sections.measures import measures_section
from reports.sections.probes import penalty_figure, votes_figure
from reports.sections.provenance import provenance_section
from reports.sections.sheet import row_rules
from reports.sections.shifts import few_labels_figure, sentence, shifted_figure, shifted_pairs
from reports.sections.training import training_section
from reports.summary import heading, statements
from reports.words import number, percent, roughly, signed

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("page.js", "board.js", "blocks.js")
Manifest = Mapping[str, Any]


def to_html(
    results: Sequence[Result],
    board: Board,
    *,
    stores: Mapping[str, Sequence[Manifest]],
    thumbnails: Mapping[str, bytes],
    failures: Sequence[Mapping[str, str]] = (),
    asked: Sequence[Command] = (),
) -> str:
    """The whole page. `stores` holds the manifests of each encoder's stores, `thumbnails` WebP pictures by id, `asked` grids."""
    results, order = list(results), [row.encoder for row in board.rows]
    stores = {name: stores[name] for name in sorted(stores, key=lambda n: order.index(n) if n in order else len(order))}
    blocks = blocks_section(read_blocks(shown_blocks(results, order), order), thumbnails)
    parts = {
        "heading": heading(order, len({r.task for r in results})),
        "said": statements(board, failures, sentence(shifted_pairs(results, order))),
        "board": board_section(board, failures, costs_of(stores)),
        "blocks": blocks,
        "distances": distances_section(with_ratio(results, order), board.baseline),
        "why": [f for f in _why(results, order) if f],
        "measures": measures_section(results, order),
        "efficiency": efficiency_section({name: found[0] for name, found in stores.items()}),
        "training": training_section({name: found[0] for name, found in stores.items()}),
        "origin": provenance_section(results, stores, failures, board.baseline, asked),
    }
    styles = [
        _text("page.css") + (row_rules(blocks["labels"]) if blocks else ""),
        _text("drawing.css"),  # apart, because a figure that is saved takes it along
    ]
    scripts = ["".join(_text(name) for name in SCRIPTS)]
    return (
        _environment()
        .get_template("page.html")
        .render(
            **parts,
            data=_json({"blocks": blocks["data"] if blocks else None, "csv": _tables(parts)}),
            styles=[Markup(s) for s in styles],
            scripts=[Markup(s) for s in scripts],
            style_hashes=[_hash(s) for s in styles],
            script_hashes=[_hash(s) for s in scripts],
        )
    )


def _why(results: Sequence[Result], order: Sequence[str]) -> list[Figure | None]:
    makers = (shifted_figure, few_labels_figure, penalty_figure, votes_figure, confusion_figure)
    return [make(results, order) for make in makers]


def _tables(parts: Mapping[str, Any]) -> dict[str, str]:
    """The CSV behind each figure, by its key."""
    distances = parts["distances"]["figures"] if parts["distances"] else []
    figures = [*distances, *parts["why"], *(t["figure"] for t in parts["training"])]
    figures += [parts["efficiency"]["figure"]] if parts["efficiency"] else []
    return {"board": parts["board"]["csv"], **{f.key: f.csv for f in figures}}


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
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


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
