"""Any set of your own: a folder of class folders, with or without train/ and test/ above them."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from relic_eval.data.pictures import Pictures, as_transform, centre
from relic_eval.errors import DataError
from relic_eval.files import digest_file, digest_json, read_json, write_json
from relic_eval.progress import warn
from relic_eval.records import Transform

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
LONGEST = 100  # times as long as wide: beyond that a picture is no picture, and resizing it would take all memory
UNREADABLE = (OSError, ValueError, SyntaxError, OverflowError, MemoryError, DataError)  # what a damaged file raises
SIDE = 64  # natural side of a folder's pictures, for encoders that do not say theirs
FEWEST = {"train": 2, "test": 1, "all": 3}  # images a class: one for each use that the split has


TEST_FOLDERS = ("test", "val")  # ImageNet's validation images are what it is tested on
SPLIT_FOLDERS = {"train", *TEST_FOLDERS, "valid", "validation", "training", "testing"}


def splits(folder: Path) -> tuple[str, ...]:
    """`("train", "test")` where the folder has `train` and `test` (or `val` instead), otherwise `("all",)`.

    Raises DataError where there is only one of them: it would be taken for a class.

    >>> splits(Path("/"))
    ('all',)
    """
    if (folder / "train").is_dir() and any((folder / name).is_dir() for name in TEST_FOLDERS):
        return ("train", "test")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if names and set(names) <= SPLIT_FOLDERS:
        raise DataError(
            f"{folder}: expected class folders, or train/ and test/ (or val/) with class folders in each, received only "
            f"{' and '.join(names)}. Rename them, or point at one of them to have it divided."
        )
    return ("all",)


def _top(folder: Path, split: str) -> Path:
    """Where the class folders of a split are."""
    if split == "test":
        return next((folder / name for name in TEST_FOLDERS if (folder / name).is_dir()), folder / "test")
    return folder if split == "all" else folder / split


def folder_title(folder: Path) -> str:
    """What a folder's set is called: its last name, that of a link where it is one.

    >>> folder_title(Path("/data/birds/../my birds"))
    'my birds'
    """
    return os.path.basename(os.path.abspath(folder.expanduser()))


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
    top = _top(folder, split)
    classes = tuple(sorted(p.name for p in top.iterdir() if p.is_dir() and not p.name.startswith(".")))
    if len(classes) < 2:
        raise DataError(
            f"{top}: expected at least two class folders, received {len(classes)}. Make one folder a class."
        )
    _warn_of_unread(folder, top, classes)
    files = [sorted(f for f in (top / name).iterdir() if is_picture(f)) for name in classes]
    for name, found in zip(classes, files, strict=True):
        if len(found) < FEWEST[split]:
            raise DataError(
                f"{top / name}: expected at least {FEWEST[split]} pictures, received {len(found)}. "
                "Add pictures to this class or move its folder away."
            )
    paths = [f for found in files for f in found]
    y_N = np.repeat(np.arange(len(classes)), [len(found) for found in files])
    names = np.array([str(p.relative_to(folder)) for p in paths])
    places = np.array([str(p) for p in paths])  # kept in place of Path objects, of which a million take 400 MB
    superclasses = _superclasses(folder, classes)
    return Pictures(
        dataset=folder_title(folder),
        split=split,
        digest=digest_json([digest_files(folder, paths, split, cache), superclasses]),
        ids=names,
        paths=places,
        y_N=y_N,
        classes=classes,
        superclasses=superclasses,
        side=SIDE,
        channels=3,
        read=lambda rows, side: read_each(rows, side, lambda row: Path(places[row]), lambda row: str(places[row])),
    )


def _warn_of_unread(folder: Path, top: Path, classes: tuple[str, ...]) -> None:
    """Name folders that look like pictures of the set and are none of it."""
    nested = [
        p for name in classes for p in sorted((top / name).iterdir()) if p.is_dir() and not p.name.startswith(".")
    ]
    if nested:
        warn(
            f"{len(nested)} folders inside class folders are not read, first {nested[0]}. Move their pictures up, or away."
        )
    if top != folder:
        read = {"train", _top(folder, "test").name}
        beside = sorted(
            p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name not in read
        )
        if beside:
            warn(f"{folder}: {' and '.join(sorted(read))} are read; not read: {', '.join(beside[:5])}.")
        if (top / "superclasses.csv").exists():
            warn(f"{top / 'superclasses.csv'} is not read: it belongs into {folder}.")


def digest_files(folder: Path, paths: list[Path], split: str, cache: Path | None) -> str:
    """The digest of files by their paths within `folder`; while sizes and times stay as a note in `cache` says, it stands."""
    listing = digest_json([(str(p), (s := p.stat()).st_size, s.st_mtime_ns) for p in paths])
    note = None if cache is None else cache / f"{digest_json([str(folder.resolve()), split])[:16]}.json"
    if note is not None and (known := _known(note)).get("listing") == listing:
        return str(known["content"])
    content = digest_json([(str(p.relative_to(folder)), digest_file(p)) for p in paths])
    if note is not None:
        write_json(note, {"listing": listing, "content": content})
    return content


def _known(note: Path) -> dict[str, str]:
    """What a note says; nothing where there is none, or a damaged one: it only saves work."""
    try:
        known = read_json(note)
    except DataError:
        return {}
    return known if isinstance(known, dict) and {"listing", "content"} <= set(known) else {}


def _superclasses(folder: Path, classes: tuple[str, ...]) -> tuple[str, ...] | None:
    file = folder / "superclasses.csv"
    if not file.exists():
        return None
    above = read_superclasses(file)
    unknown = [name for name in above if name not in classes and name != "class" and not _is_class(folder, name)]
    found = superclasses_of(above, classes, str(file))
    if unknown:
        warn(f"{file}: {unknown[0]!r} is no class folder; its line is not used.")
    return found


def read_superclasses(file: Path) -> dict[str, str]:
    """The lines `class,superclass` of a CSV file. Raises DataError where one class has two."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{file}: expected UTF-8 text, received something else. Save it as UTF-8.") from None
    above: dict[str, str] = {}
    for row in csv.reader(text.splitlines()):
        if len(row) >= 2 and row[1].strip():
            name, its = row[0].strip(), row[1].strip()
            if above.setdefault(name, its) != its:
                raise DataError(
                    f"{file}: expected one superclass for {name!r}, received {above[name]!r} and {its!r}. Remove one line."
                )
    return above


def superclasses_of(above: Mapping[str, str], classes: tuple[str, ...], said: str) -> tuple[str, ...]:
    """The superclass of each class; `said` is where they stand. Raises DataError for a class without one.

    >>> superclasses_of({"ant": "insect", "cat": "mammal"}, ("cat",), "x.csv")
    ('mammal',)
    """
    missing = [name for name in classes if name not in above]
    if missing:
        raise DataError(
            f"{said}: expected a line 'class,superclass' (with a comma) for every class, received none for {missing[0]!r}. "
            "Add it, or remove the file."
        )
    return tuple(above[name] for name in classes)


def _is_class(folder: Path, name: str) -> bool:
    return any((folder / split / name).is_dir() for split in ("train", *TEST_FOLDERS))


def read_each(
    rows: np.ndarray, side: int | Transform, source: Callable[[int], Path | BinaryIO], named: Callable[[int], str]
) -> tuple[np.ndarray, Mapping[int, str]]:
    """Squares of these rows, whose files or bytes `source` gives, and by row why one was unreadable, under the name it has."""
    return read_pictures(rows, side, lambda row: open_square(source(row), side), named)


def read_pictures(
    rows: np.ndarray, side: int | Transform, square: Callable[[int], np.ndarray], named: Callable[[int], str]
) -> tuple[np.ndarray, Mapping[int, str]]:
    """The squares that `square` makes of these rows, and by row why it could not."""
    wide = as_transform(side).side
    pixels, problems = np.zeros((len(rows), wide, wide, 3), np.uint8), {}
    for place, row in enumerate(rows.tolist()):
        try:
            pixels[place] = square(row)
        except UNREADABLE as error:
            problems[row] = f"{named(row)}: {error}"
    return pixels, problems


def is_picture(file: Path) -> bool:
    """A plain file with the ending of a picture; hidden files (macOS leaves ._NAME.jpg behind) are none."""
    return is_picture_name(file.name) and file.is_file()


def is_picture_name(name: str) -> bool:
    """Whether a file of this name, or at this path, is a picture.

    >>> is_picture_name("a/b.JPG"), is_picture_name("a/._b.jpg"), is_picture_name("index.csv")
    (True, False, False)
    """
    last = name.rsplit("/", 1)[-1]
    return os.path.splitext(last)[1].lower() in ENDINGS and not last.startswith(".")


def _eight_bit(picture: Image) -> Image:
    """As RGB of 8 bits. Pillow would clip deeper greys to white: 16 bits are scaled, other depths have no known range."""
    if picture.mode.startswith("I;16"):
        from PIL import Image

        deep = np.asarray(picture).astype(np.uint16)
        return Image.fromarray((deep / 257).round().astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise DataError(f"expected 8 or 16 bits a channel, received mode {picture.mode}. Save it as 8 bits.")
    return picture.convert("RGB")


@contextmanager
def opened(path: Path | BinaryIO, formats: tuple[str, ...]) -> Iterator[Image]:
    """A picture file of one of these formats; DataError for more pixels than Pillow calls safe."""
    from PIL import Image

    try:
        with Image.open(path, formats=formats) as file:
            # Pillow warns here and refuses twice as many only; filters that make warnings errors are no thread's own
            if Image.MAX_IMAGE_PIXELS and file.width * file.height > Image.MAX_IMAGE_PIXELS:
                raise DataError(f"{file.width} x {file.height} pixels, more than {Image.MAX_IMAGE_PIXELS}")
            yield file
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(str(error)) from None


def open_square(path: Path | BinaryIO, side: int | Transform) -> np.ndarray:
    """A picture file as uint8 RGB (side, side, 3): upright, shorter side resized (bicubic, or as a Transform says), centre cropped.

    Transparency is dropped, as torchvision's loader does: what counts is the colour under it.
    """
    return square_of(open_upright(path), side)


def square_of(picture: Image, side: int | Transform) -> np.ndarray:
    """A PIL picture of 8-bit RGB as `open_square` gives one."""
    from PIL import Image

    asked = as_transform(side)
    size, box = _box(picture.size, asked)
    return np.asarray(picture.resize(size, Image.Resampling[asked.interpolation.upper()]).crop(box))


def open_upright(path: Path | BinaryIO) -> Image:
    """A picture file as a PIL picture of 8-bit RGB, turned as its EXIF entry says. Raises DataError for a bomb, or a mere line."""
    from PIL import ImageOps

    with opened(path, FORMATS) as file:
        picture = _eight_bit(ImageOps.exif_transpose(file))
    if max(picture.size) > LONGEST * min(picture.size):
        raise DataError(f"{picture.width} x {picture.height} pixels, more than {LONGEST} times as long as wide")
    return picture


def square_box(
    size: tuple[int, int], side: int, shorter: int | None = None
) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """The size (width, height) that has `shorter` (or `side`) as its shorter side, and the box of the square in its middle.

    >>> square_box((20, 10), 4), square_box((20, 10), 4, 6)
    (((8, 4), (2, 0, 6, 4)), ((12, 6), (4, 1, 8, 5)))
    """
    shorter = shorter or side
    scale = shorter / min(size)
    wide, high = (max(shorter, round(n * scale)) for n in size)
    left, upper = (wide - side) // 2, (high - side) // 2
    return (wide, high), (left, upper, left + side, upper + side)


def _box(size: tuple[int, int], asked: Transform) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """As `square_box` where no other size is asked for; otherwise as libraries do: the longer side is cut to whole pixels."""
    if not asked.resize and not asked.squash:
        return square_box(size, asked.side)
    shorter = asked.shorter
    wide, high = (shorter, shorter) if asked.squash else (shorter * n // min(size) for n in size)
    left, upper = (centre(n, asked) for n in (wide, high))
    return (wide, high), (left, upper, left + asked.side, upper + asked.side)


def upright_size(path: Path | BinaryIO) -> tuple[int, int]:
    """Width and height in pixels of a picture as `open_square` turns it, decoding nothing of it."""
    from PIL import ExifTags

    with opened(path, FORMATS) as file:
        turned = file.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
        return (file.height, file.width) if turned else (file.width, file.height)


def open_mask(path: Path, like: tuple[int, int], side: int, rounding: int) -> np.ndarray:
    """A PNG mask as bool (side, side), True where any channel but transparency is not 0, cut as `open_square` cuts its picture.

    `like` is the size of the picture. Raises DataError where the mask's sides are not in its proportion, up to `rounding` pixels.
    """
    from PIL import Image

    with opened(path, ("PNG",)) as file:
        values = np.asarray(file)  # of a palette the numbers, as data sets of segmentation have them
        bands = file.getbands()
    if values.ndim == 3:
        values = values[..., : len(bands) - (bands[-1] in "Aa")].max(2)
    high, wide = values.shape
    least = max((wide - rounding) / like[0], (high - rounding) / like[1])
    most = min((wide + rounding) / like[0], (high + rounding) / like[1])
    if least > most:  # no one scale for both sides
        raise DataError(f"{wide} x {high} pixels for a picture of {like[0]} x {like[1]}")
    size, box = square_box(like, side)
    whole = Image.fromarray((values > 0).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    return np.asarray(whole.crop(box)) > 0
