"""A network with all that stands between pictures in [0, 1] and features, as one module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Wrapped(nn.Module):
    """Normalisation, then the network: pictures (N, C, H, W) in [0, 1] to features (N, D).

    >>> Wrapped(nn.Flatten(), (0.5,), (0.25,))(torch.full((1, 1, 1, 2), 0.75))
    tensor([[1., 1.]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D)."""
        return self.network((x - self.mean) / self.std)

    def maps(self, x: Tensor) -> Tensor:
        """The last feature map (N, D, h, w), before it is pooled; of a network that has none an AttributeError."""
        return self.network.maps((x - self.mean) / self.std)  # type: ignore[operator]
