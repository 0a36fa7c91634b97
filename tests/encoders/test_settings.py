"""What stands after a name: each setting changes the digest, or is refused; and encoders from Python."""

from __future__ import annotations

import dataclasses
import re
import sys
from dataclasses import fields

import numpy as np
import pytest
import torch

from relic_eval.cli import main
from relic_eval.encode import find_encoders
from relic_eval.encoders.load import find_encoder
from relic_eval.encoders.settings import Settings
from relic_eval.encoders.wrapped import Wrapped
from relic_eval.errors import ArgumentError, UnknownNameError, told
from relic_eval.features import encode_batch

OTHER = {
    "layer": "stages.0",
    "pool": "max",
    "side": "32",
    "resize": "40",
    "interpolation": "bilinear",
    "squash": "true",
    "mean": "0.4",
    "std": "0.3",
    "precision": "bfloat16",
    "normalise": "l2",
}


@pytest.fixture
def weights(tmp_path):
    from safetensors.torch import save_file

    from relic_eval.encoders.networks import build_network

    said = {"network": '"thin-resnet"', "channels": "3", "mean": "[0.5]", "std": "[0.2]"}
    said |= {"side": "28", "resize": "30", "interpolation": '"bicubic"'}
    tensors = {n: t.contiguous() for n, t in build_network("thin-resnet", 3, seed=7).state_dict().items()}
    save_file(tensors, tmp_path / "r.safetensors", said)
    return tmp_path / "r.safetensors"


@pytest.mark.parametrize("source", ["random:thin-resnet", "file"])
def test_each_setting_flips_the_digest_and_stands_in_the_name(source, weights):
    plain = f"file:{weights}" if source == "file" else source
    # what a picture looks like before the square is cut needs a square
    base = plain if source == "file" else f"{plain},side=28"
    first = find_encoder(base)
    found = {key: find_encoder(f"{base if key != 'side' else plain},{key}={value}") for key, value in OTHER.items()}
    digests = {first.digest, *(e.digest for e in found.values())}
    assert len(digests) == 1 + len(OTHER)
    assert len({e.name for e in found.values()} | {first.name}) == 1 + len(OTHER)
    assert all(f"{key}={OTHER[key]}" in e.name for key, e in found.items())
    assert find_encoder(f"{base},name=mine").digest == first.digest
    assert find_encoder(f"{base},name=mine").name == "mine"
    x = torch.rand(2, 3, 28, 28)
    with torch.inference_mode():
        before = first.build(3, "cpu")(x)
        for key in ("layer", "pool", "mean", "std", "precision", "normalise"):
            after = found[key].build(3, "cpu")(x)
            assert after.dtype == torch.float32
            assert after.shape != before.shape or not torch.equal(after, before), key


def test_every_setting_says_whether_it_changes_numbers():
    classes = {f.name: f.metadata["changes_numbers"] for f in fields(Settings)}
    assert {name for name, changes in classes.items() if changes} == {*OTHER, "network", "prefix"}


def test_the_same_by_another_way_is_the_same(weights):
    assert find_encoder(f"file:{weights},side=28").digest == find_encoder(f"file:{weights}").digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pixels,sides=3", "setting of an encoder: expected one of .* Did you mean 'side'"),
        ("random:thin-resnet,pool=means", "pool: expected one of .* Did you mean 'mean'"),
        ("random:thin-resnet,precision=fp16", "precision: expected one of bfloat16, float16, float32"),
        ("random:thin-resnet,side=large", "side: expected a whole number, received 'large'"),
        ("random:thin-resnet,side=4", "side: expected at least 8 pixels"),
        ("random:thin-resnet,side=64,resize=32", "resize: expected at least the side of 64 pixels, received 32"),
        ("random:thin-resnet,mean=a/b", "mean: expected numbers, as 0.485/0.456/0.406"),
        ("random:thin-resnet,squash=maybe", "squash: expected true or false"),
        ("random:thin-resnet,side=32,side=64", "side: expected one value, received two"),
        ("random:thin-resnet,side=", "side: expected a value, received none"),
        ("random:thin-resnet,resize=32", "side: expected a side, which this encoder does not have of its own"),
        ("pixels,layer=conv", "pixels: expected only the settings .* received layer"),
        ("resnet5", "encoder: expected one of file:PATH, .* received 'resnet5'"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(ArgumentError, match=said):
        find_encoder(text)


def test_a_layer_that_is_not_there_names_those_that_are():
    with pytest.raises(
        ArgumentError, match=r"layer: expected a layer of ResNet, received 'stage.0'. For example stages.0"
    ):
        find_encoder("random:thin-resnet,layer=stage.0").build(3, "cpu")
    with pytest.raises(ArgumentError, match="pool: expected a way to pool a map of shape"):
        find_encoder("random:thin-resnet,pool=cls").build(3, "cpu")(torch.rand(1, 3, 28, 28))


def test_two_of_one_name_are_told_apart_or_refused():
    layers = [f"random:thin-resnet,layer=stages.{n}" for n in (0, 1)]
    assert [e.name for e in find_encoders(layers)] == ["random,layer=stages.0", "random,layer=stages.1"]
    with pytest.raises(ArgumentError, match=r"both called 'a'.*,name="):
        find_encoders([f"{layer},name=a" for layer in layers])


def test_pixels_as_they_are_and_otherwise():
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(find_encoder("pixels").build(3, "cpu")(x), x.flatten(1))
    torch.testing.assert_close(
        find_encoder("pixels,mean=0.5,normalise=l2").build(3, "cpu")(x),
        torch.nn.functional.normalize((x - 0.5).flatten(1)),
    )


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_fewer_bits_are_near_and_the_weights_stay(precision):
    x = torch.rand(2, 3, 32, 32)
    whole = find_encoder("random:resnet18-32px").build(3, "cpu")
    fewer = find_encoder(f"random:resnet18-32px,precision={precision}").build(3, "cpu")
    assert all(p.dtype == torch.float32 for p in fewer.parameters())
    with torch.inference_mode():
        a, b = whole(x), fewer(x)
    assert 1e-6 < float((a - b).norm() / a.norm()) < 0.02


def test_maps_of_our_own_networks_are_what_is_averaged():
    module = find_encoder("random:resnet18-32px").build(3, "cpu")
    x = torch.rand(2, 3, 32, 48)
    with torch.inference_mode():
        assert module.maps(x).shape == (2, 512, 4, 6)
        torch.testing.assert_close(module.maps(x).mean((2, 3)), module(x))
        assert find_encoder("random:resnet18-32px,layer=stages.0").build(3, "cpu").maps(x).shape == (2, 64, 32, 48)


MINE = """
import torch
from relic_eval.encoders.load import Encoder

class Net(torch.nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, width, 3)
        self.norm = torch.nn.BatchNorm2d(width)

    def forward(self, x):
        return self.norm(self.conv(x)).mean((2, 3))

torch.manual_seed(0)
net = Net()

def make():
    torch.manual_seed(1)
    return Net(8)

def means(x):
    return x.mean((2, 3))

def needs(x, y=2):
    return x.mean((2, 3)) * y

class Table:
    encoder = Encoder("own", "its-digest", lambda channels, device: means)

number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_for_tests.py").write_text(MINE)
    yield "python:mine_for_tests"
    sys.modules.pop("mine_for_tests", None)


def test_objects_of_a_module_in_this_folder(mine):
    x = torch.rand(2, 3, 16, 16)
    pixels = (np.random.default_rng(0).random((2, 16, 16, 3)) * 255).astype(np.uint8)
    net, made = find_encoder(f"{mine}:net"), find_encoder(f"{mine}:make,side=16,normalise=l2,layer=conv")
    module = net.build(3, "cpu")
    ours = sys.modules["mine_for_tests"].net
    assert (net.name, net.kind, net.parameters, made.transform.side) == ("net", f"{mine}:net", 4 * 27 + 4 + 8, 16)
    assert made.name == "make,layer=conv,side=16,normalise=l2"
    assert not module.training
    assert ours.training  # theirs is left as it is
    with torch.inference_mode():
        torch.testing.assert_close(module(x), ours.eval()(x))
        torch.testing.assert_close(made.build(3, "cpu")(x).norm(dim=1), torch.ones(2))
    for name in ("means", "needs"):
        assert encode_batch(find_encoder(f"{mine}:{name}").build(3, "cpu"), pixels, 3, "cpu").shape == (2, 3)
    assert find_encoder(f"{mine}:Table.encoder").digest == "its-digest"
    assert find_encoder(f"{mine}:Table.encoder,name=else").name == "else"
    assert find_encoder(f"{mine}:Net").digest != net.digest


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("python:nothing_of_this_name:net", "expected a module nothing_of_this_name that can be imported"),
        ("python:mine_for_tests:nett", "expected a name in mine_for_tests, as .*net"),
        ("python:mine_for_tests:number", "expected a module, a function or an Encoder .*received int"),
        ("python:mine_for_tests", "expected python:package.module:name"),
        ("python:mine_for_tests:means,layer=conv", "received layer"),
        ("python:mine_for_tests:Table.encoder,side=8", "received side"),
    ],
)
def test_objects_that_are_no_encoders(mine, name, said):
    with pytest.raises(ArgumentError, match=said):
        find_encoder(name)


FAULTY = {
    "syntax": "net = 1\nx = (\n",
    "absent": "net = 1\n\nimport no_package_of_this_name\n",
    "wrong": "net = 1\nnet.nothing\n",
    "boom": "class Boom:\n    def __init__(self):\n        raise KeyError('depth')\n",
}


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        (
            "syntax:x",
            SyntaxError,
            r"SyntaxError: '\(' was never closed \(\S+faulty_syntax.py:2\)\. .*imported for python:faulty",
        ),
        (
            "absent:x",
            ModuleNotFoundError,
            r"ModuleNotFoundError: No module named 'no_package\S+ \(\S+faulty_absent.py:3\)\.",
        ),
        (
            "wrong:x",
            AttributeError,
            r"AttributeError: .*\(\S+faulty_wrong.py:2\)\. faulty_wrong was imported for python:faulty",
        ),
        (
            "boom:Boom",
            KeyError,
            r"KeyError: 'depth' \(\S+faulty_boom.py:3\)\. python:faulty_boom:Boom was called without arg",
        ),
    ],
)
def test_code_of_ones_own_that_fails_is_said_in_one_line_with_its_place(
    tmp_path, monkeypatch, capsys, name, kind, said
):
    for part, text in FAULTY.items():
        (tmp_path / f"faulty_{part}.py").write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as raised:
        find_encoder(f"python:faulty_{name}")
    assert re.match(said, told(raised.value))
    sys.modules.pop("faulty_boom", None)
    words = ["relic-eval", "embed", f"python:faulty_{name}", "--data", "digits", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    err = capsys.readouterr().err
    assert ended.value.code == 1
    assert re.fullmatch(f"relic-eval: {said}.*--debug shows the whole traceback.\n", err)
    sys.modules.pop("faulty_boom", None)
    monkeypatch.setattr(sys, "argv", [*words, "--debug"])
    with pytest.raises(kind):
        main()
    sys.modules.pop("faulty_boom", None)


def test_pictures_of_another_size_than_it_wants_are_said_with_their_shape(tmp_path, monkeypatch, capsys):
    (tmp_path / "wants.py").write_text(
        "import torch\nlin = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4))\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    words = ["relic-eval", "embed", "python:wants:lin", "--data", "digits", "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        main()
    err = capsys.readouterr().err
    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in err
    assert "was given pictures (2, 1, 8, 8) in [0, 1]. Where it wants another size, say so: side=224" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    sys.modules.pop("wants", None)


def test_wrapped_takes_what_it_took():
    assert dataclasses.is_dataclass(Settings)
    assert torch.equal(Wrapped(torch.nn.Flatten(), (0.5,), (0.25,))(torch.full((1, 1, 1, 2), 0.75)), torch.ones(1, 2))


def test_unknown_layers_and_names_are_lookup_errors():
    with pytest.raises(UnknownNameError):
        find_encoder("resnet5")


def test_a_function_that_names_torch_itself_is_known_by_its_code():
    from relic_eval.encoders.identity import identity

    def one(x):
        return torch.relu(x).flatten(1)

    def other(x):
        return torch.tanh(x).flatten(1)

    assert identity(one) == identity(one) != identity(other)
