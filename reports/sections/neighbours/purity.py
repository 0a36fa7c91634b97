"""How many neighbours are of the same class, or superclass, under each encoder, with intervals and chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.intervals import intervals
from reports.sections.choose import in_order
from reports.sections.figure import Figure
from reports.style import Look
from reports.tables import to_csv
from reports.words import percent, several, verb

KINDS = {"purity": "same class", "superclass_purity": "same superclass"}


def _of(result: Result, metric: str) -> Measurement | None:
    return next((m for m in result.cell.rows if m.metric == metric), None)


def purity_figure(results: Sequence[Result], look: Mapping[str, Look]) -> Figure:
    """Purity, and superclass purity where there is one, of all encoders on one axis."""
    drawn = []
    for metric, words in KINDS.items():
        rows = [(look[r.encoder], m, _of(r, f"{metric}_null")) for r in results if (m := _of(r, metric))]
        if rows:
            label = f"Neighbours of the {words} under each encoder, with intervals and chance"
            drawn.append((words.capitalize(), intervals(rows, f"neighbours of the {words}, %", label)))
    first = results[0]
    return Figure(
        "purity",
        _finding(results, look),
        drawn[0][1],
        "The mark is the share of neighbours of the image's own class, the line its 95% interval over images; grey is where 95% "
        "of permutations of the labels lie, which is chance."
        + (" A superclass holds classes: images can lie by superclass though classes mix." if len(drawn) > 1 else ""),
        f"{first.about['title']}; protocol {first.protocol}, k = {first.cell.rows[0].params['k']}, n = {first.cell.rows[0].n:,}; "
        "intervals are of one encoder at a time, not of differences.",
        to_csv([_row(r, m) for r in results for metric in KINDS if (m := _of(r, metric))]),
        drawn if len(drawn) > 1 else [],
    )


def _row(r: Result, m: Measurement) -> dict[str, Any]:
    chance = _of(r, f"{m.metric}_null")
    found = {"encoder": r.encoder, "measure": m.metric, "value": m.value, "low": m.low, "high": m.high, "n": m.n}
    return found | ({"chance_low": chance.low, "chance_high": chance.high} if chance else {})


def _finding(results: Sequence[Result], look: Mapping[str, Look]) -> str:
    """Who lies above chance, and who does not."""
    pairs = [(look[r.encoder].title, _of(r, "purity"), _of(r, "purity_null")) for r in results]
    if len(set(results[0].about["classes"])) == 1:
        return "There is one class, so every neighbour is of it"
    known = [(name, m, c) for name, m, c in pairs if m and c and m.low is not None and c.high is not None]
    if not known:
        return "Neighbours of the same class under each encoder"
    lost = [name for name, m, c in known if (m.low or 0) <= (c.high or 0)]
    by_chance = percent(known[0][2].value)
    if not lost:
        who = (
            f"All {len(known)} encoders have" if len(known) > 1 else f"{known[0][0]} {verb(known[0][0], 'has', 'have')}"
        )
        return f"{who} more neighbours of the same class than the {by_chance}% of chance"
    return f"{several(lost)} {verb(lost, 'is', 'are')} not surely above the {by_chance}% of neighbours of the same class that chance gives"


def other_tasks(
    results: Sequence[Result], order: Sequence[str], look: Mapping[str, Look], shown: Result
) -> list[dict[str, Any]]:
    """Purity on every other task, or with another choice of classes, that has neighbour blocks; their squares are not drawn."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for r in in_order(results, order):
        if r.protocol.split("-")[0] == "blocks" and (r.task, r.protocol) != (shown.task, shown.protocol):
            groups.setdefault((r.task, r.protocol), []).append(r)
    return [_task(*group, cells, look) for group, cells in sorted(groups.items())]


def _task(task: str, protocol: str, cells: Sequence[Result], look: Mapping[str, Look]) -> dict[str, Any]:
    digests = {str(r.about["data"]["test"]) for r in cells}
    return {
        "task": task,
        "protocol": protocol,
        "title": cells[0].about["title"],
        "k": cells[0].cell.rows[0].params["k"],
        "n": cells[0].cell.rows[0].n,
        "rows": [
            {"title": look[r.encoder].title, "values": [(_of(r, m), _of(r, f"{m}_null")) for m in KINDS if _of(r, m)]}
            for r in cells
        ],
        "heads": [words for m, words in KINDS.items() if _of(cells[0], m)],
        "mixed": len(digests) > 1,
    }
