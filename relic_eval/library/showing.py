"""What shows: the board as a table, the page, figures for papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relic_eval.arrays import several
from relic_eval.errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from reports.sections.section import Material

PAGE = 9  # inches of text that a page holds from top to bottom
BOARD = ("leaderboard", "change", "scaling", "all")  # figures that show the board


def leaderboard(
    out: str | Path,
    *,
    protocols: Sequence[str] = ("linear-byol", "fewshot-5"),
    baseline: str | None = None,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
) -> pd.DataFrame:
    """One row an encoder and column: value by the metric of the task, interval, change against the baseline, rank.

    >>> leaderboard("/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    import pandas as pd

    from relic_eval.board import board_table, read_board, read_costs

    board, _, _ = read_board(
        Path(out),
        protocols=several("protocols", protocols),
        baseline=baseline,
        encoders=several("encoders", encoders),
        tasks=several("tasks", tasks),
    )
    return pd.DataFrame(board_table(board, read_costs(Path(out))))


def report(
    out: str | Path, *, baseline: str | None = None, encoders: Sequence[str] = (), tasks: Sequence[str] = ()
) -> Path:
    """Write the page with its figures and tables; returns the page.

    >>> report("/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    from relic_eval.alike import make_alike
    from reports.write import write_report

    return write_report(
        Path(out),
        baseline=baseline,
        encoders=several("encoders", encoders),
        tasks=several("tasks", tasks),
        measure=make_alike,
    )


def figure(
    name: str,
    out: str | Path,
    *,
    width: str | float = "neurips",
    columns: int | None = None,
    baseline: str | None = None,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = (),
) -> Figure:
    """A figure for a paper, as wide as a venue's column (or its text, `columns=2`), or so many inches.

    `protocols` are those of the board for the figures that show it, else of the cells that may be shown (`blocks-pets4`).
    Raises UnknownNameError for another name, DataError where the cells do not allow it, with what to type.
    `reports.figures.files.write_figure` writes what is returned with its fonts and without dates.

    >>> figure("neighbour-block", "/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.UnknownNameError: figure: expected one of ... received 'neighbour-block'. Did you mean 'neighbour-blocks'?
    """
    from reports.figures.table import check_name, draw
    from reports.figures.widths import inches

    known, wide = check_name(name), inches(width, columns)
    return draw(_material(known, Path(out), baseline, encoders, tasks, protocols), known, wide, out)


def write_figures(
    name: str,
    out: Path,
    to: Path | None = None,
    *,
    width: str | float = "neurips",
    columns: int | None = None,
    **chosen: Any,
) -> list[Path]:
    """`figure` into the file `to`, or "all" that the cells allow into the folder `to`, as PDF; returns the files.

    >>> write_figures("change", Path("/nowhere"), Path("f.gif"))
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: --to: expected a file ending in .pdf, .svg, .png, received f.gif. ...
    """
    from relic_eval.progress import say
    from reports.figures.files import check_ending, write_figure
    from reports.figures.table import check_name, figures
    from reports.figures.widths import inches

    if name == "all":
        folder = to or Path("figures")
        if folder.suffix:
            raise ArgumentError("--to", "a folder for all figures", str(to), "Name one figure for a file.")
        made = figures(_material(name, out, **chosen), inches(width, columns))
        places = {folder / f"{known}.pdf": one for known, one in made.items()}
    else:
        place = to or Path(f"{check_name(name)}.pdf")
        check_ending(place)
        places = {place: figure(name, out, width=width, columns=columns, **chosen)}
    for place, one in places.items():
        if one.get_figheight() > PAGE:
            many = f"{place.stem}: {one.get_figheight():.0f} inches tall, and a page holds about {PAGE}"
            say(f"{many}: --encoder and --task choose fewer, --width and --columns make it wider.")
    return [write_figure(one, place) for place, one in places.items()]


def _material(
    name: str,
    out: Path,
    baseline: str | None = None,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = (),
) -> Material:
    """What a figure is made of. Protocols are those of the board where it shows the board, else of the cells that it may show."""
    from relic_eval.board import PROTOCOLS
    from reports.material import read_material

    encoders, tasks, named = (
        several(what, names) for what, names in (("encoders", encoders), ("tasks", tasks), ("protocols", protocols))
    )
    if name == "scaling" and not named and any(out.glob("cells/*/imagenet/linear-imagenet")):
        named = ("linear-imagenet",)
    of_board = named if named and name in BOARD else PROTOCOLS
    found = read_material(out, baseline=baseline, encoders=encoders, tasks=tasks, protocols=of_board)
    kept = [r for r in found.results if not named or r.protocol in named]
    return found if name in BOARD else replace(found, results=kept)
