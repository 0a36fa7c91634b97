"""What passes through the page: what it is made of, and what a section of it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from relic_eval.alike import Alike
from relic_eval.board import Board
from relic_eval.cells import Result
from relic_eval.commands import Command
from relic_eval.data.leaks import Leaks
from reports.sections.sheet import Sheet
from reports.style import Look, looks

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Material:
    """What a page is made of. `stores` holds the manifests of each encoder's stores, `sheet` the pictures there are."""

    results: Sequence[Result]
    board: Board
    stores: Mapping[str, Sequence[Manifest]] = field(default_factory=dict)
    sheet: Sheet = field(default_factory=lambda: Sheet({}))
    failures: Sequence[Mapping[str, str]] = ()  # of cells: encoder, task, protocol, error
    asked: Sequence[Command] = ()  # the grids that were asked for
    alike: Sequence[Alike] = ()  # how alike the encoders are, by task
    leaks: Sequence[Leaks] = ()  # pictures that are tested and trained on
    lacking: Sequence[str] = ()  # sentences on what the page cannot show because files are gone or damaged

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Encoders as the board has them, from the best down."""
        return tuple(row.encoder for row in self.board.rows)

    @cached_property
    def look(self) -> dict[str, Look]:
        """How each encoder looks; one that only a store knows too, or a cell that is on no board."""
        return looks([*self.order, *self.stores, *(r.encoder for r in self.results)])

    @cached_property
    def first_stores(self) -> dict[str, Manifest]:
        """One manifest of each encoder, in the order of the board."""
        place = {name: number for number, name in enumerate(self.order)}
        return {name: self.stores[name][0] for name in sorted(self.stores, key=lambda n: place.get(n, len(place)))}


@dataclass(frozen=True)
class Section:
    """A part of the page. Its template, and its style and script where it has them, are templates/`key`.html, .css and .js.

    The template knows `content` by the name `key`; the script finds `data` there too. `csv` holds the numbers of its figures by
    their keys.
    """

    key: str  # its anchor too
    name: str  # in the table of contents
    content: Any
    csv: Mapping[str, str] = field(default_factory=dict)
    data: Any = None
    style: str = ""  # rules that depend on what is shown
