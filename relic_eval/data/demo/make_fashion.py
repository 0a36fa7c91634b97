"""How the bundled subset of Fashion-MNIST was made. Run once: python -m relic_eval.data.demo.make_fashion [FOLDER]

FOLDER holds the four idx files of Fashion-MNIST (Debian: package dataset-fashion-mnist). From each half the first pictures
of each class are taken in file order, 1,000 for training and 200 for testing; a picture whose bytes stood before, in either
half, is passed over, so the halves share none. They are laid in class order, row by row, on two sheets (lossless WebP).
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np

from relic_eval.files import write_bytes

SIDE = 28
COLUMNS = 100  # pictures in a row of a sheet
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
SUPERCLASSES = ("tops", "trousers", "tops", "dress", "tops", "shoes", "tops", "shoes", "bag", "shoes")
PER_CLASS = {"train": 1000, "test": 200}


def _idx(path: Path) -> np.ndarray:
    raw = gzip.decompress(path.read_bytes())
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def _choose(images: np.ndarray, y_N: np.ndarray, per_class: int, seen: set[bytes]) -> list[int]:
    chosen: list[list[int]] = [[] for _ in CLASSES]
    for row, label in enumerate(y_N):
        content = images[row].tobytes()
        if len(chosen[label]) < per_class and content not in seen:
            seen.add(content)
            chosen[label].append(row)
    return [row for rows in chosen for row in rows]


def _sheet(images: np.ndarray) -> bytes:
    import io

    from PIL import Image

    tiles = images.reshape(-1, COLUMNS, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(-1, COLUMNS * SIDE)
    file = io.BytesIO()
    Image.fromarray(tiles).convert("RGB").save(file, "WEBP", lossless=True, quality=100, method=6)
    return file.getvalue()


def main(folder: Path, out: Path) -> None:
    """Write train.webp, test.webp and index.csv into `out`."""
    lines = ["split,row,class,superclass,source_row"]
    seen: set[bytes] = set()
    for split, stem in (("train", "train"), ("test", "t10k")):
        images = _idx(folder / f"{stem}-images-idx3-ubyte.gz")
        y_N = _idx(folder / f"{stem}-labels-idx1-ubyte.gz")
        rows = _choose(images, y_N, PER_CLASS[split], seen)
        write_bytes(out / f"{split}.webp", _sheet(images[rows]))
        for place, row in enumerate(rows):
            label = int(y_N[row])
            lines.append(f"{split},{place},{CLASSES[label]},{SUPERCLASSES[label]},{row}")
    write_bytes(out / "index.csv", ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main(
        Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist"),
        Path(__file__).parent / "fashion",
    )
