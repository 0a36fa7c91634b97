"""Multilayer perceptrons on top of the encoder."""

from __future__ import annotations

from torch import nn


def mlp(inside: int, hidden: int, out: int) -> nn.Sequential:
    """Linear, batch norm, ReLU, linear without bias: projector and predictor of BYOL and RELICv2.

    >>> [type(layer).__name__ for layer in mlp(4, 8, 2)]
    ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    return nn.Sequential(
        nn.Linear(inside, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out, bias=False)
    )
