"""Checkpoints of other packages as `.safetensors` files that say which network they are, and what it is to see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.encoders.haiku import Mismatch, encoder_of
from relic_eval.encoders.unpickle import read_pickle
from relic_eval.errors import ArgumentError, DataError
from relic_eval.files import digest_file, write_bytes

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, by the official utils/dataset.py
SEEN = {"side": 224, "resize": 256, "interpolation": "bicubic"}  # a centre of 0.875 of the shorter side, at 224


@dataclass(frozen=True)
class Conversion:
    """What was made of a checkpoint, and what was not."""

    source: Path
    target: Path
    sha256: str  # of the source
    network: str
    tensors: int  # of the network, each of which was found
    parameters: int
    devices: int  # copies that agreed, of which one is kept; 0 where there is no such axis
    ignored: tuple[tuple[str, int, int], ...]  # name, arrays, numbers

    def lines(self) -> list[str]:
        """The report, for people."""
        text = [
            f"{self.target}: {self.network}, {self.parameters:,} parameters; all {self.tensors} tensors of the network "
            f"were in {self.source}"
        ]
        if self.devices:
            text.append(f"the copies of {self.devices} devices agree; one is kept")
        text += [
            f"left out: {name}, {arrays} {'array' if arrays == 1 else 'arrays'} of {numbers:,} numbers"
            for name, arrays, numbers in self.ignored
        ]
        return text


def convert(source: Path, target: Path | None = None) -> Conversion:
    """Write the online encoder of an official pickle as a safetensors file, whole or not at all; by default beside it.

    Raises DataError where the pickle is no such checkpoint, ArgumentError where `target` is another file.

    >>> convert(Path("/nowhere/pretrain.pkl"))
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected a file /nowhere/pretrain.pkl, received nothing there.
    """
    if not source.is_file():
        raise DataError(f"expected a file {source}, received {'a folder' if source.is_dir() else 'nothing'} there.")
    target = source.with_suffix(".safetensors") if target is None else target
    sha256 = digest_file(source)
    about = json.dumps({"format": "haiku", "sha256": sha256}, sort_keys=True)
    _check_free(target, about)
    try:
        network, tensors, devices, ignored = encoder_of(read_pickle(source))
    except Mismatch as error:
        raise DataError(f"{source}: {error} Only the official RELICv2 and BYOL networks are read.") from None
    seen = {"network": network, "channels": 3, "mean": MEAN, "std": STD, **SEEN}
    write_bytes(
        target, serialise(tensors, {**{key: json.dumps(value) for key, value in seen.items()}, "source": about})
    )
    counted = sum(t.size for name, t in tensors.items() if name.endswith(("weight", "bias")))
    return Conversion(source, target, sha256, network, len(tensors), counted, devices, tuple(ignored))


def _check_free(target: Path, about: str) -> None:
    """An ArgumentError where there is something at `target` that was not made of the same checkpoint."""
    if not target.exists():
        return
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(target, "numpy") as file:
            known = (file.metadata() or {}).get("source")
    except (SafetensorError, OSError):
        known = None
    if known != about:
        was = "one that was made of another file" if known else "something else"
        raise ArgumentError(
            "target", "a new file, or one made of the same checkpoint", f"{target}, {was}", "Name another one."
        )


def serialise(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file: same content, same bytes, which the package's own writer does not promise of metadata.

    Length of the header (8 bytes), the header as JSON, the numbers; those of 8 bytes first, so that all are aligned.

    >>> from safetensors.numpy import load
    >>> load(serialise({"a": np.arange(2, dtype=np.float32)}, {"b": "c"}))
    {'a': array([0., 1.], dtype=float32)}
    """
    codes = {"float32": "F32", "int64": "I64"}
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    parts, at = [], 0
    for name, numbers in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        span = [at, at := at + numbers.nbytes]
        header[name] = {"dtype": codes[numbers.dtype.name], "shape": list(numbers.shape), "data_offsets": span}
        parts.append(numbers.data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])
