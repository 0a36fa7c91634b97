"""What each section of the page shows, worked out of the cells; the template only places it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from relic_eval.board import Board
from relic_eval.results import Result
from reports.style import colours, title
from reports.svg import block_matrix, change_bar, interval_bar, outlines

THUMB = 32  # side of a picture in the sprite


@dataclass(frozen=True)
class Block:
    """Neighbours of one encoder, indices into the order that all share."""

    encoder: str
    index_NK: np.ndarray
    distance_NK: np.ndarray
    result: Result


def of_protocol(results: Iterable[Result], protocol: str, task: str | None) -> list[Result]:
    """The cells of one protocol and task, by encoder."""
    return [r for r in results if r.protocol == protocol and (task is None or r.task == task)]


def first_task(results: list[Result], protocol: str) -> str | None:
    """The task shown first: that of most encoders, then of most test images, then by name."""
    here = [r for r in results if r.protocol == protocol]
    names, tests = [r.task for r in here], {r.task: r.about["counts"]["test"] for r in here}
    return min(set(names), key=lambda n: (-names.count(n), -tests[n], n)) if names else None


def board_section(board: Board) -> dict[str, Any]:
    """Rows of the board with their small drawings."""
    colour = colours([r.encoder for r in board.rows])
    limit = max([abs(e.change) for r in board.rows for e in r.entries if e and e.change is not None] + [1.0])
    rows = [
        {
            "encoder": r.encoder,
            "title": title(r.encoder),
            "colour": colour[r.encoder],
            "row": r,
            "cells": [
                None
                if e is None
                else {
                    "entry": e,
                    "bar": interval_bar(e.value, e.low, e.high, colour[r.encoder]),
                    "change": None if e.change is None else change_bar(e.change, limit),
                }
                for e in r.entries
            ],
        }
        for r in board.rows
    ]
    return {"columns": board.columns, "rows": rows, "baseline": title(board.baseline or "")}


def read_blocks(results: list[Result], order: list[str]) -> list[Block]:
    """Blocks of all encoders that looked at the same images."""
    blocks, items = [], None
    for result in sorted(results, key=lambda r: order.index(r.encoder) if r.encoder in order else len(order)):
        predictions, near = result.cell.predictions, result.cell.neighbours
        if predictions is None or near is None:
            continue
        if items is None:
            items = predictions["item"]
        if not np.array_equal(items, predictions["item"]):
            continue
        place = {item: row for row, item in enumerate(items.tolist())}
        k = int(near["rank"].max()) + 1
        index = np.array([place[item] for item in near["item"].tolist()]).reshape(-1, k)
        blocks.append(Block(result.encoder, index, near["distance"].reshape(-1, k), result))
    return blocks


def blocks_section(blocks: list[Block], thumbnails: Mapping[str, bytes]) -> dict[str, Any] | None:
    """The block matrices side by side, and the data that pointing at them needs."""
    if not blocks:
        return None
    about, predictions = blocks[0].result.about, blocks[0].result.cell.predictions or {}
    classes, true, items = about["classes"], predictions["true"], predictions["item"].tolist()
    ends = np.flatnonzero(np.diff(true)) + 1
    above = about["superclasses"] or [""] * len(classes)
    above_ends = [int(e) for e in ends if above[true[e - 1]] != above[true[e]]]
    figures = []
    for b in blocks:
        drawing = block_matrix(
            title(b.encoder), b.index_NK, b.distance_NK / np.median(b.distance_NK), ends.tolist(), above_ends
        )
        rows = b.result.cell.rows
        purity = {m.metric: m for m in rows if not m.params.get("query") and m.metric.endswith("purity")}
        confusion = {(m.params["query"], m.params["neighbour"]): m.value for m in rows if m.metric == "confusion"}
        table = [[confusion.get((q, n)) for n in classes] for q in classes]
        figures.append({"title": title(b.encoder), "svg": drawing, "purity": purity, "confusion": table})
    starts = [0, *ends.tolist()]
    data = {
        "classes": classes,
        "true": true.tolist(),
        "names": items,
        "encoders": [title(b.encoder) for b in blocks],
        "neighbours": [b.index_NK.tolist() for b in blocks],
        "distances": [[[round(float(d), 3) for d in row] for row in b.distance_NK] for b in blocks],
        "shown": [item in thumbnails for item in items],
    }
    labels = [
        {"name": classes[true[s]], "above": above[true[s]], "share": 100 * (e - s) / len(true)}
        for s, e in zip(starts, [*starts[1:], len(true)], strict=True)
    ]
    return {
        "figures": figures,
        "data": data,
        "labels": labels,
        "classes": classes,
        "k": blocks[0].index_NK.shape[1],
        "n": len(true),
        "sprite": sprite(items, thumbnails),
    }


def sprite(items: list[str], thumbnails: Mapping[str, bytes]) -> str:
    """All pictures on one sheet, 20 a row, in the order of the items, as a data URI; empty where there are none."""
    if not any(item in thumbnails for item in items):
        return ""
    from PIL import Image

    sheet = Image.new("RGB", (20 * THUMB, -(-len(items) // 20) * THUMB))
    for place, item in enumerate(items):
        if item in thumbnails:
            with Image.open(io.BytesIO(thumbnails[item]), formats=["WEBP"]) as picture:
                sheet.paste(picture.convert("RGB").resize((THUMB, THUMB)), (place % 20 * THUMB, place // 20 * THUMB))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def density(results: list[Result]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Histograms of the images' ratios with bins that all encoders share, cut at the 0.5% and 99.5% points."""
    ratios = {r.encoder: (s := (r.cell.predictions or {})["score"])[np.isfinite(s)] for r in results}
    everything = np.concatenate(list(ratios.values()))
    low, high = np.percentile(everything, [0.5, 99.5])
    edges = np.linspace(low, max(high, low + 1e-6), 61)
    middle = (edges[1:] + edges[:-1]) / 2
    return {name: (middle, 100 * np.histogram(v, edges)[0] / len(v)) for name, v in ratios.items()}


def discriminability_section(results: list[Result]) -> dict[str, Any] | None:
    """Outlines of all encoders over each other, with medians and the worst and best classes."""
    if not results:
        return None
    names = [r.encoder for r in results]
    median = {r.encoder: next(m for m in r.cell.rows if m.metric == "distance_ratio_median") for r in results}
    svg = outlines(
        density(results),
        {n: float(m.value or 0) for n, m in median.items()},
        colours(names),
        {n: title(n) for n in names},
        "mean distance to other classes / to the own class",
        "% of test images",
        "Histograms of distance ratios",
    )
    rows = []
    for r in results:
        per_class = sorted((m for m in r.cell.rows if "class" in m.params), key=lambda m: m.value or 0)
        rows.append(
            {
                "title": title(r.encoder),
                "overall": r.cell.rows[0],
                "median": median[r.encoder],
                "worst": per_class[0] if per_class else None,
                "best": per_class[-1] if per_class else None,
            }
        )
    return {"svg": svg, "rows": rows, "n": results[0].cell.rows[0].n}


def training_section(manifests: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Loss curves of every encoder that was trained here."""
    found = []
    for name, manifest in manifests.items():
        training = manifest["encoder"].get("training")
        if not training or not training["history"]:
            continue
        curves = {
            term: (np.array([p[0] for p in pts], float), np.array([p[1] for p in pts]))
            for term, pts in training["history"].items()
        }
        palette = dict(zip(curves, ("#d55e00", "#0072b2", "#009e73", "#cc79a7"), strict=False))
        last = training["history"]["loss"][-1][1]
        found.append(
            {
                "title": title(name),
                "method": training["method"],
                "steps": training["steps"],
                "last": last,
                "svg": outlines(curves, {}, palette, {t: t for t in curves}, "step", "loss", f"Loss of {title(name)}"),
                "config": training["config"],
            }
        )
    return found
