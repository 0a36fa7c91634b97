"""A module in evaluation mode for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def evaluating(encoder: Any) -> Iterator[None]:
    """In evaluation mode, because batch statistics and dropout belong to training; afterwards as it was.

    >>> import torch; layer = torch.nn.Dropout()
    >>> with evaluating(layer): print(layer.training)
    False
    >>> layer.training
    True
    """
    training = {part: part.training for part in encoder.modules()} if hasattr(encoder, "modules") else {}
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part, mode in training.items():
            part.training = mode
