"""Two encoders of one folder, picture by picture: who is right where the other is wrong, and how alike they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.cells import Result
from relic_eval.errors import ArgumentError, DataError
from relic_eval.pairing import test_items, training_draws
from relic_eval.progress import warn
from relic_eval.records import Table
from relic_eval.results import read_results
from relic_eval.store import find_stores, read_store

K = 10
SEARCHED = 10_000  # rows of the neighbour search, at most: it takes the square of them
RESAMPLES = 2_000  # of a group, where training draws vary
SHOWN = 8  # classes and pictures in the text for a terminal


@dataclass(frozen=True)
class Group:
    """All images, those of a superclass, or of a class. Of several training draws the counts are means over them."""

    kind: str  # all, superclass or class
    name: str
    n: int
    both: float  # right in both
    only_a: float
    only_b: float
    neither: float
    difference: float  # share right of a minus that of b, with its 95% interval
    low: float
    high: float
    p: float  # McNemar's exact mid-p; with training draws, from resamples
    certain: bool  # p after Holm's correction over the groups of its kind


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
        if side not in ("a", "b"):
            raise ArgumentError("side", "a or b", repr(side))
        mine, other = (self.pictures[f"right_{s}"] > 0.5 for s in (side, "b" if side == "a" else "a"))
        return np.flatnonzero(mine & ~other)


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
    items, a_TN, b_TN, said = _answers(first, second)
    classes, above = first.about["classes"], first.about.get("superclasses")
    true_N = (first.cell.predictions or {})["true"][: len(items)]
    pictures = {
        "item": items,
        "class": np.array(classes)[true_N],
        "superclass": np.array(above)[true_N] if above else np.full(len(items), ""),
        "right_a": a_TN.mean(0),
        "right_b": b_TN.mean(0),
        "predicted_a": np.array(classes)[_most_frequent(said[0], len(classes))],
        "predicted_b": np.array(classes)[_most_frequent(said[1], len(classes))],
    }
    overlap, cka = _alike(Path(out), first, second, items)
    from relic_eval.metrics.disagreement import error_consistency

    return Duel(
        a,
        b,
        task,
        protocol,
        str(first.about["title"]),
        len(a_TN),
        _groups(a_TN, b_TN, true_N, classes, above),
        pictures,
        error_consistency(a_TN, b_TN),
        float((said[0] == said[1]).mean()),
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
    table = found.cell.predictions
    if table is None or "class" in table or not np.isin(table["correct"], (0, 1)).all():
        raise ArgumentError(
            "protocol", "one whose answers are right or wrong, such as linear-byol, fewshot-5 or knn", protocol
        )
    return found


def _answers(first: Result, second: Result) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Ids of the images in the order of the first cell; by draw who is right, and what was said."""
    items, others = test_items(first), test_items(second)
    order = np.argsort(others, kind="stable")
    place = order[np.minimum(np.searchsorted(others[order], items), len(others) - 1)]
    same = len(items) == len(others) and bool((others[place] == items).all())
    if not same or first.about["data"] != second.about["data"] or first.about["classes"] != second.about["classes"]:
        raise ArgumentError(
            "encoders",
            f"cells of the same images and labels for {first.encoder} and {second.encoder}",
            f"{len(items)} and {len(others)} of which {len(np.intersect1d(items, others))} have one id",
            "Embed both from the same data set as it is now, and evaluate both alike.",
        )
    draws = training_draws(first), training_draws(second)
    if draws[0] != draws[1]:
        raise ArgumentError("protocol", f"{draws[0]} training draws in both cells", f"{draws[1]} in the second")
    tables = first.cell.predictions or {}, second.cell.predictions or {}
    right = [t["correct"].reshape(draws[0], -1) for t in tables]
    said = [t["predicted"].reshape(draws[0], -1) for t in tables]
    return items, right[0], right[1][:, place], (said[0], said[1][:, place])


def _most_frequent(said_TN: np.ndarray, classes: int) -> np.ndarray:
    """What most draws said of each image; of equally many the first class."""
    if len(said_TN) == 1:
        return said_TN[0]
    images = said_TN.shape[1]
    place = said_TN + classes * np.arange(images)
    return np.bincount(place.ravel(), minlength=classes * images).reshape(images, classes).argmax(1)


def _groups(
    a_TN: np.ndarray, b_TN: np.ndarray, true_N: np.ndarray, classes: Sequence[str], above: Sequence[str] | None
) -> tuple[Group, ...]:
    sets: list[tuple[str, list[str], np.ndarray]] = [("all", ["all images"], np.zeros(len(true_N), np.int64))]
    if above and 1 < len(set(above)) < len(classes):
        names = list(dict.fromkeys(above))
        sets.append(("superclass", names, np.array([names.index(n) for n in above])[true_N]))
    sets.append(("class", list(classes), true_N))
    return tuple(g for kind, names, group_N in sets for g in _of_kind(kind, names, a_TN, b_TN, group_N))


def _of_kind(kind: str, names: Sequence[str], a_TN: np.ndarray, b_TN: np.ndarray, group_N: np.ndarray) -> list[Group]:
    from relic_eval.metrics.disagreement import outcomes, paired_difference
    from relic_eval.metrics.hypotheses import holm, mcnemar

    counts = outcomes(a_TN, b_TN, group_N, len(names))
    there = np.flatnonzero(counts.images_G > 0.5)  # classes without test images say nothing
    parts = (counts.both_G, counts.first_G, counts.second_G, counts.neither_G)
    if len(a_TN) == 1:
        found = [paired_difference(*(float(round(c[g])) for c in parts)) for g in there]
        p = mcnemar(counts.first_G[there].round(), counts.second_G[there].round())
    else:
        drawn = [_resampled(a_TN[:, group_N == g], b_TN[:, group_N == g]) for g in there]
        found, p = [(value, low, high) for value, low, high, _ in drawn], np.array([d[3] for d in drawn])
    certain = holm(p)
    groups = []
    for i, (g, ends) in enumerate(zip(there, found, strict=True)):
        both, only_a, only_b, neither = (float(c[g]) for c in parts)
        n, (difference, low, high) = round(float(counts.images_G[g])), ends
        told = (both, only_a, only_b, neither, difference, low, high)
        groups.append(Group(kind, names[int(g)], n, *told, p=float(p[i]), certain=bool(certain[i])))
    return groups


def _resampled(a_TN: np.ndarray, b_TN: np.ndarray) -> tuple[float, float, float, float]:
    """Difference, interval and p over images and training draws, which vary together."""
    from relic_eval.metrics.bootstrap import paired_bootstrap
    from relic_eval.metrics.hypotheses import two_sided_p
    from relic_eval.metrics.statistics import interval

    values = np.stack([a_TN, b_TN]).astype(np.float64)
    sample_MB = paired_bootstrap(values, np.zeros(a_TN.shape[1], np.int64), draws=RESAMPLES)
    value = float(values[0].mean() - values[1].mean())
    low, high = interval(sample_MB[0] - sample_MB[1])
    return value, float(low), float(high), two_sided_p(value, sample_MB[0] - sample_MB[1])


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
        order = np.argsort(ids, kind="stable")
        place = order[np.minimum(np.searchsorted(ids[order], items), len(ids) - 1)]
        if not (ids[place] == items).all():
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
    rows = duel.only(side)
    names = duel.pictures["class"][rows]
    by = np.argsort(names, kind="stable")
    turn = np.empty(len(rows), np.int64)
    turn[by] = np.arange(len(rows)) - np.searchsorted(names[by], names[by])
    chosen = rows[np.lexsort((names, turn))][:most]
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
