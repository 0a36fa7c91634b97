"""The one loop. A method supplies heads, views and loss; nothing here knows which it is."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from pretrain import checkpoint, ranks
from pretrain.batch import Batch
from pretrain.config import VERSION, Training, config_dict, method_of, steps_of
from pretrain.feed import batch_rows, make_feed, step_seed
from pretrain.methods import method
from pretrain.norms import join_norms
from pretrain.optim import make_optimizer, rate
from pretrain.sheet import draw_views
from pretrain.state import resume, state
from pretrain.target import make_target, momentum, move
from pretrain.watch import make_watch
from relic_eval.devices import versions
from relic_eval.encoders.networks import build_network, initialise
from relic_eval.errors import ArgumentError, RelicError
from relic_eval.progress import track
from relic_eval.views import Draw

LOG_EVERY = 5


def pretrain(
    config: Training,
    images: np.ndarray,
    labels: np.ndarray | None,
    out: Path,
    *,
    data: dict[str, str],
    device: str = "cpu",
) -> Path:
    """Train an encoder for the steps of `config` and return the folder of its last checkpoint.

    `images` are uint8 (N, H, W) or (N, H, W, C); `labels` class numbers (N,), needed by supervised only; `data` holds the
    set's name and digest. A run that is there is taken up where it stopped: batches and views of a step follow from the
    seed and the step, so the result is the same to the bit. Under torchrun every process calls this with the same
    arguments; together they do what one would do with the whole batch.
    """
    done = checkpoint.finished(out, config, data)
    if done is not None:
        return done
    check(config, images, labels)
    device = ranks.start(device)
    own, way, feed = ranks.share(config.batch), method(method_of(config)), make_feed(config, images, labels, device)
    steps, channels = steps_of(config, len(images)), feed.pixels.shape[1]
    online = build_online(config, channels, int(feed.y.max()) + 1).to(device)
    if ranks.world() > 1:
        join_norms(online, device)
    target = make_target(online, way.averaged(config))
    optimizer = make_optimizer(online, config.optimizer, config.lr, config.weight_decay)
    watch = make_watch(config, feed, out)
    history: dict[str, list] = {}
    begin = resume(out, online, target, optimizer, history)
    work: nn.Module = Work(way, config, online, target)
    if ranks.world() > 1:
        work = ranks.averaged_gradients(work)
    about = {
        "version": VERSION,
        "method": method_of(config),
        "config": config_dict(config),
        "steps": steps,
        "data": data,
        "network": {"name": config.network, "channels": channels, "dims": online["encoder"].dims},
        "input": {"size": config.side, "mean": feed.mean.flatten().tolist(), "std": feed.std.flatten().tolist()},
        "versions": versions(),
        "parameters": sum(p.numel() for p in online["encoder"].parameters()),
    }

    last = out
    for step in track(range(begin, steps), f"pretrain {method_of(config)}"):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps, config.lr, config.warmup)
        rows = batch_rows(step, len(images), config.batch, config.seed)
        optimizer.zero_grad(set_to_none=True)
        parts = []
        for number, part in enumerate(ranks.parts(own, config.accumulate)):
            batch = feed.take(rows[part])
            draw = Draw(torch.Generator().manual_seed(step_seed(config.seed, step)), config.batch, part)
            views = way.views(config, batch, draw)
            if step == 0 and number == 0 and ranks.rank() == 0:
                draw_views(batch.x, views, out / "views.png")
            crops = [(x - feed.mean) / feed.std for x in views]
            with ranks.alone(work, unless=number + 1 == config.accumulate):
                terms = work(crops, batch, draw)
                (terms["loss"] / config.accumulate).backward()
            parts.append(torch.stack([term.detach() for term in terms.values()]))
        shown = dict(zip(terms, ranks.total(torch.stack(parts).mean(0)) / ranks.world(), strict=True))
        refuse_nan(shown, step, out)
        if config.clip:
            nn.utils.clip_grad_norm_(online.parameters(), config.clip, error_if_nonfinite=True)
        optimizer.step()
        if len(target):
            move(target, online, momentum(step, steps, config.ema))  # type: ignore[attr-defined]
        if step % LOG_EVERY == 0 or step == steps - 1:
            for name, term in shown.items():
                history.setdefault(name, []).append([step, round(term.item(), 6)])
        watch(step + 1, online, crops, shown)
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == steps:
            last = checkpoint.place(out, step + 1)
            if ranks.rank() == 0:
                tensors = state(online, target, optimizer)
                checkpoint.save(out, step + 1, tensors, {**about, "history": history}, config.keep_every)
            ranks.wait()
    return last


class Work(nn.Module):
    """Crops to loss, as one module: what averages gradients over ranks goes by calls of a module."""

    def __init__(self, way: ModuleType, config: Training, online: nn.ModuleDict, target: nn.ModuleDict):
        super().__init__()
        self.way, self.config, self.online, self.target = way, config, online, target

    def forward(self, crops: list[Tensor], batch: Batch, draw: Draw) -> dict[str, Tensor]:
        with torch.autocast(crops[0].device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            return self.way.loss(self.config, crops, batch, self.online, self.target, draw)


def check(config: Training, images: np.ndarray, labels: np.ndarray | None) -> None:
    """All that can be known before the first step: sizes, labels and the number of negatives."""
    if images.ndim not in (3, 4) or images.dtype != np.uint8:
        raise ArgumentError("images", "uint8 (N, H, W) or (N, H, W, C)", f"{images.dtype} {images.shape}")
    if len(images) < config.batch:
        raise ArgumentError("--set batch", f"at most {len(images)}, the pictures there are", f"{config.batch}")
    if min(images.shape[1:3]) < config.side:
        raise ArgumentError(
            "--set side", f"at most {min(images.shape[1:3])}, the side of the pictures", f"{config.side}"
        )
    negatives = getattr(config, "negatives", 0)
    if config.batch < max(2, negatives + 1):
        raise ArgumentError(
            "--set batch", f"at least {max(2, negatives + 1)}: a picture and its negatives", f"{config.batch}"
        )
    if config.accumulate > 1 and hasattr(config, "tau"):  # it tells pictures of a batch apart
        raise ArgumentError(
            "--set accumulate",
            f"1 for {method_of(config)}, whose negatives are the rest of the batch",
            f"{config.accumulate}",
            "More processes (--nproc) share a batch and keep its negatives.",
        )
    if config.batch % config.accumulate or config.batch // config.accumulate < 2:
        raise ArgumentError("--set accumulate", f"parts of two pictures or more of {config.batch}", f"{config.accumulate}")
    if method_of(config) == "supervised" and (labels is None or len(np.unique(labels)) < 2):
        raise ArgumentError("labels", "at least two classes for supervised", "none" if labels is None else "one class")


def build_online(config: Training, channels: int, classes: int) -> nn.ModuleDict:
    """Encoder and heads, drawn from the seed."""
    encoder = build_network(config.network, channels, config.seed, config.side)
    heads = nn.ModuleDict(method(method_of(config)).heads(config, encoder.dims, classes))
    initialise(heads, torch.Generator().manual_seed(config.seed + 1))
    return nn.ModuleDict({"encoder": encoder, **heads})


def refuse_nan(terms: dict[str, Tensor], step: int, out: Path) -> None:
    """Stop before a loss that is no number reaches the weights; checkpoints so far stay."""
    bad = [name for name, term in terms.items() if not math.isfinite(term.item())]
    if bad:
        raise RelicError(
            f"step {step}: expected finite losses, received {' and '.join(f'{n} = {terms[n].item()}' for n in bad)}. "
            f"Lower lr; the checkpoints in {out} are as they were."
        )
