"""Perceptual hashes of whole batches of grey pictures, pairs of near hashes, and whether such a pair is one picture.

A hash of 64 bits only proposes: handwritten digits and traffic signs have neighbours within its reach by the thousand. What
decides is a comparison of the pictures at 32 x 32, which knows what another JPEG quality and another size do to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int, Real, Shaped

from relic_eval.arrays import asarray, whole
from relic_eval.errors import ArgumentError

SIDE = 32  # of the picture that is hashed and compared
BITS = 64
LOW = 8  # lowest frequencies each way: 64 bits
# The next five were chosen on twelve sets so that at most 0.1% of test pictures without a copy are taken for one: docs/measures.md
REACH = 8  # bits
PARTS = 4  # each way: the part that differs most decides, as noise is everywhere and another shirt differs somewhere
SHARE = 0.26  # of the contrast that a part may differ by
NOISE = 8.0  # grey levels (root mean square) that JPEG leaves in a part, beside it
MOST = 0.6  # of the contrast: dark pictures are no copies of each other because noise would be as large
SHRUNK = (12, 14, 16, 18, 20, 24, 28)  # sides that one of the two may have gone through: from 32 to less than half
ROWS, COLUMNS = 64, 4096  # of a block of pairs: what a cache holds
PAIRS = 1024  # pairs of pictures compared together


def grey(pixels_NHWC: Shaped[np.ndarray, "N H W C"]) -> Float[np.ndarray, "N H W"]:
    """Luma of uint8 RGB (ITU-R 601, unrounded), or the one channel there is.

    >>> grey(np.array([[[[255, 255, 255]]], [[[0, 255, 0]]]], np.uint8)).ravel().round().tolist()
    [255.0, 150.0]
    """
    if pixels_NHWC.shape[3] == 1:
        return pixels_NHWC[..., 0].astype(np.float32)
    return pixels_NHWC.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def shrink(grey_NSS: Real[np.ndarray, "N S S"], side: int) -> Float[np.ndarray, "N s s"]:
    """Means of equal boxes; ArgumentError where `side` does not divide the pictures' side.

    >>> shrink(np.arange(16.0).reshape(1, 4, 4), 2).tolist()
    [[[2.5, 4.5], [10.5, 12.5]]]
    """
    old = grey_NSS.shape[1]
    if old % side:
        raise ArgumentError("side", f"a divisor of {old}, the side of the pictures", f"{side}")
    boxes_Ss = np.repeat(np.eye(side, dtype=np.float32), old // side, axis=0) * np.float32(side / old)
    return boxes_Ss.T @ grey_NSS @ boxes_Ss  # a product is many times as fast as means over axes that lie apart


def phash(grey_NSS: Real[np.ndarray, "N 32 32"]) -> Shaped[np.ndarray, " N"]:
    """64-bit hashes (uint64): which of the 8 x 8 lowest frequencies of a discrete cosine transform are above their median.

    The bits are those of `imagehash.phash` (row by row, the first is the highest), all pictures at once.

    >>> noise = np.random.default_rng(0).normal(100, 30, (1, 32, 32))
    >>> np.bitwise_count(phash(noise) ^ phash(np.concatenate([0.5 * noise + 9, noise[:, :, ::-1]]))).tolist()
    [0, 32]
    """
    low_NLL = _cosines() @ grey_NSS.astype(np.float64) @ _cosines().T
    low_NB = low_NLL.reshape(len(grey_NSS), BITS)
    bits_NB = low_NB > np.median(low_NB, axis=1, keepdims=True)
    return np.packbits(bits_NB, axis=1).view(">u8")[:, 0].astype(np.uint64)


@cache
def _cosines() -> np.ndarray:
    """The first rows of the unnormalised DCT-II (8, 32)."""
    return 2 * np.cos(np.pi * np.arange(LOW)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE))


def near_hashes(
    first_Q: Shaped[np.ndarray, " Q"], second_N: Shaped[np.ndarray, " N"], most: int = REACH
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """All pairs at most `most` bits apart: rows of the first, rows of the second, bits; ordered, a block of the first at a time.

    Every pair is looked at, by XOR and a count of bits: 0.8 s a thousand million pairs and core. An index by parts of the hash
    would leave one pair in 14 at this reach (of 9 parts of 7 bits one must be equal), found out of order, and win nothing.
    Memory is a block a thread, and what is found.

    >>> [[a.tolist() for a in found] for found in near_hashes(np.array([7, 8], np.uint64), np.array([0, 7, 6], np.uint64), 1)]
    [[[0, 0, 1], [1, 2, 0], [0, 1, 1]]]
    """
    whole("most", most, 0)
    first_Q, second_N = asarray(first_Q).astype(np.uint64), asarray(second_N).astype(np.uint64)

    def block(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        part_R, found = first_Q[start : start + ROWS, None], []
        for begin in range(0, len(second_N), COLUMNS):
            apart_RC = np.bitwise_count(part_R ^ second_N[None, begin : begin + COLUMNS])
            row, column = np.nonzero(apart_RC <= most)
            found.append((row + start, column + begin, apart_RC[row, column].astype(np.int64)))
        rows, columns, bits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(rows, kind="stable")
        return rows[order], columns[order], bits[order]

    if not len(first_Q) or not len(second_N):
        return
    with ThreadPoolExecutor() as pool:
        starts = list(range(0, len(first_Q), ROWS))
        for begin in range(0, len(starts), 64):  # so many blocks are found ahead of whoever takes them
            yield from pool.map(block, starts[begin : begin + 64])


def same_picture(
    first_PSS: Real[np.ndarray, "P 32 32"], second_PSS: Real[np.ndarray, "P 32 32"]
) -> tuple[Bool[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    """Of pairs of grey pictures (0 to 255): whether one is the other encoded anew, and how far apart they are.

    Apart is the root mean square difference in grey levels of that of 4 x 4 parts where it is largest; the least of those with
    one of the two blurred as by shrinking and enlarging, since a copy may have gone through a smaller size. One picture where
    it is at most sqrt((0.26 contrast)^2 + 8^2) and at most 0.6 contrast, the smaller standard deviation of the two.

    >>> ramp = np.arange(1024.0).reshape(1, 32, 32) / 4
    >>> [a.tolist() for a in same_picture(np.concatenate([ramp, ramp]), np.concatenate([ramp + 1, ramp[:, ::-1]]))[:1]]
    [[True, False]]
    """
    same_P, apart_P = np.zeros(len(first_PSS), bool), np.full(len(first_PSS), np.inf)
    for start in range(0, len(first_PSS), PAIRS):
        a, b = (x[start : start + PAIRS].astype(np.float32) for x in (first_PSS, second_PSS))
        contrast_P = np.minimum(_contrast(a), _contrast(b))
        most_P = np.minimum(np.hypot(SHARE * contrast_P, NOISE), MOST * contrast_P)
        coarse_P = np.sqrt(np.square(shrink(a, 8) - shrink(b, 8)).mean((1, 2)))  # never more than the largest part's
        left = np.flatnonzero(coarse_P <= most_P)  # most pairs end here
        apart_P[start : start + len(a)] = coarse_P
        a, b = a[left], b[left]
        fine_P = _apart(a, b)
        for blur_SS in _blurs():
            fine_P = np.minimum(fine_P, _apart(blur_SS.T @ a @ blur_SS, b))
            fine_P = np.minimum(fine_P, _apart(a, blur_SS.T @ b @ blur_SS))
        apart_P[start + left] = fine_P
        same_P[start + left] = fine_P <= most_P[left]
    return same_P, apart_P


def _contrast(a: np.ndarray) -> np.ndarray:
    flat = a.reshape(len(a), -1)
    return np.sqrt(np.maximum(np.einsum("pf,pf->p", flat, flat) / flat.shape[1] - flat.mean(1) ** 2, 0))


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sqrt(shrink(np.square(a - b), PARTS).reshape(len(a), -1).max(1)) if len(a) else np.zeros(0, np.float32)


@cache
def _blurs() -> list[np.ndarray]:
    """What shrinking to a side and enlarging again does to each line of a picture: one matrix (32, 32) a side."""
    return [(_resampling(SIDE, side) @ _resampling(side, SIDE)).astype(np.float32) for side in SHRUNK]


def _resampling(old: int, new: int) -> np.ndarray:
    """Weights (old, new) of antialiased cubic resampling along a line, edges renormalised, as Pillow's resize has them."""
    scale = max(1.0, old / new)
    middle = (np.arange(new) + 0.5) * old / new
    x = np.abs((np.arange(old) + 0.5)[:, None] - middle[None]) / scale
    weight = np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0.0))
    return weight / weight.sum(0)


def first_of_each(rows: Int[np.ndarray, " P"], most: int) -> Bool[np.ndarray, " P"]:
    """Of pairs in rising order of `rows`, the first `most` of each row.

    >>> first_of_each(np.array([0, 0, 0, 2]), 2).tolist()
    [True, True, False, True]
    """
    start = np.searchsorted(rows, rows)
    return np.arange(len(rows)) - start < most
