"""Neighbour blocks: one square an encoder over the same images, and what pointing at a row shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.blocks import block_matrix, colour_bar, dot_size, shades
from reports.drawings.marks import key
from reports.sections.choose import in_order, shown_blocks
from reports.sections.section import Material, Section
from reports.sections.sheet import Sheet, view
from reports.style import Look, looks
from reports.words import percent

LINE = 6  # squares side by side
SLOTS = 5  # neighbours whose pictures are shown


@dataclass(frozen=True)
class Block:
    """Neighbours of one encoder, indices into the order that all share."""

    encoder: str
    index_NK: np.ndarray
    distance_NK: np.ndarray
    result: Result

    @property
    def relative_NK(self) -> np.ndarray:
        """Distances over the encoder's median, which makes encoders comparable."""
        return self.distance_NK / (np.median(self.distance_NK) or 1.0)

    @property
    def purity(self) -> Measurement:
        """The share of neighbours of the image's own class."""
        return self.result.cell.rows[0]


def read_blocks(results: list[Result], order: Sequence[str]) -> list[Block]:
    """Blocks of all encoders that looked at the same images."""
    blocks, items, data = [], None, None
    for result in in_order(results, order):
        predictions, near = result.cell.predictions, result.cell.neighbours
        if predictions is None or near is None:
            continue
        if items is None:
            items, data = predictions["item"], result.about["data"]["test"]
        if not np.array_equal(items, predictions["item"]) or result.about["data"]["test"] != data:
            continue  # of other pictures: ids alone do not say that they are the same
        place = {item: row for row, item in enumerate(items.tolist())}
        k = int(near["rank"].max()) + 1
        index = np.array([place[item] for item in near["item"].tolist()]).reshape(-1, k)
        blocks.append(Block(result.encoder, index, near["distance"].reshape(-1, k), result))
    return blocks


def colour_scale(blocks: Sequence[Block]) -> tuple[float, float]:
    """Limits of the colours that all squares share: where nine of ten distances lie, to one decimal.

    >>> import types
    >>> colour_scale([types.SimpleNamespace(relative_NK=np.linspace(0, 2, 101))])
    (0.1, 1.9)
    """
    low, high = np.percentile(np.concatenate([b.relative_NK.ravel() for b in blocks]), [5, 95])
    low, high = float(np.floor(low * 10 + 1e-6)) / 10, float(np.ceil(high * 10 - 1e-6)) / 10
    return low, max(high, round(low + 0.1, 1))


def decimals(block: Block) -> int:
    """So many decimals that the median distance has three digits.

    >>> import types
    >>> decimals(types.SimpleNamespace(distance_NK=np.array([[0.5, 2.0, 3.0]])))
    2
    """
    median = float(np.median(block.distance_NK))
    return max(0, 2 - int(np.floor(np.log10(median)))) if median > 0 else 2


def ends_of(block: Block) -> tuple[list[int], list[int]]:
    """Where classes end in the rows, and which of these ends superclasses too."""
    true, above = (block.result.cell.predictions or {})["true"], block.result.about["superclasses"]
    ends = (np.flatnonzero(np.diff(true)) + 1).tolist()
    if above is None:
        return ends, []
    return ends, [e for e in ends if above[true[e - 1]] != above[true[e]]]


def finding(blocks: Sequence[Block], look: Mapping[str, Look]) -> str:
    """What the squares show, in a title: most and fewest neighbours of the same class."""
    ranked = sorted(blocks, key=lambda b: -(b.purity.value or 0))
    best, last = ranked[0], ranked[-1]
    text = f"{percent(best.purity.value)}% of neighbours are of the same class under {look[best.encoder].title}"
    return text if len(ranked) == 1 else f"{text}, {percent(last.purity.value)}% under {look[last.encoder].title}"


def most_disputed(blocks: Sequence[Block]) -> int:
    """The row that encoders disagree about most, by how many neighbours are of its class; with one encoder, its worst.

    >>> import types
    >>> def made(*share):
    ...     cell = types.SimpleNamespace(predictions={"correct": np.array(share)})
    ...     return types.SimpleNamespace(result=types.SimpleNamespace(cell=cell))
    >>> most_disputed([made(1.0, 1.0, 0.2), made(0.8, 0.0, 0.0)])
    1
    """
    share_EN = np.stack([(b.result.cell.predictions or {})["correct"] for b in blocks])
    if len(blocks) == 1:
        return int(share_EN[0].argmin())
    return int(np.argmax(np.ptp(share_EN, 0) + 1e-3 * share_EN.std(0)))


def blocks_section(m: Material) -> Section | None:
    """The squares, and what pointing at them needs; None where no encoder has blocks."""
    blocks = read_blocks(shown_blocks(m.results, m.order), m.order)
    if not blocks:
        return None
    content = blocks_content(blocks, m.sheet, m.look)
    return Section("blocks", "Neighbours", content, data=content["data"], style=row_rules(content["labels"]))


def blocks_content(
    blocks: Sequence[Block], sheet: Sheet | None = None, look: Mapping[str, Look] | None = None
) -> dict[str, Any]:
    """The squares, their scale, the rows' labels, and the data that pointing at them needs."""
    sheet, look, scale = sheet or Sheet({}), look or looks(b.encoder for b in blocks), colour_scale(blocks)
    about, predictions = blocks[0].result.about, blocks[0].result.cell.predictions or {}
    classes, true, items = about["classes"], predictions["true"], predictions["item"].tolist()
    ends, above_ends = ends_of(blocks[0])
    squares = [_square(b, look[b.encoder], scale, ends, above_ends, classes) for b in blocks]
    starts = [0, *ends]
    labels = [
        {"name": classes[true[s]], "above": (about["superclasses"] or [""] * len(classes))[true[s]], "rows": e - s}
        for s, e in zip(starts, [*ends, len(true)], strict=True)
    ]
    data = {
        "classes": classes,
        "true": true.tolist(),
        "names": items,
        "encoders": [look[b.encoder].title for b in blocks],
        "neighbours": [b.index_NK.tolist() for b in blocks],
        "distances": [np.round(b.distance_NK.astype(float), decimals(b)).tolist() for b in blocks],
        "decimals": [decimals(b) for b in blocks],
        "places": sheet.places(str(about["data"]["test"]), items),
        "dot": round(dot_size(len(true)), 2),
        "row": most_disputed(blocks),
    }
    return {
        "title": about["title"],
        "protocol": blocks[0].result.protocol,
        "finding": finding(blocks, look),
        "lines": [squares[i : i + LINE] for i in range(0, len(squares), LINE)],
        "squares": squares,
        "scale": colour_bar(scale),
        "data": data,
        "labels": labels,
        "classes": classes,
        "k": blocks[0].index_NK.shape[1],
        "n": len(true),
        "pictures": max(data["places"]) >= 0,
        "strip": [_near(b, look[b.encoder], data) for b in blocks],
        "query": picture(data["row"], data),
    }


def _square(b: Block, look: Look, scale: tuple[float, float], ends, above_ends, classes) -> dict[str, Any]:
    rows = b.result.cell.rows
    confusion = {(m.params["query"], m.params["neighbour"]): m.value for m in rows if m.metric == "confusion"}
    return {
        "title": look.title,
        "key": key(look),
        "svg": block_matrix(look.title, b.index_NK, shades(b.relative_NK, scale), ends, above_ends),
        "purity": {m.metric: m for m in rows if m.metric in ("purity", "superclass_purity")},
        "chance": {m.metric.removesuffix("_null"): m for m in rows if m.metric.endswith("_null")},
        "confusion": [[confusion.get((q, n)) for n in classes] for q in classes],
    }


def _near(b: Block, look: Look, data: Mapping[str, Any]) -> dict[str, Any]:
    row = data["row"]
    slots = []
    for item, distance in zip(b.index_NK[row].tolist(), b.distance_NK[row].tolist(), strict=True):
        other = data["true"][item] != data["true"][row]
        slots.append(picture(item, data) | {"distance": f"{distance:.{decimals(b)}f}", "other": other})
    same = sum(not s["other"] for s in slots)
    return {"title": look.title, "key": key(look), "slots": slots[:SLOTS], "same": same}


def picture(row: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """The picture of a row: where it lies on the sheet, and what it is."""
    its = {"name": data["names"][row], "class": data["classes"][data["true"][row]], "row": row}
    return its | {"view": view(data["places"][row])}


def row_rules(labels: Sequence[Mapping[str, Any]]) -> str:
    """Style rules that give each class name the height of its rows.

    >>> row_rules([{"rows": 50}, {"rows": 30}])
    '.rows-50{flex:50}.rows-30{flex:30}'
    """
    return "".join(f".rows-{n}{{flex:{n}}}" for n in dict.fromkeys(int(label["rows"]) for label in labels))
