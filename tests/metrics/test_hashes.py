"""Perceptual hashes: imagehash's bits, every near pair, and pairs that are one picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from relic_eval.errors import ArgumentError
from relic_eval.metrics.hashes import _resampling, grey, near_hashes, phash, same_picture, shrink


def squares(pixels_NHWC, side=32):
    return np.stack([np.asarray(Image.fromarray(p[..., 0]).resize((side, side))) for p in pixels_NHWC])


def test_the_bits_are_those_of_imagehash(fashion):
    import imagehash

    pictures = squares(fashion[0])
    ours = phash(pictures)
    theirs = [int(str(imagehash.phash(Image.fromarray(p))), 16) for p in pictures]  # a side of 32: nothing is resized
    assert ours.tolist() == theirs
    assert len(set(theirs)) > 300


def test_grey_is_that_of_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    theirs = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pixels]).astype(float)
    assert np.abs(grey(pixels) - theirs).max() < 1.01
    assert (grey(pixels[..., :1]) == pixels[..., 0]).all()


def test_shrink_is_a_mean_over_boxes():
    x = np.random.default_rng(0).random((3, 12, 12))
    slow = [[[p[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean() for j in range(3)] for i in range(3)] for p in x]
    np.testing.assert_allclose(shrink(x, 3), slow, atol=1e-6)
    with pytest.raises(ArgumentError, match="divisor of 12"):
        shrink(x, 5)


@pytest.mark.parametrize(("old", "new"), [(32, 14), (14, 32), (32, 20)])
def test_blurs_are_the_resizing_of_pillow(old, new):
    line = np.random.default_rng(0).random((1, old)).astype(np.float32) * 255
    theirs = np.asarray(Image.fromarray(line).resize((new, 1), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(line @ _resampling(old, new), theirs, atol=1e-3)


@pytest.mark.parametrize("most", [0, 5, 26])
def test_every_near_pair_is_found_once_and_in_order(most):
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 2**63, n).astype(np.uint64) for n in (130, 5000))
    second[7] = first[3]
    found = [np.concatenate(column) for column in zip(*near_hashes(first, second, most), strict=True)]
    slow = [
        (i, j, bits)
        for i, a in enumerate(first.tolist())
        for j, b in enumerate(second.tolist())
        if (bits := (a ^ b).bit_count()) <= most
    ]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == slow
    assert (3, 7, 0) in slow


def test_no_pictures_have_no_pairs():
    none = np.zeros(0, np.uint64)
    assert list(near_hashes(none, np.array([1], np.uint64))) == list(near_hashes(np.array([1], np.uint64), none)) == []


def test_what_is_one_picture_and_what_is_not(fashion):
    pictures = squares(fashion[0][:40]).astype(np.float32)
    brighter = np.minimum(pictures + 6, 255)
    half = np.stack([np.asarray(Image.fromarray(p).resize((16, 16), 3).resize((32, 32), 3)) for p in pictures])
    jpeg = []
    for p in pictures:
        file = io.BytesIO()
        Image.fromarray(p.astype(np.uint8)).save(file, "JPEG", quality=40)
        jpeg.append(np.asarray(Image.open(file)))
    for copies in (pictures, brighter, half, np.stack(jpeg)):
        assert same_picture(pictures, copies)[0].mean() >= 0.95
    others = np.roll(pictures, 1, 0)
    assert not same_picture(pictures, others)[0].any()
    assert not same_picture(pictures, pictures[:, :, ::-1])[0][:10].all()  # clothes are nearly symmetric, not quite


def test_dark_and_flat_pictures_are_not_one_because_little_is_seen():
    rng = np.random.default_rng(0)
    dark, other = (rng.normal(10, 2, (1, 32, 32)) for _ in range(2))
    assert not same_picture(dark, other)[0][0]
    assert not same_picture(np.full((1, 32, 32), 9.0), np.full((1, 32, 32), 12.0))[0][0]


def test_a_pair_does_not_depend_on_those_beside_it(fashion):
    pictures = np.tile(squares(fashion[0][:50]), (22, 1, 1))  # more than are compared together
    same, apart = same_picture(pictures, np.roll(pictures, 1, 0))
    alone = [same_picture(pictures[i : i + 1], pictures[i - 1 : i]) for i in (1, 30, 1060)]
    assert [bool(same[i]) for i in (1, 30, 1060)] == [bool(a[0][0]) for a in alone]
    np.testing.assert_allclose([apart[i] for i in (1, 30, 1060)], [a[1][0] for a in alone], rtol=1e-4)
