"""Networks by name. One for now: a thin residual network for pictures of about 28 pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relic_eval.errors import look_up


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, rectified after the sum (ResNet v1)."""

    def __init__(self, inside: int, outside: int, stride: int):
        super().__init__()
        self.conv_0 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm_0 = nn.BatchNorm2d(outside)
        self.conv_1 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm_1 = nn.BatchNorm2d(outside)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm_0(self.conv_0(x)))
        return F.relu(self.norm_1(self.conv_1(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """A 3 x 3 stem of stride 2, one stage a width, a 1 x 1 convolution to `dims`, and the mean over height and width.

    More features make every probe better, and one on random weights most of all: 128 show best what training adds.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], blocks: tuple[int, ...], dims: int):
        super().__init__()
        self.dims = dims
        self.stem = nn.Conv2d(channels, widths[0], 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        stages, inside = [], widths[0]
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for place in range(count):
                stages.append(Block(inside, width, 2 if number and not place else 1))
                inside = width
        self.stages = nn.Sequential(*stages)
        self.last = nn.Conv2d(inside, dims, 1, bias=False)
        self.last_norm = nn.BatchNorm2d(dims)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, dims) of pictures (N, channels, H, W)."""
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.stages(F.relu(self.norm(self.stem(x))))
        return F.relu(self.last_norm(self.last(x))).mean((2, 3))


NETWORKS = {"thin-resnet": ((32, 64, 128), (1, 1, 1), 128)}  # widths and blocks of the stages, features


def build_network(name: str, channels: int, seed: int = 0) -> ResNet:
    """A network with He-normal weights drawn from `seed`, whatever the global random state; `dims` is its width.

    >>> build_network("thin-resnet", 1)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 128])
    """
    network = ResNet(channels, *look_up("network", name, NETWORKS)).to(memory_format=torch.channels_last)
    initialise(network, torch.Generator().manual_seed(seed))
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
