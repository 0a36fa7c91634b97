"""What two cells say of the same images: who is right where the other is wrong, by group, from their predictions alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relic_eval.arrays import over_classes
from relic_eval.cells import Result
from relic_eval.errors import ArgumentError
from relic_eval.pairing import places_of, test_items, training_draws
from relic_eval.records import Table

RESAMPLES = 2_000  # of a group, where training draws vary


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
class Contrast:
    """Two encoders under one protocol on the same test images, picture by picture."""

    draws: int
    groups: tuple[Group, ...]  # all images first, then superclasses, then classes
    pictures: (
        Table  # one row an image: item, class, superclass, right_a, right_b (shares of draws), predicted_a, predicted_b
    )
    consistency: float  # Cohen's kappa of right and wrong; NaN where accuracies leave nothing to expect
    same_answer: float  # share of images (and draws) that both take for the same class


def contrast(first: Result, second: Result) -> Contrast:
    """What two cells say of the same images, which are matched by their ids, whatever their order.

    Raises ArgumentError for cells that were made of other images, or whose answers are not right or wrong.
    """
    from relic_eval.metrics.disagreement import error_consistency

    for result in (first, second):
        if not right_or_wrong(result):
            raise ArgumentError(
                "protocol",
                "one whose answers are right or wrong, such as linear-byol, fewshot-5 or knn",
                result.protocol,
            )
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
    groups = _groups(a_TN, b_TN, true_N, classes, above)
    same = float((said[0] == said[1]).mean())
    return Contrast(len(a_TN), groups, pictures, error_consistency(a_TN, b_TN), same)


def right_or_wrong(result: Result) -> bool:
    """Whether the cell holds one answer an image (and draw) that is right or wrong."""
    table = result.cell.predictions
    return table is not None and "class" not in table and bool(np.isin(table["correct"], (0, 1)).all())


def only(pictures: Table, side: str) -> np.ndarray:
    """Rows that `a` (or `b`) has right in more than half of the draws and the other in at most half.

    >>> only({"right_a": np.array([1.0, 1.0, 0.0]), "right_b": np.array([1.0, 0.0, 1.0])}, "a").tolist()
    [1]
    """
    if side not in ("a", "b"):
        raise ArgumentError("side", "a or b", repr(side))
    mine, other = (pictures[f"right_{s}"] > 0.5 for s in (side, "b" if side == "a" else "a"))
    return np.flatnonzero(mine & ~other)


def only_over_classes(pictures: Table, side: str) -> np.ndarray:
    """The rows of `only` in an order that shows many classes early.

    >>> its = {"right_a": np.ones(3), "right_b": np.zeros(3), "class": np.array(["b", "b", "a"])}
    >>> only_over_classes(its, "a").tolist()
    [2, 0, 1]
    """
    rows = only(pictures, side)
    return rows[over_classes(pictures["class"][rows])]


def _answers(first: Result, second: Result) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Ids of the images in the order of the first cell; by draw who is right, and what was said."""
    items, others = test_items(first), test_items(second)
    place = places_of(items, others) if len(items) == len(others) else None
    if (
        place is None
        or first.about["data"] != second.about["data"]
        or first.about["classes"] != second.about["classes"]
    ):
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
    from relic_eval.metrics.disagreement import paired_difference
    from relic_eval.metrics.hypotheses import two_sided_p
    from relic_eval.metrics.statistics import interval

    values = np.stack([a_TN, b_TN]).astype(np.float64)
    sample_MB = paired_bootstrap(values, np.zeros(a_TN.shape[1], np.int64), draws=RESAMPLES)
    value = float(values[0].mean() - values[1].mean())
    low, high = interval(sample_MB[0] - sample_MB[1])
    p = two_sided_p(value, sample_MB[0] - sample_MB[1])
    if low == high:  # resamples of a few images that are all alike do not vary, though other images would
        n = a_TN.shape[1]
        both, first, second = (float(v.mean(0).sum()) for v in (a_TN * b_TN, a_TN * (1 - b_TN), (1 - a_TN) * b_TN))
        _, low, high = paired_difference(both, first, second, max(0.0, n - both - first - second))
    # of n images no test of signs says less than 2^-n
    return value, float(low), float(high), max(p, 0.5 ** a_TN.shape[1])
