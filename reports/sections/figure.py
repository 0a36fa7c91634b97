"""What every figure of the page has: a title, a drawing, how to read it, what it rests on, and its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """One figure. `title` states what it shows here, `how` how to read it, `note` n, protocol and interval."""

    key: str  # anchor and name of the files
    title: str
    drawing: Markup
    how: str
    note: str
    csv: str
    beside: Sequence[tuple[str, Markup]] = ()  # drawings of the same kind, shown in its place
    more: Sequence[tuple[str, Markup]] = ()  # others, folded away
