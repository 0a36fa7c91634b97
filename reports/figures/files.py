"""Figures -> files: PDF with its fonts, SVG, PNG; no dates, so the same figure is the same bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from relic_eval.errors import ArgumentError
from relic_eval.files import write_bytes
from reports.figures.style import settings

DOTS = 300  # an inch, of what is no line or letter
METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".svg": {"Date": None, "Creator": None},
    ".png": {"Software": None},
}


def write_figure(figure: Figure, place: Path) -> Path:
    """The figure in a file of the kind that its ending says; returns the file.

    Raises ArgumentError for another ending.

    >>> write_figure(Figure(), Path("a.eps"))
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: --to: expected a file ending in .pdf, .svg, .png, received a.eps. ...
    """
    check_ending(place)
    write_bytes(place, figure_bytes(figure, place.suffix.lower()))
    return place


def check_ending(place: Path) -> None:
    """Raise ArgumentError where no figure can be a file of this ending."""
    if place.suffix.lower() not in METADATA:
        hint = "LaTeX takes .pdf, with its fonts in it; .svg is for pages and for drawing on."
        raise ArgumentError("--to", f"a file ending in {', '.join(METADATA)}", str(place), hint)


def figure_bytes(figure: Figure, ending: str) -> bytes:
    """The content of such a file."""
    file, engine = io.BytesIO(), figure.get_layout_engine()
    with settings():
        if engine is not None:  # laid out once: savefig would draw all of it once more to lay it out
            engine.execute(figure)
            figure.set_layout_engine(None)
        try:
            figure.savefig(file, format=ending[1:], dpi=DOTS, metadata=METADATA[ending])
        finally:
            figure.set_layout_engine(engine)
    return file.getvalue()


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.png and `stem`.svg; returns both."""
    return [write_figure(figure, stem.with_suffix(ending)) for ending in (".png", ".svg")]
