"""Tensors of other people's checkpoint files: nothing in them is ever run."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from relic_eval.errors import DataError


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a .safetensors file, or of one that torch.save wrote, by the names of the tables that they lie in.

    `{"teacher": {"conv1.weight": t}}` gives `teacher.conv1.weight`. Raises DataError for a file that is neither, or that
    holds objects besides tensors, numbers, texts and tables of these.
    """
    if not file.is_file():
        raise DataError(f"expected a checkpoint {file}, received {'a folder' if file.is_dir() else 'nothing there'}.")
    if file.suffix == ".safetensors":
        return _safetensors(file)
    try:
        with torch.serialization.safe_globals(_plain()), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Detected pickle protocol"
            )  # what that one cannot read is an error anyway
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{file}: expected tensors and plain data, received {_what(error)}; nothing of it was run. Where you trust it, "
            "load it once and save its tensors alone: torch.save(model.state_dict(), ...)."
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, OSError) as error:
        raise DataError(f"{file}: expected a checkpoint of torch, received something else ({_short(error)}).") from None
    if hasattr(content, "state_dict"):
        content = content.state_dict()
    return dict(_flat(content))


def _safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return {_clean(name): tensor for name, tensor in load_file(file).items()}
    except SafetensorError as error:
        raise DataError(f"{file}: expected a safetensors file, received a damaged one ({_short(error)}).") from None


def _plain() -> list[Any]:
    """Plain data that training scripts put beside tensors: arguments, paths, NumPy's numbers."""
    kinds = [getattr(np.dtypes, name) for name in np.dtypes.__all__ if name != "ObjectDType"]
    scalar: Any = np.float64(0).__reduce__()[0]
    # older NumPy's name of the same function stands in older files
    return [argparse.Namespace, pathlib.PosixPath, scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds]


def _what(error: Exception) -> str:
    import re

    found = re.search(r"GLOBAL ([\w.]+)", str(error)) or re.search(r"(?:global|class|type) ([\w.]+)", str(error))
    return f"an object of {found.group(1)}" if found else "a pickle that cannot be read without"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def _clean(name: str) -> str:
    """Without what torch.compile puts into names."""
    return name.replace("_orig_mod.", "")


def _flat(content: Any, above: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(content, Tensor):
        yield _clean(above), content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flat(value, f"{above}.{key}" if above else str(key))
