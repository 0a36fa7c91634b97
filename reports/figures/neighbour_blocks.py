"""Neighbour block matrices of several encoders side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from reports.figures.style import INK, LETTER, LINE, SMALL, WIDTH, dot, in_style, look_of, new_figure, wrapped
from reports.sections.neighbours.neighbours import Block, colour_scale, ends_of
from reports.style import CIVIDIS, Look, short
from reports.words import percent

ACROSS = 6
NARROWEST = 1.15  # inches of a square
CLASS = 16  # letters of a class
DOTS = 400  # pixels an inch, at most
LEAST = 1.2  # points of a dot


@in_style
def neighbour_blocks_figure(
    blocks: list[Block], look: Mapping[str, Look] | None = None, width: float = WIDTH
) -> Figure:
    """A dot a neighbour, coloured by distance over the encoder's median neighbour distance, one scale for all."""
    names, middles = _classes(blocks[0])
    beside = LETTER * max(map(len, names)) + 0.1
    across = min(len(blocks), ACROSS, max(1, int((width - beside) / NARROWEST)))
    rows = -(-len(blocks) // across)
    across = -(-len(blocks) // rows)  # six are three and three, not five and one
    side = min((width - beside) / across - 0.08, 3.0)
    figure, every = new_figure(across, width, rows * (side + 2 * LINE + 0.12) + 0.62, rows)
    look, scale = look_of(look, [b.encoder for b in blocks]), colour_scale(blocks)
    for spare in every[len(blocks) :]:
        spare.set_visible(False)
    for place, (axes, block) in enumerate(zip(every, blocks, strict=False)):
        _square(axes, block, blocks[0], side, scale)
        purity = f"{percent(block.purity.value)}% same class"
        name = short(block.encoder, max(8, int((side - 0.2) / LETTER * 0.87)))
        axes.set_title(f"{name}\n{purity if side > 1.05 else purity[: -len(' class')]}", loc="left", x=0.15 / side)
        axes.plot(
            0.05 / side, 1 + 0.18 / side, transform=axes.transAxes, clip_on=False, ms=4.5, **dot(look[block.encoder])
        )
        axes.set_yticks(*((middles, names) if place % across == 0 else ([], [])))
    colours = ScalarMappable(Normalize(*scale), ListedColormap(CIVIDIS))
    bar = figure.colorbar(colours, ax=every, location="bottom", fraction=0.1, aspect=40, pad=0.02, shrink=0.6)
    bar.set_ticks(np.linspace(*scale, 6).tolist())
    bar.ax.xaxis.set_major_formatter("{x:.1f}")
    said = "distance / median distance of the encoder's neighbours"
    bar.set_label(wrapped(said, width), size=SMALL)
    bar.outline.set_visible(False)
    return figure


def _classes(block: Block) -> tuple[list[str], list[float]]:
    """Names of the classes, and the middle row of each; of classes too thin for a name each, an evenly spaced few."""
    true, every = (block.result.cell.predictions or {})["true"], block.result.about["classes"]
    ends = ends_of(block)[0]
    starts, stops = np.array([0, *ends]), np.array([*ends, len(true)])
    step = -(-len(starts) // 12)
    kept = range(0, len(starts), step)
    return [short(every[true[starts[i]]], CLASS) for i in kept], [(starts[i] + stops[i] - 1) / 2 for i in kept]


def dots_image(block: Block, side: float, scale: tuple[float, float]) -> np.ndarray:
    """The square as an image (pixels, pixels, RGBA) of at most 400 dots an inch: a disc a neighbour, nearer ones over farther ones.

    Few colours and no smooth edges: it is a tenth of what as many circles take, and no viewer blurs it.
    """
    n, k = block.index_NK.shape
    each = int(np.clip(DOTS * side / n, 1, 12))  # pixels of a row
    radius = max(0.5 * each, LEAST / 72 / side * each * n) / 2
    reach = int(np.ceil(radius))
    colours = np.round(255 * ListedColormap(CIVIDIS)(Normalize(*scale)(block.relative_NK))).astype(np.uint8)
    image = np.zeros((n * each, n * each, 4), np.uint8)
    row_N = np.arange(n) * each + each // 2
    grid = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    stamp = [(down, right) for down, right in grid if np.hypot(down, right) <= radius + 0.25]
    for rank in reversed(range(k)):
        column_N = block.index_NK[:, rank] * each + each // 2
        for down, right in stamp:
            y, x = np.clip(row_N + down, 0, n * each - 1), np.clip(column_N + right, 0, n * each - 1)
            image[y, x] = colours[:, rank]
    return image


def _square(axes: Any, block: Block, first: Block, side: float, scale: tuple[float, float]) -> None:
    n = len(block.index_NK)
    ends, above_ends = ends_of(first)
    for end in ends:
        thick = end in above_ends
        for draw in (axes.axhline, axes.axvline):
            draw(end - 0.5, color=INK if thick else "0.75", lw=0.8 if thick else 0.4, zorder=1)
    edges = (-0.5, n - 0.5, n - 0.5, -0.5)
    axes.imshow(dots_image(block, side, scale), extent=edges, interpolation="none", zorder=2)
    axes.set(xlim=edges[:2], ylim=edges[2:], aspect="equal", xticks=[])
    axes.tick_params(length=0, pad=2)
    for spine in axes.spines.values():
        spine.set_visible(False)
