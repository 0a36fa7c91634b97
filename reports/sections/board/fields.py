"""The records of the board column by column, of which the page makes its CSV and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def fields(records: Sequence[dict[str, Any]], rows: int, columns: int) -> list[list[Any]]:
    """Fields in order, each [name, level, real, values]: "r" one a row, "c" one a column, "e" one a record, rows after rows.

    `real` is true where numbers have a point in files; one without an end is text.

    >>> fields([{"a": 1.0, "b": 7}, {"a": 1.0, "b": 8}], 1, 2)
    [['a', 'r', True, [1.0]], ['b', 'c', False, [7, 8]]]
    """
    return [_field(name, [r[name] for r in records], rows, columns) for name in (records[0] if records else ())]


def _field(name: str, values: list[Any], rows: int, columns: int) -> list[Any]:
    level, real = "e", any(isinstance(v, float) for v in values)
    if all(values[i] == values[i - i % columns] for i in range(rows * columns)):
        level, values = "r", values[::columns]
    elif all(values[i] == values[i % columns] for i in range(rows * columns)):
        level, values = "c", values[:columns]
    return [name, level, real, [_ended(v) for v in values] if real else values]


def _ended(value: float | None) -> float | str | None:
    """JSON knows no infinity."""
    return value if value is None or math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
