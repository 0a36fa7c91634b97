"""python -m benchmarks.mini_board [--out FOLDER]: six encoders on the mini suite, from pretraining to the tables in benchmarks/mini-board.

It calls `relic-eval` with the words that it prints, so that each step can be run by hand. What is there already is left: a second
call does nothing, and one that was stopped goes on. Needs `RELIC_EVAL_DATA`, `[bench]` and `[robust]`; about 100 minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
KEPT = HERE / "mini-board"  # tables and figures; no picture of a set, not even a small one
RATES = {
    "supervised": "0.0025",
    "byol": "0.0025",
    "relicv2": "0.006",
}  # those of docs/study.md, chosen on validation pictures
TRAINED = {
    "steps": "1000",
    "batch": "128",
    "side": "32",
    "pad": "0",
    "area_low": "0.2",
    "blur": "0",
    "solarise": "0",
    "monitor_every": "0",
}
CROPS = {"large": "4", "small": "2", "small_side": "16", "small_area_low": "0.1", "small_area_high": "0.3"}
PROTOCOLS = ("linear-byol", "knn", "fewshot", "blocks", "discriminability", "spectrum", "map", "robust")
TUNED = ("finetune-small", "semi-10pct", "segment-fcn-small", "segment-linear")
CORRUPTED = "40"  # pictures of each test set, one of each class at least
BOARD = ("linear-byol", "knn", "fewshot", "robust")


def commands(out: Path) -> list[list[str]]:
    """The words of every step, in order."""
    place, data = ["--out", str(out)], ["--data", "mini-cifar10-full"]
    found = []
    for method, rate in RATES.items():
        its = {**TRAINED, **(CROPS if method == "relicv2" else {}), "lr": rate}
        changed = [word for name, value in its.items() for word in ("--set", f"{name}={value}")]
        found.append(["pretrain", method, *data, *place, *changed])
    runs = [str(out / "pretrain" / method) for method in RATES]
    encoders = ["pixels", "random:resnet18,side=64", "python:benchmarks.mini:efficientnet_lite0", *runs]
    asked = [word for name in PROTOCOLS for word in ("--protocol", name)]
    found.append(["transfer", *encoders, "--data", "mini", *asked, "--corruptions", CORRUPTED, *place, "--batch", "64"])
    tuned = [word for name in TUNED for word in ("--protocol", name)]
    sets = ["--data", "mini-oxfordpets37", "--data", "mini-petmask"]
    found.append(["transfer", runs[0], runs[2], *sets, *tuned, *place])
    tables = {"board.csv": BOARD, "tuned.csv": TUNED, "tuned.tex": TUNED, **{f"{name}.tex": (name,) for name in BOARD}}
    for name, protocols in tables.items():
        shown = [word for protocol in protocols for word in ("--protocol", protocol)]
        found.append(["leaderboard", *place, *shown, "--baseline", "supervised", "--to", str(KEPT / name)])
    return [*found, ["report", *place, "--baseline", "supervised"]]


def main() -> None:
    """Run every step, then copy the figures and tables of the report that hold no pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mini_board", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    out = parser.parse_args().out
    if "RELIC_EVAL_DATA" not in os.environ:
        raise SystemExit("benchmarks: expected RELIC_EVAL_DATA to name the folder of image sets, received nothing")
    for words in commands(out):
        print(f"$ relic-eval {shlex.join(words)}", flush=True)
        done = subprocess.run([sys.executable, "-m", "relic_eval.cli", *words])
        if done.returncode not in (0, 3):  # failed cells are shown on the page
            raise SystemExit(done.returncode)
    shutil.copytree(out / "report" / "figures", KEPT / "figures", dirs_exist_ok=True)
    shutil.copytree(out / "report" / "tables", KEPT / "tables", dirs_exist_ok=True)


if __name__ == "__main__":
    main()
