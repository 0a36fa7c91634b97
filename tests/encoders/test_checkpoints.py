"""Other people's checkpoints: every shape of them, of a real network, gives that network's output; what does not fit is said."""

from __future__ import annotations

import argparse
import os
import pickle
import warnings

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError, DataError

MEAN, STD = torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1), torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1)
X = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def resnet(seed, name="resnet18"):
    torch.manual_seed(seed)
    network = torchvision.models.get_model(name)
    for buffer_name, buffer in network.named_buffers():
        if "running" in buffer_name:
            buffer.uniform_(0.5, 1.5)
    network.fc = torch.nn.Identity()
    return network.eval()


@pytest.fixture(scope="module")
def pair():
    """Two networks of different weights, for an online and a moving copy, and their outputs for X."""
    networks = resnet(0), resnet(1)
    with torch.inference_mode():
        return networks, [n((X - MEAN) / STD) for n in networks]


def under(prefix, network):
    return {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}


def extra(prefix, *shapes):
    return {f"{prefix}{n}.weight": torch.zeros(shape) for n, shape in enumerate(shapes)}


def shapes(a, b):
    """By method: what its code saves, of an online network a and a moving copy b, and which is to be taken."""
    small = (8, 512), (4, 8)
    optimizer = {"optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}}
    args = {"args": argparse.Namespace(lr=0.3, arch="resnet18"), "best": np.float64(0.5), "epoch": 300}
    children = torch.nn.Sequential(*list(a.children())[:-1])
    trunk = {**under("_feature_blocks.", a)}
    return {
        "moco-v3": (
            {
                "state_dict": {
                    **under("module.base_encoder.", a),
                    **extra("module.base_encoder.fc.", *small),
                    **under("module.momentum_encoder.", b),
                    **extra("module.momentum_encoder.fc.", *small),
                    **extra("module.predictor.", *small),
                },
                **optimizer,
                **args,
            },
            "online",
        ),
        "moco-v2": (
            {
                "state_dict": {
                    **under("module.encoder_q.", a),
                    **extra("module.encoder_q.fc.", *small),
                    **under("module.encoder_k.", b),
                    "module.queue": torch.zeros(4, 9),
                },
                **optimizer,
            },
            "online",
        ),
        "dino": (
            {
                "student": {**under("module.backbone.", a), **extra("module.head.mlp.", *small)},
                "teacher": {**under("backbone.", b), **extra("head.mlp.", *small)},
                **optimizer,
                **args,
            },
            "moving",
        ),
        "swav": (
            {
                **under("module.", a),
                **extra("module.projection_head.", *small),
                "module.prototypes.weight": torch.zeros(5, 4),
            },
            "online",
        ),
        "vissl": (
            {
                "classy_state_dict": {"base_model": {"model": {"trunk": trunk, "heads": extra("0.clf.", *small)}}},
                "phase": 3,
            },
            "online",
        ),
        "lightly": (
            {"state_dict": {**under("backbone.", children), **extra("projection_head.layers.", *small)}},
            "online",
        ),
        "solo-learn": (
            {
                "state_dict": {
                    **under("backbone.", a),
                    **under("momentum_backbone.", b),
                    **extra("projector.", *small),
                    **extra("classifier.", (10, 512)),
                },
                "hyper_parameters": {"lr": 0.1},
            },
            "online",
        ),
        "lightning": ({"state_dict": under("net.", a), "pytorch-lightning_version": "2.0"}, "online"),
        "compiled": ({"model": {f"_orig_mod.{n}": t for n, t in a.state_dict().items()}}, "online"),
        "compiled inside": (
            {f"model.{n.replace('layer1.', 'layer1._orig_mod.')}": t for n, t in a.state_dict().items()},
            "online",
        ),
        "plain, of an old torch": ({n: t for n, t in a.state_dict().items() if "num_batches" not in n}, "online"),
    }


@pytest.mark.parametrize("method", list(shapes(torch.nn.Sequential(torch.nn.Flatten()), torch.nn.Flatten())))
def test_a_checkpoint_gives_its_networks_output(method, pair, tmp_path, capsys):
    (a, b), (online, moving) = pair
    content, wanted = shapes(a, b)[method]
    torch.save(content, tmp_path / "theirs.pth.tar")
    encoder = find_encoder(f"file:{tmp_path / 'theirs.pth.tar'},network=resnet18")
    assert (encoder.name, encoder.transform.side, encoder.transform.resize) == ("theirs", 224, 256)
    with torch.inference_mode():
        module = encoder.build(3, "cpu")
        torch.testing.assert_close(module(X), online if wanted == "online" else moving, atol=1e-5, rtol=1e-4)
    said = capsys.readouterr().err
    # 20 convolutions, and as many norms of four tensors each
    assert "theirs.pth.tar: 100 of 100 tensors of ResNet found under '" in said
    told = {
        "moco-v3": "ignored fc: 2 tensors, momentum_encoder: 122 tensors, predictor: 2 tensors, optimizer: 1 tensor",
        "dino": "ignored student: 122 tensors, head: 2 tensors, optimizer: 1 tensor",
        "swav": "ignored projection_head: 2 tensors, prototypes: 1 tensor",
        "vissl": "ignored heads: 2 tensors",
        "solo-learn": "ignored momentum_backbone: 120 tensors, projector: 2 tensors, classifier: 1 tensor",
        "plain, of an old torch": "no num_batches_tracked",
    }
    assert told.get(method, "") in said
    if method == "moco-v3":
        assert "other copies, for prefix=: state_dict.module.momentum_encoder." in said


def test_which_copy_is_taken_can_be_said(pair, tmp_path):
    (a, b), (_, moving) = pair
    file = tmp_path / "moco.ckpt"
    torch.save(shapes(a, b)["moco-v3"][0], file)
    first = find_encoder(f"file:{file},network=resnet18")
    for prefix in ("module.momentum_encoder.", "state_dict.module.momentum_encoder", "momentum_encoder"):
        encoder = find_encoder(f"file:{file},network=resnet18,prefix={prefix}")
        with torch.inference_mode():
            torch.testing.assert_close(encoder.build(3, "cpu")(X), moving, atol=1e-5, rtol=1e-4)
        assert encoder.digest != first.digest
    with pytest.raises(ArgumentError, match=r"prefix: expected one of state_dict.module.base_encoder., state_dict"):
        find_encoder(f"file:{file},network=resnet18,prefix=teacher").build(3, "cpu")


def test_what_lightly_itself_saves(tmp_path):
    pytest.importorskip("lightly")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        from lightly.models.modules import SimCLRProjectionHead
    a = resnet(0)

    class SimCLR(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = torch.nn.Sequential(*list(a.children())[:-1])
            self.projection_head = SimCLRProjectionHead(512, 512, 128)

    torch.save({"state_dict": SimCLR().state_dict()}, tmp_path / "simclr.ckpt")
    with torch.inference_mode():
        got = find_encoder(f"file:{tmp_path / 'simclr.ckpt'},network=resnet18").build(3, "cpu")(X)
        torch.testing.assert_close(got, a((X - MEAN) / STD), atol=1e-5, rtol=1e-4)


def test_a_transformer_of_timm(tmp_path, capsys):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=12).eval()
    content = {"teacher": {f"backbone.{n}": t for n, t in network.state_dict().items()}}
    torch.save({**content, "student": {"module.backbone.cls_token": torch.zeros(1, 1, 192)}}, tmp_path / "dino.pth")
    encoder = find_encoder(f"file:{tmp_path / 'dino.pth'},network=timm:vit_tiny_patch16_224")
    x = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        module = encoder.build(3, "cpu")
        torch.testing.assert_close(module(x), network((x - MEAN) / STD), atol=1e-5, rtol=1e-4)
        assert module.maps(x).shape == (1, 192, 14, 14)
    assert "150 of 150 tensors of VisionTransformer found under 'teacher.backbone.'" in capsys.readouterr().err


def test_safetensors_and_our_own_converted_files(pair, tmp_path):
    (a, _), (online, _) = pair
    save_file(under("backbone.", a), tmp_path / "theirs.safetensors")
    with torch.inference_mode():
        got = find_encoder(f"{tmp_path / 'theirs.safetensors'},network=resnet18").build(3, "cpu")(X)
    torch.testing.assert_close(got, online, atol=1e-5, rtol=1e-4)
    with pytest.raises(
        ArgumentError, match=r"network: expected the network whose weights .* Write file:\S+,network=resnet50"
    ):
        find_encoder(str(tmp_path / "theirs.safetensors"))


def test_a_converted_file_names_its_network(tmp_path):
    from relic_eval.encoders.networks import build_network

    network = build_network("thin-resnet", 3, seed=7).eval()
    weights = {n: t.contiguous() for n, t in network.state_dict().items()}
    said = {"network": '"thin-resnet"', "channels": "3", "mean": "[0.5, 0.4, 0.3]", "std": "[0.2, 0.2, 0.2]"}
    said |= {"side": "64", "resize": "72", "interpolation": '"bicubic"'}
    save_file(weights, tmp_path / "r.safetensors", said)
    encoder = find_encoder(str(tmp_path / "r.safetensors"))
    assert (encoder.name, encoder.transform.side, encoder.transform.resize, encoder.channels) == ("r", 64, 72, 3)
    with torch.inference_mode():
        wanted = network((X - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / 0.2)
        torch.testing.assert_close(encoder.build(3, "cpu")(X), wanted, atol=1e-5, rtol=1e-4)
    save_file(weights, tmp_path / "r.safetensors", {**said, "network": '"thin-resnet-2x"'})
    with pytest.raises(DataError, match="expected the tensors of thin-resnet-2x, received a difference in"):
        find_encoder(str(tmp_path / "r.safetensors")).build(3, "cpu")
    save_file(weights, tmp_path / "r.safetensors", {"network": '"thin-resnet"'})
    with pytest.raises(DataError, match="expected network, channels, mean, std, side, resize and interpolation"):
        find_encoder(str(tmp_path / "r.safetensors"))


def refused(content, tmp_path, network="resnet18"):
    torch.save(content, tmp_path / "theirs.pth")
    return find_encoder(f"file:{tmp_path / 'theirs.pth'},network={network}")


def test_what_does_not_fit_is_refused(pair, tmp_path):
    (a, _), _ = pair
    state = under("module.", a)
    with pytest.raises(
        DataError,
        match=r"received 99 of 100 under 'module.'; expected conv1.weight \(64, 3, 7, 7\), received \(64, 3, 3, 3\)",
    ):
        refused({**state, "module.conv1.weight": torch.zeros(64, 3, 3, 3)}, tmp_path).build(3, "cpu")
    with pytest.raises(DataError, match=r"expected bn1.running_mean \(64,\), received nothing"):
        refused({n: t for n, t in state.items() if n != "module.bn1.running_mean"}, tmp_path).build(3, "cpu")
    with pytest.raises(
        DataError, match=r"expected weights of ResNet \(conv1.weight, bn1.weight, .* received none of these \(a.b, "
    ):
        refused({"a.b": torch.zeros(2), "c": torch.zeros(3)}, tmp_path).build(3, "cpu")
    with pytest.raises(DataError, match=r"received none of these \(no tensor"):
        refused({"epoch": 3}, tmp_path).build(3, "cpu")
    with pytest.raises(
        DataError,
        match=r"received \d+ further tensors of its parts, first layer1.2.conv1.weight. It is of a larger network",
    ):
        refused(under("module.", resnet(0, "resnet34")), tmp_path).build(3, "cpu")
    with pytest.raises(ArgumentError, match="a model that timm lists, received 'resnet19'"):
        refused(state, tmp_path, "resnet19").build(3, "cpu")


class Evil:
    def __reduce__(self):
        return os.system, (f"touch {self.place}",)


@pytest.mark.parametrize("where", ["top", "inside", "legacy", "plain pickle"])
def test_nothing_in_a_file_is_run(where, tmp_path):
    evil, place = Evil(), tmp_path / "ran"
    evil.place = place
    file = tmp_path / "evil.pth"
    content = {"state_dict": {"conv1.weight": torch.zeros(1)}, "args": evil} if where != "top" else evil
    if where == "plain pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=where != "legacy")
    encoder = find_encoder(f"file:{file},network=resnet18")
    with pytest.raises(
        DataError,
        match=r"evil.pth: expected tensors and plain data, received (an object of posix.system|a pickle that cannot be read "
        r"without); nothing of it was run",
    ):
        encoder.build(3, "cpu")
    assert not place.exists()


def test_a_file_that_is_no_checkpoint_or_not_there(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    for name, text in (("text.pth", "received something else"), ("cut.safetensors", "received a damaged one")):
        with pytest.raises(DataError, match=text):
            find_encoder(f"file:{tmp_path / name},network=resnet18").build(3, "cpu")
    with pytest.raises(DataError, match=r"expected a run, or a checkpoint \(.pth"):
        find_encoder(f"file:{tmp_path / 'text.txt'}")
    with pytest.raises(DataError, match=r"expected a file \S+gone.pth, received nothing there"):
        find_encoder(f"file:{tmp_path / 'gone.pth'},network=resnet18")


@pytest.mark.parametrize(("prefix", "heads"), [("module.base_encoder.", 12), ("backbone.", 6)])
def test_a_small_transformer_of_moco_v3_has_its_twelve_heads(tmp_path, capsys, prefix, heads):
    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch16_224", num_heads=heads, num_classes=0).eval()
    torch.save({"state_dict": under(prefix, network)}, tmp_path / "vit-s.pth.tar")
    encoder = find_encoder(f"file:{tmp_path / 'vit-s.pth.tar'},network=timm:vit_small_patch16_224")
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found, expected = encoder.build(3, "cpu")(x), network((x - MEAN) / STD)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert ("12 heads" in capsys.readouterr().err) == (heads == 12)
