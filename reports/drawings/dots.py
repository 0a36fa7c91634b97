"""Classes down, a number across, a mark an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from reports.drawings.frame import Frame, axes, drawing, limits, text, ticks
from reports.drawings.legend import placed
from reports.drawings.marks import marker, marks
from reports.style import Look

ROW = 24


def dots(
    rows: Sequence[tuple[str, Sequence[tuple[Look, float]]]],
    names_of: Sequence[Look],
    x_title: str,
    label: str,
    reference: float,
) -> Markup:
    """One line a class with the marks of all encoders on it, their names above; rows stand in the order given.

    A mark is drawn once and set by number (SVG markers along a line that is not seen), so that many classes take little room.
    """
    values = [v for _, there in rows for _, v in there]
    names = [name if len(name) <= 24 else name[:23] + "…" for name, _ in rows]
    left = 24 + 7 * max(map(len, names))
    legend, top = placed(names_of, left)
    frame = Frame(
        limits([*values, reference], pad=0.03), (0, 1), 760, top + 44 + ROW * len(rows), left=left, right=24, top=top
    )
    parts = [axes(frame, (x_title, ""), ticks(*frame.x, 8))]
    px = frame.at(reference, 0)[0]
    parts.append(f'<path d="M{px:.1f} {top}V{frame.floor}" class="axis" stroke-dasharray="2 3"/>')
    heights = [frame.top + ROW * place + ROW // 2 for place in range(len(rows))]
    for name, y in zip(names, heights, strict=True):
        parts.append(text(left - 12, y + 4, name, "end"))
    parts.append(f'<path d="{"".join(f"M{left} {y}H{frame.end}" for y in heights)}" class="grid"/>')
    for number, (look, (x, y, words)) in enumerate(zip(names_of, legend, strict=True)):
        its = [(v, at) for at, (_, there) in zip(heights, rows, strict=True) for other, v in there if other == look]
        places = [(x, y), *((frame.at(value, 0)[0], at) for value, at in its)]
        parts += [words, marker(look, f"d{number}", 5.5), marks(f"d{number}", places)]
    return drawing(frame.width, frame.height, label, "".join(parts), "plot large")
