"""What an official checkpoint of RELICv2 or BYOL (Haiku's names, NHWC) holds, as tensors of a network of this package.

What is read is the online encoder, as the official evaluation reads it; the projector, the predictor, a classifier,
the target network and the optimiser's state are left out, and named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from relic_eval.encoders.names import DEPTHS, SAME
from relic_eval.encoders.standins import Array, Record

STEM, CLASSIFIER = "initial_conv", "logits"
CONV = {"w": "weight"}
NORM = {"scale": "weight", "offset": "bias"}
STATE = {"mean_ema": "running_mean", "var_ema": "running_var"}  # of each, `average` is what inference reads

Modules = Mapping[str, Mapping[str, Array]]


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
        for ema, our in (STATE if norm else {}).items():
            theirs[f"{module}/{ema}/average"] = f"{ours}.{our}"
            spare |= {f"{module}/{ema}/hidden", f"{module}/{ema}/counter"}
    if missing := sorted(set(theirs) - set(arrays)):
        raise Mismatch(f"expected {_some(missing)} in {network}, received none.")
    if spurious := sorted(set(arrays) - set(theirs) - spare):
        raise Mismatch(f"expected nothing beside {network}, received {_some(spurious)}.")
    devices = {a.shape[0] for name in theirs if len((a := arrays[name]).shape) == 5}
    if len(devices) > 1:
        raise Mismatch(f"expected arrays of one number of devices, received {_some(sorted(devices))}.")
    shapes, tensors = _shapes(network), {}
    for name, our in theirs.items():
        tensors[our] = _tensor(name, arrays[name], shapes[our])
    for place in [name.removesuffix("running_mean") for name in tensors if name.endswith("running_mean")]:
        tensors[f"{place}num_batches_tracked"] = np.zeros((), np.int64)
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
