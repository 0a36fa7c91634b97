"""The grids that were asked for under a folder, in the words of the command line: what makes its page again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from relic_eval.errors import DataError
from relic_eval.files import read_json, write_json


@dataclass(frozen=True)
class Command:
    """A grid's words, without those that say where and by how many it is made, and the stores that it stands for."""

    words: tuple[str, ...]
    encoders: tuple[str, ...]  # names on the board
    datasets: tuple[str, ...]


def note_command(out: Path, words: Sequence[str], encoders: Sequence[str], datasets: Sequence[str]) -> None:
    """Add a grid to `out`/commands.json, once; paths below `out` begin with OUT there.

    >>> import tempfile; out = Path(tempfile.mkdtemp())
    >>> for _ in range(2): note_command(out, ["transfer", f"{out}/pretrain/byol"], ["byol"], ["digits"])
    >>> [c.words for c in read_commands(out)]
    [('transfer', 'OUT/pretrain/byol')]
    """
    said = tuple(f"OUT{word.removeprefix(str(out))}" if word.startswith(f"{out}/") else word for word in words)
    asked = Command(said, tuple(encoders), tuple(datasets))
    known = read_commands(out)
    if asked not in known:
        write_json(out / "commands.json", {"transfer": [asdict(its) for its in (*known, asked)]})


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
