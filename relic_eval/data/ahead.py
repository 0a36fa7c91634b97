"""Pictures of the next batches read by threads while an encoder is busy with this one. Order and bytes are what they are without."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from relic_eval.arrays import digest_array
from relic_eval.data.pictures import Pictures
from relic_eval.records import Transform

GROUP = 64  # pictures that a thread reads at a time: those that views.py makes together, so that none is made twice
BATCHES = 2  # that are read ahead
MOST = 8  # threads: more wait for the disk, or for each other


@dataclass(frozen=True)
class Batch:
    """Pixels (n, side, side, channels) of rows, the SHA-256 of each picture's, and why some could not be read, by row."""

    pixels: np.ndarray
    shas: list[str]
    problems: Mapping[int, str]


def read_ahead(
    source: Pictures, rows: np.ndarray, transform: Transform, batch: int, threads: int | None = None
) -> Generator[Batch, None, None]:
    """The rows in batches, in order; all threads have ended when it ends, or when it is closed.

    >>> from relic_eval.data.pictures import from_array
    >>> p = from_array("toy", "test", np.zeros((5, 8, 8), np.uint8), np.zeros(5, int), ("a",), digest="d")
    >>> [b.pixels.shape for b in read_ahead(p, np.arange(5), Transform(8), 4)]
    [(4, 8, 8, 1), (1, 8, 8, 1)]
    """
    parts = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    pool = ThreadPoolExecutor(threads or _cores(), thread_name_prefix="read")
    waiting: deque[list[Future[Batch]]] = deque()
    try:
        for number in range(len(parts)):
            while len(waiting) <= BATCHES and number + len(waiting) < len(parts):
                groups = _groups(parts[number + len(waiting)])
                waiting.append([pool.submit(_read, source, group, transform) for group in groups])
            yield _joined([future.result() for future in waiting.popleft()])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    """As many threads as cores but one, which the encoder's own work keeps busy."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST, cores - 1))


def _groups(rows: np.ndarray) -> list[np.ndarray]:
    """Rows that follow each other, parted where a group of the listing ends."""
    return np.split(rows, np.flatnonzero(np.diff(rows // GROUP)) + 1)


def _read(source: Pictures, rows: np.ndarray, transform: Transform) -> Batch:
    pixels, problems = source.read(rows, transform)
    return Batch(pixels, [digest_array(p) for p in pixels], problems)


def _joined(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    problems = {row: text for part in parts for row, text in part.problems.items()}
    return Batch(np.concatenate([p.pixels for p in parts]), [sha for p in parts for sha in p.shas], problems)
