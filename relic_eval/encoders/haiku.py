"""Official checkpoints of RELICv2 and BYOL (Haiku's names, NHWC) as a safetensors file of a network of this package.

What is read is the online encoder, as the official evaluation reads it; the projector, the predictor, a classifier,
the target network and the optimiser's state are left out, and named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.encoders.names import DEPTHS, SAME
from relic_eval.encoders.standins import Array, Record
from relic_eval.encoders.unpickle import read_pickle
from relic_eval.errors import ArgumentError, DataError
from relic_eval.files import digest_file, write_bytes

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, by the official utils/dataset.py
SEEN = {"side": 224, "resize": 256, "interpolation": "bicubic"}  # a centre of 0.875 of the shorter side, at 224
STEM, CLASSIFIER = "initial_conv", "logits"
CONV = {"w": "weight"}
NORM = {"scale": "weight", "offset": "bias"}
STATE = {"mean_ema": "running_mean", "var_ema": "running_var"}  # of each, `average` is what inference reads

Modules = Mapping[str, Mapping[str, Array]]


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
        text += [f"left out: {name}, {arrays} arrays of {numbers:,} numbers" for name, arrays, numbers in self.ignored]
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
            "--out", "a new file, or one made of the same checkpoint", f"{target}, {was}", "Name another one."
        )


class Mismatch(Exception):
    """A pickle that is no such checkpoint: what was expected and received, in a sentence."""


def encoder_of(content: Any) -> tuple[str, dict[str, np.ndarray], int, list[tuple[str, int, int]]]:
    """Network, its tensors by the names of its state_dict, devices, and what was left out, of a checkpoint's content.

    >>> encoder_of({"step": 3})
    Traceback (most recent call last):
    ...
    relic_eval.encoders.haiku.Mismatch: expected experiment_state with online_params and online_state, or a pair of
    parameters and state, received step.
    """
    ignored: list[tuple[str, int, int]] = []
    parts = [_modules(part, ignored) for part in _online(content, ignored)]
    stems = [path for path in parts[0] if path.split("/")[-1] == STEM]
    if len(stems) != 1:
        raise Mismatch(f"expected one encoder with {STEM}, received {len(stems)}: {_some(stems or parts[0])}.")
    top = stems[0].removesuffix(STEM)
    arrays: dict[str, Array] = {}
    for part in parts:
        for path, leaves in part.items():
            inside = path.removeprefix(top) if path.startswith(top) else ""
            if inside and inside != CLASSIFIER:
                arrays |= {f"{inside}/{name}": array for name, array in leaves.items()}
            else:
                _leave_out(ignored, f"{top}{CLASSIFIER}" if inside else path.split("/")[0], leaves)
    network, blocks = _network(arrays)
    return network, *_tensors(network, blocks, arrays), ignored


def _online(content: Any, ignored: list[tuple[str, int, int]]) -> tuple[Any, Any]:
    """Parameters and state of the online network; what lies beside them is left out."""
    if isinstance(content, (tuple, list)) and len(content) == 2:
        return content[0], content[1]
    fields, names = _fields(content), ("online_params", "online_state")
    if fields is not None and "experiment_state" in fields:
        _beside(fields, ("experiment_state",), ignored)
        fields = _fields(fields["experiment_state"])
    if fields is not None and "params" in fields:
        names = ("params", "state")
    if fields is None or not all(name in fields for name in names):
        raise Mismatch(
            "expected experiment_state with online_params and online_state, or a pair of parameters and state, "
            f"received {type(content).__name__ if fields is None else _some(fields)}."
        )
    _beside(fields, names, ignored)
    return fields[names[0]], fields[names[1]]


def _fields(content: Any) -> dict[Any, Any] | None:
    return content.fields if isinstance(content, Record) else content if isinstance(content, dict) else None


def _beside(fields: Mapping[Any, Any], names: tuple[str, ...], ignored: list[tuple[str, int, int]]) -> None:
    for name, content in fields.items():
        if name not in names:
            _leave_out(ignored, str(name), content)


def _leave_out(ignored: list[tuple[str, int, int]], name: str, content: Any) -> None:
    """Count the arrays in what is not used, each once, however they are nested; one line a name."""
    arrays, seen, waiting = [], set(), [content]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Array):
            arrays.append(one)
        elif isinstance(one, (list, tuple)):
            waiting += one
        elif (fields := _fields(one)) is not None:
            waiting += fields.values()
    count, numbers = len(arrays), sum(a.size for a in arrays)
    for place, (known, their, many) in enumerate(ignored):
        if known == name:
            ignored[place] = (name, their + count, many + numbers)
            return
    if count:
        ignored.append((name, count, numbers))


def _modules(part: Any, ignored: list[tuple[str, int, int]]) -> Modules:
    """Arrays by module and name; Haiku marks modules that were made in a constructor with ~, which says nothing here."""
    modules: dict[str, Mapping[str, Array]] = {}
    for path, leaves in (_fields(part) or {}).items():
        found = _fields(leaves)
        if not isinstance(path, str) or found is None or not all(isinstance(a, Array) for a in found.values()):
            raise Mismatch(f"expected modules of arrays by name, received {type(leaves).__name__} at {path!r:.60}.")
        modules["/".join(p for p in path.split("/") if p != "~")] = found
    return modules


def _some(names: Any) -> str:
    listed = [str(name)[:60] for name in list(names)[:4]]
    return ", ".join(listed) + (f" and {len(names) - 4} more" if len(names) > 4 else "") if listed else "nothing"


def _network(arrays: Mapping[str, Array]) -> tuple[str, tuple[int, ...]]:
    """Name and blocks of the network, found from the modules and the shape of the first."""
    places = [re.fullmatch(r"block_group_(\d+)/block_(\d+)/conv_2/w", name) for name in arrays]
    groups = [int(match[1]) for match in places if match]
    blocks = tuple(groups.count(group) for group in range(max(groups, default=-1) + 1))
    depth = next((depth for depth in SAME if DEPTHS[depth] == blocks), None)
    width = arrays[f"{STEM}/w"].shape[-1] if f"{STEM}/w" in arrays else 0
    if depth is None or width not in (64, 128, 256):
        known = ", ".join(f"{DEPTHS[d]} ({d})" for d in SAME)
        raise Mismatch(
            f"expected blocks of three convolutions, {known}, on 64, 128 or 256 channels, received {blocks} on {width}."
        )
    return f"resnet{depth}{f'-{width // 64}x' if width > 64 else ''}-same", blocks


def _names(blocks: tuple[int, ...]) -> Iterator[tuple[str, str, bool]]:
    """Module by module: what Haiku calls it, what it is called here, and whether it is a batch norm."""
    yield STEM, "stem.0", False
    yield "initial_batchnorm", "stem.1", True
    number = 0
    for group, count in enumerate(blocks):
        for block in range(count):
            theirs, ours = f"block_group_{group}/block_{block}", f"stages.{number}"
            for conv in range(3):
                yield f"{theirs}/conv_{conv}", f"{ours}.conv_{conv}", False
                yield f"{theirs}/batchnorm_{conv}", f"{ours}.norm_{conv}", True
            if not block:
                yield f"{theirs}/shortcut_conv", f"{ours}.shortcut.0", False
                yield f"{theirs}/shortcut_batchnorm", f"{ours}.shortcut.1", True
            number += 1


def _tensors(network: str, blocks: tuple[int, ...], arrays: Mapping[str, Array]) -> tuple[dict[str, np.ndarray], int]:
    """Tensors of the network by name, and devices; a Mismatch where one is missing, too many, or of another shape."""
    theirs: dict[str, str] = {}  # their name -> ours
    spare: set[str] = set()  # running sums that inference does not read
    for module, ours, norm in _names(blocks):
        theirs |= {f"{module}/{name}": f"{ours}.{our}" for name, our in (NORM if norm else CONV).items()}
        for ema, our in STATE.items() if norm else ():
            theirs[f"{module}/{ema}/average"] = f"{ours}.{our}"
            spare |= {f"{module}/{ema}/hidden", f"{module}/{ema}/counter"}
    for text, names in (("", set(theirs) - set(arrays)), ("no ", set(arrays) - set(theirs) - spare)):
        if names:
            received = "none" if not text else "them"
            raise Mismatch(f"expected {text}{_some(sorted(names))} in {network}, received {received}.")
    devices = {a.shape[0] for name in theirs if len((a := arrays[name]).shape) == 5}
    if len(devices) > 1:
        raise Mismatch(f"expected arrays of one number of devices, received {_some(sorted(devices))}.")
    shapes, tensors = _shapes(network), {}
    for name, our in theirs.items():
        tensors[our] = _tensor(name, arrays[name], shapes[our])
    for norm in [name.removesuffix("running_mean") for name in tensors if name.endswith("running_mean")]:
        tensors[f"{norm}num_batches_tracked"] = np.zeros((), np.int64)
    return {name: tensors[name] for name in shapes}, max(devices, default=0)


def _shapes(network: str) -> dict[str, tuple[int, ...]]:
    import torch

    from relic_eval.encoders.networks import ResNet, layout

    with torch.device("meta"):
        return {name: tuple(t.shape) for name, t in ResNet(3, layout(network)).state_dict().items()}


def _tensor(name: str, array: Array, shape: tuple[int, ...]) -> np.ndarray:
    """One array as a tensor of the network: of one device, float32, and of a convolution out x in x height x width."""
    wanted = (*shape[2:], shape[1], shape[0]) if len(shape) == 4 else (1, 1, 1, *shape)
    if array.shape[-4:] != wanted or len(array.shape) not in (4, 5) or array.dtype.code[0] not in "fb":
        raise Mismatch(f"expected {name} of shape {wanted}, received {array.dtype.code} of {array.shape}.")
    numbers = array.numpy()
    if numbers.ndim == 5:
        if not len(numbers):
            raise Mismatch(f"expected {name} of at least one device, received none.")
        if any(not np.array_equal(numbers[0], other) for other in numbers[1:]):
            raise Mismatch(f"expected the same {name} on all devices, received differing ones.")
        numbers = numbers[0]
    numbers = np.ascontiguousarray(numbers.transpose(3, 2, 0, 1).reshape(shape), np.float32)
    if not np.isfinite(numbers).all() or (name.endswith("var_ema/average") and numbers.min() < 0):
        raise Mismatch(f"expected finite weights, and no variance below 0, received others in {name}.")
    return numbers


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
        parts.append(memoryview(numbers.reshape(-1)).cast("B") if numbers.size else b"")
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])
