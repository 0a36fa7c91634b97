"""Of which classes the neighbours of each class are: class by class, and superclass by superclass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relic_eval.cells import Result
from reports.coded import step_coded
from reports.drawings.heat import LEAST, NUMBERED, heat
from reports.sections.figure import Figure
from reports.style import Look
from reports.tables import to_csv
from reports.words import counted

CLASSES = 60  # classes drawn; of more, those with the fewest neighbours of their own class
CELLS = 3000  # in the drawings of all encoders, about 15 bytes each
PAIRS = 40  # in the table that stands beside the drawing of some of the classes
NUMBERS = 4  # encoders whose drawings all hold numbers; of more, the first two


def shares(result: Result, names: Sequence[str], metric: str = "confusion") -> np.ndarray:
    """Share of the neighbours of each class (row) that are of each class (column); 0 where no row of the cell says more."""
    place, share_CC = {name: i for i, name in enumerate(names)}, np.zeros((len(names), len(names)))
    for m in result.cell.rows:
        if m.metric == metric and m.value is not None and m.params["query"] in place and m.params["neighbour"] in place:
            share_CC[place[m.params["query"]], place[m.params["neighbour"]]] = m.value
    return share_CC


def mixing(results: Sequence[Result], look: Mapping[str, Look], names: Sequence[str]) -> dict[str, Any]:
    """The figure, the table of pairs where some classes are left out, and what pointing at a cell needs."""
    every = {look[r.encoder].title: shares(r, names) for r in results}
    own_C = np.mean([np.diag(s) for s in every.values()], axis=0)
    kept = sorted(np.argsort(own_C, kind="stable")[:CLASSES].tolist())
    part = len(kept) < len(names)
    parts = {title: share_CC[np.ix_(kept, kept)] for title, share_CC in every.items()}
    least = least_drawn(list(parts.values()))
    drawn = heats([names[i] for i in kept], parts, "Classes of the neighbours", least)
    first, (lead, share_CC) = results[0], next(iter(every.items()))
    note = f"{first.about['title']}; protocol {first.protocol}, n = {first.cell.rows[0].n:,}; no intervals."
    if part:
        note += f" Drawn are {len(kept)} of {counted(len(names), 'class', 'classes')}: those with the fewest neighbours of their own."
    figure = Figure(
        "neighbour-classes",
        _finding(lead, names, share_CC),
        drawn[0][1],
        how("columns those of their neighbours", len(kept), least),
        note,
        "",  # the script makes it of what it has
        drawn[:2],
        drawn[2:],
    )
    data = {"classes": kept if part else [], "shares": [cell_codes(p, least, 1000) for p in parts.values()]}
    return {"figure": figure, "pairs": _pairs(every, names) if part else [], "data": data}


def how(columns: str, count: int, least: float, kind: str = "class", many: str = "classes") -> str:
    """How to read a table of shares."""
    numbers = "numbers per cent of the row" if count <= NUMBERED else "stronger is more"
    return (
        f"Rows are the {many} of the images, {columns}, {numbers}: blue on the diagonal is the own {kind}, orange another, "
        f"an empty place less than {100 * least:.2g}%."
    )


def heats(names: Sequence[str], parts: Mapping[str, np.ndarray], what: str, least: float) -> list[tuple[str, Any]]:
    """A drawing for each encoder, by its title."""
    return [
        (title, heat(names, share_CC, f"{what} under {title}", len(parts) <= NUMBERS or place < 2, least))
        for place, (title, share_CC) in enumerate(parts.items())
    ]


def least_drawn(parts: Sequence[np.ndarray], most: int = CELLS) -> float:
    """The share from which on a cell is drawn, so that all drawings together hold no more cells than there is room for.

    >>> least_drawn([np.array([0.5, 0.25, 0.1, 0.001])]), least_drawn([np.array([0.5, 0.25, 0.1])], most=2)
    (0.005, 0.101)
    """
    found = np.sort(np.concatenate([p[p >= LEAST] for p in parts]))[::-1]
    return LEAST if len(found) <= most else (int(1000 * found[most]) + 1) / 1000


def cell_codes(value_CC: np.ndarray, least: float, times: float, by_CC: np.ndarray | None = None) -> str:
    """A number of each drawn cell, row after row, as the script reads it; which cells are drawn, it reads from the drawing."""
    drawn_CC = (value_CC if by_CC is None else by_CC) >= least
    return step_coded(np.rint(times * value_CC[drawn_CC]).astype(int)[:, None])


def _pairs(every: Mapping[str, np.ndarray], names: Sequence[str]) -> list[dict[str, Any]]:
    """The pairs of classes that mix most, on average over encoders."""
    mean_CC = np.mean(list(every.values()), axis=0)
    np.fill_diagonal(mean_CC, 0)
    ordered = np.argsort(-mean_CC, axis=None, kind="stable")[:PAIRS]
    places = [divmod(int(p), len(names)) for p in ordered]
    return [
        {
            "class": names[i],
            "other": names[j],
            "mean": mean_CC[i, j],
            "shares": [s[i, j] for s in list(every.values())[:2]],
        }
        for i, j in places
        if mean_CC[i, j] > 0
    ]


def _finding(title: str, names: Sequence[str], share_CC: np.ndarray) -> str:
    wrong_CC = share_CC * (1 - np.eye(len(names)))
    row, column = divmod(int(wrong_CC.argmax()), len(names))
    if wrong_CC[row, column] == 0:
        return f"{title}: every neighbour is of the image's own class"
    return f"{title}: {100 * wrong_CC[row, column]:.0f}% of the neighbours of {names[row]} are {names[column]}, the most of any two classes"


def superclass_figure(results: Sequence[Result], look: Mapping[str, Look]) -> Figure | None:
    """Superclasses of the neighbours of each superclass; None where classes have none."""
    asked = [str(m.params["query"]) for r in results for m in r.cell.rows if m.metric == "superclass_confusion"]
    names = list(dict.fromkeys(asked))
    if len(names) < 2:
        return None
    every = {look[r.encoder].title: shares(r, names, "superclass_confusion") for r in results}
    least = least_drawn(list(every.values()))
    drawn, first = heats(names, every, "Superclasses of the neighbours", least), results[0]
    lead, share_CC = next(iter(every.items()))
    worst = int(np.argmin(np.diag(share_CC)))
    table: list[dict[str, object]] = [
        {"encoder": title, "superclass": names[i], "of_neighbours": names[j], "share": round(float(s[i, j]), 4)}
        for title, s in every.items()
        for i, j in np.argwhere(s >= least).tolist()
    ]
    return Figure(
        "neighbour-superclasses",
        f"{lead}: {100 * share_CC[worst, worst]:.0f}% of the neighbours of {names[worst]} are of that superclass, the fewest of any",
        drawn[0][1],
        how("columns the superclasses of their neighbours", len(names), least, "superclass", "superclasses"),
        f"{first.about['title']}; protocol {first.protocol}, n = {first.cell.rows[0].n:,}; no intervals.",
        to_csv(table),
        drawn[:2],
        drawn[2:],
    )
