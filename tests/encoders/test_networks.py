"""Networks against published sizes, against torchvision's arithmetic, and by name."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import torchvision

from pretrain.config import METHODS, override
from pretrain.train import pretrain
from relic_eval.encoders.load import find_encoder
from relic_eval.encoders.names import DEPTHS, NETWORKS, check_network
from relic_eval.encoders.networks import ResNet, build_network, layout
from relic_eval.errors import ArgumentError, UnknownNameError
from relic_eval.files import digest_file

PUBLISHED = {  # millions of parameters of the encoder, as the papers round them
    "resnet50": 24,
    "resnet50-2x": 94,
    "resnet50-4x": 375,
    "resnet101": 43,
    "resnet152": 58,
    "resnet200": 63,
    "resnet200-2x": 250,
    "resnet295": 87,
}


def size(name):
    with torch.device("meta"):
        return sum(p.numel() for p in ResNet(3, layout(name)).parameters())


@pytest.mark.parametrize(("name", "millions"), PUBLISHED.items())
def test_parameters_are_as_many_as_published(name, millions):
    assert round(size(name) / 1e6) == millions


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_parameters_are_torchvisions_without_its_classifier(depth):
    with torch.device("meta"):
        theirs = torchvision.models.get_model(f"resnet{depth}")
    assert size(f"resnet{depth}") == sum(p.numel() for n, p in theirs.named_parameters() if not n.startswith("fc."))


@pytest.mark.parametrize("depth", [18, 50])
def test_features_are_torchvisions_with_the_same_weights(depth):
    ours, theirs = build_network(f"resnet{depth}", 3, seed=1), torchvision.models.get_model(f"resnet{depth}")
    theirs.fc = torch.nn.Identity()
    # both list, in order, convolutions and norms of stem and blocks, torchvision the shortcut last, as here
    mine, other = ours.state_dict(), theirs.state_dict()
    assert [t.shape for t in mine.values()] == [t.shape for t in other.values()]
    theirs.load_state_dict(dict(zip(other, mine.values(), strict=True)))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["thin-resnet", "thin-resnet-2x", "resnet18-32px", "resnet34-2x-32px", "resnet50"])
def test_features_have_the_width_it_says(name):
    network = build_network(name, 3)
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, network.dims)


def test_a_small_stem_keeps_the_size_of_small_pictures():
    network = build_network("resnet18-32px", 3)
    assert network.stem(torch.rand(1, 3, 32, 32)).shape == (1, 64, 32, 32)
    assert build_network("resnet18", 3).stem(torch.rand(1, 3, 32, 32)).shape == (1, 64, 8, 8)


def test_a_seed_decides_the_weights_whatever_was_drawn_before():
    one = build_network("thin-resnet", 1, seed=3)
    torch.manual_seed(5)
    again, other = build_network("thin-resnet", 1, seed=3), build_network("thin-resnet", 1, seed=4)
    assert torch.equal(one.stem[0].weight, again.stem[0].weight)
    assert not torch.equal(one.stem[0].weight, other.stem[0].weight)


@pytest.mark.parametrize("name", ["resnet50", "resnet101", "resnet200-2x"])
def test_haikus_padding_changes_no_parameter(name):
    with torch.device("meta"):
        ours, same = (ResNet(3, layout(n)).state_dict() for n in (name, f"{name}-same"))
    assert {n: t.shape for n, t in ours.items()} == {n: t.shape for n, t in same.items()}


def test_haikus_padding_looks_further_down_and_right_on_even_sides_alone():
    """An odd side is padded alike on both of its ends: the stem, at least, gives the same."""
    one, other = (build_network(name, 3).eval().stem[0] for name in ("resnet50", "resnet50-same"))
    for side, alike in ((33, True), (32, False)):
        x = torch.rand(1, 3, side, side)
        assert torch.allclose(one(x), other(x), atol=1e-6) == alike
        assert one(x).shape == other(x).shape


@pytest.mark.parametrize(
    "name",
    [
        "resnet5",
        "resnet18-same",
        "resnet50-same-32px",
        "thin-resnet-same",
        "resnet50-3x",
        "resnet50-32",
        "thin-resnet-32px",
        "timm:",
        "vit",
    ],
)
def test_other_names_are_refused(name):
    with pytest.raises(UnknownNameError, match="network: expected one of"):
        check_network(name)


def test_every_name_that_is_offered_is_one():
    assert [check_network(name) for name in NETWORKS] == list(NETWORKS)
    assert {f"resnet{depth}" for depth in DEPTHS} < set(NETWORKS)


@pytest.mark.parametrize(("name", "dims"), [("vit_tiny_patch16_224", 192), ("swin_tiny_patch4_window7_224", 768)])
def test_timm_makes_the_transformers(name, dims):
    pytest.importorskip("timm")
    before = torch.random.get_rng_state()
    network = build_network(f"timm:{name}", 3, seed=1, side=64)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert network.dims == dims
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, dims)
    again = build_network(f"timm:{name}", 3, seed=1, side=64)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_a_crop_of_another_size_goes_through_a_transformer():
    pytest.importorskip("timm")
    network = build_network("timm:vit_tiny_patch16_224", 3, side=64)
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 192)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_transformer_that_was_trained_small_embeds_and_resumes(name, tmp_path):
    """Two sizes of crops go through it, and nothing is drawn outside of the seed: two halves are the whole, to the bit."""
    pytest.importorskip("timm")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (24, 64, 64, 3)).astype(np.uint8)
    changes = {"network": f"timm:{name}", "side": 64, "small_side": 32, "batch": 12, "steps": 2, "checkpoint_every": 1}
    config, runs = override(METHODS["relicv2"](), changes), []
    for folder in ("whole", "halves"):
        runs.append(pretrain(config, images, None, tmp_path / folder, data={"name": "noise", "digest": "d"}))
        if folder == "halves":
            shutil.rmtree(runs[-1])
            pretrain(config, images, None, tmp_path / folder, data={"name": "noise", "digest": "d"})
    assert len({digest_file(run / "checkpoint.safetensors") for run in runs}) == 1
    encoder = find_encoder(str(tmp_path / "whole")).build(3, "cpu")
    assert len(encoder(torch.rand(2, 3, 64, 64))) == 2


def test_sizes_that_a_transformer_cannot_take_are_refused_before_the_first_step(tmp_path):
    pytest.importorskip("timm")
    images = np.zeros((24, 40, 40, 3), np.uint8)
    config = override(METHODS["byol"](), {"network": "timm:vit_tiny_patch16_224", "side": 40, "batch": 12})
    with pytest.raises(ArgumentError, match="expected a network that takes crops of 40 pixels, received timm:vit_tiny"):
        pretrain(config, images, None, tmp_path, data={"name": "noise", "digest": "d"})


def test_random_networks_are_told_apart_by_name():
    names = ["random:thin-resnet", "random:resnet18-32px", "random:timm:vit_tiny_patch16_224"]
    assert [find_encoder(n).name for n in names] == ["random", "random-resnet18-32px", "random-vit_tiny_patch16_224"]


def test_a_random_network_of_timm_without_timm_is_refused(monkeypatch):
    import importlib.metadata

    real = importlib.metadata.version

    def missing(package):
        if package == "timm":
            raise importlib.metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(
        ArgumentError, match="expected timm to be installed, received timm:vit_tiny_patch16_224 without"
    ):
        find_encoder("random:timm:vit_tiny_patch16_224")


def test_a_model_that_timm_does_not_know_is_refused():
    pytest.importorskip("timm")
    with pytest.raises(ArgumentError, match=r"a model that timm lists, received 'vit_huge_patch1'\. For example vit_"):
        build_network("timm:vit_huge_patch1", 3)
