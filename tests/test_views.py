"""Augmentations against torchvision and by hand, a picture at a time."""

from __future__ import annotations

import colorsys

import pytest
import torch
from torch import Generator
from torchvision.transforms.v2 import functional as TF

from relic_eval.views import Recipe, blur, colour, from_hsv, make_view, random_crop, to_hsv


@pytest.fixture
def x():
    return torch.rand(6, 3, 12, 12, generator=Generator().manual_seed(0))


def test_hue_saturation_value_are_those_of_colorsys(x):
    h, s, v = (t.flatten() for t in to_hsv(x))
    for place, pixel in enumerate(x.permute(0, 2, 3, 1).reshape(-1, 3).tolist()):
        assert (h[place].item(), s[place].item(), v[place].item()) == pytest.approx(
            colorsys.rgb_to_hsv(*pixel), abs=1e-5
        )


def test_there_and_back(x):
    grey = torch.full((1, 3, 1, 1), 0.3)
    black = torch.zeros(1, 3, 1, 1)
    for pictures in (x, grey, black):
        torch.testing.assert_close(from_hsv(*to_hsv(pictures)), pictures, atol=1e-6, rtol=0)


@pytest.mark.parametrize("turn", [-0.1, 0.07, 0.5])
def test_a_turn_of_the_hue_is_torchvisions(x, turn):
    h, s, v = to_hsv(x)
    torch.testing.assert_close(from_hsv(h + turn, s, v), TF.adjust_hue(x, turn), atol=1e-5, rtol=0)


def test_each_operation_alone_stays_within_its_strength(x):
    g = Generator().manual_seed(1)
    moved = colour(x * 0.2 + 0.4, 0.1, 0.0, 0.0, 0.0, g) - (x * 0.2 + 0.4)
    assert (moved.amax((1, 2, 3)) - moved.amin((1, 2, 3))).max() < 1e-6  # added, the same everywhere in a picture
    assert 0.02 < moved.abs().max() <= 0.1
    flat = colour(x * 0.2 + 0.4, 0.0, 0.5, 0.0, 0.0, g)
    torch.testing.assert_close(flat.mean((2, 3)), (x * 0.2 + 0.4).mean((2, 3)))
    assert ((flat.std((2, 3)) / (x * 0.2).std((2, 3)) - 1).abs() <= 0.5 + 1e-4).all()
    pale = colour(x, 0.0, 0.0, 0.5, 0.0, g)
    torch.testing.assert_close(to_hsv(pale)[2], to_hsv(x)[2])
    turned = colour(x, 0.0, 0.0, 0.0, 0.1, g)
    away = ((to_hsv(turned)[0] - to_hsv(x)[0] + 0.5) % 1 - 0.5).abs()
    assert 0.01 < away.max() <= 0.1 + 1e-4


def test_the_order_of_the_colours_is_drawn(x):
    """Clipping between makes brightness before contrast another picture than contrast before brightness."""

    def brighter(y, amount):
        return (y + amount).clamp(0, 1)

    def stronger(y, amount):
        mean = y.mean((2, 3), keepdim=True)
        return (mean + (y - mean) * amount).clamp(0, 1)

    seen = set()
    for seed in range(20):
        g = Generator().manual_seed(seed)
        add, times = ((torch.rand(6, generator=g) * w + low).view(6, 1, 1, 1) for w, low in ((0.8, -0.4), (0.8, 0.6)))
        ways = (stronger(brighter(x, add), times), brighter(stronger(x, times), add))
        found = colour(x, 0.4, 0.4, 0.0, 0.0, Generator().manual_seed(seed))
        seen.add([torch.allclose(found, way, atol=1e-6) for way in ways].index(True))
    assert seen == {0, 1}


def test_grey_pictures_stay_of_one_channel(x):
    grey = x[:, :1]
    assert make_view(grey, Recipe(side=8), Generator().manual_seed(0)).shape == (6, 1, 8, 8)


@pytest.mark.parametrize("area", [(0.1, 0.4), (0.5, 1.0)])
def test_crops_are_parts_of_the_picture(area):
    """A ramp tells where a crop was: its slopes give the size of the box, its ends that it lies inside."""
    line = torch.linspace(0, 1, 64)
    ramps = torch.stack([line.expand(64, 64), line.expand(64, 64).T])[None].repeat(200, 1, 1, 1)
    crops = random_crop(ramps, 32, area, 4 / 3, 0.5, Generator().manual_seed(0))
    assert crops.min() >= 0
    assert crops.max() <= 1
    width = (crops[:, 0, 16, 24] - crops[:, 0, 16, 8]).abs() * 2 * 63 / 64
    height = (crops[:, 1, 24, 16] - crops[:, 1, 8, 16]) * 2 * 63 / 64
    share = width * height
    assert share.min() > area[0] * 0.95
    assert share.max() < area[1] * 1.05
    assert ((width / height).log().abs() <= torch.tensor(4 / 3).log() + 0.05).all()
    turned = (crops[:, 0, 16, 24] < crops[:, 0, 16, 8]).float().mean()
    assert 0.35 < turned < 0.65
    assert (crops[:, 1, 24, 16] > crops[:, 1, 8, 16]).all()  # never upside down


def test_a_large_picture_is_not_sampled_with_gaps():
    """Stripes of one pixel become grey when a picture shrinks to a quarter, as with torchvision's antialiased resize."""
    stripes = torch.arange(112).remainder(2).float().expand(1, 1, 112, 112)
    small = random_crop(stripes, 28, (1.0, 1.0), 1.0, 0.0, Generator().manual_seed(0))
    assert (small - 0.5).abs().max() < 0.05
    smooth = torch.rand(1, 3, 7, 7, generator=Generator().manual_seed(1))
    smooth = TF.resize(smooth, [120, 120], antialias=True)
    small = random_crop(smooth, 30, (1.0, 1.0), 1.0, 0.0, Generator().manual_seed(0))
    torch.testing.assert_close(small, TF.resize(smooth, [30, 30], antialias=True), atol=0.04, rtol=0)


def test_the_border_is_black_and_as_wide_as_it_was_asked_for():
    recipe = Recipe(28, (1.0, 1.0), ratio=1.0, pad=0.25, jitter=0.0, blur=0.0, solarise=0.0)
    view = make_view(torch.ones(4, 1, 28, 28), recipe, Generator().manual_seed(0))
    assert view[..., :4, :].max() == 0  # 7 of 42 pixels, 4.7 of 28
    assert view[..., :, -4:].max() == 0
    assert view[..., 6:-6, 6:-6].min() == 1
    torch.testing.assert_close(view.mean((1, 2, 3)), torch.full((4,), (28 / 42) ** 2), atol=0.02, rtol=0)


def test_blur_is_torchvisions_with_its_own_width_a_picture(x):
    found = blur(x, Generator().manual_seed(5))
    sigma = torch.rand(6, generator=Generator().manual_seed(5)) * 1.9 + 0.1
    for place in range(6):
        expected = TF.gaussian_blur(x[place : place + 1], [3, 3], [sigma[place].item() * 0.5] * 2)
        inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))  # torchvision reflects at the border
        torch.testing.assert_close(found[place : place + 1][inner], expected[inner], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "probability"), [("solarise", 0.3), ("greyscale", 0.3), ("jitter", 0.3)])
def test_operations_happen_with_their_probability(name, probability):
    x = torch.rand(2000, 3, 4, 4, generator=Generator().manual_seed(0)) * 0.3 + 0.6
    none = {
        "jitter": 0.0,
        "greyscale": 0.0,
        "blur": 0.0,
        "solarise": 0.0,
        "flip": 0.0,
        "ratio": 1.0,
        "area": (1.0, 1.0),
    }
    changed = make_view(x, Recipe(side=4, **none | {name: probability}), Generator().manual_seed(1))
    share = ((changed - x).abs().amax((1, 2, 3)) > 1e-3).float().mean().item()
    assert share == pytest.approx(probability, abs=0.04)


def test_the_same_seed_gives_the_same_view_and_another_does_not(x):
    one, again, other = (make_view(x, Recipe(side=8), Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
