"""A picture file through our Transform against the library's own on the same file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from relic_eval.data.opening import open_square, square_box
from relic_eval.encoders.from_hf import transform_of
from relic_eval.encoders.from_timm import look_of
from relic_eval.records import Transform


def ours(file, transform):
    return open_square(file, transform).astype(int)


def theirs(file, function):
    with Image.open(file) as picture:
        return np.asarray(function(picture.convert("RGB"))).astype(int)


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        ("resnet18", "IMAGENET1K_V1"),
        ("resnet50", "IMAGENET1K_V2"),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1"),
        ("swin_t", "DEFAULT"),
    ],
)
def test_torchvisions(model, weights, pictures):
    shown = torchvision.models.get_weight(
        f"{torchvision.models.get_model_weights(model).__name__}.{weights}"
    ).transforms()
    transform = Transform(shown.crop_size[0], shown.resize_size[0], shown.interpolation.value)
    undo = torch.tensor(shown.std).view(3, 1, 1), torch.tensor(shown.mean).view(3, 1, 1)
    for file in pictures:
        pixels = theirs(file, lambda p: ((shown(p) * undo[0] + undo[1]) * 255).round().permute(1, 2, 0).numpy())
        assert np.array_equal(ours(file, transform), pixels), file.name


@pytest.mark.parametrize(
    "config",
    [
        {"input_size": (3, 224, 224), "crop_pct": 0.875, "interpolation": "bilinear"},
        {"input_size": (3, 160, 160), "crop_pct": 0.95, "interpolation": "bicubic"},
        {"input_size": (3, 224, 224), "crop_pct": 1.0, "interpolation": "bicubic", "crop_mode": "squash"},
        {"input_size": (3, 96, 96), "crop_pct": 0.9, "interpolation": "bicubic", "crop_mode": "squash"},
    ],
)
def test_timms(config, pictures):
    from timm.data import create_transform, resolve_data_config

    data = resolve_data_config({}, pretrained_cfg=config)
    function = create_transform(**data, is_training=False, normalize=False)
    transform = Transform(**look_of(config)["transform"])
    for file in pictures:
        pixels = theirs(file, lambda p: function(p).permute(1, 2, 0).numpy())
        assert np.array_equal(ours(file, transform), pixels), file.name


def processor(name):
    models = pytest.importorskip("transformers").models
    bit, convnext = (
        models.bit.image_processing_pil_bit.BitImageProcessorPil,
        models.convnext.image_processing_pil_convnext.ConvNextImageProcessorPil,
    )
    return {
        "vit": models.vit.image_processing_pil_vit.ViTImageProcessorPil,
        "dinov2": lambda: bit(size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}),
        "odd": lambda: bit(size={"shortest_edge": 101}, crop_size={"height": 96, "width": 96}),
        "convnext": lambda: convnext(size={"shortest_edge": 224}),
        "convnext-384": lambda: convnext(size={"shortest_edge": 384}),
        "deit": models.deit.image_processing_pil_deit.DeiTImageProcessorPil,
    }[name]()


@pytest.mark.parametrize("name", ["vit", "dinov2", "odd", "convnext", "convnext-384", "deit"])
def test_transformers(name, pictures):
    its = processor(name)
    transform = transform_of(name, its)
    for file in pictures:
        pixels = theirs(
            file,
            lambda p: np.asarray(its(p, do_normalize=False, do_rescale=False)["pixel_values"][0]).transpose(1, 2, 0),
        )
        assert np.array_equal(ours(file, transform), pixels), file.name


def test_a_plain_side_gives_what_it_gave(pictures):
    """Sizes rounded, the square begun at the floor: no store of before is another."""
    for file in pictures:
        with Image.open(file) as picture:
            size, box = square_box(picture.size, 64)
            before = np.asarray(picture.resize(size, Image.Resampling.BICUBIC).crop(box))
        assert np.array_equal(ours(file, 64), before)
        assert np.array_equal(ours(file, Transform(64)), before)
    assert square_box((500, 333), 64)[0] == (96, 64)
    assert Transform(64).resize == 0
