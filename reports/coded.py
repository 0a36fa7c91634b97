"""Numbers and names in few bytes, which the page's script reads again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"


def front_coded(names: Sequence[str]) -> list[str]:
    """Names without what they begin with as the one before does; the first sign says how many letters that are.

    Letters beyond the first 65,536 are never among these: the script counts them twice.

    >>> front_coded(["test/a/1", "test/a/2", "b"]), names_of(["0test/a/1", "72", "0b"])
    (['0test/a/1', '72', '0b'], ['test/a/1', 'test/a/2', 'b'])
    """
    found = []
    for before, name in zip(["", *names], names, strict=False):
        pairs = zip(before, name[: len(DIGITS) - 1], strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] and ord(pair[0]) <= 0xFFFF, pairs))
        found.append(DIGITS[same] + name[same:])
    return found


def names_of(coded: Sequence[str]) -> list[str]:
    """What `front_coded` made, as the page's script reads it."""
    names = [""]
    for text in coded:
        names.append(names[-1][: DIGITS.index(text[0])] + text[1:])
    return names[1:]


def step_coded(number_RK: np.ndarray) -> str:
    """Whole numbers that do not fall within a row as text: the first of each row, then the steps.

    A number is one sign for each five bits, the highest first; a sign of 32 or more says that the number goes on. Median
    distances have three digits, steps mostly one sign.

    >>> step_coded(np.array([[5, 6], [32, 32]])), numbers_of("51X00", 2).tolist()
    ('51X00', [[5, 6], [32, 32]])
    """
    text = []
    for value in np.diff(number_RK, axis=1, prepend=0).ravel().tolist():
        signs = [value & 31]
        while value := value >> 5:
            signs.append(value & 31 | 32)
        text += [DIGITS[sign] for sign in reversed(signs)]
    return "".join(text)


def numbers_of(text: str, k: int) -> np.ndarray:
    """What `step_coded` made, as the page's script reads it.

    >>> numbers_of("1020", 2).tolist()
    [[1, 1], [2, 2]]
    """
    values, value = [], 0
    for sign in map(DIGITS.index, text):
        value = value << 5 | sign & 31
        if sign < 32:
            values.append(value)
            value = 0
    return np.cumsum(np.array(values).reshape(-1, k), axis=1)
