"""What all matplotlib figures share: no global state, letters of 7 points or more at their printed size, one look an encoder."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from math import log
from typing import Any, ParamSpec, TypeVar

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.drawings.frame import spread
from reports.style import Look, looks, short

P = ParamSpec("P")
R = TypeVar("R")
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
WIDTH = 6.75  # inches, where none is asked for
SIZE, SMALL = 8, 7  # points; nothing is scaled afterwards, so this is what is printed
LINE = 0.145  # inches from one line of small text to the next
LETTER = 0.0605  # inches that a letter of small text takes on average, and a little more
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "relic-eval",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # TrueType, whole glyphs: publishers refuse Type 3
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": SIZE,
    "axes.titlesize": SIZE,
    "axes.labelsize": SIZE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": DIM,
    "axes.linewidth": 0.6,
    "axes.labelcolor": DIM,
    "axes.axisbelow": True,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
    "text.color": INK,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.parse_math": False,  # a $ in a name is a $
}


@contextmanager
def settings() -> Iterator[None]:
    """Matplotlib as these figures want it, and as it was before afterwards."""
    with rc_context(SETTINGS), warnings.catch_warnings():
        # names may hold signs that the font lacks; they are drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def in_style(draw: Callable[P, R]) -> Callable[P, R]:
    """A function that draws, under these settings whatever has been set outside."""

    @wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> R:
        with settings():
            return draw(*args, **kwargs)

    return styled


def new_figure(
    columns: int = 1, width: float = WIDTH, height: float = 3.6, rows: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with axes side by side, row by row, without pyplot's memory of figures.

    >>> len(new_figure(2)[1])
    2
    """
    with settings():
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


def look_of(look: Mapping[str, Look] | None, encoders: Iterable[str]) -> Mapping[str, Look]:
    """The looks that are given, so that an encoder looks as on the page; those of these encoders alone where it has none there.

    >>> look_of(None, ["byol"])["byol"].mark
    'square'
    """
    return {**looks(encoders), **(look or {})}


def keys(figure: Figure, shown: Sequence[Look], dots: bool = True) -> float:
    """What each look stands for, in lines beneath the figure, which grows by them; returns by how many inches."""
    width, height = figure.get_size_inches()
    names = [short(look.name, 24 if width > 4 else 16) for look in shown]
    columns = max(1, min(len(shown), int((width - 0.1) / (LETTER * max(map(len, names)) + 0.5))))
    handles = [Line2D([], [], lw=1.6, ms=4.5, **{**dot(look), **pen(look)}) for look in shown]
    if not dots:
        handles = [Line2D([], [], lw=1.6, **pen(look)) for look in shown]
    more = LINE * -(-len(shown) // columns) + 0.08
    figure.set_size_inches(width, height + more)
    figure.legend(
        handles,
        names,
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        handlelength=2.4,
        columnspacing=1.2,
        handletextpad=0.5,
        labelspacing=0.25,
        borderaxespad=0,
        borderpad=0.1,
    )
    return more


def wrapped(text: str, width: float) -> str:
    """Small text broken into lines of so many inches.

    >>> wrapped("of a baseline", 0.61)
    'of a\\nbaseline'
    """
    return "\n".join(textwrap.wrap(text, max(8, int(width / LETTER))))


def end_names(axes: Axes, ends: Sequence[tuple[Look, float]], tall: float, longest: int = 14) -> None:
    """Each name with its mark at the right of axes that are so many inches tall, as high as its line ends, apart from the others."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        low, high, ends = log(low), log(high), [(look, log(y)) for look, y in ends]
    at = [1000 * (y - low) / (high - low) for _, y in ends]
    places = spread(at, min(1000 * LINE / tall, 1000 / max(1, len(ends))), 0, 1000)
    right = axes.transAxes
    for (look, _), place in zip(ends, places, strict=True):
        axes.plot(1.04, place / 1000, ms=4.5, transform=right, clip_on=False, **dot(look))
        axes.annotate(
            short(look.name, longest),
            (1.04, place / 1000),
            (6, 0),
            right,
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
        )
