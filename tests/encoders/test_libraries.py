"""Encoders of timm, torchvision, torch.hub and Hugging Face, each from real files through the code that reads a hub's."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError, DataError, UnknownNameError, told

SEED = torch.Generator().manual_seed(0)


def noise(side, n=2):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def normalised(x, mean, std):
    return (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def lively(network):
    """Statistics of batch norm that are not those of the beginning, so that it matters whether they are read."""
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.uniform_(-0.2, 0.2, generator=SEED)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5, generator=SEED)
    return network.eval()


def same(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.fixture
def timm():
    return pytest.importorskip("timm")


def saved_by_timm(timm, folder, name, **more):
    from timm.models._hub import save_for_hf

    torch.manual_seed(0)
    network = lively(timm.create_model(name, **more))
    save_for_hf(network, folder, safe_serialization=True)
    return network


def in_hub(folder, repo, top):
    """The layout of the hub's cache, as it is after a download."""
    place = top / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, place / "snapshots" / ("0" * 40))
    return place


def test_a_model_that_timm_saved(timm, tmp_path):
    network = saved_by_timm(timm, tmp_path / "mine", "test_resnet", num_classes=7)
    encoder = find_encoder(f"timm:{tmp_path / 'mine'}")
    x = noise(160)
    with torch.inference_mode():
        got = encoder.build(3, "cpu")(x)
        same(
            got,
            network.forward_head(
                network.forward_features(normalised(x, encoder.settings["mean"], encoder.settings["std"])),
                pre_logits=True,
            ),
        )
    data = timm.data.resolve_data_config({}, model=network)
    assert (encoder.transform.side, encoder.transform.interpolation) == (160, data["interpolation"])
    assert encoder.transform.resize == int(160 / data["crop_pct"])
    assert (encoder.name, encoder.channels) == ("mine", 3)


def test_a_model_of_timm_in_the_hubs_cache(timm, tmp_path):
    network = saved_by_timm(timm, tmp_path / "saved", "resnet18")
    in_hub(tmp_path / "saved", "timm/resnet18.a1_in1k", tmp_path / "hf" / "hub")
    encoder, x = find_encoder("timm:resnet18"), noise(64)
    assert encoder.name == "resnet18"
    assert encoder.transform.resize == 235  # 224 of 95%, rounded down
    module = encoder.build(3, "cpu")
    mean, std = encoder.settings["mean"], encoder.settings["std"]
    with torch.inference_mode():
        y = network.forward_features(normalised(x, mean, std))
        same(module.maps(x), y)
        same(module(x), y.mean((2, 3)))


def test_the_second_time_no_torch_is_needed_for_the_digest(timm, tmp_path):
    saved_by_timm(timm, tmp_path / "mine", "test_vit")
    torch.save(torchvision.models.get_model("resnet18").state_dict(), tmp_path / "w.pth")
    names = [f"timm:{tmp_path / 'mine'}", f"file:{tmp_path / 'w.pth'},network=resnet18"]
    first = [find_encoder(name).digest for name in names]
    code = (
        "import sys; from relic_eval.encoders.load import find_encoder;"
        "print([find_encoder(n).digest for n in sys.argv[1:]], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{first} False"
    (tmp_path / "mine" / "model.safetensors").write_bytes(
        (tmp_path / "mine" / "model.safetensors").read_bytes()[:-4] + b"\0\0\1\0"
    )
    assert find_encoder(names[0]).digest != first[0]


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_weights_that_are_not_here_are_asked_for_in_one_line(timm, name):
    with pytest.raises(
        DataError, match=r"expected model.safetensors of timm/\S+, received nothing there.* weights=PATH"
    ) as error:
        find_encoder(f"timm:{name}")
    assert "\n" not in str(error.value)


def test_a_file_in_place_of_the_hubs(timm, tmp_path):
    network = saved_by_timm(timm, tmp_path / "mine", "test_resnet")
    encoder = find_encoder(f"timm:test_resnet,weights={tmp_path / 'mine' / 'model.safetensors'}")
    assert encoder.name == "test_resnet,weights=model"
    with torch.inference_mode():
        x = noise(96)
        same(
            encoder.build(3, "cpu").maps(x),
            network.forward_features(normalised(x, encoder.settings["mean"], encoder.settings["std"])),
        )
    with pytest.raises(DataError, match=r"file:\S+,network=timm:test_vit"):
        find_encoder(f"timm:test_vit,weights={tmp_path / 'mine' / 'model.safetensors'}").build(3, "cpu")


def test_names_that_timm_does_not_know(timm):
    for name, near in (("resnet5O", "resnet50"), ("resnet5O.a1_in1k", "resnet50")):
        with pytest.raises(
            UnknownNameError, match=f"model of timm: expected one of .* Did you mean '{near}'"
        ) as raised:
            find_encoder(f"timm:{name}")
        assert len(str(raised.value)) < 200
    with pytest.raises(
        ArgumentError, match=r"weights that timm lists, received timm:resnet18.nobody\. There are resnet18"
    ):
        find_encoder("timm:resnet18.nobody")


@pytest.mark.parametrize(
    ("name", "pool", "dims"),
    [("", "cls+mean", 128), ("layer=blocks.1", "mean", 64), ("layer=blocks.1", "cls", 64), ("", "flatten", 6464)],
)
def test_tokens_of_a_vit(timm, tmp_path, name, pool, dims):
    network = saved_by_timm(timm, tmp_path / "mine", "test_vit")
    encoder = find_encoder(",".join(filter(None, [f"timm:{tmp_path / 'mine'}", name, f"pool={pool}"])))
    module, x = encoder.build(3, "cpu"), noise(160)
    z = normalised(x, encoder.settings["mean"], encoder.settings["std"])
    with torch.inference_mode():
        if name:
            tokens = network.blocks[1](
                network.blocks[0](network.norm_pre(network.patch_drop(network._pos_embed(network.patch_embed(z)))))
            )
        else:
            tokens = network.forward_features(z)
        patches = tokens[:, 1:]
        wanted = {
            "cls+mean": torch.cat([tokens[:, 0], patches.mean(1)], 1),
            "mean": patches.mean(1),
            "cls": tokens[:, 0],
            "flatten": tokens.flatten(1),
        }
        got = module(x)
        assert got.shape == (2, dims)
        same(got, wanted[pool])
        maps = module.maps(x)
        assert maps.shape == (2, 64, 10, 10)
        same(maps[:, :, 3, 7], patches[:, 3 * 10 + 7])  # rows of patches follow each other


def test_another_side_for_a_vit_and_swin(timm, tmp_path):
    saved_by_timm(timm, tmp_path / "vit", "test_vit")
    module = find_encoder(f"timm:{tmp_path / 'vit'},side=96").build(3, "cpu")
    assert module.maps(noise(96)).shape == (2, 64, 6, 6)


def test_maps_of_a_swin_are_channels_first(timm, tmp_path):
    small = {"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "img_size": 64, "window_size": 4}
    network = saved_by_timm(timm, tmp_path / "swin", "swin_tiny_patch4_window7_224", **small)
    x = noise(64)
    encoder = find_encoder(f"timm:{tmp_path / 'swin'}")
    z = normalised(x, encoder.settings["mean"], encoder.settings["std"])
    with torch.inference_mode():
        last = network.forward_features(z).permute(0, 3, 1, 2)
        module = encoder.build(3, "cpu")
        assert module.maps(x).shape == (2, 32, 8, 8)
        same(module.maps(x), last)
        same(module(x), last.mean((2, 3)))
        layer = find_encoder(f"timm:{tmp_path / 'swin'},layer=layers.0").build(3, "cpu")
        first = network.layers[0](network.patch_embed(z)).permute(0, 3, 1, 2)
        same(layer.maps(x), first)
        same(layer(x), first.mean((2, 3)))


@pytest.mark.parametrize(("model", "weights"), [("resnet18", "IMAGENET1K_V1"), ("mobilenet_v3_small", "IMAGENET1K_V1")])
def test_torchvision_reads_the_file_of_that_name(model, weights, tmp_path):
    torch.manual_seed(0)
    network = lively(torchvision.models.get_model(model))
    place = tmp_path / "torch" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    torch.save(network.state_dict(), place / Path(torchvision.models.get_model_weights(model)[weights].url).name)
    encoder, x = find_encoder(f"torchvision:{model}/{weights}"), noise(64)
    assert (encoder.name, encoder.transform.side, encoder.transform.resize, encoder.transform.interpolation) == (
        model,
        224,
        256,
        "bilinear",
    )
    z = normalised(x, encoder.settings["mean"], encoder.settings["std"])
    with torch.inference_mode():
        module = encoder.build(3, "cpu")
        if model == "resnet18":
            network.fc = torch.nn.Identity()
            same(module(x), network(z))
            same(module.maps(x).mean((2, 3)), network(z))
            layer = find_encoder(f"torchvision:{model}/{weights},layer=layer3").build(3, "cpu")
            trunk = torch.nn.Sequential(*[*network.children()][:7])
            same(layer.maps(x), trunk(z))
        else:
            network.classifier[-1] = torch.nn.Identity()
            same(module(x), network(z))
            same(module.maps(x), network.features(z))


def test_torchvisions_transformers_give_maps(tmp_path):
    from relic_eval.encoders.families import without_classifier
    from relic_eval.encoders.wrapped import Wrapped

    torch.manual_seed(0)
    vit = torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=16
    )
    swin = torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [1, 2], [4, 4])
    x = noise(64)
    for network, shape in ((vit, (2, 16, 4, 4)), (swin, (2, 16, 8, 8))):
        module = Wrapped(without_classifier(network.eval()), (0.5,), (0.5,))
        with torch.inference_mode():
            maps, features = module.maps(x), module(x)
        assert maps.shape == shape
        assert features.shape == shape[:2]
    with torch.inference_mode():
        same(maps.mean((2, 3)), features)


def test_torchvision_says_what_is_lacking():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet50'"):
        find_encoder("torchvision:resnet5O")
    with pytest.raises(
        UnknownNameError, match=r"one of .*resnet18.* and \d+ more, received 'resnet19'. Did you"
    ) as raised:
        find_encoder("torchvision:resnet19")
    assert len(str(raised.value)) < 200
    with pytest.raises(
        UnknownNameError, match="expected one of IMAGENET1K_V1, IMAGENET1K_V2, received 'IMAGENET1K_V3'"
    ):
        find_encoder("torchvision:resnet50/IMAGENET1K_V3")
    with pytest.raises(
        DataError, match=r"expected the file \S+resnet18-f37072fd.pth, received nothing there.* Get https"
    ):
        find_encoder("torchvision:resnet18/IMAGENET1K_V1")


HUBCONF = """
dependencies = ["torch"]
import torch
from parts import Tiny

def tiny(pretrained=True, **kwargs):
    model = Tiny()
    if pretrained:
        model.load_state_dict(torch.hub.load_state_dict_from_url("https://nowhere.invalid/tiny.pth", map_location="cpu"))
    return model

def no_module():
    return 3

def unseeded():
    return Tiny()

def need(depth):
    return Tiny()

def faulty():
    return Tiny().nothing_of_this_name
"""
PARTS = """
import torch

class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a hubconf.py and, in torch's folder, the weights that it reads."""
    folder, checkpoints = tmp_path / "repo", tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir()
    checkpoints.mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "parts.py").write_text(PARTS)
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 4, 3)
    torch.save({f"conv.{n}": t for n, t in conv.state_dict().items()}, checkpoints / "tiny.pth")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield folder, conv
    sys.modules.pop("parts", None)


@pytest.mark.parametrize("way", ["folder", "hub"])
def test_an_entry_of_a_repository(repository, way, tmp_path):
    folder, conv = repository
    name = f"hub:{folder}/tiny"
    if way == "hub":
        shutil.copytree(folder, tmp_path / "torch" / "hub" / "someone_things_v1")
        name = "hub:someone/things:v1/tiny"
    encoder, x = find_encoder(name), noise(16)
    assert (encoder.name, encoder.transform.side, encoder.transform.resize) == ("tiny", 224, 256)
    with torch.inference_mode():
        z = normalised(x, encoder.settings["mean"], encoder.settings["std"])
        same(encoder.build(3, "cpu")(x), conv(z).mean((2, 3)))
        layer = find_encoder(f"{name},layer=conv,pool=max").build(3, "cpu")
        same(layer(x), conv(z).amax((2, 3)))
    other = tmp_path / "other.pth"
    torch.save({f"conv.{n}": t + 1 for n, t in conv.state_dict().items()}, other)
    assert find_encoder(f"{name},weights={other}").digest != encoder.digest
    shutil.copy(other, tmp_path / "torch" / "hub" / "checkpoints" / "tiny.pth")
    assert find_encoder(name).digest != encoder.digest


def test_what_a_repository_has_not(repository, tmp_path):
    folder, _ = repository
    with pytest.raises(
        ArgumentError, match=r"an entry of \S+hubconf.py \(tiny, no_module, unseeded, need, faulty\), received 'tony'"
    ):
        find_encoder(f"hub:{folder}/tony")
    with pytest.raises(ArgumentError, match="makes a torch module, received int"):
        find_encoder(f"hub:{folder}/no_module")
    (tmp_path / "torch" / "hub" / "checkpoints" / "tiny.pth").unlink()
    with pytest.raises(DataError, match=r"expected the weights that it reads, .* put it into \S+checkpoints"):
        find_encoder(f"hub:{folder}/tiny")
    with pytest.raises(DataError, match=r"expected the repository \S+nobody_nothing_main, received nothing there"):
        find_encoder("hub:nobody/nothing:main/tiny")


def test_an_entry_with_other_weights_each_time_is_refused(repository):
    encoder = find_encoder(f"hub:{repository[0]}/unseeded")
    with pytest.raises(DataError, match=r"expected the weights that unseeded made .* Seed them"):
        encoder.build(3, "cpu")


@pytest.mark.parametrize(
    ("entry", "line", "said"),
    [
        ("need", "def need", "TypeError: need.. missing 1 required positional"),
        ("faulty", "Tiny().nothing", "AttributeError"),
    ],
)
def test_an_entry_that_fails_is_said_in_one_line_with_its_place(repository, entry, line, said):
    place = f"hubconf.py:{next(n for n, text in enumerate(HUBCONF.splitlines(), 1) if line in text)}"
    with pytest.raises((TypeError, AttributeError)) as raised:
        find_encoder(f"hub:{repository[0]}/{entry}")
    text = told(raised.value)
    assert re.match(said, text)
    assert place in text
    assert f"{entry} of {repository[0] / 'hubconf.py'}" in text
    assert "\n" not in text


def hf_models():
    transformers = pytest.importorskip("transformers")
    t = transformers
    common = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 64,
        "patch_size": 16,
    }
    return {
        "vit": (t.ViTModel(t.ViTConfig(**common)), t.ViTImageProcessor(size={"height": 64, "width": 64}), (32, 4, 4)),
        "dinov2": (
            t.Dinov2Model(t.Dinov2Config(**common)),
            t.BitImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
            (32, 4, 4),
        ),
        "swin": (
            t.SwinModel(
                t.SwinConfig(image_size=64, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4)
            ),
            t.ViTImageProcessor(size={"height": 64, "width": 64}),
            (16, 8, 8),
        ),
        "resnet": (
            t.ResNetModel(t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
            t.ConvNextImageProcessor(size={"shortest_edge": 64}),
            (16, 8, 8),
        ),
    }


@pytest.mark.parametrize("name", ["vit", "dinov2", "swin", "resnet"])
def test_a_folder_of_hugging_face(name, tmp_path):
    torch.manual_seed(0)
    network, processor, shape = hf_models()[name]
    network = lively(network)
    network.save_pretrained(tmp_path / "mine")
    processor.save_pretrained(tmp_path / "mine")
    encoder, x = find_encoder(f"hf:{tmp_path / 'mine'}"), noise(64)
    assert encoder.transform.side == 64
    assert encoder.transform.squash == (name in ("vit", "swin"))
    assert encoder.settings["mean"] == list(processor.image_mean)
    z = normalised(x, encoder.settings["mean"], encoder.settings["std"])
    with torch.inference_mode():
        made = network(pixel_values=z)
        module = encoder.build(3, "cpu")
        pooled = made.last_hidden_state[:, 0] if name == "vit" else made.pooler_output.flatten(1)
        same(module(x), pooled)
        maps = module.maps(x)
        assert maps.shape == (2, *shape)
        y = made.last_hidden_state
        if y.ndim == 3:
            y = y[:, y.shape[1] - shape[1] * shape[2] :].transpose(1, 2).reshape(2, *shape)
        same(maps, y)
        if name == "dinov2":
            both = find_encoder(f"hf:{tmp_path / 'mine'},pool=cls+mean").build(3, "cpu")(x)
            same(both, torch.cat([made.last_hidden_state[:, 0], made.last_hidden_state[:, 1:].mean(1)], 1))
            layer = find_encoder(f"hf:{tmp_path / 'mine'},layer=layernorm,pool=mean").build(3, "cpu")(x)
            same(layer, made.last_hidden_state[:, 1:].mean(1))
            assert find_encoder(f"hf:{tmp_path / 'mine'},side=96").build(3, "cpu").maps(noise(96)).shape == (
                2,
                32,
                6,
                6,
            )


def test_a_repository_in_the_hubs_cache_and_one_that_is_not(tmp_path):
    torch.manual_seed(0)
    network, processor, _ = hf_models()["dinov2"]
    network.save_pretrained(tmp_path / "saved")
    processor.save_pretrained(tmp_path / "saved")
    place = in_hub(tmp_path / "saved", "someone/dinov2-small", tmp_path / "hf" / "hub")
    encoder, x = find_encoder("hf:someone/dinov2-small"), noise(64)
    assert encoder.name == "dinov2-small"
    with torch.inference_mode():
        z = normalised(x, encoder.settings["mean"], encoder.settings["std"])
        same(encoder.build(3, "cpu")(x), network.eval()(pixel_values=z).pooler_output)
    with pytest.raises(
        DataError,
        match=r"expected config.json of someone/else, received nothing there.* Type 'hf download someone/else'",
    ):
        find_encoder("hf:someone/else")
    weights = place / "snapshots" / ("0" * 40) / "model.safetensors"
    from safetensors.torch import load_file, save_file

    part = {n: t for n, t in load_file(weights).items() if "layernorm" not in n}
    save_file(part, weights, {"format": "pt"})
    with pytest.raises(
        DataError, match=r"expected weights for all of Dinov2Model, received none that fit layernorm.bias"
    ):
        find_encoder("hf:someone/dinov2-small").build(3, "cpu")


def test_a_folder_without_a_processor_needs_a_side(tmp_path):
    network, _, _ = hf_models()["resnet"]
    network.save_pretrained(tmp_path / "mine")
    with pytest.raises(
        DataError, match=r"expected preprocessor_config.json in \S+, received none. Put it there, or add side=224"
    ):
        find_encoder(f"hf:{tmp_path / 'mine'}")
    assert find_encoder(f"hf:{tmp_path / 'mine'},side=64").transform.side == 64
    assert json.loads((tmp_path / "mine" / "config.json").read_text())["model_type"] == "resnet"


def test_gradients_flow_and_each_build_is_fresh(timm, tmp_path):
    saved_by_timm(timm, tmp_path / "mine", "test_vit")
    encoder = find_encoder(f"timm:{tmp_path / 'mine'},normalise=l2")
    one, two = encoder.build(3, "cpu"), encoder.build(3, "cpu")
    one(noise(160)).sum().backward()
    assert all(p.grad is not None for n, p in one.named_parameters() if not n.startswith("network.head"))
    one.zero_grad()
    one.maps(noise(160)).square().sum().backward()
    assert float(one.network.patch_embed.proj.weight.grad.abs().sum()) > 0
    with torch.no_grad():
        next(one.parameters()).add_(1)
    assert not torch.equal(next(one.parameters()), next(two.parameters()))
    assert np.isclose(two(noise(160))[0].norm().item(), 1, atol=1e-5)
