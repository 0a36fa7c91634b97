"""Pictures of a run: held in memory where they fit, else read when their turn comes, to the same numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from relic_eval.devices import tensor
from relic_eval.errors import DataError
from relic_eval.records import Transform
from relic_eval.tuning.shots import Shots
from relic_eval.views import greyscale

T = TypeVar("T")
HELD = 4 << 30  # bytes of pictures that are kept in memory; what takes more is read again in each pass
CHUNK = 16  # pictures that a thread reads in one go
THREADS = min(16, os.cpu_count() or 1)


class Feed:
    """Squares of some pictures; `take(places)` gives uint8 (n, side, side, channels) of these places among them."""

    def __init__(self, shots: Shots, transform: Transform):
        self.shots, self.transform = shots, transform
        whole = len(shots) * transform.side**2 * shots.pictures.channels
        self.held = self._read(np.arange(len(shots))) if whole <= HELD else None

    def take(self, places: np.ndarray) -> np.ndarray:
        """Raises DataError, naming the file, for a picture that cannot be read."""
        return self._read(places) if self.held is None else self.held[places]

    def _read(self, places: np.ndarray) -> np.ndarray:
        rows = self.shots.rows[places]
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        parts = []
        for pixels, wrong in in_threads(lambda chunk: self.shots.pictures.read(chunk, self.transform), chunks):
            if wrong:
                text = "; ".join([*wrong.values()][:3])
                raise DataError(f"expected readable pictures, received {len(wrong)} that are not: {text}. Mend them.")
            parts.append(pixels)
        return np.concatenate(parts)


def in_threads(work: Callable[[np.ndarray], T], items: list[np.ndarray]) -> list[T]:
    """`work` of each item, in order; files are read and decoded beside each other.

    >>> in_threads(len, [np.zeros(2), np.zeros(3)])
    [2, 3]
    """
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


def ahead(make: Callable[[int], T], steps: Iterable[int], wait: bool) -> Iterator[T]:
    """`make` of each step; unless `wait`, a thread makes the next one while this one is used.

    >>> list(ahead(lambda step: step * step, range(4), False))
    [0, 1, 4, 9]
    """
    if wait:
        yield from map(make, steps)
        return
    with ThreadPoolExecutor(1) as pool:
        pending = None
        for step in steps:
            following = pool.submit(make, step)
            if pending is not None:
                yield pending.result()
            pending = following
        if pending is not None:
            yield pending.result()


def fractions(pixels_NHWC: np.ndarray, channels: int, device: str) -> Tensor:
    """Pixels (n, C, H, W) in [0, 1] on the device, grey made RGB or RGB made grey as the encoder wants it.

    >>> fractions(np.full((1, 1, 1, 1), 255, np.uint8), 3, "cpu").flatten().tolist()
    [1.0, 1.0, 1.0]
    """
    x = tensor(np.ascontiguousarray(pixels_NHWC)).to(device).permute(0, 3, 1, 2).float() / 255
    if x.shape[1] == channels:
        return x
    return x.expand(-1, 3, -1, -1) if channels == 3 else greyscale(x)[:, :1]


def batches(rows: int, batch: int, steps: int, seed: int) -> list[np.ndarray]:
    """Places of each step's batch: passes over all rows in new orders, one after the other without a gap.

    >>> [sorted(b.tolist()) for b in batches(2, 2, 2, seed=0)]
    [[0, 1], [0, 1]]
    """
    rng = np.random.default_rng(seed)
    passes = -(-steps * batch // rows)
    order = np.concatenate([rng.permutation(rows) for _ in range(passes)])
    return [order[step * batch : (step + 1) * batch] for step in range(steps)]


def generator(seed: int, step: int) -> torch.Generator:
    """Random numbers of a step, whatever steps came before.

    >>> a, b = (torch.rand(1, generator=generator(0, step)) for step in (1, 1)); bool(a == b)
    True
    """
    state = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
