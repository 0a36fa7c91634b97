"""Two folders of results, or two encoders of them: what changed from one to the other, by how much, and how surely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from relic_eval.arrays import several
from relic_eval.board.revised import Revision, revised, revision_table
from relic_eval.cells import Result
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.results import results_and_unread
from relic_eval.store import in_use, weights_in_use

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Changes:
    """What changed between two results; shows itself in a notebook."""

    revision: Revision
    names: tuple[str, str]  # what the two are called

    @property
    def table(self) -> pd.DataFrame:
        """One row a cell that both have: values before and after, the change with its interval, p, and whether it is certain."""
        import pandas as pd

        return pd.DataFrame(revision_table(self.revision))

    def __repr__(self) -> str:
        from reports.revision import revision_text

        return revision_text(self.revision, self.names)

    def _repr_html_(self) -> str:
        from reports.revision import revision_part

        return revision_part(self.revision, self.names)

    def save(self, place: str | Path) -> Path:
        """Write the cells as .csv, everything as .json, or a page as .html, by the ending; returns the file."""
        from reports.revision import save_revision

        return save_revision(self.revision, self.names, Path(place))


def changes(
    old: str | Path,
    new: str | Path,
    *,
    before: str | None = None,
    after: str | None = None,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = (),
) -> Changes:
    """What changed from the results under `old` to those under `new`, cell by cell (encoder, task, protocol).

    Changes are paired where both cells judged the same images. `before` and `after` name an encoder of `old` and one of `new`
    to compare though they have different names; the two folders may then be one. Cells of older settings are compared as well.
    Raises DataError where a folder has no cell that can be read or the two have none in common, UnknownNameError for a name
    that no cell has.

    >>> changes("/nowhere", "/nowhere/else")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    places = Path(old), Path(new)
    if (before is None) != (after is None):
        raise ArgumentError("before, after", "both, an encoder of each folder, or neither", "one of them")
    if places[0].resolve() == places[1].resolve() and before == after:
        raise ArgumentError("new", "another folder than the old one, or two encoders (before, after)", str(new))
    asked = several("encoders", encoders), several("tasks", tasks), several("protocols", protocols)
    (first, lost), (last, lost_too) = (
        _cells(place, [name] if name else asked[0], *asked[1:])
        for place, name in zip(places, (before, after), strict=True)
    )
    known = _weights(places[0], first), _weights(places[1], last)
    if before is not None and after is not None:
        first = [replace(r, encoder=after) for r in first]
        known = {(after, dataset): its for (_, dataset), its in known[0].items()}, known[1]
    found = revised(first, last, weights=known)
    if not found.cells:
        raise DataError(
            f"expected cells of the same encoder, task and protocol in {places[0]} and {places[1]}, received none in common, of "
            f"{len(first)} and {len(last)}. Encoders of different names are compared with --before and --after."
        )
    cells = found.cells if before is None else tuple(replace(c, encoder=before) for c in found.cells)
    if before is not None:
        found = replace(found, only_before=tuple((before, *name[1:]) for name in found.only_before))
    found = replace(found, cells=cells, unread_before=tuple(lost), unread_after=tuple(lost_too))
    return Changes(found, _names(places, before, after))


def _cells(
    place: Path, encoders: Sequence[str], tasks: Sequence[str], protocols: Sequence[str]
) -> tuple[list[Result], list[str]]:
    """The cells that are asked for, and a line on each that cannot be read."""
    results, unread = results_and_unread(place, encoders, tasks, any_settings=True)
    known = {r.protocol for r in results}
    for name in protocols:
        if name not in known:
            raise UnknownNameError("protocol", name, known)
    lost = [u for u in unread if not protocols or u["protocol"] in protocols]
    lines = [f"{u['encoder']}, {u['task']}, {u['protocol']}: {u['error']}" for u in lost]
    return [r for r in results if not protocols or r.protocol in protocols], lines


def _weights(place: Path, results: Sequence[Result]) -> Mapping[tuple[str, str], set[str]]:
    """By encoder and data set: digests of the weights behind the embeddings in use."""
    names = {encoder for encoder, _ in in_use(place)} & {r.encoder for r in results}
    return {(name, dataset): its for name in names for dataset, its in weights_in_use(place, name).items()}


def _names(places: tuple[Path, Path], before: str | None, after: str | None) -> tuple[str, str]:
    """What the two are called: their encoders where these are asked for, or their folders, as short as tells them apart."""
    if before is not None and after is not None and before != after:
        return before, after
    parts = [place.resolve().parts for place in places]
    most = max(map(len, parts))
    for count in range(1, most):
        one, other = ("/".join(p[-count:]) for p in parts)
        if one != other:
            return one, other
    return str(places[0]), str(places[1])
