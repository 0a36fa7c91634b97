"""What all matplotlib figures share: no global state, fonts kept as text, the same bytes every time."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from relic_eval.files import write_bytes
from reports.style import Look

# the marks of the page, by matplotlib's names
MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "down": "v",
    "diamond": "D",
    "cross": "X",
    "plus": "P",
    "star": "*",
    "hexagon": "h",
}
INK, DIM, GRID = "#1a1a1a", "#595959", "#e6e6e6"
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "relic-eval",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": DIM,
    "axes.linewidth": 0.6,
    "axes.labelcolor": DIM,
    "axes.titlesize": 9,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.parse_math": False,  # a $ in a name is a $
}


def new_figure(
    columns: int = 1, width: float = 6.0, height: float = 3.6, rows: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side, row by row, without pyplot's memory of figures.

    >>> len(new_figure(2)[1])
    2
    """
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(rows, columns, squeeze=False, **options).ravel())


def pen(look: Look) -> dict[str, Any]:
    """Colour and dash of an encoder's line.

    >>> pen(Look("m", "M", "#000000", "square", "6 3"))
    {'color': '#000000', 'linestyle': (0, (3.0, 1.5))}
    """
    dash = tuple(float(part) / 2 for part in look.dash.split())
    return {"color": look.colour, "linestyle": (0, dash) if dash else "-"}


def dot(look: Look) -> dict[str, Any]:
    """Colour and mark of an encoder.

    >>> dot(Look("m", "M", "#000000", "square", ""))
    {'color': '#000000', 'marker': 's', 'linestyle': 'none'}
    """
    return {"color": look.colour, "marker": MARKERS[look.mark], "linestyle": "none"}


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png and `stem`.svg, without dates: same figure, same bytes."""
    made = []
    for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        file = io.BytesIO()
        with rc_context(SETTINGS), warnings.catch_warnings():
            # names may hold signs that the font lacks; they are drawn as boxes
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(file, format=ending[1:], dpi=200, metadata=metadata)
        place = stem.with_suffix(ending)
        write_bytes(place, file.getvalue())
        made.append(place)
    return made
