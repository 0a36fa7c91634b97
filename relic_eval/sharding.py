"""A grid divided over the jobs of any cluster: which (encoder, data set) pairs belong to which."""

from __future__ import annotations

import re
from collections.abc import Iterable

from relic_eval.errors import ArgumentError


def shard(pairs: Iterable[tuple[str, str]], index: int, count: int) -> list[tuple[str, str]]:
    """The (encoder, data set) pairs of the `index`-th of `count` shards, from 1, in the order in which they came.

    Pairs go round the shards in the order of their names, so the same grid is divided alike wherever and however it is
    written down: shards together have each pair once, sizes differ by one at most, and no picture is encoded by two.

    >>> grid = [("b", "digits"), ("a", "digits"), ("a", "fashion")]
    >>> shard(grid, 1, 2), shard(grid, 2, 2)
    ([('b', 'digits'), ('a', 'digits')], [('a', 'fashion')])
    """
    if count < 1 or not 1 <= index <= count:
        raise ArgumentError("--shard", "I/N with 1 <= I <= N", f"{index}/{count}")
    given = list(dict.fromkeys(pairs))
    mine = set(sorted(given)[index - 1 :: count])
    return [pair for pair in given if pair in mine]


def parse_shard(text: str) -> tuple[int, int]:
    """Index and count of `--shard I/N`.

    >>> parse_shard("2/8")
    (2, 8)
    """
    found = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ArgumentError("--shard", "I/N with 1 <= I <= N, such as 2/8", repr(text))
    return int(found[1]), int(found[2])
