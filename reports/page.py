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

from relic_eval.board import Board
from relic_eval.results import Result
from reports.sections import (
    blocks_section,
    board_section,
    discriminability_section,
    first_task,
    of_protocol,
    read_blocks,
    training_section,
)
from reports.style import percent, title
from reports.summary import sentences

TEMPLATES = Path(__file__).parent / "templates"
PROTOCOL_TITLES = {"linear-byol": "linear probe", "fewshot-5": "20 draws", "knn": "nearest neighbours"}


def to_html(
    results: Sequence[Result],
    board: Board,
    *,
    manifests: Mapping[str, Mapping[str, Any]],
    thumbnails: Mapping[str, bytes],
    failures: Sequence[Mapping[str, str]] = (),
) -> str:
    """The whole page. `manifests` are of one store an encoder, `thumbnails` WebP pictures by id."""
    results, order = list(results), [row.encoder for row in board.rows]
    blocks = read_blocks(of_protocol(results, "blocks", first_task(results, "blocks")), order)
    shown = blocks_section(blocks, thumbnails)
    ratios = [
        r
        for r in of_protocol(results, "discriminability", first_task(results, "discriminability"))
        if r.cell.rows[0].value is not None
    ]  # a missing ratio stands in no figure
    sheet = shown["sprite"] if shown else ""
    style = _text("page.css").replace("{{ sprite_rule }}", f".pic{{background-image:url({sheet})}}" if sheet else "")
    script = _text("page.js")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(percent=percent, title=title)
    tasks = {
        r.task: {
            "title": r.about["title"] if r.protocol != "fewshot-5" else r.about["task_settings"]["title"],
            "counts": r.about["counts"],
            "digest": r.about["data"]["test"],
        }
        for r in results
    }
    return environment.get_template("page.html").render(
        heading=_heading(board, results),
        sentences=sentences(board, failures),
        board=board_section(board),
        titles=PROTOCOL_TITLES,
        blocks=shown,
        discriminability=discriminability_section(
            sorted(ratios, key=lambda r: order.index(r.encoder) if r.encoder in order else len(order))
        ),
        training=training_section(manifests),
        failures=failures,
        tasks=list(tasks.values()),
        knn=[r for r in results if r.protocol == "knn"],
        encoders=_encoders(manifests),
        differences=[_difference(board, d) for d in board.differences],
        protocols=[
            {"name": p, "settings": s} for p, s in sorted({r.protocol: r.about["settings"] for r in results}.items())
        ],
        versions=results[0].about["versions"],
        data=_json(shown["data"] if shown else None),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _heading(board: Board, results: list[Result]) -> str:
    names = ", ".join(title(row.encoder) for row in board.rows)
    tasks = len({r.task for r in results})
    return f"{names} on {tasks} {'task' if tasks == 1 else 'tasks'}"


def _difference(board: Board, d: Any) -> dict[str, Any]:
    column = board.columns[d.column]
    return {
        "task": f"{column.title}, {PROTOCOL_TITLES.get(column.protocol, column.protocol)}",
        "better": title(d.better),
        "worse": title(d.worse),
        "value": d.value,
        "low": d.low,
        "high": d.high,
        "sure": d.sure,
    }


def _encoders(manifests: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "title": title(name),
            "kind": m["encoder"]["kind"],
            "dims": m["dims"],
            "parameters": m["encoder"]["parameters"],
            "unreadable": len(m["data"]["unreadable"]),
            "content": m["content"],
        }
        for name, m in manifests.items()
    ]


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
