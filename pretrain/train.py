"""The one loop. A method supplies heads, views and loss; nothing here knows which it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pretrain import checkpoint, ranks
from pretrain.ahead import Ahead
from pretrain.batch import Batch
from pretrain.checks import check, check_compiler, check_crops, refuse_nan
from pretrain.config import VERSION, Training, config_dict, method_of, steps_of
from pretrain.feed import Feed, batch_rows, make_feed, step_seed
from pretrain.methods import method
from pretrain.norms import join_norms
from pretrain.optim import make_optimizer, rate
from pretrain.saliency.packed import Masks
from pretrain.sheet import draw_views
from pretrain.squares import Decoded, Held, Listed, opened
from pretrain.state import resume, state
from pretrain.target import make_target, momentum, move
from pretrain.watch import make_watch, write_losses
from relic_eval.devices import versions
from relic_eval.encoders.networks import build_network, initialise
from relic_eval.progress import track
from relic_eval.views import Draw

LOG_EVERY = 5


def pretrain(
    config: Training,
    images: np.ndarray | Listed,
    labels: np.ndarray | None,
    out: Path,
    *,
    data: dict[str, str],
    masks: Masks | None = None,
    device: str = "cpu",
) -> Path:
    """Train an encoder for the steps of `config` and return the folder of its last checkpoint.

    `images` are uint8 (N, H, W) or (N, H, W, C), or listed: then they are decoded while it trains, to the same numbers.
    `labels` are class numbers (N,), needed by supervised only; `data` holds the set's name and digest; `masks` are of these
    pictures, and made where a method needs them and none are given. A run that is there is taken up where it stopped:
    batches and views of a step follow from the seed and the step, so the result is the same to the bit. Under torchrun every
    process calls this with the same arguments; together they do what one would do with the whole batch. Raises DataError for a listed picture that is unreadable, when its turn comes.
    """
    done = checkpoint.finished(out, config, data)
    if done is not None:
        return done
    with opened(images) as pictures:
        check(config, pictures, labels, masks)
        return _train(config, pictures, labels, masks, out, data, device)


def _train(
    config: Training,
    pictures: Held | Decoded,
    labels: np.ndarray | None,
    masks: Masks | None,
    out: Path,
    data: dict[str, str],
    device: str,
) -> Path:
    """The steps that are left of a run; returns the folder of its last checkpoint."""
    before = checkpoint.latest(out)
    known = None if before is None else checkpoint.read_about(before).get("input")
    run = begin(config, pictures, labels, device, masks, known)
    try:
        return _steps(run, pictures, out, data)
    finally:
        if run.ahead:
            run.ahead.end()


def _steps(run: Run, pictures: Held | Decoded, out: Path, data: dict[str, str]) -> Path:
    """Take them, and keep what the settings ask for."""
    config = run.config
    record: dict[str, Any] = {"history": {}, "monitor": []}  # losses, and what was measured, so far
    first = resume(out, run.online, run.target, run.optimizer, record)
    watch = make_watch(config, run.feed, out, record["monitor"])
    about = {
        "version": VERSION,
        "method": method_of(config),
        "config": config_dict(config),
        "steps": run.steps,
        "data": data,
        "network": {"name": config.network, "channels": pictures.channels, "dims": run.online["encoder"].dims},
        "input": {
            "size": config.side,
            "mean": run.feed.mean.flatten().tolist(),
            "std": run.feed.std.flatten().tolist(),
        },
        "versions": versions(),
        "parameters": sum(p.numel() for p in run.online["encoder"].parameters()),
    }
    if first == 0 and ranks.rank() == 0:
        batch, _, crops = run.views(0, run.parts[0])
        draw_views(batch.x, [x * run.feed.std + run.feed.mean for x in crops], out / "views.png")

    last = out
    for step in track(range(first, run.steps), f"pretrain {method_of(config)}", unit="step", before=first):
        terms, crops = run.learn(step)
        refuse_nan(terms, step, out)
        run.move(step, out)
        if step % LOG_EVERY == 0 or step == run.steps - 1:
            for name, term in terms.items():
                record["history"].setdefault(name, []).append([step, round(term.item(), 6)])
        watch(step + 1, run.online, crops, terms)
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == run.steps:
            last = checkpoint.place(out, step + 1)
            if ranks.rank() == 0:
                write_losses(out, record["history"], config.batch)
                tensors = state(run.online, run.target, run.optimizer)
                checkpoint.save(out, step + 1, tensors, {**about, **record}, config.keep_every)
            ranks.wait()
    return last


@dataclass(frozen=True)
class Run:
    """What one process trains with. A step is `views` and `learn` of each of its parts of the batch, then `move`."""

    config: Training
    way: ModuleType
    feed: Feed
    online: nn.ModuleDict
    target: nn.ModuleDict
    optimizer: torch.optim.Optimizer
    steps: int
    parts: list[slice]  # of the whole batch; more than one where gradients are accumulated
    ahead: Ahead | None = None  # makes the views of the next part, where there is a GPU to keep busy

    def rows(self, step: int, part: slice) -> Tensor:
        """The rows of a part of a step's batch."""
        return batch_rows(step, len(self.feed.pictures), self.config.batch, self.config.seed)[part]

    def views(self, step: int, part: slice) -> tuple[Batch, Draw, list[Tensor]]:
        """The pictures of a part of a step's batch, what is drawn for them, and their normalised crops."""
        config, feed = self.config, self.feed
        batch = feed.take(self.rows(step, part))
        draw = Draw(torch.Generator().manual_seed(step_seed(config.seed, step)), config.batch, part)
        return batch, draw, [(x - feed.mean) / feed.std for x in self.way.views(config, batch, draw)]

    def learn(self, step: int) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Gradients of the whole batch; returns its loss and terms, without gradient, and the crops of the last part."""
        self.optimizer.zero_grad(set_to_none=True)
        ahead = range(step, min(step + 2, self.steps))  # threads decode the next step's while this one computes
        self.feed.pictures.expect([self.rows(number, part) for number in ahead for part in self.parts])
        sums: list[Tensor] = []
        order = [(step, part) for part in self.parts] + [(step + 1, self.parts[0])] * (step + 1 < self.steps)
        for now, then in zip_longest(order[: len(self.parts)], order[1:]):
            make = partial(self.views, *now)
            batch, draw, crops = self.ahead.take(f"{now}", make) if self.ahead else make()
            with torch.autocast(crops[0].device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
                terms = self.way.loss(self.config, crops, batch, self.online, self.target, draw)
            if self.ahead and then:
                self.ahead.begin(f"{then}", partial(self.views, *then))
            (terms["loss"] / len(self.parts)).backward()
            sums.append(torch.stack([term.detach() for term in terms.values()]))
        ranks.average_gradients(self.online)
        means = ranks.total(torch.stack(sums).mean(0)) / ranks.world()
        return dict(zip(terms, means, strict=True)), crops

    def move(self, step: int, out: Path) -> None:
        """One step of the optimiser, then of the target."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(step, self.steps, self.config.lr, self.config.warmup)
        if self.config.clip:
            norm = nn.utils.clip_grad_norm_(self.online.parameters(), self.config.clip)
            refuse_nan({"gradient": norm}, step, out)
        self.optimizer.step()
        if len(self.target):
            move(self.target, self.online, momentum(step, self.steps, self.config.ema))  # type: ignore[attr-defined]


def begin(
    config: Training,
    pictures: Held | Decoded,
    labels: np.ndarray | None,
    device: str,
    masks: Masks | None = None,
    known: dict[str, Any] | None = None,
) -> Run:
    """Networks drawn from the seed, pictures and optimiser of a run at its start; `masks`, `known` as in `make_feed`."""
    device = ranks.start(device)
    way, feed = method(method_of(config)), make_feed(config, pictures, labels, device, masks, known)
    online = build_online(config, pictures.channels, int(feed.y.max()) + 1).to(device)
    check_crops(config, online["encoder"], feed)
    if ranks.world() > 1:
        join_norms(online, device)
    target = make_target(online, way.averaged(config))
    if config.compile == "on":
        check_compiler(device)
        for side in (online, target):
            if "encoder" in side:
                side["encoder"].compile(dynamic=False)  # when it first runs; names and weights stay as they are
    optimizer = make_optimizer(online, config.optimizer, config.lr, config.weight_decay)
    parts = ranks.parts(ranks.share(config.batch), config.accumulate)
    ahead = Ahead() if device.startswith("cuda") and isinstance(pictures, Held) else None
    return Run(config, way, feed, online, target, optimizer, steps_of(config, len(pictures)), parts, ahead)


def build_online(config: Training, channels: int, classes: int) -> nn.ModuleDict:
    """Encoder and heads, drawn from the seed."""
    encoder = build_network(config.network, channels, config.seed, config.side)
    heads = nn.ModuleDict(method(method_of(config)).heads(config, encoder.dims, classes))
    initialise(heads, torch.Generator().manual_seed(config.seed + 1))
    return nn.ModuleDict({"encoder": encoder, **heads})
