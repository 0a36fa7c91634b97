"""Real features to measure on: an EfficientNet-Lite0 with ImageNet weights on the image sets that RELIC_EVAL_DATA names.

Each set is encoded once and kept in `benchmarks/.features`; larger shapes come from tiling them with noise.
"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

KEPT = Path(__file__).parent / ".features"
BATCH = 128


def real(name: str, split: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, 1280) in float32 and class numbers of `rows` pictures of a set at 96 pixels, drawn with seed 0."""
    KEPT.mkdir(exist_ok=True)
    path = KEPT / f"{name}-{split}-{rows}.npz"
    if not path.exists():
        pictures = pictures_of(name, split)
        classes = sorted({c for c, _ in pictures})
        order = np.random.default_rng(0).permutation(len(pictures))[:rows]
        if len(order) < rows:
            raise ValueError(f"expected {rows} pictures in {name}/{split}, received {len(pictures)}")
        x_ND = _encode([pictures[i][1] for i in order])
        y_N = np.array([classes.index(pictures[i][0]) for i in order])
        part = path.with_suffix(".part.npz")
        np.savez(part, x=x_ND, y=y_N)
        part.rename(path)
    with np.load(path) as kept:
        return kept["x"], kept["y"]


def tiled(x_ND: np.ndarray, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Rows and columns of real features repeated to a larger shape, with noise of a tenth of each column's spread."""
    rng = np.random.default_rng(seed)
    out = np.empty((rows, columns), np.float32)
    column = np.arange(columns) % x_ND.shape[1]
    source = np.ascontiguousarray(x_ND[:, column])
    spread = 0.1 * source.std(0)
    for start in range(0, rows, 8192):
        place = np.arange(start, min(start + 8192, rows)) % len(x_ND)
        noise = rng.standard_normal((len(place), columns), np.float32)
        out[start : start + len(place)] = source[place] + noise * spread
    return out


def pictures_of(name: str, split: str) -> list[tuple[str, bytes]]:
    """(class, encoded picture) of every picture of a split, in order of class and file name."""
    folder = os.environ.get("RELIC_EVAL_DATA")
    if not folder:
        raise SystemExit("benchmarks: expected RELIC_EVAL_DATA to name the folder of image sets, received nothing")
    found = []
    with tarfile.open(Path(folder) / f"{name}.tar") as tar:
        for member in tar:
            parts = member.name.split("/")
            if parts[0] != split or not member.isfile():
                continue
            data = tar.extractfile(member)
            assert data is not None
            if parts[-1].endswith(".zip"):
                with zipfile.ZipFile(io.BytesIO(data.read())) as inner:
                    files = sorted(n for n in inner.namelist() if n.endswith(".jpg"))
                    found += [(parts[1][:-4], n, inner.read(n)) for n in files]
            else:
                found.append((parts[1], parts[-1], data.read()))
    return [(c, data) for c, _, data in sorted(found, key=lambda f: f[:2])]


def _encode(files: list[bytes]) -> np.ndarray:
    import torch

    from benchmarks.mini import network

    module = network().eval().to(memory_format=torch.channels_last)
    features = []
    with torch.inference_mode():
        for batch_NCHW in _batches(files):
            x = (torch.from_numpy(batch_NCHW).float() - 127) / 128
            features.append(module(x.to(memory_format=torch.channels_last)).numpy())
    return np.concatenate(features)


def _batches(files: list[bytes]) -> Iterator[np.ndarray]:
    for start in range(0, len(files), BATCH):
        pictures = [Image.open(io.BytesIO(f)).convert("RGB") for f in files[start : start + BATCH]]
        batch = [np.asarray(p.resize((96, 96), Image.Resampling.BICUBIC)) for p in pictures]
        yield np.stack(batch).transpose(0, 3, 1, 2)
