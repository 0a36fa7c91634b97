"""A picture file -> an upright square of 8-bit RGB, and a mask cut as its picture is; what cannot be read is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from relic_eval.data.pictures import as_transform, centre
from relic_eval.errors import DataError
from relic_eval.records import Transform

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
LONGEST = 100  # times as long as wide: beyond that a picture is no picture, and resizing it would take all memory
UNREADABLE = (OSError, ValueError, SyntaxError, OverflowError, MemoryError, DataError)  # what a damaged file raises


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


def stored_size(path: Path | BinaryIO) -> tuple[int, int]:
    """Width and height in pixels of a picture as it lies, not turned as its EXIF entry says; nothing of it is decoded."""
    with opened(path, FORMATS) as file:
        return file.size


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
