"""P7: linear CKA of an embedding with itself rotated, against the bare products that it is made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.claim import Figure, grown, in_turns
from benchmarks.features import real, tiled
from relic_eval.metrics.similarity import linear_cka

BLOCK = 8192  # rows of the bare products


def cka(quick: bool) -> Iterator[Figure]:
    """P7: 50,000 x 2,048 against itself rotated: time, how far from 1, and memory beside an N x N matrix."""
    x_ND, rows, columns = real("tinyimagenet40", "train", 300)[0], 2000, 64
    if not quick:
        x_ND, rows, columns = real("cifar10-full", "train", 20_000)[0], 50_000, 2048
    yield from _figures(tiled(x_ND, rows, columns), repeats=1 if quick else 3)


def _figures(x_ND: np.ndarray, repeats: int) -> Iterator[Figure]:
    n, dims = x_ND.shape
    y_ND = _rotated(x_ND)
    out = [np.empty((dims, dims), np.float32) for _ in range(3)]

    def bare() -> None:
        for start in range(0, n, BLOCK):
            a, b = x_ND[start : start + BLOCK], y_ND[start : start + BLOCK]
            for left, right, place in ((a, a, out[0]), (b, b, out[1]), (a, b, out[2])):
                np.matmul(left.T, right, out=place)

    for unbiased, form in ((False, "biased"), (True, "unbiased")):
        value = linear_cka(x_ND, y_ND, unbiased=unbiased)
        yield Figure(f"{form}, distance from 1", value, 1.0, "", abs(value - 1), "<= 0.00001")
    ours, peer = in_turns(lambda: linear_cka(x_ND, y_ND), bare, repeats)
    what = f"{n:,} x {dims:,}; peer: x'x, y'y and x'y in float32 blocks, as they are"
    yield Figure(what, ours, peer, "s", ours / peer, "<= 1.3")
    more, square = grown(lambda: linear_cka(x_ND, y_ND)), 4 * n**2 / 2**30
    yield Figure("above the inputs; peer: an N x N matrix", more, square, "GiB", more, "<= 0.5", "never N x N")


def _rotated(x_ND: np.ndarray) -> np.ndarray:
    """Rows times a random orthogonal matrix (the QR factor of a normal one)."""
    dims = x_ND.shape[1]
    turn_DD = np.linalg.qr(np.random.default_rng(0).standard_normal((dims, dims)))[0].astype(np.float32)
    return x_ND @ turn_DD
