"""The maker `network`: a small fully convolutional network that learns from the makers by hand, and then from itself.

In the manner of DeepUSPS (Nguyen et al. 2019, arXiv 1909.13055), with no human label in training and from random weights, on the
pictures that it makes masks of. Kept: noisy masks of makers by hand as labels, and labels that move towards the network's own predictions round after
round (a moving average). Simplified: the makers are fused before they are learnt from, where DeepUSPS has a network for each of four,
refines its labels, and takes the mean of the losses against all of them; there is no conditional random field on the labels and no
backbone that was trained before; the loss is cross-entropy and not the F-measure; pictures larger than SIDE are seen at SIDE.
The makers that are fused, number of steps, kind of label and when labels move were chosen by the true masks of the training half of petmask (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.saliency.teachers import fused
from pretrain.saliency.threshold import to_masks
from relic_eval.encoders.networks import initialise
from relic_eval.progress import track

SIDE = 64  # most pixels of a side that the network sees
MOST = 10_000  # pictures that it learns from, drawn once


@dataclass(frozen=True)
class Plan:
    """How the network is trained."""

    batch: int = 32
    epochs: int = 16
    fewest_steps: int = 240
    most_steps: int = 1000
    moves: int = (
        3  # of the labels, evenly over the second half: a network that knows little yet would only confirm itself
    )
    keep: float = 0.7  # of the labels when they move; the rest is what the network says
    lr: float = 3e-3
    weight_decay: float = 1e-4
    smallest_crop: float = 0.75  # of the side
    seed: int = 0

    def steps(self, pictures: int) -> int:
        """Steps for so many pictures.

        >>> Plan().steps(221), Plan().steps(10_000)
        (240, 1000)
        """
        wanted = self.epochs * pictures // min(self.batch, pictures)
        return min(max(wanted, self.fewest_steps), self.most_steps)


Read = Callable[[np.ndarray], np.ndarray]  # rows -> uint8 (n, H, W, C)
PLAN = Plan()
SETTINGS = {"side": SIDE, "most": MOST, **asdict(PLAN)}


class Net(nn.Module):
    """Logits (N, 1, H, W) of pictures (N, 3, H, W): three halvings, the mean of all places, and back with additive skips."""

    def __init__(self) -> None:
        super().__init__()
        self.down_full, self.down_half = _block(3, 8), _block(8, 24, 24, stride=2)
        self.down_quarter, self.down_eighth = _block(24, 48, 48, stride=2), _block(48, 64, 64, stride=2)
        self.whole = nn.Linear(64, 64)
        self.to_quarter, self.to_half, self.to_full = (
            nn.Conv2d(a, b, 1, bias=False) for a, b in ((64, 48), (48, 24), (24, 8))
        )
        self.up_quarter, self.up_half, self.up_full = _block(48, 48), _block(24, 24), _block(8, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of foreground."""
        full = self.down_full(x)
        half = self.down_half(full)
        quarter = self.down_quarter(half)
        eighth = self.down_eighth(quarter)
        deep = eighth + self.whole(eighth.mean((2, 3)))[:, :, None, None]
        quarter = self.up_quarter(quarter + _enlarged(self.to_quarter(deep), quarter))
        half = self.up_half(half + _enlarged(self.to_half(quarter), half))
        return self.out(self.up_full(full + _enlarged(self.to_full(half), full)))


def network(pixels_NHWC: np.ndarray) -> np.ndarray:
    """A small network that learns from the fused masks of these pictures, and then from itself.

    Saliency (N, H, W) in [0, 1].
    """
    return predict(train(lambda rows: pixels_NHWC[rows], len(pixels_NHWC)), pixels_NHWC)


def train(read: Read, count: int, plan: Plan = PLAN) -> Net:
    """A network trained on what the makers by hand say of `count` pictures that `read(rows)` gives, or of MOST of them."""
    rows = np.arange(count)
    if count > MOST:
        rows = np.sort(np.random.default_rng(plan.seed).permutation(count)[:MOST])
    x, labels = [], []
    for chunk in track(np.array_split(rows, -(-len(rows) // 64)), "masks to learn from"):
        pixels = read(chunk)
        x.append(_seen(pixels))
        labels.append(_reduced(torch.from_numpy(to_masks(fused(pixels)).astype(np.float32))[:, None]))
    return learn(torch.cat(x), torch.cat(labels), plan)


def learn(x: Tensor, labels: Tensor, plan: Plan = PLAN) -> Net:
    """A network trained on pictures (N, 3, H, W) and labels (N, 1, H, W) in [0, 1], which move towards its predictions."""
    generator = torch.Generator().manual_seed(plan.seed)
    with torch.random.fork_rng(devices=[]):  # layers draw weights that are drawn anew
        net = Net()
    initialise(net, generator)
    nn.init.zeros_(net.get_parameter("out.bias"))
    batch, steps = min(plan.batch, len(x)), plan.steps(len(x))
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    falling = torch.optim.lr_scheduler.OneCycleLR(optimizer, plan.lr, total_steps=steps, pct_start=0.1)
    order = torch.empty(0, dtype=torch.long)
    moving = {steps // 2 + steps // 2 * move // plan.moves for move in range(plan.moves)}
    for step in track(range(steps), "network of masks"):
        if step in moving:
            labels = plan.keep * labels + (1 - plan.keep) * foreground(net, x)
        if len(order) < batch:
            order = torch.randperm(len(x), generator=generator)
        rows, order = order[:batch], order[batch:]
        seen, label = _augmented(x[rows], labels[rows], generator, plan.smallest_crop)
        optimizer.zero_grad(set_to_none=True)
        F.binary_cross_entropy_with_logits(net.train()(seen), label).backward()
        optimizer.step()
        falling.step()
    return net


def predict(net: Net, pixels_NHWC: np.ndarray) -> np.ndarray:
    """Saliency (N, H, W) in [0, 1] of pictures of uint8, at their own size."""
    out = [
        F.interpolate(foreground(net, _seen(pixels)), pixels.shape[1:3], mode="bilinear", align_corners=False)[:, 0]
        for pixels in np.array_split(pixels_NHWC, -(-len(pixels_NHWC) // 256))
    ]
    return torch.cat(out).numpy()


def foreground(net: Net, x: Tensor) -> Tensor:
    """The probability of foreground, the mean over the picture and its mirror image."""
    net.eval()
    with torch.no_grad():
        parts = [(net(some).sigmoid() + net(some.flip(3)).sigmoid().flip(3)) / 2 for some in x.split(256)]
    return torch.cat(parts)


def _seen(pixels_NHWC: np.ndarray) -> Tensor:
    """What the network sees: three channels, at most SIDE pixels, each picture moved to mean 0 and scaled to deviation 1."""
    x = torch.from_numpy(np.ascontiguousarray(pixels_NHWC)).permute(0, 3, 1, 2).float().div(255)
    x = _reduced(x.expand(-1, 3, -1, -1))
    return (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True).clamp_min(1e-3)


def _reduced(x: Tensor) -> Tensor:
    share = SIDE / min(x.shape[2:])
    if share >= 1:
        return x.contiguous()
    size = [round(side * share) for side in x.shape[2:]]
    return F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)


def _augmented(x: Tensor, labels: Tensor, generator: torch.Generator, least: float) -> tuple[Tensor, Tensor]:
    """Pictures and labels mirrored at random, and cropped alike: one place and size for a batch."""
    high, wide = x.shape[2:]
    both = torch.cat([x, labels], 1)
    mirrored = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
    both = torch.where(mirrored, both.flip(3), both)
    share, down, right = torch.rand(3, generator=generator).tolist()
    tall, broad = (round(side * (least + (1 - least) * share)) for side in (high, wide))
    top, left = round(down * (high - tall)), round(right * (wide - broad))
    both = both[:, :, top : top + tall, left : left + broad]
    return both[:, :3], both[:, 3:]


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


def _block(*channels: int, stride: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for place, (a, b) in enumerate(pairwise(channels)):
        layers += [nn.Conv2d(a, b, 3, stride if place == 0 else 1, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers)
