"""Foreground masks of a data set, made once or taken from a folder: what pretraining uses and `relic-eval saliency` shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pretrain.config import MASKS
from relic_eval.data.pictures import Pictures

if TYPE_CHECKING:
    from pretrain.saliency.packed import Masks


@dataclass(frozen=True)
class Own:
    """Masks of one's own: a file a row, and the digest of them all."""

    files: list[Path]
    digest: str


def own_masks(folder: str, source: Pictures, rows: np.ndarray, cache: Path) -> Own:
    """The files of a folder of masks, found and digested, none of them read yet."""
    from pretrain.saliency.own import digest_own, mask_files

    place = Path(folder).expanduser()
    files = mask_files(place, source, rows)
    return Own(files, digest_own(place, files, source.split, cache))


def masks_of(
    masks: str, source: Pictures, rows: np.ndarray, side: int, images: np.ndarray, out: Path
) -> tuple[Path, Masks]:
    """The folder and the masks of pictures (the `rows` of `source`, read at `side`), by a maker or of a folder of one's own."""
    from pretrain.saliency.makers import make_masks
    from pretrain.saliency.own import read_own
    from pretrain.saliency.store import request, stored

    if masks in MASKS:
        return stored(out, request(masks, source, rows, side), lambda: make_masks(masks, images))
    own = own_masks(masks, source, rows, out / "data")
    wanted = request("folder", source, rows, side, own.digest)
    return stored(out, wanted, lambda: read_own(own.files, source, rows, side))
