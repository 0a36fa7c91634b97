"""Official checkpoints: features are those of the same network built with dm-haiku on jax, whatever form the pickle has."""

from __future__ import annotations

import collections
import functools
import json
import pickle

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from relic_eval.encoders.convert import convert
from relic_eval.encoders.haiku import Mismatch, encoder_of
from relic_eval.encoders.names import DEPTHS
from relic_eval.encoders.networks import ResNet, build_network, layout, pad_same
from relic_eval.encoders.unpickle import read_pickle
from relic_eval.errors import ArgumentError, DataError

WHY = "dm-haiku on jax is the reference: pip install 'relic-eval[haiku]'"
hk, jax = pytest.importorskip("haiku", reason=WHY), pytest.importorskip("jax", reason=WHY)
POOL = np.random.default_rng(7).standard_normal(1_000_003, dtype=np.float32)  # 250 million draws would take a minute


class Torso(hk.Module):
    """The official encoder: a stem, four groups of bottlenecks each with a projection, the mean."""

    def __init__(self, depth, width):
        super().__init__(name=f"res_net{depth}")
        norm = {"decay_rate": 0.9, "eps": 1e-5, "create_scale": True, "create_offset": True}
        self.conv = hk.Conv2D(64 * width, 7, stride=2, with_bias=False, padding="SAME", name="initial_conv")
        self.norm = hk.BatchNorm(name="initial_batchnorm", **norm)
        self.groups = [
            hk.nets.ResNet.BlockGroup(
                channels=256 * 2**number * width,
                num_blocks=blocks,
                stride=2 if number else 1,
                bn_config=norm,
                resnet_v2=False,
                bottleneck=True,
                use_projection=True,
                name=f"block_group_{number}",
            )
            for number, blocks in enumerate(DEPTHS[depth])
        ]

    def __call__(self, x, training):
        x = jax.nn.relu(self.norm(self.conv(x), training))
        x = hk.max_pool(x, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        for group in self.groups:
            x = group(x, training, False)
        return x.mean((1, 2))


def reference(depth, width):
    """The network, and parameters and statistics that are far from those of a fresh one."""
    function = hk.without_apply_rng(hk.transform_with_state(lambda x, training=False: Torso(depth, width)(x, training)))
    begin = functools.partial(function.init, training=True)  # that makes the statistics
    shapes = jax.eval_shape(begin, jax.random.PRNGKey(0), np.zeros((1, 64, 64, 3), np.float32))
    rng = np.random.default_rng(depth + width)

    def draw(path, leaf):
        if not leaf.shape:
            return np.full((), 5, leaf.dtype)
        numbers = np.resize(POOL[rng.integers(500_000) :], leaf.shape)
        *_, module, name = path
        if name == "w":
            return numbers * np.float32(np.sqrt(2 / np.prod(leaf.shape[:3])))
        if name == "scale":  # branches add to a sum that would otherwise grow block by block
            return (np.abs(numbers) + np.float32(0.4)) * np.float32(0.1 if module.endswith("_2") else 1)
        if module.endswith("var_ema"):
            return np.abs(numbers) + np.float32(0.5 if name == "average" else 2)
        return numbers * np.float32(0.1 if name in ("offset", "average") else 0.5)

    params, state = (
        {m: {n: draw((*m.split("/"), n), leaf) for n, leaf in leaves.items()} for m, leaves in part.items()}
        for part in shapes
    )
    return function, params, state


def pictures(height, width):
    """Three of coarse squares of all colours, at three contrasts: noise alone looks alike to a mean over places."""
    rng = np.random.default_rng(height)
    coarse = rng.standard_normal((3, 5, 5, 3), dtype=np.float32) * np.float32([0.3, 1, 2])[:, None, None, None]
    return np.repeat(np.repeat(coarse, 20, 1), 20, 2)[:, :height, :width]


def features(file, x_NHWC):
    with safe_open(file, "numpy") as opened:
        about = {key: json.loads(value) for key, value in opened.metadata().items()}
    with torch.device("meta"):  # drawing 250 million weights that are replaced would take long
        network = ResNet(about["channels"], layout(about["network"])).eval()
    network.load_state_dict(load_file(file), assign=True)
    with torch.inference_mode():
        return network(torch.from_numpy(x_NHWC.transpose(0, 3, 1, 2).copy())).numpy()


def difference(ours, theirs):
    """The largest, in standard deviations between pictures (mean over features): 1 is what tells two of them apart."""
    assert theirs.shape == ours.shape
    return float(np.abs(ours - theirs).max() / theirs.std(0).mean())


def write(place, content, protocol=2):
    with open(place, "wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return place


@pytest.fixture(scope="module")
def fifty():
    return reference(50, 1)


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


@pytest.mark.parametrize("size", [(64, 64), (65, 65), (97, 82)])
def test_features_of_a_resnet50_are_haikus(fifty, made, size):
    function, params, state = fifty
    x = pictures(*size)
    theirs = np.asarray(function.apply(params, state, x)[0])
    assert difference(features(made.target, x), theirs) < 1e-4


def test_the_padding_is_what_makes_them_so(fifty, made):
    function, params, state = fifty
    x = pictures(64, 64)
    network = build_network("resnet50", 3)
    network.load_state_dict(load_file(made.target))
    with torch.inference_mode():
        ours = network.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    assert difference(ours, np.asarray(function.apply(params, state, x)[0])) > 0.1


@pytest.mark.parametrize(("depth", "width", "protocol", "sides"), [(101, 1, 4, (64, 63)), (200, 2, 5, (48, 47))])
def test_features_of_larger_networks_are_haikus(depth, width, protocol, sides, tmp_path):
    function, params, state = reference(depth, width)
    theirs = [np.asarray(function.apply(params, state, pictures(n, n))[0]) for n in sides]
    source = write(tmp_path / "bare.pkl", (params, state), protocol)
    del params, state
    done = convert(source)
    source.unlink()
    assert done.network == f"resnet{depth}{'-2x' if width == 2 else ''}-same"
    for n, expected in zip(sides, theirs, strict=True):
        assert difference(features(done.target, pictures(n, n)), expected) < 1e-4
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
        "rng": jax.numpy.arange(2, dtype=np.uint32),
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


NORM = "res_net50/~/initial_batchnorm"
WRONG = {
    "nothing of it": (lambda p, s: ({"linear": {"w": p[NORM]["scale"]}}, s), r"one encoder with initial_conv, received 0: linear"),
    "two encoders": (lambda p, s: ({**p, "b/initial_conv": p[NORM]}, s), "one encoder with initial_conv, received 2"),
    "a module less": (lambda p, s: (without(p, NORM), s), "expected initial_batchnorm/offset, initial_batchnorm/scale in"),
    "a statistic less": (lambda p, s: (p, without(s, f"{NORM}/~/var_ema")), "expected initial_batchnorm/var_ema/average"),
    "a module more": (lambda p, s: ({**p, "res_net50/~/final_batchnorm": p[NORM]}, s), "nothing beside resnet50-same, received final_b"),
    "another shape": (lambda p, s: ({**p, NORM: {"scale": POOL[:64], "offset": p[NORM]["offset"]}}, s), r"scale of shape \(1, 1, 1, 64\), received f4 of \(64,\)"),
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
@pytest.mark.parametrize("side", [5, 8, 17])
def test_padding_is_that_of_jax(kernel, stride, side):
    padded = pad_same(torch.ones(1, 1, side, side + 1), kernel, stride)[0, 0]
    pads = jax.lax.padtype_to_pads((side, side + 1), (kernel, kernel), (stride, stride), "SAME")
    for profile, (low, high), ones in zip((padded.amax(1), padded.amax(0)), pads, (side, side + 1), strict=True):
        assert profile.tolist() == [0.0] * low + [1.0] * ones + [0.0] * high
