"""Kept pictures of segmentation: which ones are shown, and the two images on the page that hold them and their masks."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relic_eval.cells import Result
from relic_eval.progress import warn

SHOWN = 6  # pictures side by side
STEP = 98  # pixels from one picture of a sheet to the next; a kept one has at most 96
VOID = 255  # of a kept mask: no label
GROUND = ("rest", "background", "void")  # a first class of such a name is left clear
# Okabe and Ito's colours, then Tol's: told apart by most people; of more classes they come round again
COLOURS = (
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00"),
    *("#cc79a7", "#332288", "#dddddd", "#882255", "#44aa99", "#999933"),
)
INKS = (254, 253)  # numbers of black and white in a sheet of masks
MOST = 252  # classes


def colours_of(classes: Sequence[str]) -> list[str]:
    """A colour for each class; none for the ground.

    >>> colours_of(["rest", "pet"])
    ['', '#e69f00']
    """
    clear = int(len(classes) > 1 and classes[0].lower() in GROUND)
    return [""] * clear + [COLOURS[c % len(COLOURS)] for c in range(len(classes) - clear)]


def item_ious(result: Result) -> dict[str, dict[int, float]]:
    """By picture and class, the IoU under the first training; only of classes with a pixel there."""
    table, found = result.cell.overlaps or {}, dict[str, dict[int, float]]()
    first = table["draw"] == 0 if "draw" in table else np.ones(len(table["item"]), bool)
    both, either = table["both"][first], (table["true"] + table["predicted"] - table["both"])[first]
    for item, number, ratio in zip(
        table["item"][first].tolist(), table["class"][first].tolist(), (both / either).tolist(), strict=True
    ):
        found.setdefault(item, {})[number] = ratio
    return found


def shown_items(results: Sequence[Result], most: int = SHOWN) -> list[str]:
    """Pictures that all of these keep, from the one with the lowest IoU (mean over classes, then encoders) to the highest."""
    kept = [(r.cell.overlays or {"item": np.array([], str)})["item"].tolist() for r in results]
    ious = [item_ious(r) for r in results]
    common = [item for item in kept[0] if all(item in its for its in (*kept, *ious))] if kept else []
    common = [item for item in common if _fit(results, item)]
    mean = {item: float(np.mean([np.mean(list(its[item].values())) for its in ious])) for item in common}
    ordered = sorted(common, key=lambda item: (mean[item], item))
    places = np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int)
    return [ordered[place] for place in dict.fromkeys(places.tolist())]


def _fit(results: Sequence[Result], item: str) -> bool:
    """Whether a picture and its masks can be read under every encoder, and lie over each other."""
    try:
        sizes = {its.shape[:2] for r in results for its in kept_of(r, item).values()}
    except (OSError, SyntaxError, ValueError):
        warn(f"{item}: expected a small picture with its masks, received damaged ones. The page shows others.")
        return False
    return len(sizes) == 1


@dataclass(frozen=True)
class Masks:
    """Pictures in a row on one image; on another, in rows: true masks, those of each encoder, and outlines of the true ones."""

    sizes: Sequence[tuple[int, int]]  # width and height of each picture
    pictures: str  # data URIs
    masks: str
    width: int
    height: int  # of the image of masks


def kept_of(result: Result, item: str) -> Mapping[str, np.ndarray]:
    """A kept picture (H, W, 3) with its masks (H, W)."""
    from PIL import Image

    table = result.cell.overlays or {}
    row = table["item"].tolist().index(item)
    found = {}
    for name, kind, mode in (("picture", "WEBP", "RGB"), ("true", "PNG", "L"), ("predicted", "PNG", "L")):
        with Image.open(io.BytesIO(table[name][row]), formats=[kind]) as image:
            found[name] = np.asarray(image.convert(mode))
    return found


def mask_sheets(results: Sequence[Result], items: Sequence[str], classes: Sequence[str]) -> Masks:
    """Both images. A number in that of the masks is one more than the class; 0 is no label."""
    rows = len(results) + 2
    pictures = np.zeros((STEP, STEP * len(items), 3), np.uint8)
    masks = np.zeros((STEP * rows, STEP * len(items)), np.uint8)
    sizes = []
    for column, item in enumerate(items):
        every = [kept_of(r, item) for r in results]
        high, wide = every[0]["true"].shape
        sizes.append((wide, high))
        across = slice(column * STEP, column * STEP + wide)
        pictures[:high, across] = every[0]["picture"]
        drawn = [every[0]["true"], *(its["predicted"] for its in every)]
        for row, mask in enumerate(drawn):
            numbers = np.where(mask == VOID, 0, mask.astype(int) + 1)
            masks[row * STEP : row * STEP + high, across] = numbers[:high, :wide]
        masks[(rows - 1) * STEP : (rows - 1) * STEP + high, across] = outline(every[0]["true"])
    return Masks(sizes, _webp(pictures), _png(masks, colours_of(classes)), masks.shape[1], masks.shape[0])


def outline(mask: np.ndarray) -> np.ndarray:
    """Pixels beside one of another class, black and white by turns so that they show on any ground.

    >>> outline(np.array([[0, 0, 1]])).tolist()
    [[0, 254, 0]]
    """
    edge = np.zeros(mask.shape, bool)
    edge[:, :-1] |= mask[:, 1:] != mask[:, :-1]
    edge[:-1] |= mask[1:] != mask[:-1]
    down, right = np.indices(mask.shape)
    return np.where(edge, np.where((down + right) // 3 % 2 == 0, *INKS), 0).astype(np.uint8)


def _webp(pixels: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=80, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _png(numbers: np.ndarray, colours: Sequence[str]) -> str:
    from PIL import Image

    palette, alpha = np.zeros((256, 3), np.uint8), np.zeros(256, np.uint8)
    for number, colour in enumerate(colours[:MOST], 1):
        if colour:
            palette[number], alpha[number] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)], 150
    palette[INKS[1]], alpha[list(INKS)] = 255, 255
    image = Image.fromarray(numbers)
    image.putpalette(palette.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, transparency=alpha.tobytes())
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
