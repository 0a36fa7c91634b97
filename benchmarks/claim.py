"""What a claim is, and the clocks and scales that all scripts share."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured line: ours and the peer's in `unit`, and the value that is held against the target."""

    what: str
    ours: float
    peer: float | None
    unit: str
    value: float
    target: str | None  # "<= 1.35" or ">= 25"; None: nothing was promised
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value keeps the target.

        >>> Figure("time", 1.0, 30.0, "s", 30.0, ">= 25").met
        True
        """
        if self.target is None:
            return None
        sign, bound = self.target.split()
        return bool(self.value <= float(bound) if sign == "<=" else self.value >= float(bound))


@dataclass(frozen=True)
class Claim:
    """What is measured; `measure(quick)` yields its figures one after another."""

    work: str
    measure: Callable[[bool], Iterator[Figure]]


def seconds(words: list[str]) -> float:
    """Wall-clock seconds of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - began


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, what it left to a GPU included, and what it returned."""
    began = time.perf_counter()
    out = work()
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        sys.modules["torch"].cuda.synchronize()
    return time.perf_counter() - began, out


def in_turns(ours: Callable[[], Any], peer: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median seconds of both, called in turns so that a busy moment of the machine meets both."""
    times = [(timed(ours)[0], timed(peer)[0]) for _ in range(repeats)]
    return median(t[0] for t in times), median(t[1] for t in times)


def grown(work: Callable[[], Any]) -> float:
    """GiB by which the resident set of this process grew at most while `work` ran (Linux)."""
    stop, most = threading.Event(), [0]
    before = _resident()

    def watch() -> None:
        while not stop.wait(0.005):
            most[0] = max(most[0], _resident() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        work()
    finally:
        stop.set()
        thread.join()
    return most[0] / 2**30


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
