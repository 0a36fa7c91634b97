"""The pictures of a run as bytes: held in memory, or decoded while it trains. No number depends on which."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from relic_eval.data.pictures import Pictures
from relic_eval.errors import ArgumentError, DataError

PIECE = 4  # pictures that a thread decodes at a time
Piece = tuple[np.ndarray, dict[int, str]]  # pixels (n, H, W, C), and by row of the source why one was unreadable


@dataclass(frozen=True)
class Listed:
    """Pictures that are read when they are asked for: some rows of a source, as squares of `side` pixels."""

    source: Pictures
    rows: np.ndarray  # (N,)
    side: int

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Held:
    """Pictures in memory: uint8 (N, H, W, C)."""

    pixels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def channels(self) -> int:
        return self.pixels.shape[3]

    @property
    def sides(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def side(self) -> int:
        return min(self.sides)

    def expect(self, batches: Sequence[Tensor]) -> None:
        """What will be asked for is here already."""

    def take(self, rows: Tensor) -> Tensor:
        """The pictures of some rows, uint8 (n, C, H, W)."""
        return self.pixels[rows].permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class Decoded:
    """Pictures that threads decode: those that are expected, while something else is computed."""

    listed: Listed
    pool: ThreadPoolExecutor
    coming: dict[bytes, list[Future[Piece]]] = field(default_factory=dict)  # by rows; gone when they are taken

    def __len__(self) -> int:
        return len(self.listed)

    @property
    def channels(self) -> int:
        return self.listed.source.channels

    @property
    def sides(self) -> tuple[int, int]:
        return self.listed.side, self.listed.side

    @property
    def side(self) -> int:
        return self.listed.side

    def expect(self, batches: Sequence[Tensor]) -> None:
        """Begin with the pictures of these rows, in this order. Each batch is to be taken later, as it is here."""
        for rows in batches:
            if (key := rows.numpy().tobytes()) not in self.coming:
                wanted = self.listed.rows[rows.numpy()]
                pieces = [wanted[start : start + PIECE] for start in range(0, len(wanted), PIECE)]
                self.coming[key] = [self.pool.submit(self._read, piece) for piece in pieces]

    def take(self, rows: Tensor) -> Tensor:
        """The pictures of some rows, uint8 (n, C, side, side). Raises DataError where one is unreadable."""
        self.expect([rows])
        pieces = [piece.result() for piece in self.coming.pop(rows.numpy().tobytes())]
        problems = [text for _, wrong in pieces for text in wrong.values()]
        if problems:
            raise DataError(
                f"expected readable pictures, received {len(problems)} in this batch that are not: {problems[0]}. "
                "Mend or remove them. The checkpoints so far are as they were; the mended set is another one, and its run "
                "takes another --name."
            )
        return torch.from_numpy(np.concatenate([pixels for pixels, _ in pieces])).permute(0, 3, 1, 2).contiguous()

    def _read(self, rows: np.ndarray) -> Piece:
        pixels, problems = self.listed.source.read(rows, self.listed.side)
        return pixels, dict(problems)


@contextmanager
def opened(images: np.ndarray | Listed) -> Iterator[Held | Decoded]:
    """Pictures to take batches of: an array uint8 (N, H, W) or (N, H, W, C) as it is, or listed ones, whose threads end here.

    >>> with opened(np.zeros((3, 8, 8), np.uint8)) as squares:
    ...     len(squares), squares.take(torch.tensor([2])).shape
    (3, torch.Size([1, 1, 8, 8]))
    """
    if isinstance(images, Listed):
        pool = ThreadPoolExecutor(threads(), thread_name_prefix="decode")
        try:
            yield Decoded(images, pool)
        finally:
            pool.shutdown(cancel_futures=True)
    else:
        yield held(images)


def held(images: np.ndarray) -> Held:
    """Pictures uint8 (N, H, W) or (N, H, W, C), which are not copied.

    >>> held(np.zeros((3, 8, 8), np.uint8)).channels
    1
    """
    if images.ndim not in (3, 4) or images.dtype != np.uint8:
        raise ArgumentError("images", "uint8 (N, H, W) or (N, H, W, C)", f"{images.dtype} {images.shape}")
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    return Held(pixels[..., None] if pixels.ndim == 3 else pixels)


def threads() -> int:
    """How many threads decode: as many as this process has cores, of which ranks on one machine have each their part.

    >>> threads() >= 1
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
