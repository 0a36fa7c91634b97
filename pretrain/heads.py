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


def projector_and_predictor(inside: int, hidden: int, out: int) -> dict[str, nn.Module]:
    """BYOL's two heads, which RELIC and RELICv2 have as well; the target has the projector alone.

    >>> sorted(projector_and_predictor(4, 8, 2))
    ['predictor', 'projector']
    """
    return {"projector": mlp(inside, hidden, out), "predictor": mlp(out, hidden, out)}


def critic(inside: int, hidden: int, out: int) -> nn.Sequential:
    """Four hidden layers, each half as wide as the one before, with batch norm and ReLU: RELIC's without a target network.

    >>> [layer.out_features for layer in critic(4, 16, 3) if isinstance(layer, nn.Linear)]
    [16, 8, 4, 2, 3]
    """
    layers: list[nn.Module] = []
    for shift in range(4):
        width = max(1, hidden >> shift)
        layers += [nn.Linear(inside, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        inside = width
    return nn.Sequential(*layers, nn.Linear(inside, out))
