"""Foreground masks of a data set, made once or taken from a folder: what pretraining uses and `relic-eval saliency` shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pretrain.config import MASKS, Relicv2, override
from relic_eval.data.pictures import Pictures
from relic_eval.data.sources import dataset_name, dataset_splits, pictures, refuse_inside
from relic_eval.data.tasks import pretraining_rows
from relic_eval.errors import DataError
from relic_eval.metrics.bootstrap import paired_bootstrap
from relic_eval.metrics.segmentation import mask_f, mask_iou
from relic_eval.metrics.statistics import interval

if TYPE_CHECKING:
    from pretrain.saliency.packed import Masks


SHOWN = 48  # pictures on the sheet, spread over the set


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


def masks_of(masks: str, source: Pictures, rows: np.ndarray, side: int, out: Path) -> tuple[Path, Masks]:
    """The folder and the masks of the `rows` of `source` at a side: stored ones, or made by a maker or taken from a folder."""
    from pretrain.saliency.makers import make_masks_of
    from pretrain.saliency.own import read_own
    from pretrain.saliency.packed import together
    from pretrain.saliency.store import request, stored

    if masks in MASKS:
        wanted = request(masks, source, rows, side)
        return stored(
            out, wanted, lambda: make_masks_of(masks, lambda some: _pixels(source, rows[some], side), len(rows))
        )
    own = own_masks(masks, source, rows, out / "data")
    wanted = request("folder", source, rows, side, own.digest)
    return stored(out, wanted, lambda: together(read_own(own.files, source, rows, side)))


def show(data: str, masks: str, out: Path, *, truth: str | None = None, side: int | None = None) -> list[str]:
    """Make or read the masks of a data set, draw a sheet of them, and say where they are and how they agree with true ones.

    They are those that pretraining uses: of the rows that it sees, at the natural side of the set or at `side` pixels.
    """
    import torch

    from pretrain.saliency.own import read_own
    from pretrain.sheet import draw_masks

    refuse_inside(out, data)
    config = override(Relicv2(), {"masks": masks, **({} if side is None else {"side": side})})
    split = "train" if "train" in dataset_splits(data) else "all"
    dataset_name(data)
    source = pictures(data, split, out / "data")
    rows = pretraining_rows(split, source.y_N, source.classes)
    pixels = max(source.side, config.side)  # as pretraining takes them
    true = None if truth is None else own_masks(truth, source, rows, out / "data")
    folder, found = masks_of(masks, source, rows, pixels, out)
    shown = np.unique(np.linspace(0, len(rows) - 1, SHOWN).round().astype(int))
    x = torch.from_numpy(_pixels(source, rows[shown], pixels)).permute(0, 3, 1, 2).float().div(255)
    draw_masks(x, found[torch.from_numpy(shown)], folder / "saliency.png")
    share_N = found.foreground()
    lines = [
        str(folder),
        f"foreground: {share_N.mean():.1%} of the pixels of {len(rows)} pictures; none in {(share_N == 0).sum()}, all in {(share_N == 1).sum()}",
    ]
    if true is not None:
        lines += agreement(read_own(true.files, source, rows, pixels), found)
    return lines


def agreement(true: Iterable[np.ndarray], found: Masks) -> list[str]:
    """Mean IoU and F-measure with 95% intervals over pictures (10,000 bootstrap samples), a line each.

    >>> from pretrain.saliency.packed import pack
    >>> agreement([np.ones((20, 2, 2), bool)], pack(np.ones((20, 2, 2), bool)))[0]
    'IoU: 1.000 (95% interval 1.000 to 1.000)'
    """
    import torch

    parts, start = [], 0
    for true_NHW in true:
        mask_NHW = found[torch.arange(start, start + len(true_NHW))][:, 0].numpy()
        parts.append(np.stack([mask_iou(true_NHW, mask_NHW), mask_f(true_NHW, mask_NHW)]))
        start += len(true_NHW)
    values_2N = np.concatenate(parts, 1)
    low_2, high_2 = interval(paired_bootstrap(values_2N[:, None], np.zeros(values_2N.shape[1], int)))
    return [
        f"{name}: {mean:.3f} (95% interval {low:.3f} to {high:.3f})"
        for name, mean, low, high in zip(("IoU", "F (beta2 = 0.3)"), values_2N.mean(1), low_2, high_2, strict=True)
    ]


def _pixels(source: Pictures, rows: np.ndarray, side: int) -> np.ndarray:
    images, problems = source.read(rows, side)
    if problems:
        raise DataError(
            f"expected readable pictures, received {len(problems)} that are not: {next(iter(problems.values()))}. Mend or remove them."
        )
    return images
