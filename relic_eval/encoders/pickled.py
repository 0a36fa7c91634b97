"""What a pickle says, looked at opcode by opcode before any is acted upon: its memory is bounded by its length."""

from __future__ import annotations

import mmap
import pickletools
from typing import IO, Any, cast

from relic_eval.encoders.standins import Refused

STEPS = 2_000_000  # the largest official network takes about 200,000
DEEP = 100  # tuples within tuples: a hash goes down all of them on the machine's own stack
PLAIN = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8
    EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS
    PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE NEWOBJ BUILD
"""
OPCODES = frozenset(PLAIN.split())


def check_opcodes(content: mmap.mmap) -> None:
    """Refused, or an error of pickletools, where the pickle has more than plain data in it or lies about sizes.

    Left out are persistent ids, the extension registry, buffers outside of the file, sets, classes by INST and OBJ,
    and text of Python 2. A size that is larger than the rest of the file is an error before memory is asked for.
    """
    stack: list[int | None] = []  # how deep tuples are nested in each thing on the stack; None is a mark
    memo: dict[int, int] = {}
    for step, (op, arg, position) in enumerate(pickletools.genops(cast(IO[bytes], content))):
        place = position or 0
        if op.name not in OPCODES:
            raise Refused(f"one with the opcode {op.name} at byte {place}")
        if step == STEPS:
            raise Refused(f"one of more than {STEPS:,} steps")
        if op.name == "FRAME" and arg is not None and arg > len(content) - place:
            raise Refused(f"one that is cut off: a frame of {arg:,} bytes at byte {place}")
        _follow(op, arg, step, stack, memo)


def _follow(op: pickletools.OpcodeInfo, arg: Any, step: int, stack: list[int | None], memo: dict[int, int]) -> None:
    """What an opcode does to the stack, as far as depth is concerned."""
    if op.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
        index = len(memo) if op.name == "MEMOIZE" else arg
        if not 0 <= index <= step:  # the unpickler reserves a place for every number up to it
            raise Refused(f"one that counts to {index:,} after {step:,} steps")
        memo[index] = stack[-1] or 0
    elif op.name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo.get(arg, 0))
    elif op.name == "MARK":
        stack.append(None)
    else:
        depth = max(_pop(op, stack), default=0) + 1 if op.name.startswith("TUPLE") else 0
        if depth > DEEP:
            raise Refused(f"one with more than {DEEP} tuples within tuples")
        if not op.name.startswith("TUPLE"):
            _pop(op, stack)
        stack += [depth] * len(op.stack_after)


def _pop(op: pickletools.OpcodeInfo, stack: list[int | None]) -> list[int]:
    """Take from the stack what the opcode takes: down to the mark, then what lies below it, or so many."""
    taken: list[int | None] = []
    fixed = len(op.stack_before)
    if pickletools.markobject in op.stack_before:
        while (top := stack.pop()) is not None:
            taken.append(top)
        fixed = op.stack_before.index(pickletools.markobject)
    for _ in range(fixed):
        taken.append(stack.pop())
    if None in taken:
        raise Refused("one that takes a mark for a value")
    return [depth or 0 for depth in taken]
