"""Masks of one's own: a folder of PNG files, one for each picture, at the same path within it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from relic_eval.data.bundled import SPLITS
from relic_eval.data.folder import digest_files, open_mask, upright_size
from relic_eval.data.pictures import Pictures
from relic_eval.errors import DataError
from relic_eval.progress import track

ROUNDING = 1  # pixels that a side may be off


def mask_files(folder: Path, source: Pictures, rows: np.ndarray) -> list[Path]:
    """The file of each row: the id of its picture with the ending .png (`train/cat/0001.jpg`: `train/cat/0001.png`).

    Raises DataError, naming the first and counting them, where files are missing or two pictures would share one.
    """
    folder = folder.expanduser()
    files = [folder / Path(str(name)).with_suffix(".png") for name in source.ids[rows]]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise _wrong(
            missing[0],
            "a mask for each picture",
            f"nothing there ({len(missing)} of {len(files)} are missing)",
            "Add them.",
        )
    if len(set(files)) < len(files):
        seen: set[Path] = set()
        twice = [file for file in files if file in seen or seen.add(file)]  # type: ignore[func-returns-value]
        raise _wrong(
            twice[0], "a mask for one picture", f"one for two that differ in their ending ({len(twice)})", "Rename one."
        )
    return files


def digest_own(folder: Path, files: list[Path], split: str, cache: Path | None) -> str:
    """The digest of the files, of which a note in `cache` saves the work while they stay as they are."""
    return digest_files(folder.expanduser(), files, split, cache)


def read_own(files: list[Path], source: Pictures, rows: np.ndarray, side: int) -> np.ndarray:
    """Masks (n, side, side) of bool: 0 is background, all else foreground; resized and cropped as the pictures are.

    Resized by nearest neighbour. Raises DataError, naming the first and counting them, for files that cannot be read, masks
    whose sides are not in proportion to their picture's (up to a pixel), and masks none of which has both fore- and background.
    """
    out, problems = np.zeros((len(files), side, side), bool), []
    for place, (row, file) in enumerate(zip(rows, track(files, "masks"), strict=True)):
        try:
            bundled = source.dataset in SPLITS  # squares in memory
            size = (source.side, source.side) if bundled else upright_size(Path(str(source.paths[row])))
            out[place] = open_mask(file, size, side, ROUNDING)
        except (OSError, ValueError, SyntaxError, OverflowError, MemoryError, DataError) as error:
            problems.append((file, error))
    if problems:
        file, why = problems[0]
        raise _wrong(
            file, "a mask that fits its picture", f"{why} ({len(problems)} of {len(files)} do not fit)", "Mend them."
        )
    flat_N = out.all((1, 2)) | ~out.any((1, 2))
    if flat_N.all():
        kind = "foreground" if out[0].any() else "background"
        raise _wrong(
            files[0],
            "foreground and background",
            f"{kind} only, and no mask of {len(files)} has both",
            "0 is background, anything else foreground.",
        )
    return out


def _wrong(file: Path, expected: str, received: str, hint: str) -> DataError:
    return DataError(f"{file}: expected {expected}, received {received}. {hint}")
