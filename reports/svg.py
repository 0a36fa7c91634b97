"""Small drawings as inline SVG: attributes and classes only, so that the page's security policy needs no exception."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from reports.style import CIVIDIS, DASHES


def interval_bar(value: float, low: float, high: float, colour: str, floor: float = 0.0) -> Markup:
    """A point with its interval on a scale from `floor` to 1."""
    x = [100 * (v - floor) / (1 - floor) for v in (low, value, high)]
    return Markup(
        f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<line x1="0" x2="100" y1="4" y2="4" class="track"/><line x1="{x[0]:.1f}" x2="{x[2]:.1f}" y1="4" y2="4" '
        f'stroke="{colour}" stroke-width="3"/><rect x="{x[1] - 0.7:.1f}" y="0" width="1.4" height="8" fill="{colour}"/></svg>'
    )


def change_bar(change: float, limit: float) -> Markup:
    """A diverging bar around 0 in per cent, symmetric limits."""
    width = 50 * min(abs(change) / limit, 1) if limit else 0
    side = "worse" if change < 0 else "better"
    x = 50 - width if change < 0 else 50
    return Markup(
        f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect x="{x:.1f}" y="1" '
        f'width="{width:.1f}" height="6" class="{side}"/><line x1="50" x2="50" y1="0" y2="8" class="axis"/></svg>'
    )


def block_matrix(
    name: str, index_NK: np.ndarray, relative_NK: np.ndarray, class_ends: Sequence[int], above_ends: Sequence[int]
) -> Markup:
    """A dot a neighbour: row = image, column = neighbour, coloured by distance over the encoder's median neighbour distance."""
    n = len(index_NK)
    shade_NK = np.clip((relative_NK / 2 * len(CIVIDIS)).astype(int), 0, len(CIVIDIS) - 1)
    paths = []
    for shade, colour in enumerate(CIVIDIS):
        rows, places = np.nonzero(shade_NK == shade)
        dots = "".join(f"M{index_NK[r, k]} {r}h1v1h-1z" for r, k in zip(rows.tolist(), places.tolist(), strict=True))
        if dots:
            paths.append(f'<path d="{dots}" fill="{colour}"/>')
    lines = "".join(
        f'<path d="M0 {e}H{n}M{e} 0V{n}" class="{"thick" if e in above_ends else "thin"}"/>'
        for e in class_ends
        if 0 < e < n
    )
    return Markup(
        f'<svg class="blocks" viewBox="0 0 {n} {n}" role="img" tabindex="0" data-encoder="{escape(name)}" aria-label="Neighbour '
        f'block matrix of {escape(name)}: arrow keys step through the images"><rect width="{n}" height="{n}" class="ground"/>'
        f'{"".join(paths)}{lines}<rect class="row" x="0" y="-9" width="{n}" height="1"/></svg>'
    )


def outlines(
    curves: dict[str, tuple[np.ndarray, np.ndarray]],
    marks: dict[str, float],
    colours: dict[str, str],
    titles: dict[str, str],
    x_title: str,
    y_title: str,
    label: str,
) -> Markup:
    """Lines over each other with a tick a mark, direct labels stacked at the right, axes without boxes."""
    width, height, left, right, bottom = 640, 300, 54, 150, 44
    all_x = np.concatenate([x for x, _ in curves.values()])
    all_y = np.concatenate([y for _, y in curves.values()])
    x0, x1, y0, y1 = float(all_x.min()), float(all_x.max()), min(0.0, float(all_y.min())), float(all_y.max())
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (x - x0) / (x1 - x0) * (width - left - right), 10 + (y1 - y) / (y1 - y0) * (height - bottom - 10)

    parts = []
    for value in _ticks(x0, x1):
        px, py = at(value, y0)
        parts.append(
            f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{py:.1f}" y2="{py + 4:.1f}" class="axis"/><text x="{px:.1f}" y="{py + 17:.1f}" text-anchor="middle">{value:g}</text>'
        )
    for value in _ticks(y0, y1):
        px, py = at(x0, value)
        parts.append(
            f'<line x1="{px:.1f}" x2="{width - right}" y1="{py:.1f}" y2="{py:.1f}" class="grid"/><text x="{px - 6:.1f}" y="{py + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for place, (name, (x, y)) in enumerate(curves.items()):
        points = " ".join("{:.1f},{:.1f}".format(*at(a, b)) for a, b in zip(x, y, strict=True))
        dash = f' stroke-dasharray="{d}"' if (d := DASHES.get(name, "")) else ""
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colours[name]}" stroke-width="2"{dash}/>')
        if name in marks:
            px, py = at(marks[name], y0)
            parts.append(f'<path d="M{px:.1f} {py:.1f}l-5 -9h10z" fill="{colours[name]}"/>')
        py = 22 + 20 * place
        parts.append(
            f'<line x1="{width - right + 12}" x2="{width - right + 36}" y1="{py - 4}" y2="{py - 4}" stroke="{colours[name]}" stroke-width="2"{dash}/>'
            f'<text x="{width - right + 42}" y="{py}">{escape(titles[name])}</text>'
        )
    middle = (left + width - right) / 2
    return Markup(
        f'<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}'
        f'<text x="{middle}" y="{height - 6}" text-anchor="middle">{escape(x_title)}</text>'
        f'<text transform="translate(13 {(height - bottom) / 2}) rotate(-90)" text-anchor="middle">{escape(y_title)}</text></svg>'
    )


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** np.floor(np.log10((high - low) / 3))
    step *= 5 if (high - low) / step > 14 else 2 if (high - low) / step > 6 else 1
    return [round(float(v), 10) for v in np.arange(np.ceil(low / step) * step, high + step / 1e6, step)]
