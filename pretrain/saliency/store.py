"""Masks that were made once: `OUT/masks/DATASET/SPLIT.MAKER.KEY/` with `masks.npy` (packed bits) and `masks.json`, whole or absent."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pretrain.saliency.extra import LIBRARIES
from pretrain.saliency.lock import alone
from pretrain.saliency.makers import VERSION, maker_settings
from pretrain.saliency.packed import Masks
from relic_eval.data.pictures import Pictures
from relic_eval.devices import versions
from relic_eval.errors import DataError
from relic_eval.files import digest_file, digest_json, folder_name, read_record, whole_folder, write_json
from relic_eval.progress import warn
from relic_eval.records import setting, settings_key

SHAPE = {"request": dict, "count": int, "width": int, "foreground": float, "sha256": str}
KEY = 16  # letters of the key in the folder's name


@dataclass(frozen=True)
class MaskRequest:
    """Everything that decides the bits of stored masks, and what does not, told apart."""

    maker: str = setting(True)  # a name, or "folder": masks of one's own
    dataset: str = setting(False)  # the name people see
    split: str = setting(True)
    data: str = setting(True)  # digest of the pictures and labels
    rows: str = setting(True)  # digest of the rows of the split
    side: int = setting(True)  # pixels
    settings: str = setting(True)  # digest of the maker's settings, or of the files of one's own masks
    version: int = setting(True, default=VERSION)


def request(maker: str, source: Pictures, rows: np.ndarray, side: int, own: str | None = None) -> MaskRequest:
    """What is asked for: masks of some rows of a split at a side; `own` is the digest of masks of one's own."""
    settings = digest_json(maker_settings(maker)) if own is None else own
    which = digest_json(rows.tolist())
    return MaskRequest(maker, source.dataset, source.split, source.digest, which, side, settings)


def masks_folder(out: Path, wanted: MaskRequest) -> Path:
    """Where the masks of a request lie.

    >>> masks_folder(Path("runs"), MaskRequest("rbd", "birds", "all", "d", "r", 64, "s")).name[:8]
    'all.rbd.'
    """
    name = f"{wanted.split}.{wanted.maker}.{settings_key(wanted)[:KEY]}"
    return out / "masks" / folder_name(wanted.dataset) / name


def stored(out: Path, wanted: MaskRequest, make: Callable[[], Masks]) -> tuple[Path, Masks]:
    """The folder and the masks of a request: read where they are there, made by `make()` and stored where not.

    Of several processes that ask at once one makes them. Damaged ones are warned of and made again.
    """
    folder = masks_folder(out, wanted)
    found = _read(folder, wanted)
    if found is None:
        with alone(folder.parent / f".{folder.name}.lock", f"waiting for masks that another process makes: {folder}"):
            found = _read(folder, wanted)
            if found is None:
                _write(folder, wanted, make())
                found = read_masks(folder)
    return folder, found


def read_masks(folder: Path) -> Masks:
    """Stored masks, memory-mapped; a DataError where they are not what was written."""
    about = read_record(folder / "masks.json", SHAPE)
    file = folder / "masks.npy"
    if not file.is_file() or digest_file(file) != about["sha256"]:
        raise DataError(f"{file}: expected the masks that masks.json tells of, received others. Delete the folder.")
    return Masks(np.load(file, mmap_mode="r", allow_pickle=False), about["width"])


def _read(folder: Path, wanted: MaskRequest) -> Masks | None:
    if not folder.is_dir():
        return None
    try:
        return read_masks(folder)
    except DataError as error:
        warn(f"{error} It is made again.")
        return None


def _write(folder: Path, wanted: MaskRequest, masks: Masks) -> None:
    share_N = masks.foreground()
    with whole_folder(folder) as new:
        np.save(new / "masks.npy", masks.packed, allow_pickle=False)
        about: dict[str, Any] = {
            "request": dataclasses.asdict(wanted),
            "settings": maker_settings(wanted.maker) if wanted.maker != "folder" else {},
            "count": len(masks),
            "width": masks.width,
            "foreground": round(float(share_N.mean()), 6),
            "empty": int((share_N == 0).sum()),
            "full": int((share_N == 1).sum()),
            "sha256": digest_file(new / "masks.npy"),
            "versions": {**versions(), **_libraries()},
        }
        write_json(new / "masks.json", about)


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES.values():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
