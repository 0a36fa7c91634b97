"""A map of the test images under each encoder: a panel each, the same images; pointing at one rings it in all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.coded import front_coded
from reports.drawings.scatter import KINDS, markers, named, scatter, whole
from reports.sections.choose import shown
from reports.sections.section import Material, Section
from reports.sections.sheet import Sheet
from reports.style import clipped, short
from reports.tables import to_csv
from reports.words import percent

PROTOCOLS = ("map-umap", "map-tsne", "map")  # the first that there is: the others are asked for by name
MOST = 6  # panels
OF_MANY = 4  # panels where there are more encoders than twice that
PICTURES = 100  # that no other figure shows
NAMES = {
    "pca": "the first two principal components",
    "tsne": "t-SNE",
    "umap": "UMAP",
}


def map_section(m: Material) -> Section | None:
    """The panels of the first encoders of the board; None where none has a map."""
    here: list[Result] = next((its for p in PROTOCOLS if (its := _comparable(m, p))), [])
    if not here:
        return None
    drawn = MOST if len(here) <= 2 * OF_MANY else OF_MANY
    content = map_content(here[:drawn], m.sheet)
    content["more"] = [short(r.encoder, 40) for r in here[drawn:]]
    return Section("map", "Map", content, {"map": _csv(here)}, content["data"])


def _comparable(m: Material, protocol: str) -> list[Result]:
    here = [r for r in shown(m.results, protocol, m.order) if r.cell.predictions and r.cell.curves]
    same = [
        r for r in here if r.about["data"] == here[0].about["data"] and r.about["classes"] == here[0].about["classes"]
    ]
    return [r for r in same if np.array_equal(_table(r)["item"], _table(here[0])["item"])]


def map_content(here: Sequence[Result], sheet: Sheet) -> dict[str, Any]:
    """Panels, the names of the groups, and what pointing needs."""
    first, items, true_N = here[0], _table(here[0])["item"].tolist(), _table(here[0])["true"]
    names, group_C = groups_of(first.about["classes"], first.about.get("superclasses"))
    rows = [np.flatnonzero(group_C[true_N] == g) for g in range(max(1, len(names)))]
    order = np.concatenate(rows).tolist()
    settings = first.about["settings"]
    return {
        "finding": finding(here),
        "panels": [_panel(r, rows, "" if number else markers(len(rows))) for number, r in enumerate(here)],
        "legend": [named(g, clipped(name, 24)) for g, name in enumerate(names)],
        "how": NAMES[settings["method"]],
        "title": first.about["title"],
        "protocol": first.protocol,
        "n": len(items),
        "all": first.about["counts"]["test"],
        "data": {
            "classes": [clipped(name) for name in first.about["classes"]],
            "true": [int(true_N[row]) for row in order],
            "names": front_coded([items[row] for row in order]),
            "places": _places(str(first.about["data"]["test"]), [items[row] for row in order], sheet),
        },
    }


def groups_of(classes: Sequence[str], above: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
    """Names of what has a colour and a shape, and which of these each class is: classes, or superclasses, where they are few.

    >>> groups_of(["a", "b"], None)[0], groups_of([str(i) for i in range(9)], None)[0]
    (['a', 'b'], [])
    >>> groups_of([str(i) for i in range(9)], ["x"] * 4 + ["y"] * 5)[1].tolist()
    [0, 0, 0, 0, 1, 1, 1, 1, 1]
    """
    if len(classes) <= len(KINDS):
        return list(classes), np.arange(len(classes))
    names = list(dict.fromkeys(above or ()))
    if not 1 < len(names) <= len(KINDS):
        return [], np.zeros(len(classes), int)
    return names, np.array([names.index(name) for name in above or ()])


def finding(here: Sequence[Result]) -> str:
    """How far the maps can be trusted, in a title: whose loses most of what the embedding tells apart."""
    first = here[0]
    text = "The nearest point on the map is of the same class for "
    text += f"{_share(first, 'map_nearest')}% of images under {short(first.encoder, 40)} ({_share(first, 'embedding_nearest')}% in its embedding)"
    if len(here) == 1:
        return text
    last = min(here, key=lambda r: _row(r, "map_nearest").value or 0)
    if last is first:
        return f"{text}, the least of those drawn"
    return (
        f"{text}, {_share(last, 'map_nearest')}% under {short(last.encoder, 40)} ({_share(last, 'embedding_nearest')}%)"
    )


def _panel(r: Result, rows: Sequence[np.ndarray], shapes: str) -> dict[str, Any]:
    curve = r.cell.curves or {}
    place_N2 = whole(np.stack([curve["x"], curve["y"]], 1))
    held = sum(m.value or 0 for m in r.cell.rows if m.metric == "variance_share")
    return {
        "title": short(r.encoder, 40),
        "svg": scatter(place_N2, rows, f"Map of {short(r.encoder, 40)}", shapes),
        "near": _share(r, "map_nearest"),
        "embedding": _share(r, "embedding_nearest"),
        "held": percent(held),
    }


def _places(data: str, items: Sequence[str], sheet: Sheet) -> list[int]:
    """Places on the sheet, -1 for none: of pictures that are there already, and of PICTURES more, taken evenly."""
    found = [sheet.known(data, item) for item in items]
    left = [number for number, place in enumerate(found) if place < 0]
    for number in left[:: max(1, len(left) // PICTURES)][:PICTURES]:
        found[number] = sheet.place(data, items[number])
    return found


def _table(r: Result) -> Any:
    return r.cell.predictions or {}


def _row(r: Result, metric: str) -> Measurement:
    return next(m for m in r.cell.rows if m.metric == metric)


def _share(r: Result, metric: str) -> str:
    return f"{100 * (_row(r, metric).value or 0):.0f}"


def _csv(here: Sequence[Result]) -> str:
    rows: list[dict[str, object]] = [
        {"encoder": r.encoder, "metric": m.metric, **m.params, "value": m.value, "low": m.low, "high": m.high, "n": m.n}
        for r in here
        for m in r.cell.rows
        if m.metric != "variance_share"
    ]
    return to_csv(rows)
