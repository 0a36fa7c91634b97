"""Two encoders of one folder, picture by picture: who is right where the other is wrong, and how alike they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.cells import Result
from relic_eval.contrast import Group, contrast, only, only_over_classes
from relic_eval.errors import ArgumentError, DataError
from relic_eval.pairing import places_of
from relic_eval.progress import warn
from relic_eval.records import Table
from relic_eval.results import read_results
from relic_eval.store import find_stores, read_store

K = 10
SEARCHED = 10_000  # rows of the neighbour search, at most: it takes the square of them
SHOWN = 8  # classes and pictures in the text for a terminal


@dataclass(frozen=True)
class Duel:
    """What two encoders do on the same test images of a task under one protocol."""

    a: str
    b: str
    task: str
    protocol: str
    title: str
    draws: int
    groups: tuple[Group, ...]  # all images first, then superclasses, then classes
    pictures: (
        Table  # one row an image: item, class, superclass, right_a, right_b (shares of draws), predicted_a, predicted_b
    )
    consistency: float  # Cohen's kappa of right and wrong; NaN where accuracies leave nothing to expect
    same_answer: float  # share of images (and draws) that both take for the same class
    overlap: float | None  # share of the K nearest test images (cosine) that an image has in both; None: no embeddings
    cka: float | None  # unbiased linear CKA of the test embeddings

    def only(self, side: str) -> np.ndarray:
        """Rows of `pictures` that `a` (or `b`) has right in more than half of the draws and the other in at most half."""
        return only(self.pictures, side)


def disagreements(out: str | Path, a: str, b: str, *, task: str, protocol: str = "linear-byol") -> Duel:
    """Compare two encoders under `out` from their cells and the stores behind them; nothing is fitted or embedded anew.

    Images are matched by their ids, whatever their order. Raises UnknownNameError for an encoder or task without cells,
    DataError for a cell that is missing, ArgumentError for a protocol without right and wrong answers and for cells that were
    made of other images.

    >>> disagreements("/nowhere", "pixels", "mine", task="fashion")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    if a == b:
        raise ArgumentError("encoders", "two different encoders", f"{a} twice")
    results = read_results(Path(out), [a, b], [task])
    first, second = (_cell(results, Path(out), name, task, protocol) for name in (a, b))
    said = contrast(first, second)
    overlap, cka = _alike(Path(out), first, second, said.pictures["item"])
    return Duel(
        a,
        b,
        task,
        protocol,
        str(first.about["title"]),
        said.draws,
        said.groups,
        said.pictures,
        said.consistency,
        said.same_answer,
        overlap,
        cka,
    )


def _cell(results: Sequence[Result], out: Path, encoder: str, task: str, protocol: str) -> Result:
    found = next((r for r in results if (r.encoder, r.task, r.protocol) == (encoder, task, protocol)), None)
    if found is None:
        there = sorted({r.protocol for r in results if (r.encoder, r.task) == (encoder, task)})
        others = f"; of {task} there are {', '.join(there)}" if there else f", nor any other of {task}"
        raise DataError(
            f"{encoder}: expected a cell of {task} and {protocol}, received none{others}. "
            f"Run 'relic-eval evaluate --out {out} --encoder {encoder} --task {task} --protocol {protocol}'."
        )
    return found


def _alike(out: Path, first: Result, second: Result, items: np.ndarray) -> tuple[float | None, float | None]:
    """Mutual neighbours and CKA of the test embeddings, matched by id; None where a store is gone, which is said."""
    from relic_eval.metrics.similarity import linear_cka, mutual_knn

    task, rows = first.about["task_settings"], []
    stores = {s.encoder: s.path for s in find_stores(out) if (s.dataset, s.split) == (task["dataset"], task["test"])}
    for result in (first, second):
        if result.encoder not in stores:
            warn(f"{result.encoder}: its embeddings of {task['dataset']} are gone, so neighbours and CKA are left out.")
            return None, None
        e = read_store(stores[result.encoder])
        ids = e.ids if e.ids is not None else np.arange(len(e)).astype(str)
        place = places_of(items, ids)
        if place is None:
            raise DataError(
                f"{stores[result.encoder]}: expected the images of its cell, received others. Evaluate again."
            )
        rows.append(e.x_ND[place])
    if any(not x.any(1).all() for x in rows):
        warn(
            "Embeddings with rows of zeros have no nearest neighbours by cosine: these are left out of the comparison."
        )
        kept = rows[0].any(1) & rows[1].any(1)
        rows = [x[kept] for x in rows]
    n = len(rows[0])
    if n < 4:
        return None, None
    chosen = np.sort(np.random.default_rng(0).permutation(n)[:SEARCHED])
    overlap = mutual_knn(rows[0][chosen], rows[1][chosen], k=min(K, len(chosen) - 1))
    return overlap, linear_cka(*rows)


def duel_records(duel: Duel) -> list[dict[str, Any]]:
    """One flat record a group: what a DataFrame or a CSV holds."""
    import dataclasses

    return [dataclasses.asdict(group) for group in duel.groups]


def duel_content(duel: Duel, *, most: int = 24) -> dict[str, Any]:
    """What a page shows, as JSON has it: groups, agreement, and ids of pictures that only one has right, spread over classes."""
    alike = {"consistency": duel.consistency, "same_answer": duel.same_answer, "overlap": duel.overlap, "cka": duel.cka}
    return {
        **{name: getattr(duel, name) for name in ("a", "b", "task", "protocol", "title", "draws")},
        **{name: None if v is None or np.isnan(v) else float(v) for name, v in alike.items()},
        "groups": duel_records(duel),
        "only": {side: {"n": len(duel.only(side)), "pictures": _pictures(duel, side, most)} for side in ("a", "b")},
    }


def _pictures(duel: Duel, side: str, most: int) -> list[dict[str, Any]]:
    """The first image of each class, then the second of each, and so on."""
    chosen = only_over_classes(duel.pictures, side)[:most]
    return [{name: _plain(column[row]) for name, column in duel.pictures.items()} for row in chosen]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def duel_text(duel: Duel) -> str:
    """The comparison for a terminal."""
    all_images = duel.groups[0]
    mean = f" (means of {duel.draws} training draws)" if duel.draws > 1 else ""
    lines = [f"{duel.title}, {duel.protocol}: {duel.a} against {duel.b} on {all_images.n:,} test images{mean}", ""]
    head = ["", "n", "both right", f"only {duel.a}", f"only {duel.b}", "neither", "difference", "p"]
    classes = [g for g in duel.groups if g.kind == "class"]
    told = sorted(classes, key=lambda g: (g.p, -abs(g.difference)))[:SHOWN]
    table = [head, *(_line(g, duel.draws) for g in (*(g for g in duel.groups if g.kind != "class"), *told))]
    widths = [max(len(row[i]) for row in table) for i in range(len(head))]
    for row in table:
        cells = (t.ljust(w) if i == 0 else t.rjust(w) for i, (t, w) in enumerate(zip(row, widths, strict=True)))
        lines.append("  ".join(cells).rstrip())
    if len(told) < len(classes):
        lines.append(f"and {len(classes) - len(told)} more classes, whose p is larger")
    lines += [
        "",
        "Differences in points with 95% intervals; * certain after Holm's correction among its kind.",
        _alike_text(duel),
    ]
    return "\n".join(lines)


def _line(group: Group, draws: int) -> list[str]:
    counts = (group.both, group.only_a, group.only_b, group.neither)
    shown = [f"{c:.1f}" if draws > 1 else f"{c:.0f}" for c in counts]
    ends = f"{100 * group.difference:+.1f} ({100 * group.low:+.1f} to {100 * group.high:+.1f}){'*' if group.certain else ' '}"
    return [group.name, f"{group.n}", *shown, ends, "<0.001" if group.p < 0.001 else f"{group.p:.3f}"]


def _alike_text(duel: Duel) -> str:
    kappa = "not defined" if np.isnan(duel.consistency) else f"{duel.consistency:.2f}"
    said = f"Errors: consistency (kappa) {kappa}; the same answer on {100 * duel.same_answer:.1f}%."
    if duel.overlap is None or duel.cka is None:
        return said
    return f"{said} Embeddings: CKA {duel.cka:.3f}, {100 * duel.overlap:.0f}% of {K} nearest neighbours in both."
