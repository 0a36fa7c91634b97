"""Networks by name: residual networks of any published depth, width and stem, a thin one, and whatever timm makes.

The residual networks are of the first kind (He et al. 2016: rectified after the sum), as RELICv2's are, with torchvision's
padding: half a kernel on each side. The published ones pad even sizes more at the bottom and on the right: `-same` does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relic_eval.encoders.names import DEPTHS, check_network
from relic_eval.errors import ArgumentError


def pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Pictures padded as Haiku's SAME: for ceil(side / stride) outputs, and an odd pixel at the bottom and on the right.

    >>> pad_same(torch.ones(1, 1, 2, 3), 3, 2)[0, 0].tolist()
    [[0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    sides = []
    for side in (x.shape[3], x.shape[2]):  # F.pad begins with the last axis
        both = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        sides += [both // 2, both - both // 2]
    return F.pad(x, sides, value=value)


class SameConv(nn.Conv2d):
    """A convolution with Haiku's SAME padding, which depends on the size of the picture where the stride is not 1."""

    def forward(self, x: Tensor) -> Tensor:
        x = pad_same(x, self.kernel_size[0], int(self.stride[0]))
        return F.conv2d(x, self.weight, self.bias, self.stride)


class SamePool(nn.Module):
    """A 3 x 3 maximum of stride 2 with Haiku's SAME padding."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(pad_same(x, 3, 2, value=float("-inf")), 3, 2)


def convolution(inside: int, outside: int, kernel: int, stride: int, same: bool) -> nn.Conv2d:
    """One without bias, padded by half a kernel on each side or as Haiku does: at stride 1 the two are one."""
    if same and stride > 1:
        return SameConv(inside, outside, kernel, stride, bias=False)
    return nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """Convolutions and a shortcut, rectified after the sum: two of 3 x 3, or 1 x 1, 3 x 3 and 1 x 1 (a bottleneck)."""

    def __init__(self, inside: int, outside: int, stride: int, bottleneck: bool = False, same: bool = False):
        super().__init__()
        middle = outside // 4 if bottleneck else outside
        sizes = [(inside, middle, 1, 1), (middle, middle, 3, stride), (middle, outside, 1, 1)]
        if not bottleneck:
            sizes = [(inside, outside, 3, stride), (outside, outside, 3, 1)]
        self.depth = len(sizes)
        for number, (before, after, kernel, step) in enumerate(sizes):
            self.add_module(f"conv_{number}", convolution(before, after, kernel, step, same))
            self.add_module(f"norm_{number}", nn.BatchNorm2d(after))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number in range(self.depth):
            y = getattr(self, f"norm_{number}")(getattr(self, f"conv_{number}")(y))
            if number < self.depth - 1:
                y = F.relu(y)
        return F.relu(y + self.shortcut(x))


@dataclass(frozen=True)
class Layout:
    """Channels that leave each stage, its blocks, and what comes before and after."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    bottleneck: bool = False
    stem: tuple[tuple[int, int, int], ...] = ((64, 7, 2),)  # channels, kernel, stride of each convolution
    pool: bool = True  # a 3 x 3 maximum of stride 2 after the stem
    last: int = 0  # features of a 1 x 1 convolution at the end; 0: none
    same: bool = False  # padding: Haiku's SAME, or half a kernel on each side


THIN = Layout((32, 64, 128), (1, 1, 1), stem=((32, 3, 2),), pool=False, last=128)


class ResNet(nn.Module):
    """A stem, stages of blocks of which each but the first halves the picture, and the mean over height and width."""

    def __init__(self, channels: int, layout: Layout):
        super().__init__()
        inside, stem = channels, []
        for width, kernel, stride in layout.stem:
            stem += [
                convolution(inside, width, kernel, stride, layout.same),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            inside = width
        pool: nn.Module = SamePool() if layout.same else nn.MaxPool2d(3, 2, 1)
        self.stem = nn.Sequential(*stem, *([pool] if layout.pool else []))
        stages = []
        for number, (width, count) in enumerate(zip(layout.widths, layout.blocks, strict=True)):
            for place in range(count):
                stride = 2 if number and not place else 1
                stages.append(Block(inside, width, stride, layout.bottleneck, layout.same))
                inside = width
        self.stages = nn.Sequential(*stages)
        self.last: nn.Module = nn.Identity()
        if layout.last:
            self.last = nn.Sequential(
                nn.Conv2d(inside, layout.last, 1, bias=False), nn.BatchNorm2d(layout.last), nn.ReLU()
            )
        self.dims = layout.last or inside

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, dims) of pictures (N, channels, H, W)."""
        return self.maps(x).mean((2, 3))

    def maps(self, x: Tensor) -> Tensor:
        """The map (N, dims, h, w) that the features are the mean of."""
        return self.last(self.stages(self.stem(x.contiguous(memory_format=torch.channels_last))))


def layout(name: str) -> Layout:
    """Depth, width and stem that a name asks for: `resnet50`, `resnet50-2x-same`, `resnet18-32px`, `thin-resnet-2x`.

    >>> layout("resnet50-2x").widths, layout("resnet18-32px").stem
    ((512, 1024, 2048, 4096), ((64, 3, 1),))
    """
    parts = re.fullmatch(r"(thin-resnet|resnet\d+)(?:-(\d)x)?(-32px)?(-same)?", name)
    depth, times, small, same = parts.groups()  # type: ignore[union-attr]
    by = int(times or 1)
    if depth == "thin-resnet":
        return Layout(
            tuple(w * by for w in THIN.widths), THIN.blocks, stem=((32 * by, 3, 2),), pool=False, last=128 * by
        )
    number = int(depth.removeprefix("resnet"))
    bottleneck = number >= 50
    stem: Any = ((64 * by, 3, 1),) if small else ((64 * by, 7, 2),)
    if number == 295 and not small:  # three convolutions: 1 + 3 * (3 + 36 + 55 + 3) would be 292 layers
        stem = ((32 * by, 3, 2), (32 * by, 3, 1), (64 * by, 3, 1))
    widths = tuple(w * by * (4 if bottleneck else 1) for w in (64, 128, 256, 512))
    return Layout(widths, DEPTHS[number], bottleneck, stem, pool=not small, same=bool(same))


def build_network(name: str, channels: int, seed: int = 0, side: int | None = None) -> nn.Module:
    """A network with weights drawn from `seed`, whatever the global random state; `dims` is its width.

    Residual networks begin He-normal; timm's as timm has them, for pictures of `side` pixels where it matters.

    >>> build_network("thin-resnet", 1)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 128])
    """
    check_network(name)
    if name.startswith("timm:"):
        return _timm(name.removeprefix("timm:"), channels, seed, side)
    network = ResNet(channels, layout(name)).to(memory_format=torch.channels_last)
    initialise(network, torch.Generator().manual_seed(seed))
    return network


def _timm(name: str, channels: int, seed: int, side: int | None) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise ArgumentError(
            "network", "timm to be installed", f"timm:{name} without it", "Type: pip install 'relic-eval[timm]'."
        ) from None
    if not timm.is_model(name):
        near = timm.list_models(f"{name.split('_')[0]}*")[:3]
        raise ArgumentError(
            "network", "a model that timm lists", repr(name), f"For example {', '.join(near)}." if near else ""
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        more: dict[str, Any] = {}
        if name.startswith(("vit_", "deit", "swin_")):
            # crops of several sizes go through one network; paths that are dropped would be drawn outside of the seed
            flexible = {"strict_img_size": False} if name.startswith("swin_") else {"dynamic_img_size": True}
            more = {"drop_path_rate": 0.0, **flexible, **({"img_size": side} if side else {})}
        network = timm.create_model(name, num_classes=0, in_chans=channels, **more)
    network.dims = getattr(network, "head_hidden_size", None) or network.num_features
    return network


def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all convolutions and linear layers anew: He (2015) by fan-out for the first, by fan-in for the second.

    >>> layer = nn.Linear(2, 2); initialise(layer, torch.Generator().manual_seed(0)); layer.bias.tolist()
    [0.0, 0.0]
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
