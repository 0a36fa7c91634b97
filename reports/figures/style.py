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

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "relic-eval",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a $ in a name is a $
}


def new_figure(columns: int = 1, width: float = 6.0, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side, without pyplot's memory of figures.

    >>> len(new_figure(2)[1])
    2
    """
    with rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, list(figure.subplots(1, columns, squeeze=False)[0])


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
