"""What the evaluators of classification share: the grid walked through, and a cell of what was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from relic_eval.evaluators.multilabel import SAMPLES, labels_of, long_table
from relic_eval.evaluators.shared import accuracy_rows, predictions
from relic_eval.records import Cell, Embeddings, Measurement

if TYPE_CHECKING:
    from relic_eval.tuning.grid import Found
    from relic_eval.tuning.shots import Shots


def make_cell(test: Shots, score_NC: np.ndarray, params: Mapping[str, Any], curves: Mapping[str, np.ndarray]) -> Cell:
    """Rows (the task's metric first) and predictions of the test pictures; their labels are looked at here alone."""
    rows = test.labelled()
    if rows.metric == "map11":
        return Cell(_precision_rows(rows, score_NC, params), long_table(rows, labels_of(rows), score_NC), curves)
    predicted_N = score_NC.argmax(1)
    table = predictions(rows, predicted_N, predicted_N == rows.y_N, score_NC.max(1))
    return Cell(tuple(accuracy_rows(rows, predicted_N, params)), table, curves)


def _precision_rows(test: Embeddings, score_NC: np.ndarray, params: Mapping[str, Any]) -> tuple[Measurement, ...]:
    """11-point mean average precision with a bootstrap over pictures, then that of each class."""
    from relic_eval.metrics.precision import mean_average_precision, resampled_precision
    from relic_eval.metrics.statistics import interval

    labels_NC, n = labels_of(test), len(test)
    found = mean_average_precision(labels_NC, score_NC)
    low, high = interval(resampled_precision(labels_NC, score_NC[None], draws=SAMPLES)[0])
    rows = [Measurement("map11", found.mean, float(low), float(high), n, dict(params))]
    for name, ap in zip(test.classes, found.ap_C, strict=True):
        rows.append(Measurement("ap11", None if np.isnan(ap) else float(ap), n=n, params={"class": name}))
    return tuple(rows)


def curves_of(
    points: Sequence[Mapping[str, float]],
    found: Sequence[Found],
    metric: str,
    across: str,
    last: Sequence[Sequence[float]],
) -> dict[str, np.ndarray]:
    """The losses of every point and of the final run by step, and the validation values by the setting `across`.

    >>> made = curves_of([{"lr": 0.1}], [{"valid": 0.5, "loss": [[0, 2.0]]}], "top1", "lr", [[0, 1.0]])
    >>> made["name"].tolist(), made["x"].tolist()
    (['validation top1', 'loss, lr 0.1', 'loss'], [0.1, 0.0, 0.0])
    """
    from relic_eval.tuning.grid import shown

    lines: list[tuple[str, float, float]] = []
    for point, its in zip(points, found, strict=True):
        others = {name: value for name, value in point.items() if name != across}
        name = f"validation {metric}" + (f", {shown(others)}" if others else "")
        lines.append((name, point[across], np.nan if its["valid"] is None else its["valid"]))
    for point, its in zip(points, found, strict=True):
        lines += [(f"loss, {shown(point)}", float(step), value) for step, value in its["loss"] or []]
    lines += [("loss", float(step), value) for step, value in last]
    names, x, y = zip(*lines, strict=True)
    return {"name": np.array(names), "x": np.array(x, np.float64), "y": np.array(y, np.float64)}


def at_edge(values: Sequence[float], chosen: float) -> int:
    """1 where the smallest or largest of several values was chosen.

    >>> at_edge((0.1, 0.2, 0.3), 0.2), at_edge((0.1, 0.2), 0.2), at_edge((0.1,), 0.1)
    (0, 1, 0)
    """
    return int(len(set(values)) > 1 and chosen in (min(values), max(values)))
