"""Marks with names above a drawing, in as many lines as they need."""

from __future__ import annotations

from collections.abc import Sequence

from reports.drawings.frame import text
from reports.drawings.marks import mark
from reports.style import Look, short

NAME = 22  # letters of a name, at most
LINE = 20


def placed(looks: Sequence[Look], left: int, width: int = 760) -> tuple[list[tuple[int, int, str]], int]:
    """Of each encoder the middle of its mark and its name as text, and where the lines end.

    >>> placed([Look("byol", "BYOL", "#000000", "square", "")], 40)
    ([(46, 10, '<text x="56" y="14">BYOL</text>')], 26)
    """
    found, x, y = [], left, 10
    for look in looks:
        words = short(look.name, NAME)
        wide = 34 + round(7.4 * len(words))
        if x + wide > width and x > left:
            x, y = left, y + LINE
        found.append((x + 6, y, text(x + 16, y + 4, words)))
        x += wide
    return found, y + 16


def legend(looks: Sequence[Look], left: int, width: int = 760) -> tuple[str, int]:
    """The same as a drawing."""
    its, end = placed(looks, left, width)
    return "".join(mark(look, x, y, 5.5) + words for look, (x, y, words) in zip(looks, its, strict=True)), end
