"""Masks of one's own: a folder of PNG files, one for each picture, at the same path within it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from relic_eval.data.bundled import SPLITS
from relic_eval.data.folder import digest_files
from relic_eval.data.opening import open_mask, upright_size
from relic_eval.data.pictures import Pictures
from relic_eval.errors import DataError
from relic_eval.progress import track

CHUNK = 256  # masks that are in memory at a time
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


def read_own(files: list[Path], source: Pictures, rows: np.ndarray, side: int) -> Iterator[np.ndarray]:
    """Masks of bool, (n, side, side) at a time: 0 is background, all else foreground; resized and cropped as the pictures are.

    Resized by nearest neighbour. Raises DataError, naming the first and counting them, for files that cannot be read, masks
    whose sides are not in proportion to their picture's (up to a pixel), and masks none of which has both fore- and background.
    """
    problems: list[tuple[Path, Exception]] = []
    both, last = False, np.zeros((0, side, side), bool)
    chunks = [np.arange(start, min(start + CHUNK, len(files))) for start in range(0, len(files), CHUNK)]
    for places in track(chunks, "masks"):
        last = np.zeros((len(places), side, side), bool)
        for number, place in enumerate(places):
            try:
                last[number] = open_mask(files[place], _size(source, rows[place]), side, ROUNDING)
            except (OSError, ValueError, SyntaxError, OverflowError, MemoryError, DataError) as error:
                problems.append((files[place], error))
        both = both or bool((last.any((1, 2)) & ~last.all((1, 2))).any())
        if not problems:
            yield last
    if problems:
        file, why = problems[0]
        count = f"{len(problems)} of {len(files)} do not fit"
        raise _wrong(file, "a mask that fits its picture", f"{why} ({count})", "Mend them.")
    if not both:
        kind = "foreground" if last.any() else "background"
        received = f"{kind} only, and no mask of {len(files)} has both"
        raise _wrong(files[0], "foreground and background", received, "0 is background, anything else foreground.")


def _size(source: Pictures, row: int) -> tuple[int, int]:
    """Width and height of a picture; bundled ones are squares in memory."""
    if source.dataset in SPLITS:
        return source.side, source.side
    place = Path(str(source.paths[row]))
    if not place.is_file():  # a member of a tar or of a Parquet file
        raise DataError(
            f"{source.dataset}: expected pictures that are files, for masks of your own, received {place} inside an archive. "
            "Unpack the set into class folders and name that folder."
        )
    return upright_size(place)


def _wrong(file: Path, expected: str, received: str, hint: str) -> DataError:
    return DataError(f"{file}: expected {expected}, received {received}. {hint}")
