"""What is refused: before the first step wherever it can be known then, and losses that are no numbers."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pretrain import ranks
from pretrain.config import Training, method_of
from pretrain.feed import Feed
from pretrain.saliency.packed import Masks
from pretrain.squares import Decoded, Held
from relic_eval.encoders.modes import evaluating
from relic_eval.errors import ArgumentError, RelicError


def check(config: Training, pictures: Held | Decoded, labels: np.ndarray | None, masks: Masks | None = None) -> None:
    """All that pictures, labels and settings tell: sizes, classes, the number of negatives, parts of a batch."""
    if len(pictures) < config.batch:
        raise ArgumentError("--set batch", f"at most {len(pictures)}, the pictures there are", f"{config.batch}")
    if pictures.side < config.side:
        raise ArgumentError("--set side", f"at most {pictures.side}, the side of the pictures", f"{config.side}")
    if getattr(config, "small", 0) and config.small_side > config.side:  # type: ignore[attr-defined]
        expected = f"at most {config.side}, the side of the large crops"
        raise ArgumentError("--set small_side", expected, f"{config.small_side}")  # type: ignore[attr-defined]
    if masks is not None and (len(masks), *masks.sides) != (len(pictures), *pictures.sides):
        expected = f"{len(pictures)} of {pictures.sides[0]} x {pictures.sides[1]} pixels, like the pictures"
        raise ArgumentError("masks", expected, f"{len(masks)} of {masks.sides[0]} x {masks.sides[1]}")
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
                encoder(torch.zeros(1, feed.pictures.channels, side, side).to(feed.mean))
        except (AssertionError, RuntimeError, ValueError) as error:
            expected = f"a network that takes crops of {side} pixels"
            raise ArgumentError("--set network", expected, f"{config.network} ({error})", "Change the side.") from None


def check_compiler(device: str) -> None:
    """On CPUs, whether there is a C++ compiler, which torch would miss in the first step, and one process alone."""
    if not device.startswith("cpu"):
        return
    known = (os.environ.get("CXX", "g++"), "g++", "clang++")
    if not any(map(shutil.which, known)):
        raise ArgumentError("--set compile", "a C++ compiler", "none", "Install g++, or leave it off.")
    if ranks.world() > 1:  # its norms wait for the other ranks, where a compiled graph would break
        raise ArgumentError("--set compile", "off for several processes on CPUs", "on")


def refuse_nan(terms: dict[str, Tensor], step: int, out: Path) -> None:
    """Stop before a loss that is no number reaches the weights; checkpoints so far stay."""
    bad = [name for name, term in terms.items() if not math.isfinite(term.item())]
    if bad:
        raise RelicError(
            f"step {step}: expected finite losses, received {' and '.join(f'{n} = {terms[n].item()}' for n in bad)}. "
            f"Lower lr; the checkpoints in {out} are as they were."
        )
