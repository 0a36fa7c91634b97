"""The makers of saliency by hand: pieces against slow references, and discs that must be found."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch

from pretrain.config import MASKS
from pretrain.saliency import connectivity as rbd
from pretrain.saliency import saliency_masks
from pretrain.saliency.makers import MAKERS, make_masks, maker_settings
from pretrain.saliency.teachers import TEACHERS, fuse
from pretrain.saliency.threshold import otsu, to_masks, unit
from relic_eval.errors import RelicError, UnknownNameError
from relic_eval.metrics.segmentation import mask_iou

BOUND = {"border": 0.9, "rbd": 0.9, "spectral": 0.15, "fine": 0.25, "fused": 0.9}  # spectral and fine mark rims


def discs(count, side, channels=3, seed=0, inner=200.0, outer=90.0):
    """Bright discs on textured ground, uint8 (N, side, side, channels), and their masks (N, side, side)."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:side, :side]
    middle, radius = rng.uniform(0.4, 0.6, (2, count, 1, 1)) * side, rng.uniform(0.2, 0.3, (count, 1, 1)) * side
    mask = (row - middle[0]) ** 2 + (column - middle[1]) ** 2 < radius**2
    colour = np.where(mask[..., None], inner, outer + 20 * np.sin(row / 3 + column / 5)[None, ..., None])
    pixels = colour + rng.normal(0, 8, (count, side, side, channels)) + np.array([0, 20, -20])[:channels]
    return pixels.clip(0, 255).astype(np.uint8), mask


@pytest.mark.parametrize(("side", "channels"), [(32, 3), (28, 1), (96, 3)])
@pytest.mark.parametrize("maker", sorted(BOUND))
def test_a_maker_finds_discs(maker, side, channels):
    pixels, mask = discs(4, side, channels)
    saliency = MAKERS[maker](pixels)
    assert saliency.dtype == np.float32
    assert saliency.shape == mask.shape
    assert saliency.min() >= 0
    assert saliency.max() <= 1
    assert mask_iou(mask, make_masks(maker, pixels)).mean() > BOUND[maker]


def test_every_name_of_the_settings_has_a_maker():
    assert set(MAKERS) == set(MASKS)
    assert set(TEACHERS) < set(MAKERS)
    assert set(maker_settings("fused")) == {"rbd", "teachers"}


def test_an_unknown_maker_gets_the_nearest_name():
    with pytest.raises(UnknownNameError, match="Did you mean 'rbd'"):
        make_masks("rdb", np.zeros((1, 8, 8), np.uint8))


@pytest.mark.parametrize("maker", ["border", "rbd", "spectral", "fine", "fused"])
def test_a_picture_of_one_colour_has_no_foreground(maker):
    pixels = np.full((2, 32, 32, 3), 77, np.uint8)
    assert not make_masks(maker, pixels).any()


def test_pictures_do_not_depend_on_their_company():
    pixels, _ = discs(68, 20)  # more than are made at a time
    for maker in ("border", "rbd", "fine"):
        assert np.array_equal(make_masks(maker, pixels)[66:], make_masks(maker, pixels[66:]))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_masks_of_the_border_are_those_of_the_module_before(channels):
    pixels = np.random.default_rng(0).integers(0, 255, (50, 17, 23, channels)).astype(np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    assert np.array_equal(make_masks("border", pixels), saliency_masks(x)[:, 0].numpy())
    if channels == 1:
        assert np.array_equal(make_masks("border", pixels[..., 0]), saliency_masks(x)[:, 0].numpy())


def test_the_threshold_parts_two_groups_best():
    values = np.random.default_rng(0).normal(0, 1, 300)
    values[200:] = values[200:] * 0.5 + 4
    cuts = np.linspace(values.min(), values.max(), 400)[1:-1]
    spread = [(len(a := values[values <= c]) * len(b := values[values > c])) * (a.mean() - b.mean()) ** 2 for c in cuts]
    best = cuts[np.argmax(spread)]
    found = otsu(torch.from_numpy(values)[None]).item()
    bins = (values.max() - values.min()) / 63
    assert abs(found - best) < 2 * bins
    mask = to_masks(values.reshape(1, 20, 15))
    assert np.array_equal(mask[0], values.reshape(20, 15) > np.float32(found))


def test_maps_are_fused_at_one_scale():
    a, b = np.random.default_rng(0).uniform(size=(2, 3, 4, 5))
    slow = np.stack(
        [
            ((x - x.min()) / (x.max() - x.min()) + (y - y.min()) / (y.max() - y.min())) / 2
            for x, y in zip(a, 9 * b + 4, strict=True)
        ]
    )
    np.testing.assert_allclose(fuse([a, 9 * b + 4]), slow, rtol=1e-5)
    assert unit(np.zeros((1, 2, 2))).max() == 0


def graph():
    """Six superpixels in a row, the last not on the border; by hand."""
    near = np.zeros((6, 6), bool)
    for a in range(5):
        near[a, a + 1] = near[a + 1, a] = True
    lab = np.array([[0, 0, 0], [3, 0, 0], [3, 4, 0], [20, 4, 0], [20, 4, 1], [20, 4, 30]], float)
    place = np.stack([np.linspace(0, 1, 6), np.full(6, 0.5)], 1)
    return rbd.Regions(lab, place, near, np.array([True, False, False, False, True, False]))


def test_geodesics_are_those_of_floyd_and_warshall():
    regions = graph()
    colour = rbd.distances(regions.lab_S3)
    least = []
    for a in range(6):
        ring = {b for b in range(6) if regions.near_SS[a, b]}
        ring |= {c for b in ring for c in range(6) if regions.near_SS[b, c]} - {a}
        least.append(min(colour[a, b] for b in ring))
    slow = np.full((6, 6), np.inf)
    for a in range(6):
        slow[a, a] = 0
        for b in range(6):
            if a != b and (regions.near_SS[a, b] or (regions.edge_S[a] and regions.edge_S[b])):
                slow[a, b] = max(0, colour[a, b] - np.mean(least))
    assert (slow[~np.eye(6, dtype=bool)] == 0).any()  # steps of no length are steps all the same
    for k in range(6):
        for a in range(6):
            for b in range(6):
                slow[a, b] = min(slow[a, b], slow[a, k] + slow[k, b])
    np.testing.assert_allclose(rbd.geodesics(colour, regions.near_SS, regions.edge_S), slow)


def test_boundary_connectivity_by_hand():
    far = np.array([[0.0, 10.0, 40.0], [10.0, 0.0, 5.0], [40.0, 5.0, 0.0]])
    e = np.exp
    area = [1 + e(-0.5), e(-0.5) + 1 + e(-0.125), e(-0.125) + 1]  # 40 is beyond three sigma
    along = [1, e(-0.5), 0]
    found = rbd.boundary_connectivity(far, np.array([True, False, False]))
    np.testing.assert_allclose(found, np.array(along) / np.sqrt(area))


def test_the_saliency_of_regions_makes_its_cost_least():
    regions, rng = graph(), np.random.default_rng(0)
    colour = rbd.distances(regions.lab_S3)
    cost, contrast = rng.uniform(0.1, 5, 6), rng.uniform(0, 1, 6)
    matrix, right = rbd.equations(colour, regions, cost, contrast)
    s = np.linalg.solve(matrix, right)

    def slow(s):
        total = sum(cost[a] * s[a] ** 2 + contrast[a] * (s[a] - 1) ** 2 for a in range(6))
        for a in range(6):
            for b in range(a + 1, 6):
                linked = abs(a - b) <= 2 or (regions.edge_S[a] and regions.edge_S[b])
                close = np.exp(-(colour[a, b] ** 2) / 200) if linked and colour[a, b] <= 30 else 0
                total += (close + 0.1 * (abs(a - b) == 1)) * (s[a] - s[b]) ** 2
        return total

    for step in 1e-4 * rng.normal(size=(50, 6)):
        assert slow(s + step) > slow(s)
    gradient = [(slow(s + d) - slow(s - d)) / 2e-5 for d in 1e-5 * np.eye(6)]
    np.testing.assert_allclose(gradient, 0, atol=1e-8)


def test_contrast_is_weighted_by_background_and_nearness():
    colour, space = np.array([[0.0, 9.0, 7.0], [9.0, 0.0, 1.0], [7.0, 1.0, 0.0]]), np.zeros((3, 3))
    space[0, 2] = space[2, 0] = 0.8  # beyond three sigma
    found = rbd.contrast(colour, space, np.array([1.0, 0.5, 0.0]))
    assert found.tolist() == [0.0, 1.0, 0.0]  # 4.5, 9 and 0.5 before the smallest becomes 0 and the threshold
    assert rbd.background_weight(np.array([0.4, 0.4]), np.array([2.0, 3.5])).tolist() == [2.0, 5000.0]


def test_regions_of_four_quarters():
    label = np.kron(np.array([[0, 1], [2, 3]]), np.ones((4, 4), int))
    lab = np.dstack([label * 10.0, label * 0.0, -label * 1.0])
    regions = rbd.regions_of(lab, label)
    assert regions.lab_S3.tolist() == [[0, 0, 0], [10, 0, -1], [20, 0, -2], [30, 0, -3]]
    assert regions.near_SS.sum(1).tolist() == [2, 2, 2, 2]
    assert not regions.near_SS[0, 3]
    assert regions.edge_S.all()
    np.testing.assert_allclose(regions.place_S2[3], [5.5 / 8, 5.5 / 8])


@pytest.mark.parametrize(
    ("maker", "library"), [("rbd", "scikit-image"), ("spectral", "opencv-contrib-python-headless")]
)
def test_what_is_not_installed_is_said_with_the_extra(maker, library, monkeypatch):
    imported = builtins.__import__

    def without(name, *more, **named):
        if name.split(".")[0] in ("skimage", "cv2"):
            raise ImportError(name)
        return imported(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr("importlib.import_module", lambda name: without(name))
    with pytest.raises(RelicError, match=rf"{library} to be installed.*pip install 'relic-eval\[saliency\]'"):
        make_masks(maker, np.zeros((1, 32, 32, 3), np.uint8))
