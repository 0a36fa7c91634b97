"""Two measurements of each encoder side by side, joined by a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from relic_eval.records import Measurement
from reports.drawings.frame import Frame, axes, drawing, limits, spread, text, ticks
from reports.drawings.lines import ASIDE, GAP, tall
from reports.drawings.marks import spots
from reports.drawings.trail import curve, whisker
from reports.style import Look, short
from reports.words import percent


@dataclass(frozen=True)
class Pair:
    """What an encoder reaches before and after."""

    look: Look
    before: Measurement
    after: Measurement


def slope(pairs: Sequence[Pair], titles: tuple[str, str], label: str) -> Markup:
    """Accuracy in per cent on the left and on the right with intervals; values and names at the right."""
    values = [100 * v for p in pairs for m in (p.before, p.after) for v in (m.value, m.low, m.high) if v is not None]
    frame = tall(Frame((0, 1), limits(values), left=58, right=160, bottom=36), len(pairs))
    parts = [axes(frame, ("", "top-1, %"), (), ticks(*frame.y, 5))]
    for side, words in zip((0, 1), titles, strict=True):
        parts.append(text(frame.at(side, 0)[0], frame.height - 12, words, "middle", "dim"))
    ends = [frame.at(1, 100 * (p.after.value or 0)) for p in pairs]
    places = spread([y for _, y in ends], GAP, frame.top + 4, frame.floor - 2)
    for number, (pair, (x, y), place) in enumerate(zip(pairs, ends, places, strict=True)):
        start = frame.at(0, 100 * (pair.before.value or 0))
        aside = ASIDE * (number - (len(pairs) - 1) / 2)
        upright = "".join(
            whisker(px + aside, frame.at(0, 100 * m.high)[1], frame.at(0, 100 * m.low)[1])
            for px, m in ((start[0], pair.before), (x, pair.after))
            if m.low is not None and m.high is not None
        )
        parts.append(curve(pair.look, [start, (x, y)], upright))
        parts.append(spots(pair.look, [start, (x, y)]))
        parts.append(f'<path d="M{x + 6:.1f} {y:.1f}L{frame.end + 18} {place:g}" class="lead"/>')
        parts.append(text(frame.end + 21, place + 4, f"{percent(pair.after.value)} {short(pair.look.name, 14)}"))
    return drawing(frame.width, frame.height, label, "".join(parts))
