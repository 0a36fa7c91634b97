"""Classes down, a number across, a mark an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports.drawings.frame import Frame, axes, drawing, limits, text, ticks
from reports.drawings.marks import mark
from reports.style import Look, short

ROW = 24


def dots(
    rows: Sequence[tuple[str, Sequence[tuple[Look, float]]]],
    names_of: Sequence[Look],
    x_title: str,
    label: str,
    reference: float,
) -> Markup:
    """One line a class with the marks of all encoders on it, their names above; rows stand in the order given."""
    values = [v for _, marks in rows for _, v in marks]
    names = [name if len(name) <= 24 else name[:23] + "…" for name, _ in rows]
    left = 24 + 7 * max(map(len, names))
    legend, top = _legend(names_of, left)
    frame = Frame(
        limits([*values, reference], pad=0.03), (0, 1), 760, top + 44 + ROW * len(rows), left=left, right=24, top=top
    )
    parts = [legend, axes(frame, (x_title, ""), ticks(*frame.x, 8))]
    px = frame.at(reference, 0)[0]
    parts.append(f'<path d="M{px:.1f} {top}V{frame.floor}" class="axis" stroke-dasharray="2 3"/>')
    for place, (name, (_, marks)) in enumerate(zip(names, rows, strict=True)):
        y = frame.top + ROW * place + ROW / 2
        parts.append(text(left - 12, y + 4, name, "end"))
        parts.append(f'<path d="M{left} {y:g}H{frame.end}" class="grid"/>')
        parts += [mark(look, frame.at(value, 0)[0], y, 5.5) for look, value in marks]
    return drawing(frame.width, frame.height, label, "".join(parts), "plot large")


def _legend(names_of: Sequence[Look], left: int) -> tuple[str, int]:
    """Marks with names in as many lines as they need, and where the lines end."""
    parts, x, y = [], left, 10
    for look in names_of:
        words = short(look.name, 22)
        wide = 34 + round(7.4 * len(words))
        if x + wide > 760 and x > left:
            x, y = left, y + 20
        parts += [mark(look, x + 6, y, 5.5), text(x + 16, y + 4, words)]
        x += wide
    return "".join(parts), y + 16
