"""Half-precision products in the networks, full precision in the losses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def in_float32(function: Callable[..., T]) -> Callable[..., T]:
    """The function with bfloat16 tensors, and lists of them, turned into float32, and autocast off inside.

    >>> in_float32(torch.sum)(torch.ones(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """

    def raised(x: object) -> object:
        if isinstance(x, list):
            return [raised(v) for v in x]
        return x.float() if isinstance(x, Tensor) and x.dtype == torch.bfloat16 else x

    @functools.wraps(function)
    def wrapped(*arguments: object, **options: object) -> T:
        with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return function(*(raised(x) for x in arguments), **options)

    return wrapped
