"""Stores as things to hold: what a folder of embeddings is of, its rows, and how a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relic_eval.records import Embeddings

PICTURES = 16
CLASSES = 12  # names in one line


@dataclass(frozen=True)
class Store:
    """A folder of embeddings; `load()` gives its rows. Shows itself in a notebook."""

    path: Path
    encoder: str
    dataset: str
    split: str
    rows: int
    dims: int
    classes: tuple[str, ...]
    digest: str  # of the embeddings themselves
    manifest: Mapping[str, Any]

    def load(self) -> Embeddings:
        """x_ND, y_N, classes, superclasses, ids."""
        from relic_eval.store import read_store

        return read_store(self.path)

    def export(self, to: str | Path) -> Path:
        """As one Parquet file for embedding-atlas; see `relic_eval.export`."""
        from relic_eval.atlas import export

        return export(self.path, to)

    def __repr__(self) -> str:
        return (
            f"Store({self.encoder!r}, {self.dataset!r}, {self.split!r}: {self.rows:,} x {self.dims:,}, "
            f"{len(self.classes)} classes, {self.digest[:12]})"
        )

    def _repr_html_(self) -> str:
        from relic_eval.markup import listed, picture, table
        from relic_eval.store import read_thumbnails

        its = self.manifest["encoder"]
        more = f" and {len(self.classes) - CLASSES} more" if len(self.classes) > CLASSES else ""
        lines = [
            ("encoder", f"{self.encoder} ({its.get('kind', '')})"),
            ("data", f"{self.dataset}, {self.split}"),
            ("rows", f"{self.rows:,}"),
            ("dimensions", f"{self.dims:,}"),
            ("classes", f"{len(self.classes)}: {', '.join(self.classes[:CLASSES])}{more}"),
            ("digest", self.digest[:12]),
        ]
        left_out = len(self.manifest["data"]["unreadable"])
        lines += [("unreadable", f"{left_out:,} pictures left out")] if left_out else []
        shown = list(read_thumbnails(self.path).items())[:PICTURES]
        pictures = "".join(picture("webp", webp, item) for item, webp in shown)
        return table(("store", ""), lines) + (f"<div>{pictures}</div>" if shown else listed(["No small pictures."]))


def stores(where: str | Path | Iterable[str | Path]) -> list[Store]:
    """The stores in use under a folder of results, or those at these paths (what `embed` and `save_embeddings` return).

    >>> import tempfile
    >>> from relic_eval import save_embeddings
    >>> stores(save_embeddings([[0.0], [1.0]], ["a", "b"], tempfile.mkdtemp(), name="mine"))[0].classes
    ('a', 'b')
    """
    from relic_eval.store import find_stores, read_manifest

    if not isinstance(where, str | Path):
        return [store for place in where for store in stores(place)]
    place = Path(where)
    paths = [place] if (place / "manifest.json").exists() else [s.path for s in find_stores(place)]
    return [_store(path, read_manifest(path)) for path in paths]


def _store(path: Path, manifest: Mapping[str, Any]) -> Store:
    data = manifest["data"]
    return Store(
        *(path, manifest["encoder"]["name"], data["name"], data["split"], manifest["rows"], manifest["dims"]),
        classes=tuple(data["classes"]),
        digest=manifest["content"],
        manifest=manifest,
    )
