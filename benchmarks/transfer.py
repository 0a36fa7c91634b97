"""B1 to B4: the mini suite on an EfficientNet-Lite0, cold, refitted, with nothing to do; and what encoding adds to the forward pass."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claim import Figure, seconds, timed
from benchmarks.mini import efficientnet_lite0
from relic_eval.encoders.load import Encoder

NAME = "python:benchmarks.mini:efficientnet_lite0"
PROTOCOLS = ("linear-byol", "knn", "fewshot")
BATCH = 64


class Clock:
    """Seconds that an encoder's forward passes took, of all that were built."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watched(self, encoder: Encoder) -> Encoder:
        """The same encoder, its forward pass timed."""

        def build(channels: int, device: str) -> Callable[[Any], Any]:
            module = encoder.build(channels, device)
            forward = module.forward  # type: ignore[attr-defined]

            def timed_forward(x: Any) -> Any:
                took, features = timed(lambda: forward(x))
                self.seconds += took
                return features

            module.forward = timed_forward  # type: ignore[attr-defined]
            return module

        return dataclasses.replace(encoder, build=build)


def suite(quick: bool) -> Iterator[Figure]:
    """B1, B2 and B3 in one folder, because each begins where the one before ends."""
    from relic_eval.commands import Grid
    from relic_eval.data.registry import expand
    from relic_eval.grid import transfer

    data = ("mini-flowers5",) if quick else expand(("mini",))
    grid = Grid((NAME,), tuple(data), PROTOCOLS, batch=BATCH)
    with tempfile.TemporaryDirectory() as place:
        out, clock = Path(place), Clock()
        whole, done = timed(lambda: transfer(grid, out, encoders=[clock.watched(efficientnet_lite0())]))
        if done.failed:
            raise RuntimeError(f"expected every cell to be made, received {done.failed} that failed")
        what = f"{len(data)} tasks x {', '.join(PROTOCOLS)}"
        yield Figure(f"{what}, cold", whole, None, "s", whole, "<= 900")
        share = 100 * clock.seconds / whole
        yield Figure("share of it in the forward pass", share, None, "%", share, ">= 85")
        shutil.rmtree(out / "cells")
        asked = [word for name in PROTOCOLS for word in ("--protocol", name)]
        asked += [word for name in data for word in ("--data", name)]
        words = [sys.executable, "-m", "relic_eval.cli", "--quiet", "transfer", NAME, *asked, "--out", str(out)]
        refit = seconds(words)
        yield Figure(f"{what}, refitted from the store", refit, None, "s", refit, "<= 60")
        nothing = min(seconds(words) for _ in range(3))
        yield Figure("the same with nothing to do", nothing, None, "s", nothing, "<= 3")


def throughput(quick: bool) -> Iterator[Figure]:
    """B4: pictures a second from files to store, against the forward pass on tensors that are ready, as few at once as is fastest."""
    import torch

    from relic_eval.data.sources import pictures
    from relic_eval.devices import float32
    from relic_eval.encode import embed
    from relic_eval.fill import CPU_PIXELS

    name = "mini-flowers5" if quick else "mini-food10"
    encoder: Encoder = efficientnet_lite0()
    module = encoder.build(3, "cpu").to(memory_format=torch.channels_last)  # type: ignore[attr-defined]
    count = sum(len(pictures(name, split)) for split in ("train", "test"))
    at_once = CPU_PIXELS // 224**2  # 64 at once are half as fast here: that would be no peer
    drawn = np.random.default_rng(0).random((BATCH, 224, 224, 3), np.float32)
    batches = torch.from_numpy(drawn).permute(0, 3, 1, 2).split(at_once)

    def bare() -> None:
        with torch.inference_mode(), float32():
            for place in range(count // at_once):
                module(batches[place % len(batches)])

    def ours() -> None:
        with tempfile.TemporaryDirectory() as place:
            embed(encoder, name, Path(place), batch=BATCH)

    bare()
    ours()
    rates = []
    for _ in range(1 if quick else 3):
        peer, own = timed(bare)[0], timed(ours)[0]
        rates.append((count / own, count // at_once * at_once / peer))
    own, peer = sorted(rates, key=lambda r: r[0] / r[1])[len(rates) // 2]
    yield Figure("files to store, EfficientNet-Lite0 at 224 px", own, peer, "pictures/s", own / peer, ">= 0.9")
