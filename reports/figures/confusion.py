"""Which classes the linear probe takes for which: a matrix an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from relic_eval.cells import Result
from reports.figures.style import INK, LETTER, SMALL, WIDTH, in_style, new_figure
from reports.sections.choose import shown
from reports.sections.pictures.confusion import shares
from reports.style import short

MOST = 12  # classes drawn; of more, those that the first encoder gets right least often
ENCODERS = 6  # drawn at most, from the best of the board down
PLACE = 0.19  # inches of a class: two digits of small text fit
RIGHT, WRONG = "#0072b2", "#d55e00"
NAME = 14  # letters of a class


@in_style
def confusion_figure(results: Sequence[Result], order: Sequence[str], width: float = WIDTH) -> Figure | None:
    """Rows are true classes, numbers per cent of the row: blue on the diagonal, orange beside it. None without predictions.

    Of many classes those that the first encoder gets right least often.
    """
    here = [r for r in shown(results, "linear-byol", order) if r.cell.predictions is not None][:ENCODERS]
    if not here:
        return None
    classes, every_CC = here[0].about["classes"], [shares(r) for r in here]
    right_C = np.nan_to_num(np.diag(every_CC[0]), nan=2.0)
    kept = sorted(np.argsort(right_C, kind="stable")[:MOST].tolist())
    names = [short(classes[i], NAME) for i in kept]
    side, beside = PLACE * len(kept), LETTER * max(map(len, names)) + 0.1
    across = max(1, min(len(here), int((width - beside) / (side + 0.12))))
    rows = -(-len(here) // across)
    across = -(-len(here) // rows)
    side = min((width - beside) / across - 0.12, side * (1.4 if rows <= 2 else 1))
    figure, axes_E = new_figure(across, width, rows * (side + 0.3) + beside * 0.75 + 0.1, rows)
    for spare in axes_E[len(here) :]:
        spare.set_visible(False)
    for place, (axes, r, share_CC) in enumerate(zip(axes_E, here, every_CC, strict=False)):
        _matrix(axes, share_CC[np.ix_(kept, kept)])
        axes.set_title(short(r.encoder, int(side / LETTER)), loc="left")
        axes.set_yticks(range(len(kept)), names if place % across == 0 else [])
        beneath = place >= len(here) - across
        axes.set_xticks(range(len(kept)), names if beneath else [], rotation=45, ha="right", rotation_mode="anchor")
    return figure


def _matrix(axes: Any, share_CC: np.ndarray) -> None:
    axes.set(xlim=(-0.5, len(share_CC) - 0.5), ylim=(len(share_CC) - 0.5, -0.5), aspect="equal")
    squares, faces = [], []
    for (row, column), share in np.ndenumerate(share_CC):
        if not np.isfinite(share) or share < 0.005:
            continue  # what is rarer stays empty
        depth, colour = (0.75 * share, RIGHT) if row == column else (min(0.65, 0.1 + 1.8 * share), WRONG)
        face = tuple(1 - depth * (1 - part) for part in to_rgb(colour))
        squares.append(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96))
        faces.append(face)
        axes.text(column, row + 0.03, f"{int(100 * share + 0.5)}", ha="center", va="center", size=SMALL, color=INK)
    axes.add_collection(PatchCollection(squares, facecolors=faces, linewidths=0))
    axes.tick_params(length=0, pad=1)
    for spine in axes.spines.values():
        spine.set_visible(False)
