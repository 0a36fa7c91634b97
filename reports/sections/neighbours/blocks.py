"""Neighbour blocks: one square an encoder over the same images, and what pointing at a row shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.drawings.blocks import block_matrix, colour_bar, shades
from reports.drawings.marks import key
from reports.sections.choose import shown_blocks
from reports.sections.neighbours.block_rows import ALL_DRAWN, OF_MANY, drawn_rows, merged
from reports.sections.neighbours.mixing import mixing, superclass_figure
from reports.sections.neighbours.neighbours import Block, colour_scale, ends_of, read_blocks, sort_out
from reports.sections.neighbours.purity import other_tasks, purity_figure
from reports.sections.neighbours.strip import Strip, make_strip
from reports.sections.section import Material, Section
from reports.sections.sheet import Sheet
from reports.style import Look, clipped, looks, title
from reports.words import percent, several

__all__ = ["Block", "blocks_content", "blocks_section", "colour_scale", "ends_of", "read_blocks"]

LINE = 6  # squares side by side
LABELS = (16, 11)  # names beside a square that can be read: of a line with fewer than five squares, and of a full one


def blocks_section(m: Material) -> Section | None:
    """The squares, and what pointing at them needs; None where no encoder has blocks."""
    blocks, others = sort_out(shown_blocks(m.results, m.order), m.order)
    if not blocks:
        return None
    content = blocks_content(blocks, m.sheet, m.look, m.board.baseline)
    content["absent"] = absent(m, blocks, others)
    content["tasks"] = other_tasks(m.results, m.order, m.look, blocks[0].result)
    figures = [f for f in (content["purity"], content["mixing"]["figure"], content["above"]) if f]
    style = row_rules(content["labels"]) + strip_rule(content["k"])
    return Section("blocks", "Neighbours", content, {f.key: f.csv for f in figures}, content["data"], style)


def absent(m: Material, blocks: Sequence[Block], others: Sequence[tuple[str, str]]) -> list[str]:
    """Encoders of the board without a square, a line for each reason."""
    task, protocol = blocks[0].result.task, blocks[0].result.protocol
    failed = {(f["encoder"], f["task"], f["protocol"]): f["error"] for f in m.failures}
    known, found = {b.encoder for b in blocks} | {name for name, _ in others}, [*others]
    for name in m.order:
        if name not in known:
            found.append((name, failed.get((name, task, protocol), f"there is no cell for {task}, {protocol}")))
    reasons = dict.fromkeys(why for _, why in found)
    return [f"{several([title(n) for n, w in found if w == why], 12)}: {why}" for why in reasons]


def finding(blocks: Sequence[Block], look: Mapping[str, Look]) -> str:
    """What the squares show, in a title: most and fewest neighbours of the same class."""
    ranked = sorted(blocks, key=lambda b: -(b.purity.value or 0))
    best, last = ranked[0], ranked[-1]
    text = f"{percent(best.purity.value)}% of neighbours are of the same class under {look[best.encoder].title}"
    return text if len(ranked) == 1 else f"{text}, {percent(last.purity.value)}% under {look[last.encoder].title}"


def blocks_content(
    blocks: Sequence[Block],
    sheet: Sheet | None = None,
    look: Mapping[str, Look] | None = None,
    baseline: str | None = None,
) -> dict[str, Any]:
    """The squares, their scale, the rows' labels, what stands below, and the data that pointing needs."""
    look, drawn = look or looks(b.encoder for b in blocks), _drawn(blocks, baseline)
    (n, k), labels = drawn[0].index_NK.shape, _labels(drawn[0])
    strip = make_strip(drawn, drawn_rows(n, k, len(drawn)), labels, sheet or Sheet({}))
    scale, results = colour_scale(drawn), [b.result for b in drawn]
    squares, classes = [_square(b, look[b.encoder], scale, strip) for b in drawn], [label["name"] for label in labels]
    mixed = mixing(results, look, classes)
    return {
        "title": results[0].about["title"],
        "protocol": results[0].protocol,
        "task": results[0].task,
        "finding": finding(blocks, look),
        "lines": [squares[i : i + LINE] for i in range(0, len(squares), LINE)],
        "squares": squares,
        "scale": colour_bar(scale, len(drawn[0].index_NK)),
        "data": strip.data(look) | {"mix": mixed["data"]},
        "labels": _names(labels, LABELS[len(drawn) > 4]),
        "classes": several([clipped(c) for c in classes], 12),
        "groups": several(list(dict.fromkeys(clipped(label["above"]) for label in labels)), 12)
        if ends_of(drawn[0])[1]
        else "",
        "k": k,
        "n": n,
        "rows": len(strip.rows_R),
        "encoders": len(blocks),
        "undrawn": [look[b.encoder].title for b in blocks if b not in drawn],
        "pictures": max(strip.places.values()) >= 0,
        "pictured": strip.pictured,
        "strip": [strip.near(b, look[b.encoder]) for b in drawn],
        "query": strip.picture(strip.first) | {"place": int((strip.rows_R < strip.first).sum()) + 1},
        "purity": purity_figure([b.result for b in blocks], look),
        "mixing": mixed,
        "above": superclass_figure(results, look),
        "absent": [],
        "tasks": [],
    }


def _drawn(blocks: Sequence[Block], baseline: str | None) -> list[Block]:
    """All encoders, or of many the first, and the baseline wherever it stands."""
    if len(blocks) <= ALL_DRAWN:
        return list(blocks)
    kept = {b.encoder for b in blocks if b.encoder == baseline}
    kept |= {b.encoder for b in [b for b in blocks if b.encoder not in kept][: OF_MANY - len(kept)]}
    return [b for b in blocks if b.encoder in kept]


def _square(b: Block, look: Look, scale: tuple[float, float], strip: Strip) -> dict[str, Any]:
    rows_R, (ends, above_ends) = strip.rows_R, ends_of(b)
    shade_RK = shades(b.relative_NK[rows_R], scale)
    drawing = block_matrix(look.title, b.index_NK[rows_R], shade_RK, ends, above_ends, rows_R, len(b.index_NK))
    purity = {m.metric: m for m in b.result.cell.rows if m.metric in ("purity", "superclass_purity")}
    return {"title": look.title, "key": key(look), "svg": drawing, "purity": purity}


def _labels(block: Block) -> list[dict[str, Any]]:
    about, true = block.result.about, (block.result.cell.predictions or {})["true"]
    classes, ends = about["classes"], ends_of(block)[0]
    above = about["superclasses"] or [""] * len(classes)
    return [
        {"name": classes[true[s]], "above": above[true[s]], "rows": e - s}
        for s, e in zip([0, *ends], [*ends, len(true)], strict=True)
    ]


def _names(labels: Sequence[Mapping[str, Any]], most: int) -> list[dict[str, Any]]:
    """What stands beside the squares: classes, or the first of several where there are many."""
    whole = merged([label["name"] for label in labels], [label["rows"] for label in labels], most)
    if len(whole) == len(labels):
        above = 2 * len(labels) <= most  # there is room for a second line
        return [{**label, "more": 0, "above": label["above"] if above else ""} for label in labels]
    return [{"name": name, "above": "", "rows": rows, "more": classes - 1} for name, classes, rows in whole]


def row_rules(labels: Sequence[Mapping[str, Any]]) -> str:
    """Style rules that give each class name the height of its rows.

    >>> row_rules([{"rows": 50}, {"rows": 30}])
    '.rows-50{flex:50}.rows-30{flex:30}'
    """
    return "".join(f".rows-{n}{{flex:{n}}}" for n in dict.fromkeys(int(label["rows"]) for label in labels))


def strip_rule(k: int) -> str:
    """The rule that gives each neighbour of a row its place in the strip.

    >>> strip_rule(3)
    ':root{--k:3}'
    """
    return f":root{{--k:{k}}}"
