"""Neighbour block matrices of several encoders side by side."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from reports.figures.style import INK, dot, new_figure
from reports.sections.blocks import Block, colour_scale, ends_of
from reports.style import CIVIDIS, looks, short
from reports.words import percent

ACROSS = 5


def neighbour_blocks_figure(blocks: list[Block]) -> Figure:
    """A dot a neighbour, coloured by distance over the encoder's median neighbour distance, one scale for all."""
    rows = -(-len(blocks) // ACROSS)
    across = -(-len(blocks) // rows)  # six are three and three, not five and one
    figure, every = new_figure(across, 2.1 * across + 1.0, 2.6 * rows + 0.7, rows)
    about, true = blocks[0].result.about, (blocks[0].result.cell.predictions or {})["true"]
    look, (low, high), (ends, above_ends) = looks(b.encoder for b in blocks), colour_scale(blocks), ends_of(blocks[0])
    middles = (np.array([0, *ends]) + np.array([*ends, len(true)])) / 2 - 0.5
    dots = None
    for spare in every[len(blocks) :]:
        spare.set_visible(False)
    for place, (axes, block) in enumerate(zip(every, blocks, strict=False)):
        n, k = block.index_NK.shape
        for end in ends:
            thick = end in above_ends
            for draw in (axes.axhline, axes.axvline):
                draw(end - 0.5, color=INK if thick else "0.75", lw=1.0 if thick else 0.5, zorder=1)
        dots = axes.scatter(
            block.index_NK.ravel(),
            np.repeat(np.arange(n), k),
            c=block.relative_NK.ravel(),
            s=max(2.8, 500 / n),
            marker="o",
            linewidths=0,
            cmap=ListedColormap(CIVIDIS),
            vmin=low,
            vmax=high,
            rasterized=True,
            zorder=2,
        )
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", xticks=[])
        axes.set_title(
            f"{short(block.encoder, longest=18)}\n{percent(block.purity.value)}% same class", loc="left", x=0.1
        )
        axes.plot(0.04, 1.17, transform=axes.transAxes, clip_on=False, ms=5, **dot(look[block.encoder]))
        axes.tick_params(length=0)
        first = place % across == 0
        axes.set_yticks(
            middles if first else [], labels=[short(about["classes"][true[int(m)]]) for m in middles] if first else []
        )
        for side in axes.spines.values():
            side.set_visible(False)
    if dots is not None:
        bar = figure.colorbar(dots, ax=every, location="bottom", shrink=0.4, aspect=30, pad=0.03)
        bar.set_ticks(np.linspace(low, high, 6).tolist())
        bar.ax.xaxis.set_major_formatter("{x:.1f}")
        bar.set_label("distance / median distance of the encoder's neighbours")
        bar.outline.set_visible(False)
    return figure
