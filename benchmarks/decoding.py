"""T6: a BYOL step of 64 pictures at 64 pixels whose JPEG files are decoded while it trains, against held pictures."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.claim import Figure, timed
from benchmarks.features import pictures_of

SETS = ("caltech40", "food10", "dtd10", "rsscn7", "flowers5", "oxfordpets37")  # shorter side 128, longer at most 256
BATCH, SIDE = 64, 64


def steps(quick: bool) -> Iterator[Figure]:
    """T6: pictures a second and the largest resident set, each kind in processes of its own; weights must be the same."""
    count, number, repeats = (128, 2, 1) if quick else (8000, 40, 3)
    found: dict[str, list[dict[str, Any]]] = {"decoded": [], "held": []}
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), count)
        for _ in range(repeats):
            for kind, results in found.items():
                results.append(_apart(kind, folder, number))
    if len({r["weights"] for results in found.values() for r in results}) > 1:
        raise AssertionError("expected the weights of held pictures, received others")
    for name, what, unit in (
        ("rate", "pictures a second; peer: held in memory", "1/s"),
        ("start", "before the first step; peer: held in memory", "s"),
        ("peak", "largest resident set; peer: held in memory", "MiB"),
    ):
        ours, peer = (median(r[name] for r in found[kind]) for kind in ("decoded", "held"))
        yield Figure(what, ours, peer, unit, ours / peer, None, "the same weights to the bit" if name == "rate" else "")


def write_files(folder: Path, count: int) -> None:
    """So many JPEG files of the sets in two class folders; more than there are by repeating them."""
    files = (data for name in SETS for split in ("train", "test") for _, data in pictures_of(name, split))
    for place, data in enumerate(islice(cycle(files), count)):
        file = folder / f"{place % 2}" / f"{place:05d}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)


def _apart(kind: str, folder: str, number: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.decoding", kind, folder, str(number)]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def measure(kind: str, folder: Path, number: int) -> dict[str, Any]:
    """Pictures a second of so many steps after the first, seconds before them, MiB at most, digest of the weights."""
    from pretrain.config import Byol, override
    from pretrain.squares import Listed, opened
    from pretrain.train import Run, begin
    from relic_eval.data.folder import folder_pictures

    source = folder_pictures(folder, "all")
    rows, config = np.arange(len(source)), override(Byol(), {"batch": BATCH, "side": SIDE, "steps": number + 1})

    def start() -> Run:
        run = begin(config, pictures, None, "cpu")
        run.learn(0)
        return run

    def work() -> None:
        for step in range(1, number + 1):
            run.learn(step)
            run.move(step, folder)

    reading, images = timed(lambda: Listed(source, rows, SIDE) if kind == "decoded" else source.read(rows, SIDE)[0])
    with opened(images) as pictures:
        starting, run = timed(start)
        seconds, _ = timed(work)
    most = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    weights = sha256(b"".join(t.numpy().tobytes() for t in run.online.state_dict().values())).hexdigest()
    return {"rate": BATCH * number / seconds, "start": reading + starting, "peak": most / 1024, "weights": weights}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
