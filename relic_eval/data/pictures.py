"""One split of a picture set: ids, labels and a way to read pixels in batches. Importing this opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.files import digest_json
from relic_eval.records import Transform

SHIFT = 1 / 7  # of the side: 4 of 28 pixels


@dataclass(frozen=True)
class Pictures:
    """A labelled split. `read(rows, side)` gives uint8 pixels (n, side, side, channels) and, by row, why one was unreadable.

    Instead of a side it takes a Transform, where the shorter side is not resized to just that or not by a cubic.
    """

    dataset: str
    split: str
    digest: str  # of pixels and labels
    ids: np.ndarray  # (N,) str, unique within the dataset's split family: a shifted picture keeps its id
    paths: np.ndarray  # (N,) str, where each picture came from
    y_N: np.ndarray  # (N,) int64
    classes: tuple[str, ...]
    superclasses: tuple[str, ...] | None
    side: int  # the natural side in pixels
    channels: int  # 1 grey, 3 RGB
    read: Callable[[np.ndarray, int | Transform], tuple[np.ndarray, Mapping[int, str]]]
    title: str = ""  # what people call the set; empty: `dataset`
    metric: str = "top1"  # of its task: top1, mean_per_class or map11 (11-point mean average precision)
    valid_N: np.ndarray | None = (
        None  # (N,) bool: rows that the set itself keeps for validation; None: drawn from each class
    )
    corrupted_at: int = (
        224  # side at which its pictures are corrupted, as ImageNet-C's are; that of small pictures is their own
    )
    labels_NC: np.ndarray | None = None  # (N, C) bool, where a picture may have several classes; y_N is then the first
    blocks: tuple[str, ...] = ()  # classes of the neighbour block matrix; empty: the first few
    trains_on: str = ""  # the set whose training rows it is tested with; empty: its own
    # width and height of a row's picture as it lies, turned or not; None: not known
    size: Callable[[int], tuple[int, int]] | None = None

    def __len__(self) -> int:
        return len(self.y_N)


def said_in_words(title: str, metric: str, blocks: tuple[str, ...], trains_on: str = "") -> dict[str, Any]:
    """What a set says of its task that no picture depends on, as a manifest has it; empty where it is what any set has.

    >>> said_in_words("Birds", "top1", ("robin",))
    {'title': 'Birds', 'metric': '', 'blocks': ['robin'], 'trains_on': ''}
    """
    said = "" if metric == "top1" else metric
    return {"title": title, "metric": said, "blocks": list(blocks), "trains_on": trains_on}


def from_array(
    dataset: str,
    split: str,
    images: np.ndarray,
    y_N: np.ndarray,
    classes: tuple[str, ...],
    *,
    digest: str,
    superclasses: tuple[str, ...] | None = None,
) -> Pictures:
    """A split held in memory: uint8 (N, H, W) or (N, H, W, C); other sides than H are made by antialiased resizing.

    >>> p = from_array("toy", "test", np.zeros((2, 4, 4), np.uint8), np.array([0, 1]), ("a", "b"), digest="d")
    >>> p.read(np.array([1]), 4)[0].shape, p.ids.tolist()
    ((1, 4, 4, 1), ['toy/test/0', 'toy/test/1'])
    """
    pixels_NHWC = images[..., None] if images.ndim == 3 else images
    names = np.array([f"{dataset}/{split}/{row}" for row in range(len(images))])

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        return resize(pixels_NHWC[rows], side), {}

    side, channels = pixels_NHWC.shape[1], pixels_NHWC.shape[3]
    its = (dataset, split, digest, names, names, y_N, classes, superclasses, side, channels, read)
    return Pictures(*its, corrupted_at=side, size=lambda row: (pixels_NHWC.shape[2], side))


def only(pictures: Pictures, rows_M: np.ndarray) -> Pictures:
    """These rows of a split, in this order; its digest stays that of the whole.

    >>> p = from_array("toy", "test", np.zeros((3, 4, 4), np.uint8), np.array([0, 1, 1]), ("a", "b"), digest="d")
    >>> only(p, np.array([2, 0])).ids.tolist()
    ['toy/test/2', 'toy/test/0']
    """

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        pixels, problems = pictures.read(rows_M[rows], side)
        return pixels, {
            row: problems[of] for row, of in zip(rows.tolist(), rows_M[rows].tolist(), strict=True) if of in problems
        }

    fields = ("ids", "paths", "y_N", "valid_N", "labels_NC")
    kept = {name: value[rows_M] for name in fields if (value := getattr(pictures, name)) is not None}
    size = pictures.size
    return replace(pictures, read=read, size=None if size is None else lambda row: size(int(rows_M[row])), **kept)


def as_transform(side: int | Transform) -> Transform:
    """A side alone means: the shorter side to it, by a cubic.

    >>> as_transform(8)
    Transform(side=8, resize=0, interpolation='bicubic', squash=False, offset='round')
    """
    return side if isinstance(side, Transform) else Transform(side)


def centre(pixels: int, asked: Transform) -> int:
    """Where the square begins in so many pixels: half of those that are cut, an odd half by the Transform's own rule.

    >>> centre(235, Transform(224, resize=235)), centre(235, Transform(224, resize=235, offset="floor"))
    (6, 5)
    """
    if asked.resize and asked.offset == "round":
        return round((pixels - asked.side) / 2)
    return (pixels - asked.side) // 2


def resize(pixels_NHWC: np.ndarray, side: int | Transform) -> np.ndarray:
    """Squares of another side, with antialiasing, a whole batch at a time; unchanged where the side fits.

    >>> resize(np.full((1, 8, 8, 1), 7, np.uint8), 4).ravel()[0]
    np.uint8(7)
    >>> resize(np.zeros((1, 8, 8, 1), np.uint8), Transform(6, resize=10)).shape
    (1, 6, 6, 1)
    """
    asked = as_transform(side)
    full, start = asked.shorter, centre(asked.shorter, asked)
    cut = slice(start, start + asked.side)
    if pixels_NHWC.shape[1:3] == (full, full):
        return pixels_NHWC[:, cut, cut]
    import torch

    x = torch.from_numpy(np.ascontiguousarray(pixels_NHWC)).permute(0, 3, 1, 2).float()
    if asked.interpolation in ("bicubic", "bilinear"):
        x = torch.nn.functional.interpolate(x, size=(full, full), mode=asked.interpolation, antialias=True)
    elif asked.interpolation == "nearest":
        x = torch.nn.functional.interpolate(x, size=(full, full), mode="nearest-exact")
    else:
        raise ArgumentError("interpolation", "bicubic, bilinear or nearest for pictures in memory", asked.interpolation)
    return x[:, :, cut, cut].round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def shifted(pictures: Pictures, *, seed: int = 0) -> Pictures:
    """The same pictures moved by up to a seventh of their side (4 of 28 pixels) both ways, the gap filled with black.

    >>> p = from_array("toy", "test", np.ones((1, 28, 28), np.uint8), np.array([0]), ("a",), digest="d")
    >>> q = shifted(p); int(q.read(np.array([0]), 28)[0].sum()) < 784, q.split, q.ids[0]
    (True, 'test-shifted', np.str_('toy/test/0'))
    """
    share_N2 = np.random.default_rng(seed).uniform(-1, 1, (len(pictures), 2))

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        pixels, problems = pictures.read(rows, side)
        side = as_transform(side).side
        reach = round(side * SHIFT)
        step_N2 = np.floor((share_N2[rows] + 1) / 2 * (2 * reach + 1)).astype(int) - reach
        padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        line = np.arange(side)
        down = (line[None] + reach - step_N2[:, :1])[:, :, None]
        right = (line[None] + reach - step_N2[:, 1:])[:, None, :]
        return padded[np.arange(len(rows))[:, None, None], down, right], problems

    return replace(
        pictures,
        split=f"{pictures.split}-shifted",
        read=read,
        digest=digest_json([pictures.digest, "shifted", SHIFT, seed]),
    )
