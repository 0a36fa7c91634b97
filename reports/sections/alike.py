"""How alike the encoders are, each two of them: CKA of their embeddings, and the nearest neighbours that both have."""

from __future__ import annotations

from typing import Any

import numpy as np

from relic_eval.alike import Alike
from reports.drawings.matrix import matrix
from reports.sections.choose import first_task
from reports.sections.section import Material, Section
from reports.style import short
from reports.tables import to_csv
from reports.words import counted, joined

PROTOCOLS = ("linear-byol", "knn")
MOST = 12  # encoders drawn; the others stand in the CSV
GONE = "Their embeddings are no longer there, or nothing has measured it: relic-eval report does where they are."


def alike_section(m: Material) -> Section | None:
    """Both matrices; of encoders whose embeddings are gone, that nothing is known; None with fewer than two encoders."""
    if len(m.order) < 2:
        return None
    record = shown_record(m)
    if record is None:
        return Section("alike", "Alike", {"figure": None, "why": GONE, "left_out": []})
    others = _others(record, m)
    places = [record.encoders.index(n) for n in m.order if n in record.encoders and n not in others]
    why_out = {name: why for name, why in record.left_out if name in m.order} | others
    left_out = [f"{short(name, 40)}: {why}" for name, why in sorted(why_out.items())]
    if len(places) < 2:
        why = "; ".join(left_out) + "." if left_out else GONE
        return Section("alike", "Alike", {"figure": None, "why": why, "left_out": []})
    content = alike_content(record, places) | {"left_out": left_out}
    return Section("alike", "Alike", content, {"alike": content["csv"]})


def _others(record: Alike, m: Material) -> dict[str, str]:
    """Encoders whose cells were made since of other embeddings than those of the record, and that in words."""
    now: dict[str, set[str]] = {}
    for r in m.results:
        if r.task == record.task and (content := r.about["stores"].get("test")):
            now.setdefault(r.encoder, set()).add(content)
    why = "its cells are of other embeddings than those that were measured"
    return {n: why for n in record.encoders if n in now and record.contents.get(n) and record.contents[n] not in now[n]}


def shown_record(m: Material) -> Alike | None:
    """The record of the task that the page shows first, else the first that has encoders of the page."""
    task = next((t for p in PROTOCOLS if (t := first_task(m.results, p))), None)
    known = [a for a in m.alike if a.task in {r.task for r in m.results}]
    return min(known, key=lambda a: (a.task != task, a.task), default=None)


def alike_content(record: Alike, places: list[int]) -> dict[str, Any]:
    """The drawings of these encoders of a record, in this order."""
    names = [record.encoders[p] for p in places]
    cka_MM, overlap_MM = (z[np.ix_(places, places)] for z in (record.cka_MM, record.overlap_MM))
    shown = [short(name, 18) for name in names[:MOST]]
    drawn = [
        ("CKA", matrix(shown, cka_MM, 2, 1, "CKA of each two encoders")),
        (f"{record.k} nearest neighbours in both, %", matrix(shown, overlap_MM, 0, 100, "Neighbours in both")),
    ]
    rows: list[dict[str, object]] = [
        {
            "a": names[i],
            "b": names[j],
            "cka": _rounded(cka_MM[i, j]),
            "neighbours_in_both": _rounded(overlap_MM[i, j]),
        }
        for i, j in zip(*np.triu_indices(len(names), 1), strict=True)
    ]
    return {
        "figure": finding([short(name, 40) for name in names], cka_MM),
        "drawn": drawn,
        "wide": len(shown) > 8,
        "title": record.title,
        "n": record.n,
        "k": record.k,
        "chance": 100 * record.k / (record.n - 1),
        "more": len(names) - len(shown),
        "csv": to_csv(rows),
    }


def finding(names: list[str], cka_MM: np.ndarray) -> str:
    """What CKA shows, in a title.

    >>> finding(["A", "B", "C"], np.array([[1, 0.8, 0.1], [0.8, 1, 0.3], [0.1, 0.3, 1]]))
    'A and B are most alike (CKA 0.80), A and C least (0.10)'
    >>> finding(["A", "B"], np.array([[1, 0.8], [0.8, 1]])), finding(["A", "B"], np.full((2, 2), np.nan))
    ('A and B: CKA 0.80', 'Nothing is known of how alike A and B are')
    >>> finding(["A", "B", "C"], np.ones((3, 3)))
    'Each two of 3 encoders are equally alike (CKA 1.00)'
    """
    pairs = [
        (float(cka_MM[i, j]), (names[i], names[j]))
        for i, j in zip(*np.triu_indices(len(names), 1), strict=True)
        if np.isfinite(cka_MM[i, j])
    ]
    if not pairs:
        said = joined(names) if len(names) < 4 else counted(len(names), "encoder")
        return f"Nothing is known of how alike {said} are"
    most, least = max(pairs, key=lambda p: p[0]), min(pairs, key=lambda p: p[0])
    if len(pairs) > 1 and most[0] == least[0]:
        return f"Each two of {counted(len(names), 'encoder')} are equally alike (CKA {most[0]:.2f})"
    if len(pairs) == 1:
        return f"{joined(most[1])}: CKA {most[0]:.2f}"
    return f"{joined(most[1])} are most alike (CKA {most[0]:.2f}), {joined(least[1])} least ({least[0]:.2f})"


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
