"""Neighbour block matrices of several encoders side by side."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from reports.figures.style import new_figure
from reports.sections import Block
from reports.style import percent, short


def neighbour_blocks_figure(blocks: list[Block]) -> Figure:
    """A dot a neighbour, coloured by distance over the encoder's median neighbour distance."""
    figure, every = new_figure(len(blocks), width=2.2 * len(blocks) + 0.8, height=2.9)
    about, true = blocks[0].result.about, (blocks[0].result.cell.predictions or {})["true"]
    ends = np.concatenate([np.flatnonzero(np.diff(true)) + 1, [len(true)]])
    dots = None
    for axes, block in zip(every, blocks, strict=True):
        n, k = block.index_NK.shape
        relative = block.distance_NK / np.median(block.distance_NK)
        dots = axes.scatter(
            block.index_NK.ravel(),
            np.repeat(np.arange(n), k),
            c=relative.ravel(),
            s=1.2,
            cmap="cividis",
            vmin=0,
            vmax=2,
            rasterized=True,
        )
        for end in ends[:-1]:
            axes.axhline(end - 0.5, color="0.6", lw=0.5)
            axes.axvline(end - 0.5, color="0.6", lw=0.5)
        axes.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), aspect="equal", xticks=[])
        axes.set_title(f"{short(block.encoder)}\n{percent(block.result.cell.rows[0].value)}% same class", fontsize=9)
        axes.set_yticks(
            [] if axes is not every[0] else (np.concatenate([[0], ends[:-1]]) + ends) / 2,
            labels=[] if axes is not every[0] else [short(c) for c in about["classes"]],
        )
    if dots is not None:
        figure.colorbar(dots, ax=every, label="distance / median", shrink=0.8)
    return figure
