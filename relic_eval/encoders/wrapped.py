"""A network with all that stands between pictures in [0, 1] and features, as one module."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relic_eval.encoders.families import family_of, grid_of
from relic_eval.encoders.settings import Settings
from relic_eval.errors import ArgumentError


class Wrapped(nn.Module):
    """Normalisation, the network, a layer of it, pooling: pictures (N, C, H, W) in [0, 1] to features (N, D).

    >>> Wrapped(nn.Flatten(), (0.5,), (0.25,))(torch.full((1, 1, 1, 2), 0.75))
    tensor([[1., 1.]])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], settings: Settings | None = None
    ):
        super().__init__()
        self.network = network
        self.settings = settings or Settings()
        self.family = family_of(network)
        _check_layer(network, self.settings.layer)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, D)."""
        its = self.settings
        with self._precision(x):
            x = (x - self.mean).div_(self.std)
            asked = its.layer or its.pool
            y = self._pooled(self._unpooled(x), x) if asked else self.family.pooled(self.network, x)
        if its.precision != "float32":
            y = y.float()
        return nn.functional.normalize(y, dim=1) if its.normalise == "l2" else y

    def maps(self, x: Tensor) -> Tensor:
        """The map (N, D, h, w) before pooling, of the chosen layer or of the last: of a transformer its patches in a grid."""
        with self._precision(x):
            x = (x - self.mean).div_(self.std)
            y = self._unpooled(x)
            if y.ndim == 3:
                y = grid_of(y[:, self.family.prefix(self.network, x, y.shape[1]) :], x)
        if y.ndim != 4:
            raise ArgumentError("layer", "a layer with a map or tokens", f"one of shape {tuple(y.shape)}")
        return y.float()

    def _precision(self, x: Tensor) -> Any:
        """Products in fewer bits, sums and norms in float32; the weights stay as they are."""
        if self.settings.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(x.device.type, getattr(torch, self.settings.precision))

    def _unpooled(self, x: Tensor) -> Tensor:
        """Map (N, D, h, w), tokens (N, T, D) or features (N, D)."""
        if not self.settings.layer:
            return self.family.last(self.network, x)
        found: list[Any] = []
        layer = self.network.get_submodule(self.settings.layer)
        handle = layer.register_forward_hook(lambda module, given, made: found.append(made))
        try:
            self.family.pooled(self.network, x)
        finally:
            handle.remove()
        if not found:
            raise ArgumentError("layer", "a layer that pictures go through", repr(self.settings.layer))
        y = found[-1]
        y = y[0] if isinstance(y, tuple | list) else y
        if not isinstance(y, Tensor):
            raise ArgumentError("layer", "a layer that gives a tensor", type(y).__name__)
        return y.permute(0, 3, 1, 2) if y.ndim == 4 and self.family.nhwc(self.network, self.settings.layer) else y

    def _pooled(self, y: Tensor, x: Tensor) -> Tensor:
        """Features (N, D) of a map, of tokens, or of features that are left as they are."""
        pool, y = self.settings.pool, y.float()
        if pool == "flatten" or (y.ndim == 2 and not pool):
            return y.flatten(1)
        if y.ndim == 4 and pool in ("", "mean", "max"):
            return y.amax((2, 3)) if pool == "max" else y.mean((2, 3))
        if y.ndim == 3:
            prefix = self.family.prefix(self.network, x, y.shape[1])
            if prefix or pool in ("", "mean", "max"):
                patches = y[:, prefix:]
                ways = {
                    "": lambda: y[:, 0] if prefix else patches.mean(1),
                    "mean": lambda: patches.mean(1),
                    "max": lambda: patches.amax(1),
                    "cls": lambda: y[:, 0],
                    "cls+mean": lambda: torch.cat([y[:, 0], patches.mean(1)], 1),
                }
                return ways[pool]()
        kinds = {2: "features", 3: "tokens without a first one that stands for the picture", 4: "a map"}
        what = kinds.get(y.ndim, "an output")
        raise ArgumentError("pool", f"a way to pool {what} of shape {tuple(y.shape)}", repr(pool))


def _check_layer(network: nn.Module, layer: str) -> None:
    """An ArgumentError that names layers of nearly that name, where there is none of it."""
    if not layer:
        return
    names = [name for name, _ in network.named_modules() if name]
    if layer not in names:
        near = difflib.get_close_matches(layer, names, n=3, cutoff=0.3) or names[:3]
        raise ArgumentError(
            "layer", f"a layer of {type(network).__name__}", repr(layer), f"For example {', '.join(near)}."
        )
