"""What is refused: before the first step wherever it can be known then, and losses that are no numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pretrain.config import Training, method_of
from pretrain.feed import Feed
from pretrain.saliency.packed import Masks
from relic_eval.encoders.modes import evaluating
from relic_eval.errors import ArgumentError, RelicError


def check(config: Training, images: np.ndarray, labels: np.ndarray | None, masks: Masks | None = None) -> None:
    """All that pictures, labels and settings tell: sizes, classes, the number of negatives, parts of a batch."""
    if images.ndim not in (3, 4) or images.dtype != np.uint8:
        raise ArgumentError("images", "uint8 (N, H, W) or (N, H, W, C)", f"{images.dtype} {images.shape}")
    if masks is not None and (*masks.packed.shape[:2], masks.width) != images.shape[:3]:
        found = (*masks.packed.shape[:2], masks.width)
        raise ArgumentError("masks", f"shape {images.shape[:3]} like the pictures", f"{found}")
    if len(images) < config.batch:
        raise ArgumentError("--set batch", f"at most {len(images)}, the pictures there are", f"{config.batch}")
    if min(images.shape[1:3]) < config.side:
        raise ArgumentError(
            "--set side", f"at most {min(images.shape[1:3])}, the side of the pictures", f"{config.side}"
        )
    negatives = getattr(config, "negatives", 0)
    if config.batch < max(2, negatives + 1):
        raise ArgumentError(
            "--set batch", f"at least {max(2, negatives + 1)}: a picture and its negatives", f"{config.batch}"
        )
    if config.accumulate > 1 and hasattr(config, "tau"):  # it tells pictures of a batch apart
        raise ArgumentError(
            "--set accumulate",
            f"1 for {method_of(config)}, whose negatives are the rest of the batch",
            f"{config.accumulate}",
            "More processes (--nproc) share a batch and keep its negatives.",
        )
    if config.batch % config.accumulate or config.batch // config.accumulate < 2:
        expected = f"parts of two pictures or more of {config.batch}"
        raise ArgumentError("--set accumulate", expected, f"{config.accumulate}")
    if method_of(config) == "supervised" and (labels is None or len(np.unique(labels)) < 2):
        raise ArgumentError("labels", "at least two classes for supervised", "none" if labels is None else "one class")


def check_crops(config: Training, encoder: nn.Module, feed: Feed) -> None:
    """Whether the network takes crops of every size there will be: transformers take multiples of their patch."""
    sides = {config.side} | ({config.small_side} if getattr(config, "small", 0) else set())  # type: ignore[attr-defined]
    for side in sorted(sides):
        try:
            with evaluating(encoder), torch.no_grad():
                encoder(torch.zeros(1, feed.pixels.shape[1], side, side).to(feed.mean))
        except (AssertionError, RuntimeError, ValueError) as error:
            expected = f"a network that takes crops of {side} pixels"
            raise ArgumentError("--set network", expected, f"{config.network} ({error})", "Change the side.") from None


def refuse_nan(terms: dict[str, Tensor], step: int, out: Path) -> None:
    """Stop before a loss that is no number reaches the weights; checkpoints so far stay."""
    bad = [name for name, term in terms.items() if not math.isfinite(term.item())]
    if bad:
        raise RelicError(
            f"step {step}: expected finite losses, received {' and '.join(f'{n} = {terms[n].item()}' for n in bad)}. "
            f"Lower lr; the checkpoints in {out} are as they were."
        )
