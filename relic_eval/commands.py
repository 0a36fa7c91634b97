"""The grids that were asked for under a folder, in the words of the command line: how one is taken up, and a page made again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from relic_eval.errors import DataError
from relic_eval.files import read_json, write_json
from relic_eval.records import FORMAT, read_versioned


@dataclass(frozen=True)
class Grid:
    """What was asked for, in the words of the command line; it lies in `grid.json`, from which a run is taken up."""

    encoders: tuple[str, ...]
    data: tuple[str, ...]
    protocols: tuple[str, ...] = ()
    device: str = "auto"
    batch: int = 256
    on_error: str = "fail"
    corruptions: int = -1  # of so many test pictures of a set (0: of all) corrupted ones are embedded too; -1: none
    kinds: tuple[str, ...] = ()  # of corruptions; empty: all
    drop_leaks: bool = False
    lists: tuple[str, ...] = ()  # PROTOCOL=FILE: the published names of labelled pictures
    views: int = 0  # augmented views of each test picture, for the protocol multiview
    # whether its encoders and data sets can be found by these words: those handed over in Python cannot
    named: bool = True


def write_grid(out: Path, grid: Grid) -> None:
    """Note what is asked for under `out`."""
    write_json(out / "grid.json", {"format": FORMAT, **asdict(grid)})


def read_grid(out: Path) -> Grid:
    """What was asked for last under `out`; a DataError where nothing was, or it has encoders or sets without a name.

    >>> import tempfile; out = Path(tempfile.mkdtemp())
    >>> write_grid(out, Grid(("pixels",), ("digits",))); read_grid(out).data
    ('digits',)
    """
    shape: dict[str, type] = {"encoders": list, "data": list, "protocols": list, "device": str, "batch": int}
    shape |= {"on_error": str, "corruptions": int, "kinds": list, "drop_leaks": bool, "lists": list, "views": int}
    shape["named"] = bool
    found = read_versioned(out / "grid.json", shape)
    words: dict[str, Any] = {name: tuple(v) if isinstance(v := found[name], list) else v for name in shape}
    if not words["named"]:
        raise DataError(
            f"{out / 'grid.json'}: expected encoders and data sets with names, received some that Python handed over. "
            "Call relic_eval.transfer again: it goes on."
        )
    return Grid(**words)


def grid_words(grid: Grid) -> list[str]:
    """What is typed for a grid after relic-eval; what is as it is by default is left out.

    >>> grid_words(Grid(("pixels",), ("mini",), ("knn",), corruptions=40))
    ['transfer', 'pixels', '--data', 'mini', '--protocol', 'knn', '--corruptions', '40']
    """
    words = ["transfer", *grid.encoders]
    for option, values in (
        ("data", grid.data),
        ("protocol", grid.protocols),
        ("kind", grid.kinds),
        ("list", grid.lists),
    ):
        words += [word for value in values for word in (f"--{option}", value)]
    usual = Grid((), ())
    for name in ("device", "batch", "on_error", "corruptions", "views"):
        if getattr(grid, name) != getattr(usual, name):
            words += [f"--{name.replace('_', '-')}", str(getattr(grid, name))]
    return [*words, *(["--drop-leaks"] if grid.drop_leaks else [])]


@dataclass(frozen=True)
class Command:
    """A grid's words, without those that say where and by how many it is made, and the stores that it stands for."""

    words: tuple[str, ...]
    encoders: tuple[str, ...]  # names on the board
    datasets: tuple[str, ...]


def note_command(out: Path, words: Sequence[str], encoders: Sequence[str], datasets: Sequence[str]) -> None:
    """Add a grid to `out`/commands.json, once; paths below `out` begin with OUT there, others of this machine with PATH/TO.

    >>> import tempfile; out = Path(tempfile.mkdtemp())
    >>> for _ in range(2): note_command(out, ["transfer", f"{out}/pretrain/byol"], ["byol"], ["digits"])
    >>> [c.words for c in read_commands(out)]
    [('transfer', 'OUT/pretrain/byol')]
    """
    asked = Command(tuple(_elsewhere(word, out) for word in words), tuple(encoders), tuple(datasets))
    known = read_commands(out)
    if asked not in known:
        write_json(out / "commands.json", {"transfer": [asdict(its) for its in (*known, asked)]})


def _elsewhere(word: str, out: Path) -> str:
    """A word as it is typed on any machine: a page that is mailed says nothing of the folders of this one.

    >>> _elsewhere("file:/home/me/a.pth,network=resnet18", Path("o")), _elsewhere("o/pretrain/byol", Path("o"))
    ('file:PATH/TO/a.pth,network=resnet18', 'OUT/pretrain/byol')
    """
    if word.startswith(f"{out}/"):
        return f"OUT{word.removeprefix(str(out))}"
    return re.sub(r"(^|[:=])/[^,]*", lambda found: f"{found[1]}PATH/TO/{Path(found[0]).name}", word)


def read_commands(out: Path) -> list[Command]:
    """The grids in the order in which they were first asked for; none where there is no note, or a damaged one.

    >>> read_commands(Path("/nowhere"))
    []
    """
    try:
        found = read_json(out / "commands.json")["transfer"]
        return [Command(*(_texts(its[name]) for name in ("words", "encoders", "datasets"))) for its in found]
    except (DataError, KeyError, TypeError):
        return []


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(text) for text in value)
