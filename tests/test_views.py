"""Augmentations against torchvision and by hand, a picture at a time."""

from __future__ import annotations

import colorsys
import dataclasses

import pytest
import torch
from torch import Generator
from torchvision.transforms.v2 import functional as TF

from relic_eval import views
from relic_eval.views import Draw, Recipe, blur, colour, from_hsv, greyscale, make_view, random_crop, to_hsv


def draw(count, seed=0):
    return Draw(Generator().manual_seed(seed), count)


def coloured(x, *strengths, seed=0, additive=True):
    y = x.clone()
    colour(y, torch.arange(len(y)), strengths, additive, draw(len(y), seed))
    return y


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
    moved = coloured(x * 0.2 + 0.4, 0.1, 0.0, 0.0, 0.0) - (x * 0.2 + 0.4)
    assert (moved.amax((1, 2, 3)) - moved.amin((1, 2, 3))).max() < 1e-6  # added, the same everywhere in a picture
    assert 0.02 < moved.abs().max() <= 0.1
    flat = coloured(x * 0.2 + 0.4, 0.0, 0.5, 0.0, 0.0)
    torch.testing.assert_close(flat.mean((2, 3)), (x * 0.2 + 0.4).mean((2, 3)))
    assert ((flat.std((2, 3)) / (x * 0.2).std((2, 3)) - 1).abs() <= 0.5 + 1e-4).all()
    pale = coloured(x, 0.0, 0.0, 0.5, 0.0)
    torch.testing.assert_close(to_hsv(pale)[2], to_hsv(x)[2])
    turned = coloured(x, 0.0, 0.0, 0.0, 0.1)
    away = ((to_hsv(turned)[0] - to_hsv(x)[0] + 0.5) % 1 - 0.5).abs()
    assert 0.01 < away.max() <= 0.1 + 1e-4


def test_brightness_that_multiplies_is_torchvisions(x):
    found = coloured(x, 0.4, 0.0, 0.0, 0.0, additive=False)
    factors = draw(6).uniform(0.6, 1.4)
    for place, factor in enumerate(factors.tolist()):
        torch.testing.assert_close(found[place], TF.adjust_brightness(x[place], factor), atol=1e-6, rtol=0)


def test_saturation_is_that_of_hue_saturation_value(x):
    numbers = draw(6)
    found, _, _ = coloured(x, 0.0, 0.0, 0.5, 0.0), numbers.uniform(0, 1), numbers.uniform(0, 1)
    factors = numbers.uniform(0.5, 1.5).view(-1, 1, 1, 1)
    h, s, v = to_hsv(x)
    torch.testing.assert_close(found, from_hsv(h, (s * factors).clamp(0, 1), v), atol=1e-5, rtol=0)
    grey = torch.full((2, 3, 4, 4), 0.3)
    torch.testing.assert_close(coloured(grey, 0.0, 0.0, 0.5, 0.0), grey)
    assert not coloured(torch.zeros(2, 3, 4, 4), 0.0, 0.0, 0.5, 0.0).any()


def test_each_picture_has_an_order_of_its_own():
    """Clipping between makes brightness before contrast another picture than contrast before brightness."""
    x = torch.rand(40, 3, 12, 12, generator=Generator().manual_seed(0))
    numbers = draw(40)
    add, times = (numbers.uniform(*ends).view(-1, 1, 1, 1) for ends in ((-0.4, 0.4), (0.6, 1.4)))

    def brighter(y):
        return (y + add).clamp(0, 1)

    def stronger(y):
        mean = y.mean((2, 3), keepdim=True)
        return (mean + (y - mean) * times).clamp(0, 1)

    found = coloured(x, 0.4, 0.4, 0.0, 0.0)
    ways = [stronger(brighter(x)), brighter(stronger(x))]
    fits = torch.stack([(found - way).abs().amax((1, 2, 3)) < 1e-6 for way in ways])
    assert fits.any(0).all()
    assert 8 <= (fits[0] & ~fits[1]).sum() <= 32  # about half of the orders have brightness first


def test_a_part_of_a_batch_sees_what_it_sees_in_the_whole(x):
    recipe = Recipe(side=8, pad=0.1)
    whole = make_view(x, recipe, draw(6))
    for rows in (slice(0, 2), slice(2, 6)):
        part = make_view(x[rows], recipe, Draw(Generator().manual_seed(0), 6, rows))
        torch.testing.assert_close(part, whole[rows], atol=1e-6, rtol=0)


def test_grey_pictures_stay_of_one_channel(x):
    grey = x[:, :1]
    assert make_view(grey, Recipe(side=8), draw(6)).shape == (6, 1, 8, 8)


@pytest.mark.parametrize("area", [(0.1, 0.4), (0.5, 1.0)])
def test_crops_are_parts_of_the_picture(area):
    """A ramp tells where a crop was: its slopes give the size of the box, its ends that it lies inside."""
    line = torch.linspace(0, 1, 64)
    ramps = torch.stack([line.expand(64, 64), line.expand(64, 64).T])[None].repeat(200, 1, 1, 1)
    crops = random_crop(ramps, 32, area, 4 / 3, 0.5, draw(200))
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
    small = random_crop(stripes, 28, (1.0, 1.0), 1.0, 0.0, draw(1))
    assert (small - 0.5).abs().max() < 0.05
    smooth = torch.rand(1, 3, 7, 7, generator=Generator().manual_seed(1))
    smooth = TF.resize(smooth, [120, 120], antialias=True)
    small = random_crop(smooth, 30, (1.0, 1.0), 1.0, 0.0, draw(1))
    torch.testing.assert_close(small, TF.resize(smooth, [30, 30], antialias=True), atol=0.04, rtol=0)


def test_the_border_is_black_and_as_wide_as_it_was_asked_for():
    recipe = Recipe(28, (1.0, 1.0), ratio=1.0, pad=0.25, jitter=0.0, blur=0.0, solarise=0.0)
    view = make_view(torch.ones(4, 1, 28, 28), recipe, draw(4))
    assert view[..., :4, :].max() == 0  # 7 of 42 pixels, 4.7 of 28
    assert view[..., :, -4:].max() == 0
    assert view[..., 6:-6, 6:-6].min() == 1
    torch.testing.assert_close(view.mean((1, 2, 3)), torch.full((4,), (28 / 42) ** 2), atol=0.02, rtol=0)


def test_blur_is_torchvisions_with_its_own_width_a_picture(x):
    sigma = torch.rand(6, generator=Generator().manual_seed(5)) * 1.9 + 0.1
    found = blur(x, sigma)
    for place in range(6):
        expected = TF.gaussian_blur(x[place], [3, 3], [sigma[place].item()] * 2)
        torch.testing.assert_close(found[place], expected, atol=1e-5, rtol=0)


def test_greyscale_and_solarise_are_torchvisions(x):
    torch.testing.assert_close(greyscale(x), TF.rgb_to_grayscale(x, 3), atol=1e-5, rtol=0)
    none = Recipe(side=12, area=(1.0, 1.0), ratio=1.0, flip=0.0, jitter=0.0, greyscale=0.0, blur=0.0, solarise=1.0)
    torch.testing.assert_close(make_view(x, none, draw(6)), TF.solarize(x, 0.5), atol=1e-6, rtol=0)
    turned = dataclasses.replace(none, solarise=0.0, flip=1.0)
    torch.testing.assert_close(make_view(x, turned, draw(6)), TF.horizontal_flip(x), atol=1e-6, rtol=0)


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
    changed = make_view(x, Recipe(side=4, **none | {name: probability}), draw(2000, 1))
    share = ((changed - x).abs().amax((1, 2, 3)) > 1e-3).float().mean().item()
    assert share == pytest.approx(probability, abs=0.04)


def test_the_same_seed_gives_the_same_view_and_another_does_not(x):
    one, again, other = (make_view(x, Recipe(side=8), draw(6, s)) for s in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


class Fixed:
    """Draws what it was told to, in turn."""

    def __init__(self, *values):
        self.values = [torch.tensor(v) for v in values]

    def uniform(self, low, high):
        return self.values.pop(0)


@pytest.mark.parametrize("turned", [False, True])
def test_a_box_is_cut_and_resized_as_torchvision_does(turned):
    """Boxes (top, left, height, width) at whole pixels; at its edge ours sees the picture beyond the box, torchvision does not."""
    boxes = [(0, 0, 6, 8), (3, 2, 9, 8), (4, 4, 8, 8), (6, 1, 6, 9)]
    x = torch.rand(4, 3, 12, 12, generator=Generator().manual_seed(0))
    top, left, height, width = torch.tensor(boxes).double().T
    place = [(2 * left / (12 - width) - 1).tolist(), (2 * top / (12 - height) - 1).tolist()]
    sizes = [(width * height / 144).tolist(), (width / height).log().tolist()]
    found = random_crop(x, 10, (0, 1), 2.0, 0.5, Fixed(*sizes, *place, [0.0 if turned else 1.0] * 4))
    for picture, box, crop in zip(x, boxes, found, strict=True):
        expected = TF.resized_crop(picture, *box, [10, 10], antialias=False)
        expected = TF.horizontal_flip(expected) if turned else expected
        torch.testing.assert_close(crop[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-5, rtol=0)


def test_contrast_is_torchvisions_of_each_channel(x):
    numbers = draw(6)
    found, _ = coloured(x, 0.0, 0.5, 0.0, 0.0), numbers.uniform(0, 1)
    factors = numbers.uniform(0.5, 1.5)
    for place, factor in enumerate(factors.tolist()):
        expected = torch.cat([TF.adjust_contrast(channel[None], factor) for channel in x[place]])
        torch.testing.assert_close(found[place], expected, atol=1e-5, rtol=0)


def test_the_kernel_of_the_blur_is_a_tenth_of_the_side():
    x = torch.rand(3, 1, 64, 64, generator=Generator().manual_seed(0))
    sigma = torch.tensor([0.3, 1.1, 2.0])
    for picture, s, found in zip(x, sigma.tolist(), blur(x, sigma), strict=True):
        torch.testing.assert_close(found, TF.gaussian_blur(picture, [7, 7], [s, s]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_gpus_way_of_putting_rows_gives_the_same_views(count, share, monkeypatch):
    x = torch.rand(count, 3, 40, 40, generator=Generator().manual_seed(0))
    recipe = Recipe(16, jitter=share, greyscale=share, blur=share, solarise=share)
    expected = make_view(x.clone(), recipe, draw(count))
    monkeypatch.setattr(views, "_put", views.put_by_gathering)
    torch.testing.assert_close(make_view(x.clone(), recipe, draw(count)), expected, atol=0, rtol=0)
