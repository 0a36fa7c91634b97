"""The arms of the pretraining study: one change each, everything else alike.

10,000 pictures of cifar10-full at 32 pixels, 500 steps of 128 pictures, one recipe for every large crop, AdamW, bfloat16 products. The learning
rate of a method is the one of RATES that is best on validation pictures, by linear probe and nearest neighbours (`python -m benchmarks.pretraining tune`).
"""

from __future__ import annotations

from typing import Any

from pretrain.config import METHODS, Training, override

SEEDS = (0, 1, 2)
TUNING_SEED = 9  # of the runs that choose the learning rate; no seed of the study
RATES = (1e-3, 2.5e-3, 6e-3, 1.5e-2)
TUNING_STEPS = 200
# every 50 steps
MONITORED = ("random", "supervised", "simclr", "byol", "relic", "relicv2", "no masks", "twice as wide")
BASE = "relicv2"  # the arm that the ablations change in one point

COMMON: dict[str, Any] = {
    "steps": 500,
    "batch": 128,
    "side": 32,
    "pad": 0.0,
    "area_low": 0.2,
    "blur": 0.0,
    "solarise": 0.0,
    "precision": "bfloat16",
    "monitor_every": 0,
}
RELICV2: dict[str, Any] = {
    "large": 4,
    "small": 2,
    "small_side": 16,
    "small_area_low": 0.1,
    "small_area_high": 0.3,
    "masks": "fused",
}
# with a GPU (`--full`): all pictures that nobody chooses by or tests on, a network of the usual size, rates as they are
FULL: dict[str, Any] = {"network": "resnet18-32px", "epochs": 10.0, "batch": 256}
WIDE = {"network": "resnet18-2x-32px"}  # of the arm that is twice as wide
# Of RELICv2's pictures: by the mean of all makers by hand. The runs' settings say `fused`, which had these four when the study began
# and has the first two now; the masks are given to `pretrain` as they are.
MASKS = ("border", "rbd", "spectral", "fine")
# learning rate of each method: from `tune`, the best mean of linear probe and nearest neighbours on validation pictures
CHOSEN = {"supervised": 2.5e-3, "simclr": 6e-3, "byol": 2.5e-3, "relic": 2.5e-3, "relicv2": 6e-3}

ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "random": ("supervised", {"steps": 1}),  # judged before its first step
    "supervised": ("supervised", {}),
    "simclr": ("simclr", {}),
    "byol": ("byol", {}),
    "relic": ("relic", {}),
    "relicv2": ("relicv2", {}),
    "no masks": ("relicv2", {"p_mask": 0.0}),
    "2+0 crops": ("relicv2", {"large": 2, "small": 0}),
    "2+2 crops": ("relicv2", {"large": 2}),
    "5 negatives": ("relicv2", {"negatives": 5}),
    "50 negatives": ("relicv2", {"negatives": 50}),
    "all negatives": ("relicv2", {"negatives": 0}),
    "no divergence": ("relicv2", {"beta": 0.0}),
    "no stop-gradient": ("relicv2", {"invariance_grad": "full"}),
    "twice as wide": ("relicv2", {"network": "thin-resnet-2x"}),
}


def settings(arm: str, seed: int, *, full: bool = False, **changes: Any) -> Training:
    """What an arm trains with."""
    method, its = ARMS[arm]
    chosen: dict[str, Any] = {**COMMON, **(RELICV2 if method == BASE else {}), "lr": CHOSEN[method], "seed": seed}
    if full:
        chosen |= FULL
        its = WIDE if "network" in its else {"epochs": 0.0, **its} if "steps" in its else its
    if arm in MONITORED:
        chosen["monitor_every"] = 374 if full else 50
    return override(METHODS[method](), {**chosen, **its, **changes})
