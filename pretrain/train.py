"""The one loop. A method supplies heads, views and loss; nothing here knows which it is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pretrain import checkpoint
from pretrain.batch import Batch
from pretrain.config import VERSION, Training, config_dict, method_of
from pretrain.methods import method
from pretrain.optim import make_optimizer, rate
from pretrain.saliency import saliency_masks
from pretrain.target import make_target, momentum, move
from relic_eval.devices import versions
from relic_eval.encoders.networks import build_network, initialise
from relic_eval.errors import ArgumentError, RelicError
from relic_eval.progress import track

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
    """Train an encoder for `config.steps` steps and return the folder of its last checkpoint.

    `images` are uint8 (N, H, W) or (N, H, W, C); `labels` class numbers (N,), needed by supervised only; `data` holds the
    set's name and digest. A run that is there is taken up where it stopped: batches and views of a step follow from the
    seed and the step, so the result is the same to the bit.
    """
    done = checkpoint.finished(out, config, data)
    if done is not None:
        return done
    check(config, images, labels)
    way = method(method_of(config))
    pixels, masks, mean, std = prepare(config, images, device)
    y = torch.full((len(pixels),), -1) if labels is None else torch.from_numpy(labels.astype(np.int64))
    online = build_online(config, pixels.shape[1], int(y.max()) + 1).to(device)
    target = make_target(online, way.TARGET)
    optimizer = make_optimizer(online, config.lr, config.weight_decay)
    history: dict[str, list] = {}
    begin = resume(out, online, target, optimizer, history)
    about = {
        "version": VERSION,
        "method": method_of(config),
        "config": config_dict(config),
        "steps": config.steps,
        "data": data,
        "network": {"name": config.network, "channels": pixels.shape[1], "dims": online["encoder"].dims},
        "input": {"size": config.side, "mean": mean.flatten().tolist(), "std": std.flatten().tolist()},
        "versions": versions(),
        "parameters": sum(p.numel() for p in online["encoder"].parameters()),
    }

    last = out
    for step in track(range(begin, config.steps), f"pretrain {method_of(config)}"):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, config.steps, config.lr, config.warmup)
        rows = batch_rows(step, len(pixels), config.batch, config.seed)
        batch = Batch(pixels[rows], y[rows].to(device), masks[rows] if len(masks) else masks, mean)
        generator = torch.Generator().manual_seed(step_seed(config.seed, step))
        crops = [(x - mean) / std for x in way.views(config, batch, generator)]
        terms = way.loss(config, crops, batch, online, target, generator)
        refuse_nan(terms, step, out)
        optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        optimizer.step()
        if len(target):
            move(target, online, momentum(step, config.steps, config.ema))  # type: ignore[attr-defined]
        if step % LOG_EVERY == 0 or step == config.steps - 1:
            for name, term in terms.items():
                history.setdefault(name, []).append([step, round(term.item(), 6)])
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
            last = checkpoint.save(out, step + 1, state(online, target, optimizer), {**about, "history": history})
    return last


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
    if method_of(config) == "supervised" and (labels is None or len(np.unique(labels)) < 2):
        raise ArgumentError("labels", "at least two classes for supervised", "none" if labels is None else "one class")


def prepare(config: Training, images: np.ndarray, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pictures as float (N, C, H, W) in [0, 1], their masks where the method uses them, mean and deviation of a channel."""
    x = torch.from_numpy(np.ascontiguousarray(images)).float().div_(255)
    x = x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2).contiguous()
    masks = saliency_masks(x) if getattr(config, "p_mask", 0) > 0 else torch.ones(0)
    if not len(masks) and hasattr(config, "p_mask"):
        masks = torch.ones(len(x), 1, 1, 1, dtype=torch.bool)
    # rounded to what JSON keeps, so that the encoder sees later what it was trained on
    mean, std = (s.mul(1e6).round().div(1e6).float().view(1, -1, 1, 1) for s in _channel_moments(x))
    return x.to(device), masks.to(device), mean.to(device), std.to(device)


def _channel_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.double().mean((0, 2, 3))
    return mean, x.double().std((0, 2, 3)).clamp_min(1e-3)


def build_online(config: Training, channels: int, classes: int) -> nn.ModuleDict:
    """Encoder and heads, drawn from the seed."""
    encoder = build_network(config.network, channels, config.seed)
    heads = nn.ModuleDict(method(method_of(config)).heads(config, encoder.dims, classes))
    initialise(heads, torch.Generator().manual_seed(config.seed + 1))
    return nn.ModuleDict({"encoder": encoder, **heads})


def batch_rows(step: int, pictures: int, batch: int, seed: int) -> Tensor:
    """The rows of a step: each epoch is a permutation of its own, the last pictures that fill no batch left out.

    >>> sorted(torch.cat([batch_rows(s, 4, 2, 0) for s in (0, 1)]).tolist())
    [0, 1, 2, 3]
    """
    epoch, place = divmod(step, pictures // batch)
    order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(pictures))
    return order[place * batch : (place + 1) * batch]


def step_seed(seed: int, step: int) -> int:
    """The seed of all that is drawn in a step, the same wherever a run is taken up.

    >>> step_seed(0, 1) == step_seed(0, 1) != step_seed(1, 0)
    True
    """
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def refuse_nan(terms: dict[str, Tensor], step: int, out: Path) -> None:
    """Stop before a loss that is no number reaches the weights; checkpoints so far stay."""
    bad = [name for name, term in terms.items() if not math.isfinite(term.item())]
    if bad:
        raise RelicError(
            f"step {step}: expected finite losses, received {' and '.join(f'{n} = {terms[n].item()}' for n in bad)}. "
            f"Lower lr; the checkpoints in {out} are as they were."
        )


def state(online: nn.ModuleDict, target: nn.ModuleDict, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every tensor that a resumed run needs; the encoder's under `encoder.`."""
    tensors: dict[str, Tensor] = dict(online.state_dict())
    tensors.update({f"target.{name}": t for name, t in target.state_dict().items()})
    for number, entries in optimizer.state_dict()["state"].items():
        tensors.update({f"optimizer.{number}.{name}": t for name, t in entries.items()})
    return tensors


def resume(
    out: Path, online: nn.ModuleDict, target: nn.ModuleDict, optimizer: torch.optim.Optimizer, history: dict[str, Any]
) -> int:
    """Load the last checkpoint of the run, if there is one, and return the step to go on with."""
    last = checkpoint.latest(out)
    if last is None:
        return 0
    tensors, about = checkpoint.load(last), checkpoint.read_about(last)
    online.load_state_dict({n: t for n, t in tensors.items() if not n.startswith(("target.", "optimizer."))})
    target.load_state_dict({n.removeprefix("target."): t for n, t in tensors.items() if n.startswith("target.")})
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            entries.setdefault(int(number), {})[key] = tensor
    # the fused step walks memory, so moments must lie in memory as their weights do (channels last)
    weights: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
    for place, moments in entries.items():
        for key, tensor in list(moments.items()):
            if tensor.shape == weights[place].shape:
                moments[key] = torch.empty_like(weights[place]).copy_(tensor)
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    history.update(about["history"])
    return int(about["step"])
