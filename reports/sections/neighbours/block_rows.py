"""Which rows of the squares are drawn, and the names beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ALL_DRAWN = 12  # encoders at most that are all drawn
OF_MANY = 8  # drawn where there are more
DOTS = 12_000  # in all squares: about six bytes each
ROWS = 400  # more cannot be told apart
FEWEST = 60


def drawn_rows(n: int, k: int, encoders: int) -> np.ndarray:
    """The rows that are drawn: all, or as many as there is room for, evenly spaced.

    >>> len(drawn_rows(200, 10, 6)), len(drawn_rows(240, 5, 12)), drawn_rows(2500, 20, 12)[:3].tolist()
    (200, 200, [0, 41, 83])
    """
    room = min(ROWS, max(FEWEST, DOTS // (k * encoders)))
    return np.arange(n) if n <= room else np.arange(room) * n // room


def merged(names: Sequence[str], rows: Sequence[int], most: int) -> list[tuple[str, int, int]]:
    """Names beside the squares, of neighbouring classes the first where one alone would be too low to read: (name, classes, rows).

    >>> merged(["a", "b", "c"], [50, 50, 50], 20), merged(["a", "b", "c"], [50, 50, 50], 2)
    ([('a', 1, 50), ('b', 1, 50), ('c', 1, 50)], [('a', 3, 150)])
    """
    least, found = sum(rows) / most, [(names[0], 1, rows[0])]
    for name, count in zip(names[1:], rows[1:], strict=True):
        first, classes, height = found[-1]
        if height < 0.99 * least:
            found[-1] = (first, classes + 1, height + count)
        else:
            found.append((name, 1, count))
    if len(found) > 1 and found[-1][2] < 0.99 * least:
        first, classes, height = found[-2]
        found[-2:] = [(first, classes + found[-1][1], height + found[-1][2])]
    return found
