"""ImageNet accuracy over parameters: what others published as lines of a method, one's own encoders among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from relic_eval.published import Own, Published
from reports.drawings.frame import Frame, axes, drawing, limits, spread, text, ticks
from reports.drawings.marks import mark
from reports.published import plain_pretraining
from reports.style import Look, short

# method -> colour and dash; a name stands at the end of each line, and own encoders have their marks
METHODS = {
    "RELICv2": "#d55e00",
    "C-BYOL": "#56b4e9",
    "BYOL": "#0072b2",
    "SwAV": "#882255",
    "SimCLR v2": "#999933",
    "SimCLR": "#e69f00",
    "Supervised": "#009e73",
    "DINO": "#332288",
}
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def among(own: Sequence[Own], look: Mapping[str, Look]) -> Markup:
    """Top-1 of the linear probe, parameters in millions on a logarithmic axis; hollow points are not verified."""
    lines = {m: _points(m) for m in METHODS}
    values = [p.value for its in lines.values() for p in its] + [o.top1 for o in own]
    counts = [p.parameters_m or 1.0 for its in lines.values() for p in its] + [o.parameters_m for o in own]
    high = max(420, 76 + 17 * (len(own) + len(lines)))
    frame = Frame((0.85 * min(counts), 1.15 * max(counts)), limits(values), 760, high, 52, 196, 14, 46, log_x=True)
    x_ticks = [t for t in TICKS if frame.x[0] <= t <= frame.x[1]]
    parts = [axes(frame, ("Parameters, millions", "ImageNet top-1, linear probe, %"), x_ticks, ticks(*frame.y, 6))]
    parts += [_line(its, METHODS[m], frame) for m, its in lines.items()]
    parts += [mark(look[o.name], *frame.at(o.parameters_m, o.top1), 7) for o in own]
    parts.append(_names(own, lines, look, frame))
    return drawing(760, high, "ImageNet accuracy over parameters, published and own", "".join(parts), "plot large")


def _points(method: str) -> list[Published]:
    """One number a network, verified where there is one, of plain pretraining on ImageNet, by size."""
    its = [p for p in plain_pretraining() if p.method == method]
    return sorted(its, key=lambda p: (p.parameters_m or 0, p.network))


def _line(its: Sequence[Published], colour: str, frame: Frame) -> str:
    at = [frame.at(p.parameters_m or 1.0, p.value) for p in its]
    path = "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in at)
    dots = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="3"{"" if p.verified else " class=" + chr(34) + "hollow" + chr(34)}/>'
        for p, (x, y) in zip(its, at, strict=True)
    )
    return f'<g fill="{colour}" stroke="{colour}"><path fill="none" stroke-opacity=".55" d="{path}"/>{dots}</g>'


def _names(own: Sequence[Own], lines: Mapping[str, Sequence[Published]], look: Mapping[str, Look], frame: Frame) -> str:
    """At the right, from the best down: own encoders by their marks, methods by their last point."""
    its = [(frame.at(o.parameters_m, o.top1), mark(look[o.name], 0, 0, 5), short(o.name, 20)) for o in own]
    for m, points in lines.items():
        if points:
            dot = f'<circle r="3" fill="{METHODS[m]}"/>'
            its.append((frame.at(points[-1].parameters_m or 1.0, points[-1].value), dot, f"{m}, published"))
    places = spread([y for (_, y), _, _ in its], 17, frame.top, frame.floor)
    return "".join(
        f'<path class="lead" d="M{x:.0f} {y:.0f}L{frame.end + 8} {p:.0f}"/>'
        f'<g transform="translate({frame.end + 16} {p:.0f})">{sign}{text(10, 4, words)}</g>'
        for ((x, y), sign, words), p in zip(its, places, strict=True)
    )
