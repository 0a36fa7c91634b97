"""Which classes the linear probe takes for which, and the test images that it does so with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relic_eval.cells import Result
from reports.coded import front_coded
from reports.sections.choose import shown
from reports.sections.figure import Figure
from reports.sections.neighbours.block_rows import ALL_DRAWN, OF_MANY
from reports.sections.neighbours.mixing import cell_codes, heats, how, least_drawn
from reports.sections.section import Material, Section
from reports.sections.sheet import Sheet, view
from reports.style import Look
from reports.words import counted, several

PROTOCOL = "linear-byol"
CLASSES = 24  # classes drawn; of more, those that are right least often
EACH = 8  # pictures of a cell
NAMED = 300  # images whose ids are on the page
PICTURED = 120  # of them with a picture that no other figure shows
LARGEST = 6  # confusions in the table
BESIDE = 3  # pictures of each of them


def shares(result: Result) -> np.ndarray:
    """Share of each true class (row) that was taken for each class (column)."""
    count_CC = counts(result)
    with np.errstate(invalid="ignore"):
        return count_CC / count_CC.sum(1, keepdims=True)


def counts(result: Result) -> np.ndarray:
    """How many test images of each true class (row) were taken for each class (column)."""
    table, size = result.cell.predictions or {}, len(result.about["classes"])
    count_CC = np.zeros((size, size), np.int64)
    np.add.at(count_CC, (table["true"], table["predicted"]), 1)
    return count_CC


def confusion_section(m: Material) -> Section | None:
    """The matrices of the encoders of one task, and what pointing at a cell shows; None where no probe kept its predictions."""
    results = [r for r in shown(m.results, PROTOCOL, m.order) if r.cell.predictions is not None]
    if not results:
        return None
    content = confusion_content(results, m.look, m.sheet)
    return Section("confusion", "Confusion", content, data=content["data"])


def confusion_content(results: Sequence[Result], look: Mapping[str, Look], sheet: Sheet) -> dict[str, Any]:
    """Figure, table of the largest confusions, and the data of the script."""
    first, drawn = results[0], results if len(results) <= ALL_DRAWN else results[:OF_MANY]
    classes, total = first.about["classes"], shares(first)
    right = np.nan_to_num(np.diag(total), nan=2.0)
    kept = sorted(np.argsort(right, kind="stable")[:CLASSES].tolist())
    names = [classes[i] for i in kept]
    parts = {look[r.encoder].title: np.nan_to_num(shares(r)[np.ix_(kept, kept)]) for r in drawn}
    least = least_drawn(list(parts.values()), 1500)
    maps = heats(names, parts, "Confusion", least)
    figure = Figure(
        "confusion-matrix",
        _finding(look[first.encoder].title, classes, total),
        maps[0][1],
        how("columns what the probe said", len(kept), least),
        _note(results, drawn, kept, look),
        "",  # the script makes it of what it has
        maps[:2],
        maps[2:],
    )
    held = [_held(r, kept, share_CC >= least) for r, share_CC in zip(drawn, parts.values(), strict=True)]
    largest = _largest(drawn[:2], look)
    items = _named(held, [item for row in largest for item in row["shown"]])
    place = {item: i for i, item in enumerate(items)}
    new = [item for item in items if sheet.known(*item) < 0][:PICTURED]  # those of the squares cost nothing
    places = [sheet.place(*item) if sheet.known(*item) >= 0 or item in new else -1 for item in items]
    cells = [[[place[i] for i in its[:EACH] if i in place] for its in encoder.values()] for encoder in held]
    kept_counts = [counts(r)[np.ix_(kept, kept)] for r in drawn]
    data = {
        "classes": names,
        "encoders": list(parts),
        "totals": [counts(r).sum(1)[kept].tolist() for r in drawn],
        "counts": [cell_codes(c, least, 1, s) for c, s in zip(kept_counts, parts.values(), strict=True)],
        "names": front_coded([item for _, item in items]),
        "places": places,
        "cells": cells,
    }
    for row in largest:
        row["pictures"] = [{"name": item[1], "view": view(places[place[item]])} for item in row["shown"]]
        row["any"] = any(places[place[item]] >= 0 for item in row["shown"])
    return {"figure": figure, "data": data, "largest": largest}


def _note(results: Sequence[Result], drawn: Sequence[Result], kept: Sequence[int], look: Mapping[str, Look]) -> str:
    first = results[0]
    text = f"{first.about['title']}; protocol {PROTOCOL}, n = {first.cell.rows[0].n:,}; no intervals."
    if len(kept) < len(first.about["classes"]):
        text += f" Shown are the {counted(len(kept), 'class', 'classes')} that {look[first.encoder].title} gets right least often."
    if len(drawn) < len(results):
        text += f" Not drawn: {several([look[r.encoder].title for r in results[len(drawn) :]])}."
    other = [r for r in results if _digest(r) != _digest(first)]
    if other:
        text += (
            f" {several([look[r.encoder].title for r in other])} saw other pictures: the digest of the data differs."
        )
    return text


Item = tuple[str, str]  # digest of the data, id


def _held(r: Result, kept: Sequence[int], drawn_CC: np.ndarray) -> dict[tuple[int, int], list[Item]]:
    """The test images of each drawn cell, row after row, in the order of the table of predictions."""
    table, place = r.cell.predictions or {}, {c: i for i, c in enumerate(kept)}
    cells: dict[tuple[int, int], list[Item]] = {(i, j): [] for i, j in np.argwhere(drawn_CC).tolist()}
    digest = _digest(r)
    for item, true, predicted in zip(
        table["item"].tolist(), table["true"].tolist(), table["predicted"].tolist(), strict=True
    ):
        cell = (place.get(true, -1), place.get(predicted, -1))
        if cell in cells:
            cells[cell].append((digest, item))
    return cells


def _named(held: Sequence[Mapping[tuple[int, int], Sequence[Item]]], first: Sequence[Item]) -> list[Item]:
    """The images that are on the page: those of the table, then in turn one of each cell, the largest first; what is right waits two turns."""
    cells = [(-len(its), e, i, j, its) for e, encoder in enumerate(held) for (i, j), its in encoder.items()]
    turns = [
        (turn + 2 * (i == j), place, its[turn])
        for place, (_, _, i, j, its) in enumerate(sorted(cells, key=lambda cell: cell[:4]))
        for turn in range(min(EACH, len(its)))
    ]
    return list(dict.fromkeys([*first, *(item for *_, item in sorted(turns))]))[:NAMED]


def _largest(drawn: Sequence[Result], look: Mapping[str, Look]) -> list[dict[str, Any]]:
    """The largest confusions of these encoders, each with its first images."""
    found = []
    for e, r in enumerate(drawn):
        count_CC = counts(r)
        np.fill_diagonal(count_CC, 0)
        found += [(-int(count_CC[i, j]), e, i, j) for i, j in np.argwhere(count_CC > 0).tolist()]
    return [_row(drawn[e], i, j, look) for _, e, i, j in sorted(found)[:LARGEST]]


def _row(r: Result, true: int, said: int, look: Mapping[str, Look]) -> dict[str, Any]:
    table, classes = r.cell.predictions or {}, r.about["classes"]
    of_class = table["true"] == true
    its = of_class & (table["predicted"] == said)
    return {
        "encoder": look[r.encoder].title,
        "true": classes[true],
        "said": classes[said],
        "count": int(its.sum()),
        "share": float(its.sum() / of_class.sum()),
        "shown": [(_digest(r), item) for item in table["item"][its].tolist()[:BESIDE]],
    }


def _digest(r: Result) -> str:
    return str(r.about.get("data", {}).get("test"))


def _finding(name: str, classes: Sequence[str], share_CC: np.ndarray) -> str:
    wrong_CC = np.nan_to_num(share_CC) * (1 - np.eye(len(classes)))
    row, column = divmod(int(wrong_CC.argmax()), len(classes))
    if wrong_CC[row, column] == 0:
        return f"{name}: no test image is taken for another class"
    share = 100 * wrong_CC[row, column]
    return f"{name} errs most on {classes[row]}: {share:.0f}% of it is taken for {classes[column]}"
