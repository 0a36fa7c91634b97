"""Q1 to Q5: the quickstart, the help page and the import, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.claim import Figure, seconds


def whole(quick: bool) -> Iterator[Figure]:
    """Q1: the whole line, from pictures to a page, in an empty folder; against its three pretrainings alone."""
    with tempfile.TemporaryDirectory() as folder:
        ours = seconds(_command(folder, quick))
        lines = [json.loads(line) for line in (Path(folder) / "timings.jsonl").read_text().splitlines()]
        training = sum(line["seconds"] for line in lines if line["what"].startswith("pretrain "))
    yield Figure("in an empty folder; peer: its three pretrainings alone", ours, training, "s", ours, "<= 240")


def memory(quick: bool) -> Iterator[Figure]:
    """Q2: the largest resident set of the quickstart, against that of importing its libraries."""
    import_all = "import torch, torchvision, sklearn.linear_model, pandas, pyarrow.parquet, matplotlib.pyplot, faiss"
    with tempfile.TemporaryDirectory() as folder:
        line = f"import sys; sys.argv[1:] = {_command(folder, quick)[3:]!r}; from relic_eval.cli import main"
        ours = _resident(f"{line}\ntry: main()\nexcept SystemExit as end: assert not end.code, end.code")
    yield Figure("largest resident set; peer: importing its libraries", ours, _resident(import_all), "GB", ours, "<= 2")


def help_page(quick: bool) -> Iterator[Figure]:
    """Q3: the help page, against an empty program."""
    yield _against_nothing([sys.executable, "-m", "relic_eval.cli", "--help"], quick, "<= 0.5")


def importing(quick: bool) -> Iterator[Figure]:
    """Q4: importing the package, against an empty program."""
    yield _against_nothing([sys.executable, "-c", "import relic_eval"], quick, "<= 0.3")


def again(quick: bool) -> Iterator[Figure]:
    """Q5: the quickstart when all of it is there, against the first time."""
    with tempfile.TemporaryDirectory() as folder:
        words = _command(str(Path(folder) / "run"), quick)
        peer, ours = seconds(words), seconds(words)
    yield Figure("when all is there; peer: the first time", ours, peer, "s", ours, "<= 5")


def _command(folder: str, quick: bool) -> list[str]:
    steps = ["--steps", "5"] if quick else []
    return [sys.executable, "-m", "relic_eval.cli", "quickstart", "--out", folder, *steps]


def _resident(code: str) -> float:
    """GB that a program held at its largest (Linux counts in kB; `ru_maxrss` would begin with what this process held)."""
    ask = "\nprint(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run([sys.executable, "-c", code + ask], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 2**20


def _against_nothing(words: list[str], quick: bool, target: str) -> Figure:
    ours, peer = [], []
    for _ in range(2 if quick else 9):
        ours.append(seconds(words))
        peer.append(seconds([sys.executable, "-c", "pass"]))
    return Figure("peer: an empty program", median(ours), median(peer), "s", median(ours), target)
