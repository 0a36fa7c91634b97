"""T1 to T5: a RELICv2 step of 4 + 2 crops at 32 pixels, a thin network, batches of 256: where its time and memory go."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.claim import Figure, in_turns, timed
from benchmarks.features import pictures_of
from pretrain.checks import refuse_nan
from pretrain.config import Relicv2, override
from pretrain.squares import held
from pretrain.train import Run, begin
from relic_eval.devices import device

SHAPE = {
    "large": 4,
    "small": 2,
    "side": 32,
    "small_side": 16,
    "negatives": 10,
    "blur": (1.0, 0.1),
    "solarise": (0.0, 0.2),
}


def settings(batch: int) -> Relicv2:
    """RELICv2 with as many crops as published, on small pictures; masks off, as T1 to T5 say nothing of them."""
    config = override(Relicv2(), {**SHAPE, "batch": batch, "p_mask": 0.0, "area_low": 0.15})
    assert isinstance(config, Relicv2)
    return config


def pictures(wanted: int) -> np.ndarray:
    """The first pictures of cifar10-full, (N, 32, 32, 3); more than there are by repeating them."""
    files = [data for _, data in pictures_of("cifar10-full", "train")[: min(wanted, 5000)]]
    found = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files])
    return found[np.arange(wanted) % len(found)]


def step(quick: bool) -> Iterator[Figure]:
    """T1: the whole step (load, views, forward, backward, update) against the same on ready-made views."""
    batch = 32 if quick else 256
    run = begin(settings(batch), held(pictures(4 * batch)), None, device())
    ready = run.views(0, run.parts[0])
    place, numbers = Path(tempfile.gettempdir()), count()
    times = 1 if device() == "cpu" or quick else 10  # a step of a GPU is short

    def whole() -> None:
        for number in islice(numbers, times):
            terms, _ = run.learn(number)
            refuse_nan(terms, number, place)
            run.move(number, place)
        if run.ahead:  # what a thread has begun for the next step is waited for on our clock
            wait(run.ahead.coming.values())

    def on_ready_views() -> None:
        batch_, draw, crops = ready
        for number in range(times):
            run.optimizer.zero_grad(set_to_none=True)
            terms = run.way.loss(run.config, crops, batch_, run.online, run.target, draw)
            terms["loss"].backward()
            refuse_nan(terms, number, place)
            run.move(number, place)

    whole()
    on_ready_views()
    ours, peer = (seconds / times for seconds in in_turns(whole, on_ready_views, 1 if quick else 7))
    yield Figure(f"{batch} pictures, 4 + 2 crops; peer: on ready-made views", ours, peer, "s", ours / peer, "<= 1.15")


def in_order(run: Run) -> Callable[[], Any]:
    """One step after another, as a run takes them: the views of the next one may be made ahead."""
    numbers = count()
    return lambda: run.learn(next(numbers))


def views(quick: bool) -> Iterator[Figure]:
    """T2: the six views of a batch, against lightly's transforms of single pictures in a DataLoader of two workers."""
    from lightly.transforms import SwaVTransform
    from torch.utils.data import DataLoader, Dataset

    batch, batches = (32, 2) if quick else (256, 16)
    images = pictures(batch * batches)
    run = begin(settings(batch), held(images), None, device())
    recipe = SwaVTransform(
        crop_sizes=(32, 16),
        crop_counts=(4, 2),
        crop_min_scales=(0.15, 0.1),
        crop_max_scales=(1.0, 0.4),
        cj_strength=0.5,
    )

    class Pictures(Dataset):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, place: int) -> Any:
            return recipe(Image.fromarray(images[place]))

    def ours() -> None:
        for number in range(batches):
            run.views(number, run.parts[0])

    def theirs() -> None:
        for _ in DataLoader(Pictures(), batch_size=batch, num_workers=2):
            pass

    ours()
    mine, peer = in_turns(ours, theirs, 1 if quick else 3)
    here, there = (6 * batch * batches / t for t in (mine, peer))
    yield Figure("views a second; peer: lightly, two workers", here, there, "1/s", here / there, ">= 4")
    learn = in_order(run)
    learn()
    learning = timed(learn)[0]
    whole = learning - mine / batches + peer / batches
    yield Figure("whole step; peer: with lightly's views", learning, whole, "s", whole / learning, None)


def ranks(quick: bool) -> Iterator[Figure]:
    """T3: two ranks of one thread each on the CPU, against one process of two threads, the same batch."""
    words = [str(32 if quick else 256), str(2 if quick else 8)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    more = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    found: dict[str, list[float]] = {"two": [], "one": []}
    for _ in range(1 if quick else 3):
        found["two"].append(_rate([*launcher, "-m", "benchmarks.training", *words], more))
        found["one"].append(_rate(["-m", "benchmarks.training", *words], {"OMP_NUM_THREADS": "2"}))
    ours, peer = (median(found[name]) for name in ("two", "one"))
    yield Figure("pictures a second; peer: one process, two threads", ours, peer, "1/s", ours / peer, ">= 0.85")


def _rate(words: list[str], more: dict[str, str]) -> float:
    environment = {**os.environ, **more, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True, env=environment)
    return float(json.loads(done.stdout.strip().splitlines()[-1])["rate"])


def memory(quick: bool) -> Iterator[Figure]:
    """T4: what a RELICv2 step holds above its start, against BYOL's loss on the same views."""
    batch = str(32 if quick else 256)
    ours, peer = (_held(batch, way) for way in ("relicv2", "byol"))
    what = "largest resident set above the start" if device() == "cpu" else "most memory of the GPU at once"
    yield Figure(f"{what}; peer: BYOL on as many views", ours, peer, "MiB", ours / peer, "<= 1.1")


def _held(batch: str, way: str) -> float:
    words = [sys.executable, "-m", "benchmarks.training", batch, "3", way]
    return float(
        json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1])["held"]
    )


def loading(quick: bool) -> Iterator[Figure]:
    """T5: taking the pictures of a batch out of 50,000, against the whole step."""
    batch = 32 if quick else 256
    run = begin(settings(batch), held(pictures(1000 if quick else 50_000)), None, device())
    rows = torch.randperm(len(run.feed.pictures), generator=torch.Generator().manual_seed(0))[:batch]
    learn = in_order(run)
    learn()
    ours, peer = in_turns(lambda: run.feed.take(rows), learn, 2 if quick else 7)
    yield Figure("a batch of 50,000 pictures; peer: the step", ours, peer, "s", ours / peer, "<= 0.05")


def compiled(quick: bool) -> Iterator[Figure]:
    """T7: the step with a compiled encoder, against the step as it is; what compiling takes is in the note."""
    batch, images = (32, pictures(128)) if quick else (256, pictures(1024))
    for precision in ("float32",) if quick else ("float32", "bfloat16"):
        ways = {w: override(settings(batch), {"compile": w, "precision": precision}) for w in ("on", "off")}
        on, off = (in_order(begin(ways[way], held(images), None, device())) for way in ("on", "off"))
        took = timed(on)[0]
        off()
        ours, peer = in_turns(on, off, 1 if quick else 5)
        note = f"the first step, which compiles, {took:.0f} s"
        yield Figure(f"{precision}; peer: not compiled", ours, peer, "s", ours / peer, None, note)


def _byol(config: Any, crops: Any, batch: Any, online: Any, target: Any, draw: Any) -> dict[str, torch.Tensor]:
    """BYOL's loss over all pairs of an online view and another large one: as many views as RELICv2 has."""
    from pretrain.methods.byol import regression

    predicted = [online["predictor"](online["projector"](online["encoder"](x))) for x in crops]
    with torch.no_grad():
        projected = [target["projector"](target["encoder"](x)) for x in crops[: config.large]]
    pairs = [regression(p, z) for v, p in enumerate(predicted) for j, z in enumerate(projected) if v != j]
    return {"loss": torch.stack(pairs).mean()}


def _measure(run: Run, batch: int, steps: int) -> dict[str, float]:
    from pretrain import ranks as processes

    def most() -> int:
        """KiB so far."""
        if device() == "cuda" and processes.world() == 1:
            return torch.cuda.max_memory_allocated() >> 10
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

    before, place = most(), Path(tempfile.gettempdir())
    run.learn(0)
    processes.wait()

    def work() -> None:
        for number in range(1, steps + 1):
            run.learn(number)
            run.move(number, place)

    seconds, _ = timed(work)
    processes.wait()
    return {"rate": batch * steps / seconds, "held": (most() - before) / 1024}


if __name__ == "__main__":
    from dataclasses import replace
    from types import SimpleNamespace

    size, steps = int(sys.argv[1]), int(sys.argv[2])
    made = begin(settings(size), held(pictures(4 * size)), None, device())
    if sys.argv[3:] == ["byol"]:
        made = replace(made, way=SimpleNamespace(views=made.way.views, loss=_byol))  # type: ignore[arg-type]
    if int(os.environ.get("RANK", "0")) == 0:
        print(json.dumps(_measure(made, size, steps)))
    else:
        _measure(made, size, steps)
