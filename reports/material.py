"""Cells, board, stores and pictures under a folder -> what pages and figures are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from relic_eval.alike import read_alike
from relic_eval.board import PROTOCOLS, read_board
from relic_eval.cells import Result
from relic_eval.commands import read_commands
from relic_eval.data.leaks import Leaks, read_leaks
from relic_eval.progress import warn
from relic_eval.store import find_stores, read_manifest, read_thumbnails
from reports.sections.origin.data import leak_key
from reports.sections.section import Manifest, Material
from reports.sections.sheet import Sheet


def read_material(
    out: Path,
    *,
    baseline: str | None = None,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = PROTOCOLS,
) -> Material:
    """What is under `out`, of these encoders and tasks or of all; `protocols` are those of the board.

    Raises DataError where there is no cell, UnknownNameError for a name that no cell has.
    """
    board, results, missing = read_board(
        out, encoders=encoders, tasks=tasks, protocols=protocols, baseline=baseline, needed=False
    )
    names = dict.fromkeys([*(row.encoder for row in board.rows), *(r.encoder for r in results)])
    leaks = [its for its in read_leaks(out) if any(its.task == r.task for r in results)]
    stores, sheet, lost = _stores(out, list(names), leaks)
    lacking = [*_embeddings_gone(results, stores), *lost]
    for line in lacking:
        warn(f"{out}: {line}")
    return Material(results, board, stores, sheet, missing, read_commands(out), read_alike(out), leaks, lacking)


def _stores(
    out: Path, encoders: Sequence[str], leaks: Sequence[Leaks] = ()
) -> tuple[Mapping[str, Sequence[Manifest]], Sheet, Sequence[str]]:
    """The manifests of each of these encoders, in their order, the sheet of the pictures that may test, and which are gone."""
    lost: list[str] = []
    found: dict[str, list[Manifest]] = {name: [] for name in encoders}
    pictures = {(leak_key(its), item): webp for its in leaks for item, webp in its.thumbnails.items()}
    for store in find_stores(out):
        if store.encoder in found:
            manifest = read_manifest(store.path)
            found[store.encoder].append(manifest)
            if store.split != "train":
                its = read_thumbnails(store.path)
                whole = {item: webp for item, webp in its.items() if _whole(webp)}
                pictures.update({(manifest["data"]["digest"], item): webp for item, webp in whole.items()})
                where = f"{store.encoder} on {store.dataset} ({store.split})"
                if len(whole) < len(its):
                    lost.append(f"{len(its) - len(whole)} small pictures of {where} are damaged, and not shown.")
                elif not its and manifest.get("request", {}).get("thumbnails"):
                    lost.append(
                        f"The small pictures of {where} are gone or damaged. Delete its embeddings and embed again for them."
                    )
    return {name: its for name, its in found.items() if its}, Sheet(pictures), lost


def _whole(webp: bytes) -> bool:
    """Whether a picture is as long as its head says, which one that was cut off is not.

    >>> _whole(b"RIFF" + bytes([4, 0, 0, 0]) + b"WEBP"), _whole(b"RIFF" + bytes([9, 0, 0, 0]) + b"WEBP")
    (True, False)
    """
    return webp[:4] == b"RIFF" and webp[8:12] == b"WEBP" and int.from_bytes(webp[4:8], "little") + 8 == len(webp)


def _embeddings_gone(results: Sequence[Result], stores: Mapping[str, Sequence[Manifest]]) -> list[str]:
    """A sentence on each encoder and data set that has cells of embeddings and no embeddings that can be read."""
    there = {(name, m["data"]["name"]) for name, its in stores.items() for m in its}
    wanted = {(r.encoder, str(r.about["task_settings"]["dataset"])) for r in results if r.about["stores"]}
    return [
        f"The embeddings of {encoder} on {dataset} are gone or cannot be read: its numbers are shown, and nothing of what its "
        "pictures, size and training were."
        for encoder, dataset in sorted(wanted - there)
    ]
