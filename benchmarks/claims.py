"""The claims of the first release, by id. A peer is None where there is nothing to hold it against."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Claim:
    """What is measured, in which unit, and the figure that must not be exceeded (None: none is set)."""

    work: str
    unit: str
    target: float | None
    measure: Callable[[bool], dict[str, Any]]


def seconds(words: list[str]) -> float:
    """Wall-clock seconds of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)
    return time.perf_counter() - began


def _quickstart(folder: str, quick: bool) -> list[str]:
    steps = ["--steps", "5"] if quick else []
    return [sys.executable, "-m", "relic_eval.cli", "quickstart", "--out", folder, *steps]


def quickstart(quick: bool) -> dict[str, Any]:
    """Q1: the whole line, from pictures to a page, in an empty folder; against its three pretrainings alone."""
    with tempfile.TemporaryDirectory() as folder:
        ours = seconds(_quickstart(folder, quick))
        lines = [json.loads(line) for line in (Path(folder) / "timings.jsonl").read_text().splitlines()]
        training = sum(line["seconds"] for line in lines if line["what"].startswith("pretrain "))
        return {"ours": round(ours, 2), "peer": round(training, 2)}


def memory(quick: bool) -> dict[str, Any]:
    """Q2: the largest resident set of the quickstart, against that of importing its libraries (Linux counts in kB)."""
    import_all = "import torch, torchvision, sklearn.linear_model, pandas, pyarrow.parquet, matplotlib.pyplot, faiss"
    with tempfile.TemporaryDirectory() as folder:
        line = f"import sys; sys.argv[1:] = {_quickstart(folder, quick)[3:]!r}; from relic_eval.cli import main"
        ours = _resident(f"{line}\ntry: main()\nexcept SystemExit as end: assert not end.code, end.code")
        return {"ours": ours, "peer": _resident(import_all)}


def _resident(code: str) -> float:
    """GB that a program held at its largest."""
    ask = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code + ask], check=True, capture_output=True, text=True)
    return round(int(done.stdout.split()[-1]) / 2**20, 3)


def help_page(quick: bool) -> dict[str, Any]:
    """Q3: the help page, against an empty program."""
    return _against_nothing([sys.executable, "-m", "relic_eval.cli", "--help"], quick)


def importing(quick: bool) -> dict[str, Any]:
    """Q4: importing the package, against an empty program."""
    return _against_nothing([sys.executable, "-c", "import relic_eval"], quick)


def _against_nothing(words: list[str], quick: bool) -> dict[str, Any]:
    ours, peer = [], []
    for _ in range(2 if quick else 9):
        ours.append(seconds(words))
        peer.append(seconds([sys.executable, "-c", "pass"]))
    return {"ours": round(median(ours), 4), "peer": round(median(peer), 4)}


def again(quick: bool) -> dict[str, Any]:
    """Q5: the quickstart when all of it is there, against the first time."""
    with tempfile.TemporaryDirectory() as folder:
        words = _quickstart(str(Path(folder) / "run"), quick)
        peer, ours = seconds(words), seconds(words)
    return {"ours": round(ours, 2), "peer": round(peer, 2)}


def penalty_path(quick: bool) -> dict[str, Any]:
    """L1: 45 penalties on bundled pictures, against scikit-learn one by one at nine of them, times five."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    from relic_eval.data.sources import pictures
    from relic_eval.probes.logistic import PENALTIES, fit_path

    source, rows = pictures("fashion", "train"), 500 if quick else 6000
    order = np.random.default_rng(0).permutation(len(source))[:rows]
    x = source.read(order, 28)[0].reshape(rows, -1).astype(np.float32) / 255
    y = source.y_N[order]
    began = time.perf_counter()
    path = fit_path(x, y, tol=1e-4)
    ours = time.perf_counter() - began
    assert path.converged_SL.all()
    began = time.perf_counter()
    for penalty in PENALTIES[2::5]:
        LogisticRegression(C=1 / penalty, max_iter=3000, tol=1e-4).fit(x, y)
    peer = (time.perf_counter() - began) * 5
    return {"ours": round(ours, 2), "peer": round(peer, 2)}


CLAIMS = {
    "Q1": Claim("quickstart in an empty folder; peer: its three pretrainings alone", "s", 240, quickstart),
    "Q2": Claim("largest resident set of the quickstart; peer: importing its libraries", "GB", 2, memory),
    "Q3": Claim("relic-eval --help; peer: an empty program", "s", 0.5, help_page),
    "Q4": Claim("import relic_eval; peer: an empty program", "s", 0.3, importing),
    "Q5": Claim("a second quickstart; peer: the first", "s", 5, again),
    "L1": Claim(
        "45 penalties, 6,000 x 784, 10 classes; peer: scikit-learn, nine penalties times five", "s", None, penalty_path
    ),
}
