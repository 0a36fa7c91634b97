"""A network left in training mode is found before anything is written: what it says of a picture depends on the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from relic_eval.errors import ArgumentError

# Relative distance between the features of one picture in two batches. In float32 other kernels for other batch sizes move it
# by about 1e-6, batch statistics and dropout by 0.05 to 1. Numbers of 8 and 11 bits are rounded to 4e-3 and 5e-4 in each
# layer, and where another kernel adds up in another order they are rounded the other way: see docs/encoders.md for measured ones.
TOLERANCE = {"float32": 1e-3, "float16": 5e-3, "bfloat16": 3e-2}


def refuse_unsteady(
    name: str, features: Callable[[np.ndarray], np.ndarray], pixels_NHWC: np.ndarray, precision: str = "float32"
) -> int:
    """How many features there are; an ArgumentError where two of four pictures have other features when the other two are beside them.

    >>> pixels = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    >>> refuse_unsteady("mean", lambda p: p.mean((1, 2)), pixels)
    1
    >>> refuse_unsteady("centred", lambda p: p.mean((1, 2)) - p.mean(), pixels)
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: centred: expected features of a picture that do not depend on the others of its batch, received ...
    """
    few_ND, many_ND = (features(pixels_NHWC[:n]).astype(np.float64) for n in (2, 4))
    if few_ND.shape[1] != many_ND.shape[1]:
        raise ArgumentError(name, "as many features for every batch", f"{few_ND.shape[1]} and {many_ND.shape[1]}")
    size_N = np.maximum(np.linalg.norm(few_ND, axis=1), np.linalg.norm(many_ND[:2], axis=1))
    apart_N = np.linalg.norm(few_ND - many_ND[: len(few_ND)], axis=1) / np.maximum(size_N, 1e-12)
    most = (
        float(np.max(apart_N)) if np.isfinite(apart_N).all() else 0.0
    )  # what is not finite is refused with its picture's name
    if most > TOLERANCE[precision]:
        again_ND = features(pixels_NHWC[:2]).astype(np.float64)
        hint = (
            "Batch norm in training mode, for which call .eval() on the module, or a mean over the batch is the usual cause."
            if np.array_equal(again_ND, few_ND)
            else "The same batch gives others each time: dropout in training mode, for which call .eval() on the module, or "
            "random numbers in the function."
        )
        raise ArgumentError(
            name,
            "features of a picture that do not depend on the others of its batch",
            f"some that differ by {_percent(most)} between a batch of 2 and one of 4",
            hint,
        )
    return int(many_ND.shape[1])


def _percent(share: float) -> str:
    """Two figures, and no power of ten.

    >>> _percent(1.2345), _percent(0.00123)
    ('123%', '0.12%')
    """
    return f"{100 * share:.{0 if share >= 0.1 else 1 if share >= 0.01 else 2}f}%"
