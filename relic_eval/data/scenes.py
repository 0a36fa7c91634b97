"""Pictures with a class number for every pixel: sources of segmentation, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from relic_eval.data.archive import archive_digest, open_archive
from relic_eval.data.folder import SIDE, digest_files
from relic_eval.data.opening import UNREADABLE, open_upright, opened, read_pictures, square_of, upright_size
from relic_eval.data.pictures import Pictures
from relic_eval.data.places import data_file, data_root
from relic_eval.errors import DataError, UnreadableError, look_up
from relic_eval.files import digest_json
from relic_eval.records import Transform


@dataclass(frozen=True)
class Scenes:
    """A split whose pixels are labelled. `read(row)` gives uint8 RGB (H, W, 3) and int64 class numbers (H, W), of native size.

    Both raise UnreadableError, naming the file, for a picture or mask that cannot be read or whose sizes differ, and `read`
    DataError for a mask that can be read and holds something else than numbers of classes.
    """

    name: str
    split: str  # "train" or "test", and "valid" where the set has rows of its own for that
    digest: str  # of pictures and masks
    ids: np.ndarray  # (N,) str
    classes: tuple[str, ...]  # names of the numbers 0 .. C-1
    ignore: int  # the number of pixels that are neither trained nor judged
    sizes: Callable[[np.ndarray], np.ndarray]  # (n, 2) int64, height and width of these rows; opens their headers
    read: Callable[[int], tuple[np.ndarray, np.ndarray]]

    def __len__(self) -> int:
        return len(self.ids)


VOID = 255  # what pixels without a class are called, where a set has no number of its own for them
Pair = tuple[str, Path | str, Path | str]  # id, picture, mask: files, or members of an archive


@dataclass(frozen=True)
class _Kind:
    title: str
    classes: tuple[str, ...]
    counts: Mapping[str, int]  # of pictures, by split
    open: Callable[[str, str, _Kind, Path | None, Path | None], Scenes]
    ignore: int = VOID
    numbers: Mapping[int, int] | None = None  # from values in a mask to class numbers; all others: ignore


def scenes(
    name: str, split: str, cache: Path | None = None, *, folder: Path | None = None, counts: Mapping[str, int] = {}
) -> Scenes:
    """A split of a set with masks, by name; it lies in `folder`, or in RELIC_EVAL_DATA.

    `counts` stand in place of the published numbers of pictures. Raises UnknownNameError for an unknown name or split,
    DataError for a missing file, or another number of pictures.
    """
    kind = look_up("mask set", name, SCENES)
    look_up("split", split, kind.counts)
    found = kind.open(name, split, kind, folder, cache)
    expected = {**kind.counts, **counts}[split]
    if len(found) != expected:
        raise DataError(
            f"{name} {split}: expected {expected} pictures with masks, received {len(found)}. Complete the download."
        )
    return found


def scene_splits(name: str) -> tuple[str, ...]:
    """The splits of a set with masks.

    >>> scene_splits("mini-camvid11")
    ('train', 'valid', 'test')
    """
    return tuple(look_up("mask set", name, SCENES).counts)


def mask_numbers(values_HW: np.ndarray, numbers: Mapping[int, int] | None, ignore: int) -> np.ndarray:
    """Class numbers int64 (H, W) of the values in a mask; those that `numbers` does not name are to be ignored.

    >>> mask_numbers(np.array([[0, 255, 3]], np.uint8), {0: 0, 255: 1}, 9)
    array([[0, 1, 9]])
    """
    if numbers is None:
        return values_HW.astype(np.int64)
    table = np.full(256, ignore, np.int64)
    table[list(numbers)] = list(numbers.values())
    return table[values_HW]


def of_pairs(
    name: str,
    split: str,
    digest: str,
    pairs: Sequence[Pair],
    source: Callable[[Path | str], Path | BinaryIO],
    classes: tuple[str, ...],
    ignore: int = VOID,
    numbers: Mapping[int, int] | None = None,
) -> Scenes:
    """A split of these pairs, whose files or bytes `source` gives; `numbers` as in `mask_numbers`."""

    def sizes(rows: np.ndarray) -> np.ndarray:
        return np.array([_height_width(pairs[row][1], source) for row in rows], np.int64).reshape(-1, 2)

    def read(row: int) -> tuple[np.ndarray, np.ndarray]:
        _, picture, mask = pairs[row]
        pixels_HWC = _or_named(picture, lambda: np.asarray(open_upright(source(picture))))
        values_HW = mask_values(mask, source)
        if values_HW.shape != pixels_HWC.shape[:2]:
            high, wide = pixels_HWC.shape[:2]
            raise UnreadableError(
                f"{mask}: expected a mask of {wide} x {high} pixels, as its picture has when it is upright, received "
                f"{values_HW.shape[1]} x {values_HW.shape[0]}. Make both of one size."
            )
        numbers_HW = mask_numbers(values_HW, numbers, ignore)
        strange = numbers_HW[(numbers_HW >= len(classes)) & (numbers_HW != ignore)]
        if len(strange):
            raise DataError(f"{mask}: expected class numbers below {len(classes)} or {ignore}, received {strange[0]}.")
        return pixels_HWC, numbers_HW

    ids = np.array([f"{split}/{key}" for key, _, _ in pairs])
    return Scenes(name, split, digest, ids, classes, ignore, sizes, read)


def _or_named(file: Path | str, made: Callable[[], np.ndarray]) -> np.ndarray:
    try:
        return made()
    except UNREADABLE as error:
        raise UnreadableError(f"{file}: expected a readable picture, received {error}.") from None


def mask_values(mask: Path | str, source: Callable[[Path | str], Path | BinaryIO] = Path) -> np.ndarray:
    """The numbers (H, W) uint8 in a PNG mask, of a palette those that point into it, of one bit 0 and 1.

    Raises UnreadableError for a damaged file, DataError for colours, transparency or deeper numbers.
    """

    def values() -> np.ndarray:
        with opened(source(mask), ("PNG",)) as picture:
            return np.asarray(picture)

    found = _or_named(mask, values)
    if found.ndim != 2 or found.dtype not in (np.uint8, np.bool_):
        channels = found.shape[2] if found.ndim == 3 else 1
        raise DataError(
            f"{mask}: expected a mask of one channel of at most 8 bits, received {channels} of {found.dtype}. Save the "
            "number of each pixel's class, as grey or with a palette, in place of a colour."
        )
    return found.astype(np.uint8)


def _height_width(picture: Path | str, source: Callable[[Path | str], Path | BinaryIO]) -> tuple[int, int]:
    try:
        wide, high = upright_size(source(picture))
    except UNREADABLE as error:
        raise UnreadableError(f"{picture}: expected a readable picture, received {error}.") from None
    return high, wide


def unmasked(its: Mapping[str, Scenes]) -> dict[str, Pictures]:
    """The pictures of a set's splits without their masks, all of one class; those that validate come after those that train."""
    valid = [its["valid"]] if "valid" in its else []
    return {
        split: _unmasked([found, *(valid if split == "train" else [])])
        for split, found in its.items()
        if split != "valid"
    }


def _unmasked(parts: Sequence[Scenes]) -> Pictures:
    from PIL import Image

    first, ids = parts[0], np.concatenate([part.ids for part in parts])
    place = [(part, row) for part in parts for row in range(len(part))]

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        def square(row: int) -> np.ndarray:
            part, its = place[row]
            return square_of(Image.fromarray(part.read(its)[0]), side)

        return read_pictures(rows, side, square, lambda row: str(ids[row]))

    digest = first.digest if len(parts) == 1 else digest_json([part.digest for part in parts])
    y_N = np.zeros(len(ids), np.int64)
    return Pictures(first.name, first.split, digest, ids, ids, y_N, ("picture",), None, SIDE, 3, read)


def _from_tar(name: str, split: str, kind: _Kind, folder: Path | None, cache: Path | None) -> Scenes:
    file = f"{name.removeprefix('mini-')}.tar"
    place = folder / file if folder else data_file(name, file, f"Put {file} of the mini suite there.")
    archive, top = open_archive(place), "val" if split == "valid" else split
    pictures = sorted(n for n in archive.spans if n.startswith(f"{top}/images/"))
    pairs: list[Pair] = [(Path(n).stem, n, f"{top}/masks/{Path(n).stem}.png") for n in pictures]
    lacking = [mask for _, _, mask in pairs if mask not in archive.spans]
    if lacking:
        raise DataError(f"{place}: expected a mask for every picture, received none at {lacking[0]}. Copy it anew.")
    digest = digest_json([archive_digest(place, cache), name, split])
    read = lambda member: BytesIO(archive.read(str(member)))  # noqa: E731
    return of_pairs(name, split, digest, pairs, read, kind.classes, kind.ignore, kind.numbers)


def _of_files(
    name: str, split: str, kind: _Kind, root: Path, pairs: list[Pair], cache: Path | None, layout: str
) -> Scenes:
    lacking = [file for _, *both in pairs for file in both if not Path(file).is_file()]
    if lacking:
        raise DataError(f"{name} {split}: expected a file {lacking[0]}, received nothing there. {layout}")
    files = [Path(file) for _, *both in pairs for file in both]
    digest = digest_json([digest_files(root, files, f"{name}/{split}", cache), name, split])
    return of_pairs(name, split, digest, pairs, Path, kind.classes, kind.ignore, kind.numbers)


def _voc2012(name: str, split: str, kind: _Kind, folder: Path | None, cache: Path | None) -> Scenes:
    """VOCdevkit/VOC2012; lists hold ids, or a picture and a mask a line, as those of the augmented set do."""
    layout = (
        "Get VOCtrainval_11-May-2012.tar from host.robots.ox.ac.uk/pascal/VOC/voc2012, and the augmented masks of SBD "
        "(SegmentationClassAug, and trainaug.txt among ImageSets/Segmentation), into VOCdevkit/VOC2012."
    )
    root = (folder or data_root(name) / name) / "VOCdevkit" / "VOC2012"
    names = ("train_aug.txt", "trainaug.txt") if split == "train" else ("val.txt",)
    lists = [root / "ImageSets" / "Segmentation" / n for n in names]
    file = next((place for place in lists if place.is_file()), None)
    if file is None:
        raise DataError(f"{name} {split}: expected a file {lists[0]}, received nothing there. {layout}")
    augmented = root / "SegmentationClassAug"
    masks = augmented if augmented.is_dir() else root / "SegmentationClass"
    ids = [Path(line.split()[0]).stem for line in file.read_text().splitlines() if line.strip()]
    pairs: list[Pair] = [(i, root / "JPEGImages" / f"{i}.jpg", masks / f"{i}.png") for i in ids]
    return _of_files(name, split, kind, root, pairs, cache, layout)


def _cityscapes(name: str, split: str, kind: _Kind, folder: Path | None, cache: Path | None) -> Scenes:
    layout = (
        "Get leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from cityscapes-dataset.com, and unpack both."
    )
    root = folder or data_root(name) / name
    top = root / "leftImg8bit" / ("val" if split == "test" else split)
    if not top.is_dir():
        raise DataError(f"{name} {split}: expected a folder {top}, received nothing there. {layout}")
    pairs: list[Pair] = []
    for picture in sorted(top.glob("*/*_leftImg8bit.png")):
        key = picture.name.removesuffix("_leftImg8bit.png")
        mask = root / "gtFine" / top.name / picture.parent.name / f"{key}_gtFine_labelIds.png"
        pairs.append((key, picture, mask))
    return _of_files(name, split, kind, root, pairs, cache, layout)


_VOC = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
_CAMVID = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist"
# label ids of cityscapesScripts (labels.py) in the order of their train ids, 0 to 18
_CITY = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26,
    "truck": 27, "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
SCENES = {
    "mini-petmask": _Kind(
        "Pets, foreground", ("rest", "pet"), {"train": 221, "test": 148}, _from_tar, numbers={0: 0, 255: 1}
    ),
    "mini-camvid11": _Kind(
        "CamVid", tuple(_CAMVID.split()), {"train": 367, "valid": 101, "test": 233}, _from_tar, ignore=11
    ),
    "voc2012": _Kind("PASCAL VOC 2012", tuple(_VOC.split()), {"train": 10582, "test": 1449}, _voc2012),
    "cityscapes": _Kind(
        "Cityscapes",
        tuple(_CITY),
        {"train": 2975, "test": 500},
        _cityscapes,
        numbers={value: number for number, value in enumerate(_CITY.values())},
    ),
}
