"""A few test pictures with their true and predicted masks, small, that a cell of segmentation keeps to be looked at."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from io import BytesIO

import numpy as np

from relic_eval.records import Table

COUNT = 12  # kept of a test set: the same of every encoder, so that a report can show the same ones of all
SIDE = 96  # pixels of the longer side
VOID = 255  # of a kept mask: no label
NAMES = ("picture", "true", "predicted")

Shown = Mapping[
    int, tuple[bytes, bytes, bytes]
]  # by place among the test pictures: WebP of the picture, PNG of both masks


def chosen_places(count: int) -> list[int]:
    """Places of the test pictures that are kept, the first one and others at equal steps: their numbers decide nothing.

    >>> chosen_places(3), chosen_places(120)[:3]
    ([0, 1, 2], [0, 10, 20])
    """
    return sorted({int(place) for place in np.arange(min(count, COUNT)) * count / min(max(count, 1), COUNT)})


def shrunk(picture: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> tuple[bytes, bytes, bytes]:
    """A picture (H, W, 3) uint8 and its masks (H, W), below 0 for no label, as WebP and PNG of at most SIDE pixels a side.

    Of masks the pixel nearest to the middle of each new one is kept.
    """
    from PIL import Image

    high, wide = true.shape
    share = min(1.0, SIDE / max(high, wide))
    size = (max(1, round(wide * share)), max(1, round(high * share)))
    small = Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.LANCZOS)
    made = [_bytes(small, "WEBP", quality=80, method=6)]
    for mask in (true, predicted):
        numbers = Image.fromarray(np.where(mask < 0, VOID, mask).astype(np.uint8))
        made.append(_bytes(numbers.resize(size, Image.Resampling.NEAREST), "PNG", optimize=True))
    return made[0], made[1], made[2]


def overlays(shown: Shown, ids: np.ndarray) -> Table | None:
    """The table of a cell; None where nothing is kept.

    >>> overlays({}, np.array([])) is None
    True
    """
    if not shown:
        return None
    places = sorted(shown)
    columns = {name: np.empty(len(places), object) for name in NAMES}
    for row, place in enumerate(places):
        for name, content in zip(NAMES, shown[place], strict=True):
            columns[name][row] = content
    return {"item": ids[places], **columns}


def packed(shown: Shown) -> dict[str, list[str]]:
    """As JSON, for a note.

    >>> unpacked(packed({3: (b"a", b"b", b"c")}))
    {3: (b'a', b'b', b'c')}
    """
    return {str(place): [base64.b64encode(part).decode() for part in parts] for place, parts in shown.items()}


def unpacked(note: Mapping[str, Iterable[str]]) -> Shown:
    """What `packed` made; of a note from before there were any, nothing.

    >>> unpacked({})
    {}
    """
    found = {}
    for place, parts in note.items():
        picture, true, predicted = (base64.b64decode(part) for part in parts)
        found[int(place)] = (picture, true, predicted)
    return found


def inside(size_2: np.ndarray, high: int, wide: int) -> tuple[slice, slice]:
    """Where a picture of this height and width lies in the view that holds its middle, as `canvas.middles` puts it.

    >>> inside(np.array([4, 20]), 10, 10)
    (slice(3, 7, None), slice(0, 10, None))
    """
    starts = [-((int(size) - view) // 2) for size, view in zip(size_2, (high, wide), strict=True)]
    rows, columns = (
        slice(max(0, start), min(view, start + int(size)))
        for start, size, view in zip(starts, size_2, (high, wide), strict=True)
    )
    return rows, columns


def fits(classes: int) -> bool:
    """Whether the numbers of so many classes fit into a kept mask.

    >>> fits(255), fits(256)
    (True, False)
    """
    return classes <= VOID


def _bytes(image, kind: str, **options) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
