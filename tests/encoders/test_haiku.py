"""Official checkpoints: features are those of the same network built with dm-haiku on jax, whatever form the pickle has."""

from __future__ import annotations

import collections
import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from relic_eval.encoders.convert import convert
from relic_eval.encoders.haiku import Mismatch, encoder_of
from relic_eval.encoders.networks import ResNet, build_network, layout, pad_same
from relic_eval.encoders.unpickle import read_pickle
from relic_eval.errors import ArgumentError, DataError

SCRIPT = Path(__file__).with_name("haiku_reference.py")
MISSING = [name for name in ("haiku", "jax") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason="dm-haiku on jax is the reference: pip install 'relic-eval[haiku]'"
)
NORM = "res_net50/~/initial_batchnorm"
SIZES = ("64x64", "65x65", "97x82")


def reference(*words):
    """What haiku_reference.py prints; it and its memory are gone when this returns."""
    done = subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def features(file, folder, size, network=None):
    """Features (N, D) of the pictures of that size by what was converted."""
    with safe_open(file, "numpy") as opened:
        about = {key: json.loads(value) for key, value in opened.metadata().items()}
    with torch.device("meta"):  # drawing 250 million weights that are replaced would take long
        module = ResNet(about["channels"], layout(network or about["network"])).eval()
    module.load_state_dict(load_file(file), assign=True)
    x = torch.from_numpy(np.load(folder / f"pictures-{size}.npy").transpose(0, 3, 1, 2).copy())
    with torch.inference_mode():
        return module(x).numpy()


def difference(ours, folder, size):
    """The largest, in standard deviations between pictures (mean over features): 1 is what tells two of them apart."""
    theirs = np.load(folder / f"features-{size}.npy")
    assert theirs.shape == ours.shape
    return float(np.abs(ours - theirs).max() / theirs.std(0).mean())


def write(place, content, protocol=2):
    with open(place, "wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return place


@pytest.fixture(scope="module")
def fifty(tmp_path_factory):
    """Folder of a ResNet-50's features, its parameters and its state."""
    folder = tmp_path_factory.mktemp("fifty")
    reference(50, 1, 5, folder, *SIZES)
    return folder, *pickle.loads((folder / "bare.pkl").read_bytes())


@pytest.fixture(scope="module")
def place(fifty, tmp_path_factory):
    """The official form of a ResNet-50, as far as it goes without dill: heads, a target network, a step."""
    _, params, state = fifty
    head = {"linear": {"w": np.ones((2048, 8), np.float32)}, "batch_norm": {"scale": np.ones((1, 8), np.float32)}}
    heads = {f"{name}/{module}": leaves for name in ("projector", "predictor") for module, leaves in head.items()}
    heads["classifier"] = {"w": np.ones((2048, 10), np.float32), "b": np.ones(10, np.float32)}
    their = {"projector/batch_norm/~/mean_ema": {"average": np.ones((1, 8), np.float32)}}
    experiment = {
        "online_params": {**heads, **params},
        "online_state": {**state, **their},
        "target_params": {"res_net50/~/initial_conv": {"w": np.zeros((7, 7, 3, 64), np.float32)}},
    }
    folder = tmp_path_factory.mktemp("official")
    return write(folder / "pretrain.pkl", {"experiment_state": experiment, "step": 3, "rng": np.zeros(2, np.uint32)})


@pytest.fixture(scope="module")
def made(place):
    return convert(place)


@pytest.mark.parametrize("size", SIZES)
def test_features_of_a_resnet50_are_haikus(fifty, made, size):
    assert difference(features(made.target, fifty[0], size), fifty[0], size) < 1e-4


def test_the_padding_is_what_makes_them_so(fifty, made):
    ours = features(made.target, fifty[0], "64x64", network="resnet50")
    assert difference(ours, fifty[0], "64x64") > 0.1


@pytest.mark.parametrize(
    ("depth", "width", "protocol", "sizes"), [(101, 1, 4, ("64x64", "63x63")), (200, 2, 5, ("48x48", "47x47"))]
)
def test_features_of_larger_networks_are_haikus(depth, width, protocol, sizes, tmp_path):
    reference(depth, width, protocol, tmp_path, *sizes)
    done = convert(tmp_path / "bare.pkl")
    done.source.unlink()
    assert done.network == f"resnet{depth}{'-2x' if width == 2 else ''}-same"
    for size in sizes:
        assert difference(features(done.target, tmp_path, size), tmp_path, size) < 1e-4
    done.target.unlink()


def test_the_file_says_what_it_is(made, place):
    with safe_open(made.target, "numpy") as file:
        about = {key: json.loads(value) for key, value in file.metadata().items()}
    source = about.pop("source")
    assert about == {
        "network": "resnet50-same",
        "channels": 3,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "side": 224,
        "resize": 256,
        "interpolation": "bicubic",
    }
    assert source == {"format": "haiku", "sha256": made.sha256}
    assert len(made.sha256) == 64


def test_it_loads_into_the_network_that_it_names(made):
    network = build_network("resnet50-same", 3)
    assert network.load_state_dict(load_file(made.target)).missing_keys == []
    assert sum(p.numel() for p in network.parameters()) == made.parameters


def test_the_report_names_what_was_left_out(made):
    assert made.tensors == 318
    assert made.parameters == 23_508_032
    assert {name: (arrays, numbers) for name, arrays, numbers in made.ignored} == {
        "rng": (1, 2),
        "target_params": (1, 7 * 7 * 3 * 64),
        "projector": (3, 2048 * 8 + 16),
        "predictor": (2, 2048 * 8 + 8),
        "classifier": (2, 2048 * 10 + 10),
    }
    assert "left out: projector, 3 arrays of 16,400 numbers" in made.lines()
    assert made.lines()[0].endswith(f"all 318 tensors of the network were in {made.source}")


def test_the_same_checkpoint_gives_the_same_bytes_and_nothing_else_is_overwritten(made, place, tmp_path):
    before = made.target.read_bytes()
    assert convert(place, made.target).target.read_bytes() == before
    (tmp_path / "other.safetensors").write_bytes(b"mine")
    with pytest.raises(ArgumentError, match=r"target: expected a new file.*other.safetensors, something else\."):
        convert(place, tmp_path / "other.safetensors")
    assert (tmp_path / "other.safetensors").read_bytes() == b"mine"
    with pytest.raises(ArgumentError, match="something else"):
        convert(place, place)
    another = write(tmp_path / "another.pkl", {"step": 1})
    with pytest.raises(ArgumentError, match="one that was made of another file"):
        convert(another, made.target)
    assert made.target.read_bytes() == before


def test_a_named_tuple_that_dill_wrote_is_read_alike(fifty, made, tmp_path):
    """The official code saves with dill, which spells out named tuples, and arrays in an envelope of its own."""
    dill = pytest.importorskip("dill", reason="the official code saves with dill")
    _, params, state = fifty
    state_type = collections.namedtuple("_ByolExperimentState", "online_params online_state opt_state")
    moments = collections.namedtuple("LarsState", "momentum")
    content = {
        "experiment_state": state_type(params, state, moments((np.zeros(3, np.float32), np.zeros(0, np.float32)))),
        "step": 3,
        "rng": np.arange(2, dtype=np.uint32),
    }
    (tmp_path / "dill.pkl").write_bytes(dill.dumps(content, protocol=2))
    done = convert(tmp_path / "dill.pkl")
    assert done.ignored == (("rng", 1, 2), ("opt_state", 2, 3))
    ours, theirs = load_file(done.target), load_file(made.target)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def on_devices(part, count):
    return {m: {n: np.stack([a] * count) for n, a in leaves.items()} for m, leaves in part.items()}


def test_copies_of_devices_become_one_and_must_agree(fifty, made, tmp_path):
    _, params, state = fifty
    params, state = on_devices(params, 2), on_devices(state, 2)
    content = {"experiment_state": {"online_params": params, "online_state": state}}
    network, tensors, devices, _ = encoder_of(read_pickle(write(tmp_path / "two.pkl", content, 5)))
    assert (network, devices) == ("resnet50-same", 2)
    theirs = load_file(made.target)
    assert all(torch.equal(torch.from_numpy(tensors[name]), theirs[name]) for name in theirs)
    params["res_net50/~/block_group_2/~/block_1/~/conv_1"]["w"][1, 0, 0, 0, 0] += 1
    with pytest.raises(Mismatch, match="expected the same block_group_2/block_1/conv_1/w on all devices"):
        encoder_of(read_pickle(write(tmp_path / "two.pkl", content, 5)))


def without(part, module):
    return {m: leaves for m, leaves in part.items() if m != module}


WRONG = {
    "nothing of it": (lambda p, s: ({"linear": {"w": p[NORM]["scale"]}}, s), r"one encoder with initial_conv, received 0: linear"),
    "two encoders": (lambda p, s: ({**p, "b/initial_conv": p[NORM]}, s), "one encoder with initial_conv, received 2"),
    "a module less": (lambda p, s: (without(p, NORM), s), "expected initial_batchnorm/offset, initial_batchnorm/scale in"),
    "a statistic less": (lambda p, s: (p, without(s, f"{NORM}/~/var_ema")), "expected initial_batchnorm/var_ema/average"),
    "a module more": (lambda p, s: ({**p, "res_net50/~/final_batchnorm": p[NORM]}, s), "nothing beside resnet50-same, received final_b"),
    "another shape": (lambda p, s: ({**p, NORM: {"scale": np.ones(64, np.float32), "offset": p[NORM]["offset"]}}, s), r"scale of shape \(1, 1, 1, 64\), received f4 of \(64,\)"),
    "no number": (lambda p, s: ({**p, NORM: {n: a * np.float32("nan") for n, a in p[NORM].items()}}, s), "finite weights"),
    "a negative variance": (lambda p, s: (p, {**s, f"{NORM}/~/var_ema": {"average": -s[f"{NORM}/~/var_ema"]["average"]}}), "no variance below 0"),
    "whole numbers": (lambda p, s: ({**p, NORM: {n: a.astype(np.int32) for n, a in p[NORM].items()}}, s), "received i4"),
    "other blocks": (lambda p, s: ({m: x for m, x in p.items() if "group_3" not in m}, s), r"received \(3, 4, 6\) on 64"),
    "no modules": (lambda p, s: ({"a": 3}, s), "expected modules of arrays by name, received int at 'a'"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_such_network_is_refused_by_name(what, fifty, tmp_path):
    change, message = WRONG[what]
    source = write(tmp_path / "wrong.pkl", change(*fifty[1:]), 5)
    with pytest.raises(DataError, match=message) as caught:
        convert(source)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["wrong.pkl"]


def test_a_pickle_without_an_online_network_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"expected experiment_state with online_params and online_state.* received a, b"
    ):
        convert(write(tmp_path / "other.pkl", {"experiment_state": {"a": 1, "b": 2}}))


@pytest.mark.parametrize(("kernel", "stride"), [(7, 2), (3, 2), (3, 1), (1, 2)])
def test_padding_is_that_of_jax(kernel, stride):
    sides = (5, 8, 17, 64)
    for side, (low, high) in zip(sides, json.loads(reference("pads", kernel, stride, *sides)), strict=True):
        flat = pad_same(torch.ones(1, 1, side, 1), kernel, stride)[0, 0].amax(1)
        tall = pad_same(torch.ones(1, 1, 1, side), kernel, stride)[0, 0].amax(0)
        assert flat.tolist() == tall.tolist() == [0.0] * low + [1.0] * side + [0.0] * high
