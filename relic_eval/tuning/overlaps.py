"""A cell of segmentation, from the pixels that each picture has of each class, is predicted as it, and both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.records import Cell, Measurement, Table

DRAWS = 2000


def make_cell(
    count_3TNC: np.ndarray,
    ids: np.ndarray,
    classes: Sequence[str],
    params: Mapping[str, Any],
    curves: Table,
    converged: bool | None = None,
    shown: Table | None = None,
) -> Cell:
    """Mean IoU first, with an interval over pictures; then pixel accuracy and the IoU of each class, means of T trainings.

    A class that is neither true nor predicted anywhere has no IoU. The table `overlaps` holds what was counted,
    `shown` a few pictures with their masks.

    >>> cell = make_cell(np.ones((3, 1, 2, 2), int), np.array(["x", "y"]), ("a", "b"), {}, {})
    >>> [row.metric for row in cell.rows], cell.rows[0].value, len(cell.overlaps["item"])
    (['miou', 'pixel_accuracy', 'iou', 'iou'], 1.0, 4)
    """
    from relic_eval.metrics.segmentation import bootstrap_mean_iou, mean_iou_of_counts
    from relic_eval.metrics.statistics import interval

    trainings, n = count_3TNC.shape[1:3]
    sums_3TC = count_3TNC.sum(2)
    value_T = mean_iou_of_counts(sums_3TC)
    low, high = interval(bootstrap_mean_iou(count_3TNC[None], draws=DRAWS)[0])
    both, true, predicted = sums_3TC.astype(np.float64)
    either = true + predicted - both
    ratio_TC = np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0)
    about = {**params, "trainings": trainings}
    if trainings > 1:
        about["spread"] = float(value_T.std(ddof=1))  # between trainings
    rows = [Measurement("miou", float(value_T.mean()), float(low), float(high), n, about, converged)]
    accuracy = float((both.sum(1) / true.sum(1)).mean())
    rows.append(Measurement("pixel_accuracy", accuracy, n=n, params=params))
    for number, name in enumerate(classes):
        its_T = ratio_TC[:, number]
        value = float(np.nanmean(its_T)) if np.isfinite(its_T).any() else None
        rows.append(Measurement("iou", value, n=n, params={"class": name}))
    return Cell(tuple(rows), curves=curves or None, overlaps=overlaps(count_3TNC, ids), overlays=shown)


def overlaps(count_3TNC: np.ndarray, ids: np.ndarray) -> Table:
    """The table of a cell: a row a training, picture and class that has a pixel there.

    >>> overlaps(np.array([[1, 0], [1, 0], [2, 0]])[:, None, None], np.array(["x"]))["class"].tolist()
    [0]
    """
    draw_R, item_R, class_R = np.nonzero(count_3TNC[1] + count_3TNC[2])
    both, true, predicted = (c_TNC[draw_R, item_R, class_R].astype(np.int64) for c_TNC in count_3TNC)
    table = {"item": ids[item_R], "class": class_R, "both": both, "true": true, "predicted": predicted}
    return table if count_3TNC.shape[1] == 1 else {**table, "draw": draw_R}


def counts_of(table: Table, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """`overlaps` back: counts (3, T, N, C), and the items in the order in which they stand there.

    A picture of which every pixel is ignored has no row, and adds nothing to any sum.

    >>> counts_of(overlaps(np.ones((3, 2, 1, 2), int), np.array(["x"])), 2)[0].shape
    (3, 2, 1, 2)
    """
    items, first, place_R = np.unique(table["item"], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    draw_R = table.get("draw", np.zeros(len(place_R), np.int64))
    counts = np.zeros((3, int(draw_R.max()) + 1, len(items), classes), np.int64)
    for number, name in enumerate(("both", "true", "predicted")):
        counts[number, draw_R, rank[place_R], table["class"]] = table[name]
    return counts, items[order]


def aligned(tables: Sequence[Table], classes: int) -> np.ndarray:
    """Counts (M, 3, T, N, C) of M cells of the same pictures, for `bootstrap_mean_iou`; ArgumentError for other pictures.

    Their differences on the same resamples are paired intervals.

    >>> table = overlaps(np.ones((3, 1, 2, 2), int), np.array(["x", "y"]))
    >>> aligned([table, table], 2).shape
    (2, 3, 1, 2, 2)
    """
    found = [counts_of(table, classes) for table in tables]
    counts, items = found[0]
    for other, its in found[1:]:
        if not np.array_equal(its, items) or not np.array_equal(other[1, 0], counts[1, 0]):
            raise ArgumentError("tables", "cells of the same pictures and masks", "others")
        if other.shape != counts.shape:
            received = f"{counts.shape[1]} and {other.shape[1]}"
            raise ArgumentError("tables", "cells of as many trainings", received, "Compare cells of one protocol.")
    return np.stack([its for its, _ in found])
