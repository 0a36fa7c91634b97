"""The pretraining study: python -m benchmarks.pretraining tune | run [ARM...] | one ARM SEED | show

`run` makes each (arm, seed) that has no row in pretraining.jsonl, two at a time with a thread each; one that was stopped goes on. Nothing
depends on the order. With a GPU `run --device cuda --workers 5 --full` trains ResNet-18 on 48,000 pictures for 10 epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.study.arms import ARMS, MASKS, RATES, SEEDS, TUNING_SEED, TUNING_STEPS, settings
from relic_eval.errors import look_up

HERE = Path(__file__).parent
ROWS = HERE / "pretraining.jsonl"
DOCS = HERE.parent / "docs"
SHOW = "table: python -m benchmarks.pretraining show"
# of either table on the page: --full or not
MARKS = {
    full: (f"<!-- {SHOW}{more} -->", f"<!-- end of table{more} -->") for full, more in ((False, ""), (True, ", --full"))
}
WORK = HERE / ".study"  # checkpoints of runs under way
# a learning rate each; RELICv2's is chosen without masks
METHODS = ("supervised", "simclr", "byol", "relic", "no masks")


def rows() -> list[dict[str, Any]]:
    """Every row that is there."""
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def one(arm: str, seed: int, device: str = "cpu", rate: float | None = None, full: bool = False) -> None:
    """Train and judge one run, and append its row."""
    from benchmarks.study.judge import cifar, judged, validated
    from pretrain.config import config_dict
    from pretrain.train import pretrain
    from relic_eval.devices import versions
    from relic_eval.encoders.load import find_encoder
    from relic_eval.files import digest_bytes, digest_json
    from relic_eval.monitor import read_monitor

    changes = {} if rate is None else {"steps": TUNING_STEPS, "monitor_every": 0, "lr": rate}
    config = settings(arm, seed, full=full, **changes)
    images, y_N, _ = cifar("rest" if full else "train")
    run = WORK / f"{arm} {seed} {digest_json(config_dict(config))[:8]}".replace(" ", "-")
    began, whole = time.process_time(), not run.exists()  # the time of a run that is taken up is not known
    if arm == "random":
        function, curve = _untrained(config, images, device), []
    else:
        about = {"name": "cifar10-full", "split": f"{len(images):,} of train", "digest": digest_bytes(images.tobytes())}
        masks = _masks(images) if getattr(config, "p_mask", 0) else None
        if masks is not None:
            about["masks"] = digest_bytes(masks.packed.tobytes())
        pretrain(config, images, y_N, run, data=about, masks=masks, device=device)
        function = find_encoder(str(run)).build(3, device)
        curve = read_monitor(run / "monitor.csv") if config.monitor_every else []
    row = {
        "arm": arm,
        "seed": seed,
        "figures": judged(function, device) if rate is None else validated(function, device),
        "settings": config_dict(config),
        "curve": curve,
        "device": device,
        "cpu_seconds": round(time.process_time() - began) if whole else None,
        "versions": versions(),
    }
    with open(ROWS, "a", encoding="utf-8") as file:
        file.write(
            json.dumps({**({} if rate is None else {"tuning": True}), **({"full": True} if full else {}), **row}) + "\n"
        )


def _masks(images: Any) -> Any:
    """Masks of the study's pictures: made by the first run that needs them, read by the others."""
    import numpy as np

    from pretrain.saliency.lock import alone
    from pretrain.saliency.makers import MAKERS, VERSION, maker_settings
    from pretrain.saliency.packed import Masks, pack
    from pretrain.saliency.teachers import fuse
    from pretrain.saliency.threshold import to_masks
    from relic_eval.files import digest_bytes, digest_json

    made_by = {maker: maker_settings(maker) for maker in MASKS}
    file = WORK / f"masks-{digest_json([made_by, VERSION, digest_bytes(images.tobytes())])[:16]}.npy"
    with alone(WORK / "masks.lock", "waiting for the masks"):
        if not file.exists():
            parts = np.array_split(images, -(-len(images) // 64))
            made = [pack(to_masks(fuse([MAKERS[maker](part) for maker in MASKS]))).packed for part in parts]
            part = file.with_suffix(".part.npy")
            np.save(part, np.concatenate(made))
            part.rename(file)
    return Masks(np.load(file), images.shape[2])


def _untrained(config: Any, images: Any, device: str) -> Any:
    """The network as it is drawn, behind the moments of the pictures."""
    from pretrain.feed import make_feed
    from pretrain.squares import held
    from relic_eval.encoders.networks import build_network

    feed, network = make_feed(config, held(images), None, device), build_network(config.network, 3, config.seed).eval()
    network.to(device)
    return lambda x: network((x - feed.mean) / feed.std)


def _all(jobs: list[list[str]], workers: int, threads: int = 1) -> None:
    """Each in a process of its own; the exit code says whether all ended well."""
    more = {"OMP_NUM_THREADS": f"{threads}"}

    def work(words: list[str]) -> int:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.pretraining", "one", *words],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
        )
        print(*words, "done" if done.returncode == 0 else f"failed: {done.stderr[-400:]}", flush=True)
        return done.returncode

    with ThreadPoolExecutor(workers) as pool:
        if any(pool.map(work, jobs)):
            raise SystemExit(1)


def show() -> None:
    """Write the table of all rows into docs/study.md, and draw the figures beside it."""
    from benchmarks.study.figures import arms_figure, efficiency_figure
    from benchmarks.study.table import table
    from reports.figures.files import save

    made, page = rows(), DOCS / "study.md"
    text = page.read_text()
    for full, (first, last) in MARKS.items():
        before, _, rest = text.partition(f"{first}\n")
        _, _, after = rest.partition(last)
        text = f"{before}{first}\n{table(made, full)}\n{last}{after}"
        print(table(made, full))
    page.write_text(text)
    for name, figure in (("study-arms", arms_figure(made)), ("study-efficiency", efficiency_figure(made))):
        next(f for f in save(figure, DOCS / name) if f.suffix == ".png").unlink()  # the page shows the SVG


def main() -> None:
    """Parse and call."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretraining", description=__doc__)
    parser.add_argument("what", choices=("tune", "run", "one", "show"))
    parser.add_argument("words", nargs="*", help="arms; for `one` an arm and a seed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rate", type=float, default=None)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    if options.what == "one":
        one(options.words[0], int(options.words[1]), options.device, options.rate, options.full)
    elif options.what == "tune":
        there = {(r["arm"], r["settings"]["lr"]) for r in rows() if r.get("tuning")}
        asked = [(arm, rate) for arm in METHODS for rate in RATES if (arm, rate) not in there]
        _all([[arm, str(TUNING_SEED), "--rate", str(rate)] for arm, rate in asked], options.workers)
    elif options.what == "run":
        for arm in options.words:
            look_up("arm", arm, ARMS)
        there = {(r["arm"], r["seed"]) for r in rows() if not r.get("tuning") and options.full == r.get("full", False)}
        asked_ = [(arm, seed) for seed in SEEDS for arm in options.words or ARMS if (arm, seed) not in there]
        more = ["--device", options.device, *(["--full"] if options.full else [])]
        # rows of the CPU are of one thread; beside a GPU threads only judge
        threads = 1 if options.device == "cpu" else max(1, (os.cpu_count() or 1) // options.workers)
        _all([[arm, str(seed), *more] for arm, seed in asked_], options.workers, threads)
    else:
        show()


if __name__ == "__main__":
    main()
