"""On a GPU: what the CPU gives, and the same bytes twice. Skipped where there is none, which is where CI runs."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Generator

from pretrain import checkpoint
from pretrain.config import METHODS, override
from pretrain.squares import Listed, held
from pretrain.train import begin, pretrain
from relic_eval import Monitor
from relic_eval.data.bundled import bundled
from relic_eval.data.pictures import from_array
from relic_eval.data.scenes import Scenes
from relic_eval.data.tasks import Task
from relic_eval.devices import device
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.files import digest_file
from relic_eval.monitor import read_monitor
from relic_eval.probes.logistic import fit_multilabel, fit_path, fit_subsets
from relic_eval.probes.ridge import fit_ridge
from relic_eval.probes.sgd import batches_of, fit_sgd
from relic_eval.store import read_store
from relic_eval.tuning.finetune import FineTune
from relic_eval.tuning.scenery import divide_scenes
from relic_eval.tuning.segment_fcn import SegmentFcn
from relic_eval.tuning.segment_linear import SegmentLinear
from relic_eval.tuning.semi import Semi
from relic_eval.tuning.shots import divide
from relic_eval.views import Draw, Recipe, make_view

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
DATA = {"name": "fashion", "digest": "d"}
SMALL = {"steps": "6", "batch": "32", "checkpoint_every": "3"}


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:700].astype("f"), y[:700]


@pytest.fixture(autouse=True)
def same_bytes():
    """What every command asks torch for."""
    device("cuda")


@pytest.fixture
def double_precision():
    """In single precision the rounding of either moves gradients of so few pictures by some hundredths."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("pad", [0.0, 0.125])
def test_views_are_those_of_the_cpu(channels, pad):
    x = torch.rand(64, channels, 48, 48, generator=Generator().manual_seed(0))
    recipe = Recipe(side=20, pad=pad, solarise=0.3)
    views = [make_view(x.clone().to(d), recipe, Draw(Generator().manual_seed(1), 64)).cpu() for d in ("cpu", "cuda")]
    apart = (views[0] - views[1]).abs()
    assert (apart > 1e-4).float().mean() < 1e-3  # a pixel at the threshold of solarisation may fall on either side
    assert apart.median() < 1e-6


@pytest.mark.parametrize("optimizer", ["adamw", "lars"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_two_steps_are_those_of_the_cpu(method, optimizer, fashion, tmp_path, double_precision):
    images, y = fashion
    config = override(METHODS[method](), {"batch": "64", "optimizer": optimizer, "lr": "0.001"})
    runs = [begin(config, held(images), y, d) for d in ("cpu", "cuda")]
    for step in range(2):
        (here, _), (there, _) = (run.learn(step) for run in runs)
        for name, term in here.items():
            torch.testing.assert_close(there[name].cpu(), term, rtol=1e-6, atol=1e-9)
        for mine, other in zip(*(run.online.parameters() for run in runs), strict=True):
            if mine.grad is not None:
                assert (other.grad.cpu() - mine.grad).norm() < 1e-4 * mine.grad.norm() + 1e-9
        for run in runs:
            run.move(step, tmp_path)


@pytest.mark.parametrize("more", [{}, {"precision": "bfloat16", "optimizer": "lars", "accumulate": "2"}])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_resumed_run_ends_with_the_same_bytes(method, more, fashion, tmp_path, monkeypatch):
    images, y = fashion
    if method in ("simclr", "relic", "relicv2"):
        more = {name: value for name, value in more.items() if name != "accumulate"}
    config, real = override(METHODS[method](), {**SMALL, **more}), checkpoint.save
    whole = pretrain(config, images, y, tmp_path / "whole", data=DATA, device="cuda")

    def killed(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config, images, y, tmp_path / "parts", data=DATA, device="cuda")
    again = pretrain(config, images, y, tmp_path / "parts", data=DATA, device="cuda")
    assert digest_file(again / "checkpoint.safetensors") == digest_file(whole / "checkpoint.safetensors")
    assert find_encoder(str(tmp_path / "whole")).build(1, "cpu")(torch.rand(2, 1, 28, 28)).shape == (2, 128)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_loss_falls_compiled_in_half_precision(method, fashion, tmp_path):
    settings = {"steps": "25", "batch": "64", "precision": "bfloat16", "compile": "on", "monitor_every": "25"}
    step = pretrain(override(METHODS[method](), settings), *fashion, tmp_path, data=DATA, device="cuda")
    loss = [value for _, value in checkpoint.read_about(step)["history"]["loss"]]
    assert loss[-1] < loss[0]
    assert read_monitor(tmp_path / "monitor.csv")[-1]["step"] == 25


def test_pictures_decoded_while_training_give_the_same_weights(fashion, tmp_path):
    source, config = bundled("fashion", "test"), override(METHODS["relicv2"](), SMALL)
    rows = np.arange(0, 2000, 5)
    ends = [
        pretrain(config, images, None, tmp_path / name, data=DATA, device="cuda")
        for name, images in (("held", fashion[0]), ("listed", Listed(source, rows, 28)))
    ]
    first, second = (digest_file(end / "checkpoint.safetensors") for end in ends)
    assert first == second


def test_a_rank_of_its_own_joins_nccl_and_more_ranks_than_gpus_are_refused(tmp_path):
    words = ["pretrain", "relicv2", "--data", "fashion", "--device", "cuda", "--set", "steps=3", "--set", "batch=64"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    one = subprocess.run([*launch, "1", "-m", "relic_eval.cli", *words, "--out", str(tmp_path / "a")], timeout=300)
    assert one.returncode == 0
    plain = subprocess.run([sys.executable, "-m", "relic_eval.cli", *words, "--out", str(tmp_path / "b")], timeout=300)
    assert plain.returncode == 0
    ends = [checkpoint.latest(tmp_path / place / "pretrain" / "relicv2") for place in "ab"]
    first, second = (digest_file(end / "checkpoint.safetensors") for end in ends)
    assert first == second
    words = [sys.executable, "-m", "relic_eval.cli", *words, "--nproc", "32"]
    more = subprocess.run([*words, "--out", str(tmp_path / "c")], capture_output=True, text=True, timeout=300)
    assert more.returncode != 0
    assert "the GPUs there are" in more.stderr


@pytest.mark.parametrize("name", ["thin-resnet", "resnet18-32px", "resnet50"])
def test_embeddings_are_those_of_the_cpu_and_the_same_twice(name, tmp_path):
    found = {}
    for place, on in (("a", "cpu"), ("b", "cuda"), ("c", "cuda")):
        (path,) = embed(find_encoder(f"random:{name}"), "digits", tmp_path / place, device=on)
        found[place] = read_store(path).x_ND
    size = np.linalg.norm(found["a"])
    assert np.linalg.norm(found["b"] - found["a"]) < 1e-4 * size
    np.testing.assert_array_equal(found["b"], found["c"])


def test_a_monitor_measures_where_the_module_is(fashion, tmp_path):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 16)).cuda()
    Monitor(tmp_path, *fashion, every=1)(0, module, images=0)
    assert read_monitor(tmp_path / "monitor.csv")[0]["step"] == 0


def test_probes_are_those_of_the_cpu(digits):
    x, y = digits
    yes = (y[:, None] == np.arange(10)).astype("f")
    shots = [np.flatnonzero(y == c)[:3] for c in range(10)]
    subsets = [np.concatenate(shots), np.arange(0, 700, 3)]
    batches = list(batches_of(x / 16, y, 64, 20, seed=0))
    for fit, tolerance in (
        (lambda d: fit_path(x, y, penalties=(1.0, 1e3), tol=1e-6, device=d).weights_SLDC, 1e-2),
        (lambda d: fit_path(x, y, penalties=(1.0, 1e3), tol=1e-6, device=d, max_memory=1 << 16).weights_SLDC, 1e-2),
        (lambda d: fit_path(x.astype(float), y, penalties=(1.0, 1e3), tol=1e-9, device=d).weights_SLDC, 1e-5),
        (lambda d: fit_subsets(x, y, subsets, penalties=(1.0, 1e3), tol=1e-6, device=d).weights_SLDC, 1e-2),
        (lambda d: fit_multilabel(x, yes, penalties=(1.0, 1e3), tol=1e-6, device=d).weights_SLDC, 1e-2),
        (lambda d: fit_ridge(x, y, (1.0, 1e3), device=d).weights_LDC, 1e-8),
        (lambda d: fit_ridge(x[:40], y[:40], (1.0, 1e3), device=d).weights_LDC, 1e-8),
        (lambda d: fit_sgd(batches, 10, 64, (0.1, 1.0), 20, device=d).weights_LDC, 1e-4),
    ):
        here, there = (np.asarray(fit(d), float) for d in ("cpu", "cuda"))
        assert np.linalg.norm(there - here) < tolerance * np.linalg.norm(here)


def test_the_command_line_goes_through_on_a_gpu(tmp_path):
    def relic(*words):
        done = subprocess.run(
            [sys.executable, "-m", "relic_eval.cli", *words], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]

    out = ["--out", str(tmp_path)]
    relic("pretrain", "relicv2", "--data", "digits", "--device", "cuda", "--set", "steps=60", *out)
    relic(
        "embed",
        str(tmp_path / "pretrain" / "relicv2"),
        "random:thin-resnet",
        "--data",
        "digits",
        "--device",
        "cuda",
        *out,
    )
    relic("evaluate", "--out", str(tmp_path), "--protocol", "knn")
    cells = [json.loads(file.read_text()) for file in (tmp_path / "cells").rglob("*.json")]
    assert len(cells) == 2


@pytest.mark.parametrize(
    "tune",
    [
        FineTune(learning_rates=(0.01, 0.1), decays=(0.0, 1e-4), steps=6, batch=32),
        Semi(share=0.2, learning_rates=(0.05,), epochs=(3,)),
    ],
    ids=["finetune", "semi"],
)
def test_a_tuned_network_is_the_same_twice_and_starts_as_on_the_cpu(tune, fashion):
    images, y = fashion
    source = from_array("clothes", "all", images, y, tuple("abcdefghij"), digest="c")
    parts = divide(Task("c", "C", "clothes", train="all", test="all"), source, source)
    encoder = find_encoder("random:thin-resnet")
    first, second, here = (tune(encoder, *parts, device=d) for d in ("cuda", "cuda", "cpu"))
    np.testing.assert_array_equal(first.predictions["score"], second.predictions["score"])
    np.testing.assert_array_equal(first.curves["y"], second.curves["y"])
    loss = [cell.curves["y"][np.char.startswith(cell.curves["name"], "loss")][0] for cell in (first, here)]
    assert loss[0] == pytest.approx(loss[1], rel=1e-2)


def test_segmentation_is_the_same_twice():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (30, 24, 28, 3)).astype(np.uint8)
    masks = (pictures[..., 0] > 127).astype(np.int64)
    masks[:, 0] = 9
    sets = [
        Scenes(
            "noise",
            split,
            split,
            np.arange(30).astype(str),
            ("low", "high"),
            9,
            lambda rows: np.tile([24, 28], (len(rows), 1)),
            lambda row: (pictures[row], masks[row]),
        )
        for split in ("train", "test")
    ]
    parts, encoder = divide_scenes(*sets), find_encoder("random:thin-resnet")
    small = SegmentFcn(learning_rates=(0.05,), steps=4, batch=8, crop=25, view=0, width=16, dilation=1, trainings=1)
    for tune in (small, SegmentLinear(side=32, pixels=32)):
        first, second = (tune(encoder, *parts, device="cuda") for _ in range(2))
        assert first.rows == second.rows
        np.testing.assert_array_equal(first.overlaps["both"], second.overlaps["both"])
