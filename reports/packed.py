"""The records of the board in few bytes, of which the page makes its CSV and JSON again, digit by digit."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any


def packed(records: Sequence[dict[str, Any]], rows: int, columns: int) -> list[list[Any]]:
    """Fields in order, each [name, level, values]: "r" one a row, "c" one a column, "e" one a record, rows after rows.

    Floats stand as base64 of their 8 bytes, least first, NaN for a missing one: so no digit is lost; all else as it is.

    >>> packed([{"a": 1, "b": 7}, {"a": 1, "b": 8}], 1, 2)
    [['a', 'r', [1]], ['b', 'c', [7, 8]]]
    """
    return [_field(name, [r[name] for r in records], rows, columns) for name in (records[0] if records else ())]


def _field(name: str, values: list[Any], rows: int, columns: int) -> list[Any]:
    level = "e"
    if all(values[i] == values[i - i % columns] for i in range(rows * columns)):
        level, values = "r", values[::columns]
    elif all(values[i] == values[i % columns] for i in range(rows * columns)):
        level, values = "c", values[:columns]
    return [name, level, floats(values) if any(isinstance(v, float) for v in values) else values]


def floats(values: Sequence[float | None]) -> str:
    """Numbers as base64 of their 8 bytes, least first; NaN for a missing one.

    >>> floats([1.0])
    'AAAAAAAA8D8='
    """
    numbers = [float("nan") if v is None else v for v in values]
    return base64.b64encode(struct.pack(f"<{len(numbers)}d", *numbers)).decode()
