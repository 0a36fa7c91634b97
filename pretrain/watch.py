"""Measuring the encoder while it trains, on some of the pictures it trains on: what it can tell apart, and what that cost."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain import ranks
from pretrain.config import Training, method_of
from pretrain.feed import Feed
from pretrain.methods import method
from relic_eval.errors import ArgumentError

Watch = Callable[[int, nn.ModuleDict, list[Tensor], dict[str, Tensor]], None]


def make_watch(config: Training, feed: Feed, out: Path, rows: list[dict[str, float]]) -> Watch:
    """What is called after each step with (step, online network, crops, losses); it writes `monitor.csv` beside the checkpoints.

    What it measures is put after `rows` too, for the checkpoint, without what is no number. Labels are read to measure only.
    Raises ArgumentError where there are none.
    """
    if not config.monitor_every or ranks.rank():
        return lambda step, online, crops, terms: None
    if int(feed.y.min()) < 0:
        raise ArgumentError("--set monitor_every", "0 for pictures without labels", f"{config.monitor_every}")
    from relic_eval.monitor import Monitor

    some = np.random.default_rng([config.seed, 1]).permutation(len(feed.pictures))[: config.monitor_rows]
    pictures = feed.pictures.take(torch.from_numpy(some)).permute(0, 2, 3, 1).numpy()
    monitor = Monitor(out, pictures, feed.y[some].numpy(), every=config.monitor_every)
    # those of the checkpoint: a table of steps that were lost, or of another run, is written anew
    monitor.rows = list(rows)
    cost = 0.0

    def watch(step: int, online: nn.ModuleDict, crops: list[Tensor], terms: dict[str, Tensor]) -> None:
        nonlocal cost
        if step % config.monitor_every:
            return
        cost = cost or picture_cost(online["encoder"], crops, config)
        counts: dict[str, float] = {"images": step * config.batch, "views": step * config.batch * len(crops)}
        counts |= {"flops": step * config.batch * cost, "loss": terms["loss"].item()}
        row = monitor(step, Seen(online["encoder"], feed, config.side), **counts) or {}
        rows.append({name: value for name, value in row.items() if math.isfinite(value)})

    return watch


def write_losses(out: Path, history: dict[str, list[list[float]]], batch: int) -> None:
    """`losses.csv`: the loss and its terms at the steps at which they were noted, and the pictures taken by then."""
    from relic_eval.monitor import write_monitor

    names = ["loss", *sorted(set(history) - {"loss"})]
    rows = [
        {"step": step + 1, "images": (step + 1) * batch, **{name: history[name][place][1] for name in names}}
        for place, (step, _) in enumerate(history["loss"])
    ]
    write_monitor(out / "losses.csv", rows)


class Seen(nn.Module):
    """An encoder behind what it saw in training: pictures of its side, about the mean colour."""

    def __init__(self, encoder: nn.Module, feed: Feed, side: int):
        super().__init__()
        self.encoder, self.mean, self.std, self.side = encoder, feed.mean, feed.std, side

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)
        return self.encoder((x - self.mean) / self.std)


def picture_cost(encoder: nn.Module, crops: list[Tensor], config: Training) -> float:
    """Floating-point operations of a step for one picture: the encoder's, three times for each crop that is learnt from
    (forward and backward) and once for each that a target sees. Heads and losses are left out."""
    from torch.utils.flop_counter import FlopCounterMode

    encoder, total = copy.deepcopy(encoder).eval(), 0.0
    averaged = method(method_of(config)).averaged(config)
    for number, crop in enumerate(crops):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            encoder(crop[:1])
        total += counter.get_total_flops() * (4 if averaged and number < getattr(config, "large", len(crops)) else 3)
    return total
