"""One batch: uint8 pixels -> an encoder's features, or an error that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from relic_eval.devices import float32
from relic_eval.errors import ArgumentError, DataError


def encode_batch(function: Any, pixels_NHWC: np.ndarray, channels: int, device: str) -> np.ndarray:
    """Features (N, D) float32 of uint8 pixels, grey made RGB or RGB made grey as the encoder wants it.

    >>> encode_batch(lambda x: x.flatten(1), np.full((1, 1, 1, 1), 255, np.uint8), 1, "cpu")
    array([[1.]], dtype=float32)
    """
    import torch

    x = torch.from_numpy(np.ascontiguousarray(pixels_NHWC)).to(device).permute(0, 3, 1, 2).float().div_(255)
    if x.shape[1] != channels:
        weights = x.new_tensor([0.2989, 0.5870, 0.1140]).view(1, 3, 1, 1)
        x = x.expand(-1, 3, -1, -1) if channels == 3 else (x * weights).sum(1, keepdim=True)
    try:
        with torch.inference_mode(), float32():
            features = function(x)
    except Exception as error:
        error.add_note(
            f"The encoder was given pictures {tuple(x.shape)} in [0, 1]. Where it wants another size, say so: side=224 after its "
            "name and a comma, or side= and channels= of embed()."
        )
        raise
    try:
        features = torch.as_tensor(features).float().cpu().numpy()
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            "encoder",
            f"a tensor of features ({len(pixels_NHWC)}, D)",
            type(features).__name__,
            "Return the tensor alone.",
        ) from None
    if features.ndim != 2 or len(features) != len(pixels_NHWC):
        hint = "Pool the feature map." if features.ndim > 2 else "Return one row a picture."
        raise ArgumentError("encoder", f"features ({len(pixels_NHWC)}, D)", f"shape {features.shape}", hint)
    return features


def refuse_nonfinite(x_ND: np.ndarray, name: str, paths_N: np.ndarray) -> None:
    """An error that names the first picture whose embedding is not finite."""
    bad_N = ~np.isfinite(x_ND).all(1)
    if bad_N.any():
        raise DataError(
            f"{name}: expected finite embeddings, received NaN or infinity for {int(bad_N.sum())} pictures "
            f"(the first is {paths_N[bad_N][0]}). Check the encoder's weights and precision."
        )


def refuse_other_widths(made: Sequence[np.ndarray]) -> None:
    if len({x.shape[1] for x in made}) > 1:
        raise ArgumentError("encoder", "as many features for every batch", f"{sorted({x.shape[1] for x in made})}")
