"""What a module or a function computes, as a digest: so that a changed one is never taken for the one that was embedded.

Weights, layers and code are seen, and what a function refers to directly. What it reaches in other ways (files, attributes
of objects) is not: for that there is `version`.
"""

from __future__ import annotations

import re
from types import CodeType, ModuleType
from typing import Any

from relic_eval.files import digest_bytes, digest_json


def identity(value: Any) -> str:
    """Digest of a module (layers and weights) or of a function (its code, and modules and plain values that it refers to).

    >>> identity(lambda x: x + 1) == identity(lambda x: x + 1) != identity(lambda x: x + 2)
    True
    """
    if hasattr(value, "state_dict"):
        return digest_json([_plain(value), {name: _weight(t) for name, t in value.state_dict().items()}])
    function = getattr(value, "__func__", value)  # of a method
    code = getattr(function, "__code__", None)
    if code is None:
        return digest_json(_plain(value))
    cells = [c.cell_contents for c in function.__closure__ or () if _is_filled(c)]
    used = [function.__globals__[name] for name in _names(code) if name in function.__globals__]
    bound = [value.__self__] if hasattr(value, "__self__") else []
    refers = [_referred(v) for v in (*cells, *used, *bound, *(function.__defaults__ or ()))]
    return digest_json([_code(code), refers])


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # assigned later
        return False
    return True


def _names(code: CodeType) -> list[str]:
    inner = [name for const in code.co_consts if isinstance(const, CodeType) for name in _names(const)]
    return [*code.co_names, *inner]


def _code(code: CodeType) -> list[Any]:
    """Instructions, constants and names; neither file nor line, so that moving a function changes nothing."""
    consts = [_code(c) if isinstance(c, CodeType) else _plain(c) for c in code.co_consts]
    return [code.co_code.hex(), consts, list(code.co_names), list(code.co_freevars)]


def _referred(value: Any) -> str:
    if isinstance(value, ModuleType):  # not where it is installed
        return f"{value.__name__} {getattr(value, '__version__', '')}"
    if hasattr(value, "state_dict") and not isinstance(value, type):
        return identity(value)
    if hasattr(value, "__code__"):
        return digest_json(_code(value.__code__))
    tensor = hasattr(value, "detach") or hasattr(value, "__array__")
    return _weight(value) if tensor and not isinstance(value, type) else _plain(value)


def _plain(value: Any) -> str:
    """What an object says of itself, without where it lies in memory; a set in an order that is the same in every process."""
    if type(value) in (set, frozenset):
        return f"{type(value).__name__} {sorted(_plain(v) for v in value)}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _weight(value: Any) -> str:
    """Of a tensor's bytes, of any type and on any device, or an array's; of other state that a module keeps, its words."""
    if hasattr(value, "detach"):
        import torch

        flat = value.detach().cpu().contiguous().reshape(-1)
        return digest_bytes(repr((flat.dtype, tuple(value.shape))).encode() + flat.view(torch.uint8).numpy().tobytes())
    if hasattr(value, "tobytes"):
        return digest_bytes(repr((value.dtype, value.shape)).encode() + value.tobytes())
    return _plain(value)
