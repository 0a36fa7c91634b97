"""What training had cost when a measure reached a value: the first row of a monitored run that does, as it was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

COUNTS = ("step", "images", "views", "flops")
STEPS_OF = 20  # round values are multiples of 1 / 20: five points
Row = Mapping[str, float]


def reached(rows: Sequence[Row], name: str, value: float) -> Row | None:
    """The first row whose `name` is at least `value`; None where none is. Nothing is read between rows.

    >>> reached([{"step": 0, "linear": 0.2}, {"step": 100, "linear": 0.7}], "linear", 0.5)["step"]
    100
    """
    return next((row for row in rows if row.get(name, math.nan) >= value), None)


def costs(runs: Mapping[str, Sequence[Row]], name: str, value: float) -> dict[str, dict[str, float] | None]:
    """Of each run the steps, images, views and FLOPs at the first row that reaches the value; None where none does.

    >>> rows = [{"step": 5, "images": 10, "knn": 0.4}, {"step": 9, "images": 18, "knn": 0.8}]
    >>> costs({"a": rows, "b": rows[:1]}, "knn", 0.6)
    {'a': {'step': 9, 'images': 18}, 'b': None}
    """
    found = {run: reached(rows, name, value) for run, rows in runs.items()}
    return {r: None if row is None else {c: row[c] for c in COUNTS if _known(row, c)} for r, row in found.items()}


def ratios(found: Mapping[str, Mapping[str, float] | None], to: str) -> dict[str, dict[str, float] | None]:
    """How many times as much each run had cost as the run `to`, of what `costs` found; None where one of both is not there.

    >>> ratios({"a": {"step": 9, "images": 18}, "b": {"step": 18, "images": 18}, "c": None}, "a")
    {'a': {'step': 1.0, 'images': 1.0}, 'b': {'step': 2.0, 'images': 1.0}, 'c': None}
    """
    base = found[to]
    return {
        run: None if cost is None or base is None else {c: v / base[c] for c, v in cost.items() if base.get(c)}
        for run, cost in found.items()
    }


def round_value(runs: Mapping[str, Sequence[Row]], name: str) -> float | None:
    """The highest multiple of 5 points that two runs reach, or that the one run reaches; None where there is none above 0.

    >>> rows = {"a": [{"knn": 0.52}, {"knn": 0.93}], "b": [{"knn": 0.65}, {"knn": 0.61}], "c": [{"knn": 0.3}]}
    >>> round_value(rows, "knn"), round_value({"a": rows["a"]}, "knn"), round_value({}, "knn")
    (0.65, 0.9, None)
    """
    known = [[row[name] for row in rows if _known(row, name)] for rows in runs.values()]
    best = sorted(max(values) for values in known if values)
    held = best[-2] if len(best) > 1 else best[-1] if best else 0.0
    return max((k / STEPS_OF for k in range(1, STEPS_OF + 1) if k / STEPS_OF <= held), default=None)


def _known(row: Row, name: str) -> bool:
    return math.isfinite(row.get(name, math.nan))
