"""A network with a new linear layer, trained as a whole on crops, and what it says of whole pictures."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from relic_eval.devices import device as find_device
from relic_eval.devices import float32
from relic_eval.encoders.load import Encoder
from relic_eval.errors import ArgumentError
from relic_eval.records import Transform
from relic_eval.tuning.descent import Descent, descend, network_of
from relic_eval.tuning.feed import Feed, ahead, batches, fractions, generator
from relic_eval.tuning.shots import Shots
from relic_eval.views import Draw, random_crop

SHOWN = 256  # pictures that are scored together


class Classifier(nn.Module):
    """An encoder and a linear layer on its features: pictures in [0, 1] to logits (N, C).

    >>> Classifier(nn.Flatten(), 4, 3, seed=0)(torch.zeros(2, 1, 2, 2)).shape
    torch.Size([2, 3])
    """

    def __init__(self, encoder: nn.Module, dims: int, classes: int, seed: int):
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(dims, classes)
        start_head(self.head, seed)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, C)."""
        return self.head(self.encoder(x).float())


def start_head(head: nn.Linear, seed: int) -> None:
    """Weights as RELICv2's code begins: a normal of deviation 1 / sqrt(D) cut at two deviations; intercepts zero.

    >>> head = nn.Linear(4, 2); start_head(head, 0); bool((head.weight.abs() <= 1).all()), head.bias.tolist()
    (True, [0.0, 0.0])
    """
    deviation = head.in_features**-0.5
    dice = torch.Generator().manual_seed(seed)
    nn.init.trunc_normal_(head.weight, 0.0, deviation, -2 * deviation, 2 * deviation, generator=dice)
    nn.init.zeros_(head.bias)


@dataclass(frozen=True)
class Start:
    """A network as it comes, for pictures of so many channels on a device; every run trains a copy of it."""

    module: nn.Module
    channels: int
    device: str
    whole: Transform  # of pictures that are judged
    cropped: Transform  # the square that crops are taken from
    dims: int

    def classifier(self, classes: int, seed: int) -> Classifier:
        """A copy with a new head, on the device."""
        return Classifier(copy.deepcopy(self.module), self.dims, classes, seed).to(self.device)


def begin(encoder: Encoder, shots: Shots, device: str = "cpu") -> Start:
    """The encoder's network, ready to be tuned. Raises ArgumentError for an encoder without weights to train."""
    device, channels = find_device(device), encoder.channels or shots.pictures.channels
    module = network_of(encoder.build(channels, device), encoder.name)
    whole = encoder.transform or Transform(shots.pictures.side)
    shorter = whole.shorter
    cropped = Transform(shorter, interpolation=whole.interpolation, squash=whole.squash)
    with torch.no_grad():  # what a network keeps for later calls must serve training too
        features = module(torch.zeros(2, channels, whole.side, whole.side, device=device))
    if not isinstance(features, Tensor) or features.ndim != 2:
        raise ArgumentError("encoder", "features (N, D)", f"{type(features).__name__} of another shape")
    return Start(module, channels, device, whole, cropped, features.shape[1])


@dataclass(frozen=True)
class Crops:
    """What happens to a picture in training, beside being resized to the encoder's side."""

    area: tuple[float, float] = (0.08, 1.0)
    ratio: float = 4 / 3
    flip: float = 0.5


def fit(
    start: Start, feed: Feed, places: np.ndarray, plan: Descent, batch: int, crops: Crops, text: str
) -> tuple[Classifier, list[list[float]] | None]:
    """Train a copy of the network and a new head on those places of the feed; the losses are None where they diverged."""
    shots = feed.shots.take(places)
    model = start.classifier(len(shots.classes), plan.seed)
    order = batches(len(shots), batch, plan.steps, plan.seed)
    several = shots.labels_NC
    target = shots.y_N if several is None else several.astype(np.float32)
    loss = F.cross_entropy if several is None else yes_or_no

    def make(step: int) -> tuple[Tensor, Tensor]:
        x = fractions(feed.take(places[order[step]]), start.channels, start.device)
        draw = Draw(generator(plan.seed, step), len(x))
        x = random_crop(x, start.whole.side, crops.area, crops.ratio, crops.flip, draw, "bicubic").clamp_(0, 1)
        return x, torch.from_numpy(target[order[step]]).to(start.device)

    def losses() -> Iterator[Tensor]:
        for x, y in ahead(make, range(plan.steps), wait=feed.held is not None):
            yield loss(model(x), y)

    return model, descend(model, losses(), plan, text)


def yes_or_no(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropies of labels (N, C), added up over the classes: of pictures that may have several.

    >>> yes_or_no(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]])).round(decimals=4)
    tensor(1.3863)
    """
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(labels)


def scores(start: Start, model: Classifier, feed: Feed) -> np.ndarray:
    """Of whole pictures, with the running statistics: probabilities (N, C), or logits where there may be several classes."""
    model.eval()
    made = []
    with torch.inference_mode(), float32():
        for first in range(0, len(feed.shots), SHOWN):
            places = np.arange(first, min(first + SHOWN, len(feed.shots)))
            x = fractions(feed.take(places), start.channels, start.device)
            logits = model(x)
            made.append((logits.softmax(1) if feed.shots.labels_NC is None else logits).cpu().numpy())
    return np.concatenate(made)


def value_of(shots: Shots, score_NC: np.ndarray) -> float | None:
    """The metric of the task, by which a setting is chosen; None where a score is not finite."""
    from relic_eval.evaluators.multilabel import labels_of
    from relic_eval.evaluators.shared import chosen_by
    from relic_eval.metrics.precision import mean_average_precision

    rows = shots.labelled()
    if not np.isfinite(score_NC).all():
        return None
    if rows.metric == "map11":
        return mean_average_precision(labels_of(rows), score_NC).mean
    return float(chosen_by(rows, score_NC.argmax(1)))


def about(encoder: Encoder, train: Shots, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
    """All that decides a run, for its note: weights, pictures, labels, settings."""
    transform = None if encoder.transform is None else vars(encoder.transform)
    return {"encoder": encoder.digest, "transform": transform, "train": train.digest, "settings": settings, **more}
