"""Any set of your own: a folder of class folders, with or without train/ and test/ above them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import numpy as np

from relic_eval.data.pictures import Pictures
from relic_eval.errors import DataError
from relic_eval.files import digest_file, digest_json, read_json, write_json

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
SIDE = 64  # natural side of a folder's pictures, for encoders that do not say theirs
FEWEST = {"train": 2, "test": 1, "all": 3}  # images a class: one for each use that the split has


def splits(folder: Path) -> tuple[str, ...]:
    """`("train", "test")` where the folder has both, otherwise `("all",)`.

    >>> splits(Path("/"))
    ('all',)
    """
    return ("train", "test") if (folder / "train").is_dir() and (folder / "test").is_dir() else ("all",)


def folder_pictures(folder: Path, split: str, cache: Path | None = None) -> Pictures:
    """A split of a folder of class folders; `superclasses.csv` (class,superclass) beside them makes a hierarchy.

    Files are digested once: while paths, sizes and times stay as they are in `cache`, the digest there stands. Raises
    DataError for a missing folder, no class folders, an empty class or one with too few pictures to be used.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise DataError(
            f"expected a folder {folder}, received {'a file' if folder.exists() else 'nothing there'}. Check the path."
        )
    top = folder if split == "all" else folder / split
    classes = tuple(sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith(".")))
    if len(classes) < 2:
        raise DataError(
            f"{top}: expected at least two class folders, received {len(classes)}. Make one folder a class."
        )
    files = [sorted(f for f in (top / name).iterdir() if f.suffix.lower() in ENDINGS) for name in classes]
    for name, found in zip(classes, files, strict=True):
        if len(found) < FEWEST[split]:
            raise DataError(
                f"{top / name}: expected at least {FEWEST[split]} pictures, received {len(found)}. "
                "Add pictures to this class or move its folder away."
            )
    paths = [f for found in files for f in found]
    y_N = np.repeat(np.arange(len(classes)), [len(found) for found in files])
    names = np.array([str(p.relative_to(folder)) for p in paths])
    superclasses = _superclasses(folder, classes)
    return Pictures(
        dataset=folder.resolve().name,
        split=split,
        digest=digest_json([_digest(folder, paths, split, cache), superclasses]),
        ids=names,
        paths=np.array([str(p) for p in paths]),
        y_N=y_N,
        classes=classes,
        superclasses=superclasses,
        side=SIDE,
        channels=3,
        read=lambda rows, side: _read([paths[r] for r in rows], rows, side),
    )


def _digest(folder: Path, paths: list[Path], split: str, cache: Path | None) -> str:
    listing = digest_json([(str(p), (s := p.stat()).st_size, s.st_mtime_ns) for p in paths])
    note = None if cache is None else cache / f"{quote(str(folder.resolve()), safe='')}.{split}.json"
    if note is not None and note.exists() and (known := read_json(note))["listing"] == listing:
        return str(known["content"])
    content = digest_json([(str(p.relative_to(folder)), digest_file(p)) for p in paths])
    if note is not None:
        write_json(note, {"listing": listing, "content": content})
    return content


def _superclasses(folder: Path, classes: tuple[str, ...]) -> tuple[str, ...] | None:
    file = folder / "superclasses.csv"
    if not file.exists():
        return None
    with open(file, newline="", encoding="utf-8") as rows:
        above = {row[0].strip(): row[1].strip() for row in csv.reader(rows) if len(row) >= 2}
    missing = [name for name in classes if name not in above]
    if missing:
        raise DataError(
            f"{file}: expected a line 'class,superclass' for every class, received none for {missing[0]!r}."
        )
    return tuple(above[name] for name in classes)


def _read(paths: list[Path], rows: np.ndarray, side: int) -> tuple[np.ndarray, Mapping[int, str]]:
    pixels, problems = np.zeros((len(paths), side, side, 3), np.uint8), {}
    for place, (path, row) in enumerate(zip(paths, rows, strict=True)):
        try:
            pixels[place] = open_square(path, side)
        except (OSError, ValueError, SyntaxError, DataError) as error:
            problems[int(row)] = f"{path}: {error}"
    return pixels, problems


def open_square(path: Path, side: int) -> np.ndarray:
    """A picture file as uint8 RGB (side, side, 3): upright, shorter side resized to `side` (bicubic), centre cropped."""
    import warnings

    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as file:
                picture = ImageOps.exif_transpose(file).convert("RGB")
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise DataError(str(error)) from None
    scale = side / min(picture.size)
    size = (max(side, round(picture.width * scale)), max(side, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, upper = (size[0] - side) // 2, (size[1] - side) // 2
    return np.asarray(picture.crop((left, upper, left + side, upper + side)))
