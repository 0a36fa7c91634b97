"""A fully convolutional network on an encoder: two wide convolutions, a classifier a pixel, logits made as large as the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relic_eval.encoders.networks import initialise
from relic_eval.errors import ArgumentError


class Fcn(nn.Module):
    """FCN-16s as MoCo and BYOL (appendix D.4) have it: pictures (N, C, H, W) in [0, 1] to logits (N, classes, H, W).

    Two convolutions of 3 x 3 with dilation 6, each with normalisation and rectifier, then one of 1 x 1, on the encoder's
    last map. A cell of a padded convolution lies over a corner of its pixels (16 i, 16 j), so logits are spread from corner
    to corner: a side of 16 k + 1, such as 513 and 769, fits.
    """

    def __init__(self, encoder: nn.Module, dims: int, classes: int, width: int = 256, dilation: int = 6, seed: int = 0):
        super().__init__()
        self.encoder = encoder
        layers: list[nn.Module] = []
        for before in (dims, width):
            layers += [
                nn.Conv2d(before, width, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        self.neck, self.classifier = nn.Sequential(*layers), nn.Conv2d(width, classes, 1)
        dice = torch.Generator().manual_seed(seed)
        initialise(self.neck, dice)
        nn.init.normal_(self.classifier.weight, 0.0, 0.01, generator=dice)
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every pixel."""
        y = self.classifier(self.neck(maps_of(self.encoder, x)))
        return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=True)


def maps_of(encoder: nn.Module, x: Tensor) -> Tensor:
    """The encoder's last map (N, D, h, w); an ArgumentError for one that gives none.

    >>> maps_of(nn.Flatten(), torch.zeros(1, 1, 2, 2))
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: encoder: expected a network with maps(x), received a Flatten. ...
    """
    if not hasattr(encoder, "maps"):
        hint = "Segmentation needs the map before pooling: name the encoder, or give your module a method maps."
        raise ArgumentError("encoder", "a network with maps(x)", f"a {type(encoder).__name__}", hint)
    y = encoder.maps(x)  # type: ignore[operator]
    if y.ndim != 4:
        raise ArgumentError("encoder", "maps (N, D, h, w)", f"shape {tuple(y.shape)}")
    return y


def pixel_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy over the labelled pixels of a batch; below 0 in `y` (N, H, W) is no label.

    >>> pixel_loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, -1]]])).round(decimals=4)
    tensor(0.6931)
    """
    # as rows: the loss of maps has no deterministic form on CUDA
    rows = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])
    return F.cross_entropy(rows, y.flatten(), ignore_index=-1, reduction="sum") / (y >= 0).sum().clamp_min(1)
