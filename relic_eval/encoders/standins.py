"""What the names in a pickle stand for here. All of it is inert: it keeps what the file says, and calls nothing.

Sizes are compared with the bytes that are there before an array is made; nothing is copied while a pickle is read, so
that a file cannot ask for more memory than it is long by referring to one thing many times.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

SIZES = {
    f"{kind}{size}": size
    for kind, sizes in {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8)}.items()
    for size in sizes
}
SIZES |= {"b1": 1, "bfloat16": 2}
MOST_FIELDS = 16


class Refused(Exception):
    """What a pickle holds that is not read; the text completes 'received ...'."""


class Sealed(type):
    """Makes classes that stay as they are: the opcode BUILD would set attributes of a class as of anything else."""

    @property
    def __setstate__(cls) -> Any:
        raise Refused(f"one that sets attributes of {cls.__name__}")

    def __setattr__(cls, name: str, value: Any) -> None:
        raise Refused(f"one that sets attributes of {cls.__name__}")


class StandIn(metaclass=Sealed):
    """Calling the class is all that a pickle can do with it, and its instances take no state unless they say so."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise Refused(f"one that gives a state to {type(self).__name__}")


class BFloat16(StandIn):
    """The type of that name of ml_dtypes, which stands where a dtype has its code."""

    __slots__ = ()

    def __new__(cls, *args: Any) -> BFloat16:
        raise Refused("one that calls bfloat16")


class DType(StandIn):
    """A numpy dtype of plain numbers: a code, and the order of its bytes."""

    __slots__ = ("code", "order")
    code: str
    order: str

    def __new__(cls, code: Any, align: Any = False, copy: Any = True) -> DType:
        new = super().__new__(cls)
        new.code, new.order = "bfloat16" if code is BFloat16 else code, "<"
        if not isinstance(new.code, str) or new.code not in SIZES:
            raise Refused(f"an array of dtype {code!a:.40}, which is no plain number")
        return new

    def __setstate__(self, state: Any) -> None:
        _, order, *fields = state
        if order not in ("<", ">", "|", "=") or fields[:3] != [None, None, None] or len(fields) > 6:
            raise Refused("an array whose dtype has fields, parts or notes")
        self.order = order


class Text(StandIn):
    """Bytes as text of as many letters: how bytes are pickled up to protocol 2 (`_codecs.encode`)."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: Any, codec: Any = None) -> Text:
        if not isinstance(text, str) or codec != "latin1":
            raise Refused(f"one that encodes by {codec!a:.40}")
        new = super().__new__(cls)
        new.text = text
        return new

    def __len__(self) -> int:
        return len(self.text)


class Array(StandIn):
    """An array that is bytes until `numpy()` makes it one; `_reconstruct` of numpy, which gets its state afterwards."""

    __slots__ = ("columns", "dtype", "raw", "shape")
    columns: bool  # the first axis runs fastest
    dtype: DType
    raw: bytes | bytearray | Text
    shape: tuple[int, ...]

    def __new__(cls, kind: Any, shape: Any = (0,), code: Any = None) -> Array:
        if kind is not NDArray:
            raise Refused("an array of another kind than numpy's own")
        return _filled((0,), DType("u1"), False, b"")

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, columns, raw = state
        made = _filled(shape, dtype, columns, raw)
        self.shape, self.dtype, self.columns, self.raw = made.shape, made.dtype, made.columns, made.raw

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)

    def numpy(self) -> np.ndarray:
        """The numbers, in the order of this machine where they are float32; bfloat16 becomes float32."""
        raw = self.raw.text.encode("latin1") if isinstance(self.raw, Text) else self.raw
        small = self.dtype.code == "bfloat16"
        order = "<" if self.dtype.order in "|=" else self.dtype.order
        flat = np.frombuffer(raw, order + ("u2" if small else self.dtype.code), count=self.size)
        if small:
            flat = (flat.astype("u4") << 16).view("f4")
        return flat.reshape(self.shape, order="F" if self.columns else "C")


def _filled(shape: Any, dtype: Any, columns: Any, raw: Any) -> Array:
    """An array of this shape whose bytes are there, all of them; Refused where they are not."""
    if type(dtype) is not DType or type(raw) not in (bytes, bytearray, Text):
        raise Refused("an array of Python objects, or of no bytes")
    if type(shape) is not tuple or len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
        raise Refused(f"an array of shape {shape!a:.40}")
    if (size := math.prod(shape) * SIZES[dtype.code]) != len(raw):
        raise Refused(f"an array of {size:,} bytes of which {len(raw):,} are there")
    new = StandIn.__new__(Array)
    new.shape, new.dtype, new.columns, new.raw = shape, dtype, bool(columns), raw
    return new


class NDArray(StandIn):
    """numpy.ndarray, which only stands beside `_reconstruct`: called, it would reserve memory."""

    __slots__ = ()

    def __new__(cls, *args: Any) -> NDArray:
        raise Refused("one that calls numpy.ndarray")


class FromBuffer(StandIn):
    """numpy's `_frombuffer`: how arrays are pickled from protocol 5 on."""

    __slots__ = ()

    def __new__(cls, raw: Any, dtype: Any, shape: Any, order: Any) -> Array:  # type: ignore[misc]
        return _filled(shape, dtype, order == "F", raw)


class Scalar(StandIn):
    """A numpy scalar, as an array without axes."""

    __slots__ = ()

    def __new__(cls, dtype: Any, raw: Any = None) -> Array:  # type: ignore[misc]
        return _filled((), dtype, False, raw)


class Rebuilt(StandIn):
    """An array within jax's or dill's own envelope: `_reconstruct`, its arguments, the state, and what is of no use here."""

    __slots__ = ()

    def __new__(cls, function: Any, args: Any, state: Any, more: Any = None) -> Array:  # type: ignore[misc]
        if function is not Array or type(args) is not tuple:
            raise Refused("an array that is made by something else than numpy")
        new = Array(*args)
        new.__setstate__(state)
        return new


class NoBytes(StandIn):
    """`bytes()`: how no bytes at all are pickled up to protocol 2."""

    __slots__ = ()

    def __new__(cls) -> bytes:  # type: ignore[misc]
        return b""


class DillType(StandIn):
    """dill's `_load_type`, asked for `bytes`."""

    __slots__ = ()

    def __new__(cls, name: Any) -> type[NoBytes]:  # type: ignore[misc]
        if name not in ("bytes", "BytesType"):
            raise Refused(f"one that asks dill for the type {name!a:.40}")
        return NoBytes


class Same(StandIn):
    """A mapping of Haiku's around a dictionary: the dictionary."""

    __slots__ = ()

    def __new__(cls, content: Any) -> dict[Any, Any]:  # type: ignore[misc]
        if type(content) is not dict:
            raise Refused("a mapping of Haiku's around something else than a dictionary")
        return content


class Ordered(StandIn):
    """collections.OrderedDict, filled afterwards: dictionaries have an order."""

    __slots__ = ()

    def __new__(cls) -> dict[Any, Any]:  # type: ignore[misc]
        return {}


class Record(StandIn):
    """A named tuple or object of the official code: its fields by name, or by number where no name is known."""

    __slots__ = ("fields",)
    fields: dict[Any, Any]
    names: tuple[str, ...] = ()

    def __new__(cls, *args: Any) -> Record:
        if len(args) > MOST_FIELDS:
            raise Refused(f"a record of {len(args)} fields")
        new = super().__new__(cls)
        known = len(cls.names) == len(args)
        new.fields = {cls.names[n] if known else str(n): value for n, value in enumerate(args)}
        return new

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict:
            raise Refused("a record whose state is no dictionary")
        self.fields = state


@functools.lru_cache(64)
def record(names: tuple[str, ...]) -> type[Record]:
    """A class of records with these fields.

    >>> record(("a", "b"))(1, 2).fields
    {'a': 1, 'b': 2}
    """
    made: Any = Sealed("Record", (Record,), {"names": names, "__slots__": ()})
    return made


class Named(StandIn):
    """dill's `_create_namedtuple`: names of fields, of which a class of records is made."""

    __slots__ = ()

    def __new__(cls, name: Any, fields: Any, module: Any = None) -> type[Record]:  # type: ignore[misc]
        if type(fields) is not tuple or len(fields) > MOST_FIELDS or not all(type(f) is str for f in fields):
            raise Refused("a record whose fields have no names")
        return record(fields)


NAMES: Mapping[tuple[str, str], type[StandIn]] = {
    ("numpy", "ndarray"): NDArray,
    ("numpy", "dtype"): DType,
    ("_codecs", "encode"): Text,
    ("builtins", "bytes"): NoBytes,
    ("__builtin__", "bytes"): NoBytes,
    ("collections", "OrderedDict"): Ordered,
    ("haiku._src.data_structures", "FlatMapping"): Same,
    ("haiku._src.data_structures", "frozendict"): Same,
    ("jax._src.array", "_reconstruct_array"): Rebuilt,
    ("jax._src.device_array", "reconstruct_device_array"): Rebuilt,
    ("ml_dtypes", "bfloat16"): BFloat16,
    ("dill._dill", "_create_array"): Rebuilt,
    ("dill._dill", "_create_namedtuple"): Named,
    ("dill._dill", "_load_type"): DillType,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): Scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): FromBuffer for core in ("core", "_core")},
}
