"""Cells, board, stores and pictures under a folder -> what pages and figures are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from relic_eval.alike import read_alike
from relic_eval.board import read_board
from relic_eval.commands import read_commands
from relic_eval.data.leaks import Leaks, read_leaks
from relic_eval.store import find_stores, read_manifest, read_thumbnails
from reports.sections.data import leak_key
from reports.sections.section import Manifest, Material
from reports.sections.sheet import Sheet


def read_material(
    out: Path, *, baseline: str | None = None, encoders: Sequence[str] = (), tasks: Sequence[str] = ()
) -> Material:
    """What is under `out`, of these encoders and tasks or of all.

    Raises DataError where there is no cell, UnknownNameError for a name that no cell has.
    """
    board, results, missing = read_board(out, encoders=encoders, tasks=tasks, baseline=baseline, needed=False)
    names = dict.fromkeys([*(row.encoder for row in board.rows), *(r.encoder for r in results)])
    leaks = [its for its in read_leaks(out) if any(its.task == r.task for r in results)]
    stores, sheet = _stores(out, list(names), leaks)
    return Material(results, board, stores, sheet, missing, read_commands(out), read_alike(out), leaks)


def _stores(
    out: Path, encoders: Sequence[str], leaks: Sequence[Leaks] = ()
) -> tuple[Mapping[str, Sequence[Manifest]], Sheet]:
    """The manifests of each of these encoders, in their order, and the sheet of the pictures that may test."""
    found: dict[str, list[Manifest]] = {name: [] for name in encoders}
    pictures = {(leak_key(its), item): webp for its in leaks for item, webp in its.thumbnails.items()}
    for store in find_stores(out):
        if store.encoder in found:
            manifest = read_manifest(store.path)
            found[store.encoder].append(manifest)
            if store.split != "train":
                its = read_thumbnails(store.path)
                pictures.update({(manifest["data"]["digest"], item): webp for item, webp in its.items()})
    return {name: its for name, its in found.items() if its}, Sheet(pictures)
