"""Segmentation: the same test pictures under every encoder, with true and predicted masks, and IoU by picture and class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.marks import key
from reports.sections.choose import in_order
from reports.sections.pictures.masks import MOST, STEP, colours_of, item_ious, kept_of, mask_sheets, shown_items
from reports.sections.section import Material, Section
from reports.style import Look, short
from reports.tables import to_csv
from reports.words import counted, percent

DRAWN = 8  # encoders whose masks are shown
PICTURED = 2  # protocols and tasks with pictures
COLUMNS = 20  # classes in a table
NAMED = 3  # classes beneath a picture


def segmentation_section(m: Material) -> Section | None:
    """A figure for each protocol and task; None where nothing was segmented."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for r in sorted(m.results, key=lambda r: (r.protocol, r.task)):
        if r.cell.overlaps is not None and len(r.cell.overlaps["item"]):
            groups.setdefault((r.protocol, r.task), []).append(r)
    if not groups:
        return None
    figures: list[dict[str, Any]] = []
    for number, here in enumerate(groups.values()):
        pictured = sum(f["pictures"] is not None for f in figures) < PICTURED
        figures.append(_figure(in_order(here, m.order), m.look, f"segmentation-{number}", pictured))
    return Section("segmentation", "Segmentation", {"figures": figures}, {f["key"]: f["csv"] for f in figures})


def _figure(here: Sequence[Result], look: Mapping[str, Look], key_: str, pictured: bool) -> dict[str, Any]:
    classes, first = here[0].about["classes"], here[0].cell.rows[0]
    kept = [r for r in here if r.cell.overlays is not None and _same(r, here)]
    drawn = kept[:DRAWN] if pictured and len(classes) <= MOST else []
    items = shown_items(drawn)
    return {
        "key": key_,
        "finding": finding(here, look),
        "pictures": _pictures(drawn, items, classes, look, key_) if items else None,
        "rows": _rows(here, classes, look),
        "columns": (columns := _columns(here, classes)),
        "left_out": len(classes) - len(columns),
        "undrawn": len(here) - len(drawn) if items else 0,
        "none_kept": not kept,
        "about": f"{here[0].about['title']}, {counted(first.n, 'test picture')}; protocol {here[0].protocol}",
        "trainings": int(first.params.get("trainings", 1)),
        "csv": to_csv(_records(drawn or here, items, classes)),
    }


def _same(result: Result, here: Sequence[Result]) -> bool:
    """Whether a cell is of the same pictures and masks as the first."""
    return bool(result.about["data"]["test"] == here[0].about["data"]["test"])


def finding(here: Sequence[Result], look: Mapping[str, Look]) -> str:
    """Which encoder has the highest mean IoU, and whether the interval of another reaches its own."""
    ranked = sorted((r for r in here if r.cell.rows[0].value is not None), key=lambda r: -(r.cell.rows[0].value or 0))
    if not ranked:
        return "No mean IoU was measured"
    best, m = look[ranked[0].encoder].title, ranked[0].cell.rows[0]
    text = f"{short(best, 40)}: mean IoU {percent(m.value)}%"
    text += f" (95% interval {percent(m.low)} to {percent(m.high)})" if m.low is not None else ""
    if len(ranked) == 1:
        return text
    near = [r for r in ranked[1:] if m.low is None or (r.cell.rows[0].high or 1) >= m.low]
    if not near:
        return f"{text}, above the intervals of all others"
    names = short(look[near[0].encoder].title, 40) if len(near) == 1 else f"{len(near)} others"
    return f"{text}; {'that' if len(near) == 1 else 'those'} of {names} {'reaches' if len(near) == 1 else 'reach'} it"


def _columns(here: Sequence[Result], classes: Sequence[str]) -> list[str]:
    """The classes of the table: all, or those segmented best and worst on average."""
    if len(classes) <= COLUMNS:
        return list(classes)
    every = [_by_class(r) for r in here]
    known = [c for c in classes if any(c in its for its in every)]
    mean = {c: np.mean([its[c] for its in every if c in its]) for c in known}
    ordered = sorted(known, key=lambda c: -float(mean[c]))
    return ordered[: COLUMNS // 2] + ordered[-(COLUMNS // 2) :]


def _by_class(result: Result) -> dict[str, float]:
    return {str(m.params["class"]): m.value for m in result.cell.rows if m.metric == "iou" and m.value is not None}


def _rows(here: Sequence[Result], classes: Sequence[str], look: Mapping[str, Look]) -> list[dict[str, Any]]:
    columns = _columns(here, classes)
    made = []
    for r in here:
        its, m = _by_class(r), r.cell.rows[0]
        values = [percent(its.get(c)) or "none" for c in columns]
        made.append(
            {"key": key(look[r.encoder]), "title": look[r.encoder].title, "ends": _ends(m), "by_class": values}
            | {"miou": percent(m.value)}
        )
    return made


def _ends(m: Measurement) -> str:
    return "" if m.low is None else f"{percent(m.low)} to {percent(m.high)}"


def _pictures(
    drawn: Sequence[Result], items: Sequence[str], classes: Sequence[str], look: Mapping[str, Look], key_: str
) -> dict[str, Any]:
    sheets, ious = mask_sheets(drawn, items, classes), [item_ious(r) for r in drawn]
    last = len(drawn) + 1

    def tile(row: int, column: int) -> dict[str, Any]:
        wide, high = sheets.sizes[column]
        x, y = STEP * column, STEP * row
        return {"view": f"{x} {y} {wide} {high}", "picture": y, "outline": y - STEP * last, "size": (wide, high)}

    lines = [
        {"title": "True mask", "key": "", "tiles": [tile(0, c) | {"iou": "", "named": ""} for c in range(len(items))]}
    ]
    for row, (r, its) in enumerate(zip(drawn, ious, strict=True), 1):
        tiles = [
            tile(row, c)
            | {"iou": percent(float(np.mean(list(its[item].values())))), "named": named(its[item], classes)}
            for c, item in enumerate(items)
        ]
        lines.append({"title": look[r.encoder].title, "key": key(look[r.encoder]), "tiles": tiles})
    seen = {
        c
        for r in drawn
        for item in items
        for mask in ("true", "predicted")
        for c in np.unique(kept_of(r, item)[mask]).tolist()
    }
    colours = colours_of(classes)
    return {
        "sheets": sheets,
        "names": items,
        "lines": lines,
        "legend": [(name, colours[c], c % len(classes)) for c, name in enumerate(classes) if c in seen],
        "again": len(set(colours)) < len(colours),
        "ids": (f"{key_}-p", f"{key_}-m"),
    }


def named(its: Mapping[int, float], classes: Sequence[str]) -> str:
    """IoU of the classes of a picture in per cent; of many only those with the lowest.

    >>> named({0: 0.5, 1: 0.25}, ["rest", "pet"]), named({0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}, list("abcd"))
    ('rest 50, pet 25', 'lowest: a 10, b 20, c 30')
    """
    if len(its) <= NAMED:
        return ", ".join(f"{classes[c]} {100 * v:.0f}" for c, v in its.items())
    lowest = sorted(its, key=lambda c: (its[c], c))[:NAMED]
    return "lowest: " + ", ".join(f"{classes[c]} {100 * its[c]:.0f}" for c in lowest)


def _records(drawn: Sequence[Result], items: Sequence[str], classes: Sequence[str]) -> list[dict[str, object]]:
    """IoU of the shown pictures by class, then of all pictures: a column an encoder."""
    ious, whole = {r.encoder: item_ious(r) for r in drawn}, {r.encoder: _by_class(r) for r in drawn}
    rows: list[dict[str, object]] = []
    for item in items:
        for c in sorted({c for its in ious.values() for c in its[item]}):
            values = {e: None if (v := its[item].get(c)) is None else round(v, 4) for e, its in ious.items()}
            rows.append({"picture": item, "class": classes[c], **values})
    for name in classes:
        values = {e: None if (v := its.get(name)) is None else round(v, 4) for e, its in whole.items()}
        rows.append({"picture": "all test pictures", "class": name, **values})
    return rows
