"""The loop: it learns, resumes to the bit, and refuses before the first step what it can."""

from __future__ import annotations

import dataclasses
import json
import shutil
import threading

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pretrain import checkpoint, train
from pretrain.ahead import Ahead
from pretrain.batch import Batch, crop
from pretrain.checks import refuse_nan
from pretrain.config import METHODS, Byol, Relicv2, Supervised, override
from pretrain.feed import batch_rows
from pretrain.methods import method as find_method
from pretrain.methods.byol import regression
from pretrain.presets import preset
from pretrain.saliency import saliency_masks
from pretrain.target import make_target, momentum
from pretrain.train import build_online, pretrain
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError, DataError, RelicError, UnknownNameError
from relic_eval.files import digest_file
from relic_eval.views import Draw

DATA = {"name": "fashion", "digest": "d"}
SMALL = {"steps": "6", "batch": "32", "checkpoint_every": "3"}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_resumed_run_ends_with_the_same_bytes(method, fashion, tmp_path, monkeypatch):
    images, y = fashion
    config = override(METHODS[method](), SMALL)
    whole = pretrain(config, images, y, tmp_path / "whole", data=DATA)

    real, count = checkpoint.save, []

    def killed(*arguments):
        place = real(*arguments)
        count.append(place)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config, images, y, tmp_path / "parts", data=DATA)
    again = pretrain(config, images, y, tmp_path / "parts", data=DATA)
    assert len(count) == 1
    digests = [digest_file(step / "checkpoint.safetensors") for step in (again, whole)]
    assert digests[0] == digests[1]
    assert json.loads((again / "checkpoint.json").read_text()) == json.loads((whole / "checkpoint.json").read_text())
    tables = [(tmp_path / name / "losses.csv").read_text() for name in ("whole", "parts")]
    assert tables[0] == tables[1]
    first, *rows = tables[0].splitlines()
    assert first.startswith("step,images,loss")
    assert [row.split(",")[:2] for row in rows] == [["1", "32"], ["6", "192"]]  # noted every five steps, and at the end
    features = find_encoder(str(tmp_path / "whole")).build(1, "cpu")(torch.rand(2, 1, 28, 28))
    assert features.shape == (2, 128)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_loss_falls(method, fashion, tmp_path):
    images, y = fashion
    step = pretrain(override(METHODS[method](), {"steps": "25", "batch": "64"}), images, y, tmp_path / "run", data=DATA)
    loss = [value for _, value in checkpoint.read_about(step)["history"]["loss"]]
    assert loss[-1] < loss[0]


def test_relic_learns_without_a_target_too(fashion, tmp_path):
    """The critic on both sides: no predictor, nothing averaged."""
    config = override(METHODS["relic"](), {"target": "none", "steps": "25", "batch": "64"})
    step = pretrain(config, *fashion, tmp_path, data=DATA)
    loss = [value for _, value in checkpoint.read_about(step)["history"]["loss"]]
    assert loss[-1] < loss[0]
    assert not [name for name in checkpoint.load(step) if name.startswith(("target.", "predictor."))]


def test_half_precision_gives_nearly_the_same_loss(fashion, tmp_path):
    images, y = fashion
    found = {}
    for precision in ("float32", "bfloat16"):
        config = override(METHODS["relicv2"](), SMALL | {"precision": precision})
        step = pretrain(config, images, y, tmp_path / precision, data=DATA)
        found[precision] = checkpoint.read_about(step)["history"]["loss"]
        assert all(t.dtype == torch.float32 for t in checkpoint.load(step).values() if t.is_floating_point())
    first, second = (dict(map(tuple, found[p])) for p in found)
    assert first != second
    assert second[0] == pytest.approx(first[0], rel=0.02)


def test_parts_of_a_batch_add_up_to_the_whole(tmp_path):
    """With a network without batch norm, loss and weights are those of the whole batch."""
    pytest.importorskip("timm")
    rng = np.random.default_rng(0)
    images, y = rng.integers(0, 255, (40, 32, 32, 3)).astype(np.uint8), np.arange(40) % 4
    changes = {
        "steps": 3,
        "batch": 12,
        "side": 32,
        "network": "timm:vit_tiny_patch16_224",
        "optimizer": "lars",
        "lr": 0.1,
    }
    runs = [
        pretrain(override(Supervised(), changes | {"accumulate": n}), images, y, tmp_path / f"{n}", data=DATA)
        for n in (1, 3)
    ]
    losses = [checkpoint.read_about(run)["history"]["loss"] for run in runs]
    assert losses[1] == [pytest.approx(row, abs=2e-6) for row in losses[0]]
    whole, parts = (checkpoint.load(run) for run in runs)
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, atol=1e-5, rtol=1e-5, msg=name)


def test_checkpoints_that_are_asked_for_stay(fashion, tmp_path):
    changes = {"steps": "10", "batch": "16", "checkpoint_every": "1", "keep_every": "3"}
    pretrain(override(Supervised(), changes), *fashion, tmp_path, data=DATA)
    kept = [int(p.name[5:]) for p in sorted(tmp_path.glob("step-*"))]
    assert kept == [3, 6, 9, 10]


def test_the_sheet_shows_what_is_made_of_the_first_pictures(fashion, tmp_path):
    from PIL import Image

    pretrain(override(Relicv2(), SMALL | {"steps": "1"}), *fashion, tmp_path, data=DATA)
    sheet = np.asarray(Image.open(tmp_path / "views.png"))
    assert sheet.shape == (8 * 30 + 2, 4 * 30 + 2, 3)  # pictures of 28 pixels; itself, two large crops and a small one
    first = fashion[0][batch_rows(0, 400, 32, 0)[0]]
    assert np.array_equal(sheet[2:30, 2:30], first.repeat(3, 2))
    assert (sheet[:, 92:][22:30] == 255).all()  # a small crop has 20 pixels


def test_gradients_are_clipped(fashion, tmp_path):
    """With LARS and no warm-up, one step moves the biases by lr times their gradient, of which a tiny norm is left."""
    images, y = fashion
    moved = {}
    for clip in (0.0, 1e-6):
        changes = SMALL | {"steps": "1", "optimizer": "lars", "lr": "1", "warmup": "0", "clip": clip}
        step = pretrain(override(METHODS["supervised"](), changes), images, y, tmp_path / f"{clip}", data=DATA)
        moved[clip] = checkpoint.load(step)["classifier.bias"].norm().item()
    assert moved[0.0] > 1e-3
    assert 0 < moved[1e-6] <= 1e-6


def test_a_finished_run_is_left_and_another_is_refused(fashion, tmp_path):
    images, y = fashion
    config = override(Byol(), SMALL | {"steps": "2"})
    step = pretrain(config, images, y, tmp_path / "run", data=DATA)
    before = (step / "checkpoint.json").stat().st_mtime_ns
    assert pretrain(config, images, y, tmp_path / "run", data=DATA) == step
    assert (step / "checkpoint.json").stat().st_mtime_ns == before
    with pytest.raises(ArgumentError, match=r"expected lr = 0\.1"):
        pretrain(override(config, {"lr": "0.1"}), images, y, tmp_path / "run", data=DATA)
    about = json.loads((step / "checkpoint.json").read_text()) | {"format": 99}
    (step / "checkpoint.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="newer relic-eval"):
        checkpoint.finished(tmp_path / "run", config, DATA)


def test_weights_that_changed_are_found_and_the_step_before_goes_on(fashion, tmp_path):
    config, run = override(Byol(), SMALL | {"steps": "2", "checkpoint_every": "1"}), tmp_path / "run"
    step = pretrain(config, *fashion, run, data=DATA)
    file = step / "checkpoint.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(
        DataError, match=f"safetensors is not what was written.*Delete {step} and pretrain again: it goes on"
    ):
        checkpoint.finished(run, config, DATA)
    shutil.rmtree(step)
    assert pretrain(config, *fashion, run, data=DATA) == step
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    ("method", "changes", "text"),
    [
        ("relicv2", {"batch": "10"}, "at least 11"),
        ("byol", {"batch": "1000"}, "at most 400"),
        ("byol", {"side": "64"}, "at most 28"),
        ("relicv2", {"accumulate": "2"}, "1 for relicv2, whose negatives are the rest of the batch"),
        ("simclr", {"accumulate": "2"}, "1 for simclr"),
        ("relicv2", {"small_side": "32"}, "at most 28, the side of the large crops"),
        ("byol", {"accumulate": "3"}, "parts of two pictures or more of 64"),
        ("byol", {"accumulate": "64"}, "parts of two pictures or more of 64"),
    ],
)
def test_what_cannot_work_is_said_before_the_first_step(method, changes, text, fashion, tmp_path):
    with pytest.raises(ArgumentError, match=text):
        pretrain(override(METHODS[method](), changes), *fashion, tmp_path / "run", data=DATA)


def test_supervised_needs_labels(fashion, tmp_path):
    with pytest.raises(ArgumentError, match="at least two classes"):
        pretrain(override(Supervised(), SMALL), fashion[0], None, tmp_path / "run", data=DATA)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(fashion, tmp_path):
    config = override(Byol(), {"steps": "40", "batch": "32", "lr": "1e30", "warmup": "0", "checkpoint_every": "1"})
    with pytest.raises(RelicError, match="expected finite losses, received loss"):
        pretrain(config, *fashion, tmp_path / "run", data=DATA)
    assert checkpoint.latest(tmp_path / "run") is not None


def test_the_terms_that_are_no_numbers_are_named(tmp_path):
    terms = {"loss": torch.tensor(torch.nan), "contrastive": torch.tensor(1.0), "invariance": torch.tensor(torch.inf)}
    with pytest.raises(RelicError, match=r"step 3: .* received loss = nan and invariance = inf"):
        refuse_nan(terms, 3, tmp_path)


@pytest.mark.parametrize("method", ["byol", "relic", "simclr", "supervised"])
def test_a_method_compares_the_right_views_through_the_right_networks(method):
    """Each loss as a whole, written out from the networks; the target has other weights than the online network."""
    lightly, way = pytest.importorskip("lightly.loss"), find_method(method)
    config = METHODS[method]()
    shapes = {name: v for name, v in {"hidden": 16, "out": 8, "negatives": 0}.items() if hasattr(config, name)}
    config = override(config, {"batch": 8, **shapes})
    generator = torch.Generator().manual_seed(0)
    crops, y = [torch.rand(8, 1, 28, 28, generator=generator) for _ in range(2)], torch.arange(8) % 3
    online = build_online(config, 1, 3)
    target = make_target(online, way.averaged(config))
    with torch.no_grad():
        for p in target.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    batch = Batch(torch.rand(8, 1, 28, 28), y, torch.ones(0), torch.zeros(1, 1, 1, 1))
    found = way.loss(config, crops[: 1 if method == "supervised" else 2], batch, online, target, Draw(generator, 8))

    def through(side):
        return [side["projector"](side["encoder"](x)) for x in crops]

    if method == "supervised":
        expected = F.cross_entropy(online["classifier"](online["encoder"](crops[0])), y)
    elif method == "simclr":
        expected = lightly.NTXentLoss(temperature=config.tau)(*through(online))
    else:
        (p0, p1), (z0, z1) = [online["predictor"](p) for p in through(online)], through(target)
        if method == "byol":  # |u - v|^2 = 2 - 2 cos
            expected = sum(2 + 2 * lightly.NegativeCosineSimilarity()(*pair) for pair in ((p0, z1), (p1, z0)))
        else:
            one, two = (
                (F.normalize(p, dim=1) @ F.normalize(z, dim=1).T / config.tau).softmax(1)
                for p, z in ((p0, z1), (p1, z0))
            )
            likelihood = -(one.diag().log().mean() + two.diag().log().mean()) / 2
            apart = sum((a * (a / b).log()).sum(1).mean() for a, b in ((one, two), (two, one))) / 2
            expected = likelihood + config.alpha * apart
    torch.testing.assert_close(found["loss"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("method", "more"), [("relicv2", {}), ("byol", {"accumulate": "2"})])
def test_views_that_a_thread_makes_ahead_change_nothing(method, more, fashion, tmp_path, monkeypatch):
    """As on a GPU. The thread ends with the run."""
    config, made = override(METHODS[method](), {**SMALL, **more}), []
    plain = pretrain(config, *fashion, tmp_path / "plain", data=DATA)
    real = train.begin

    def begin(*arguments):
        made.append(dataclasses.replace(real(*arguments), ahead=Ahead()))
        return made[0]

    monkeypatch.setattr(train, "begin", begin)
    threaded = pretrain(config, *fashion, tmp_path / "threaded", data=DATA)
    first, second = (digest_file(end / "checkpoint.safetensors") for end in (plain, threaded))
    assert first == second
    assert not [t for t in threading.enumerate() if t.name.startswith("ahead")]


def test_weights_that_are_no_numbers_never_become_a_checkpoint(fashion, tmp_path):
    settings = {"steps": "8", "batch": "32", "lr": "1e38", "warmup": "0", "checkpoint_every": "1"}
    with pytest.raises(RelicError, match="expected finite"):
        pretrain(override(Supervised(), settings), *fashion, tmp_path / "run", data=DATA)
    for step in (tmp_path / "run").glob("step-*"):
        assert all(t.isfinite().all() for t in checkpoint.load(step).values() if t.is_floating_point())


def test_another_version_of_the_training_is_another_run(fashion, tmp_path, monkeypatch):
    config = override(Byol(), SMALL | {"steps": "1"})
    pretrain(config, *fashion, tmp_path / "run", data=DATA)
    monkeypatch.setattr(checkpoint, "VERSION", 99)
    with pytest.raises(ArgumentError, match="expected version = 99, received version = "):
        checkpoint.finished(tmp_path / "run", config, DATA)


def test_unknown_names_get_the_nearest_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'steps'"):
        override(Byol(), {"step": "3"})
    with pytest.raises(UnknownNameError, match="Did you mean 'relicv2'"):
        preset("relic2")
    with pytest.raises(ArgumentError, match="type int"):
        override(Byol(), {"steps": "many"})


@pytest.mark.parametrize(
    ("method", "change", "text"),
    [
        ("byol", {"steps": "-1"}, "at least 1"),
        ("byol", {"lr": "nan"}, "above 0"),
        ("byol", {"lr": "0"}, "above 0"),
        ("byol", {"seed": "-1"}, "at least 0"),
        ("byol", {"area_low": "3"}, "at most 1"),
        ("byol", {"blur": "0.1,2"}, "at least 0 and at most 1"),
        ("byol", {"blur": "often"}, "numbers with commas"),
        ("byol", {"network": "thin-resne"}, "Did you mean 'thin-resnet'"),
        ("relicv2", {"background": "gray"}, "one of grey, mean, zero"),
        ("relicv2", {"tau": "0"}, "above 0"),
        ("relicv2", {"large": "1"}, "at least 2"),
        ("relicv2", {"negatives": "-1"}, "at least 0"),
        ("relicv2", {"small_area_low": "0.9"}, "at most small_area_high"),
    ],
)
def test_settings_that_make_no_sense_are_refused(method, change, text):
    with pytest.raises(ArgumentError, match=text):
        override(METHODS[method](), change)


def test_crops_take_their_probabilities_in_turn():
    config = override(
        Byol(), {"solarise": "0,1", "blur": [0.0], "brightness": 0, "contrast": 0, "area_low": 1, "pad": 0}
    )
    x = torch.full((8, 1, 28, 28), 0.9)
    first, second, third = (crop(x, config, v, Draw(torch.Generator().manual_seed(0), len(x))) for v in range(3))
    torch.testing.assert_close(first, x)
    torch.testing.assert_close(second, 1 - x)
    torch.testing.assert_close(third, first)


def test_colour_pictures_are_normalised_a_channel(tmp_path):
    rng = np.random.default_rng(0)
    images = (rng.random((40, 28, 28, 3)) * [255, 120, 30]).astype(np.uint8)
    step = pretrain(
        override(Relicv2(), SMALL | {"steps": "2", "background": "mean"}),
        images,
        None,
        tmp_path / "r",
        data=DATA,
    )
    seen = checkpoint.read_about(step)["input"]
    np.testing.assert_allclose(seen["mean"], images.mean((0, 1, 2)) / 255, atol=1e-5)
    np.testing.assert_allclose(seen["std"], images.std((0, 1, 2)) / 255, atol=1e-4)
    assert find_encoder(str(tmp_path / "r")).build(3, "cpu")(torch.rand(2, 3, 28, 28)).shape == (2, 128)


def test_byol_is_the_squared_distance_of_unit_vectors():
    a, b = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
        torch.randn(5, 3, generator=torch.Generator().manual_seed(1)),
    )
    unit = a / a.norm(dim=1, keepdim=True) - b / b.norm(dim=1, keepdim=True)
    torch.testing.assert_close(regression(a, b), (unit**2).sum(1).mean())


def test_momentum_rises_to_one():
    values = [momentum(step, 100, 0.95) for step in range(101)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0.95, 1.0)
    assert momentum(25, 100, 0.95) == pytest.approx(1 - 0.05 * (2**-0.5 + 1) / 2)  # cos(pi / 4)


def test_masks_find_clothes(fashion):
    x = torch.from_numpy(fashion[0]).permute(0, 3, 1, 2).float() / 255
    masks = saliency_masks(x)
    assert x[masks].mean() > 4 * x[~masks].mean()
    assert 0.1 < masks.float().mean() < 0.8


def test_a_compiled_encoder_learns_the_same(tmp_path):
    """Fused kernels round otherwise: nearly the same weights, by other code."""
    from torch._dynamo.utils import counters

    counters.clear()
    images, labels = np.random.default_rng(0).integers(0, 255, (32, 12, 12, 3)).astype(np.uint8), np.arange(32) % 2
    found = {}
    for way in ("off", "on"):
        config = override(Byol(), {"compile": way, "steps": 3, "batch": 8, "side": 12, "lr": 1e-4, "hidden": 16})
        found[way] = checkpoint.load(pretrain(config, images, labels, tmp_path / way, data=DATA))
        assert (counters["stats"]["unique_graphs"] > 0) == (way == "on")
    assert set(found["on"]) == set(found["off"])
    for name in (n for n in found["on"] if n.startswith("encoder.") and "num_batches" not in n):
        torch.testing.assert_close(found["on"][name], found["off"][name], atol=1e-3, rtol=1e-2)


def test_a_missing_compiler_is_said_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    images, labels = np.zeros((8, 12, 12), np.uint8), np.zeros(8, int)
    with pytest.raises(ArgumentError, match=r"a C\+\+ compiler, received none. Install g\+\+"):
        pretrain(override(Byol(), {"compile": "on", "batch": 4, "side": 12}), images, labels, tmp_path, data=DATA)


def test_a_run_from_before_a_setting_was_there_goes_on(fashion, tmp_path):
    config = override(Byol(), SMALL)
    step = pretrain(config, *fashion, tmp_path, data=DATA)
    about = json.loads((step / "checkpoint.json").read_text())
    assert about["config"].pop("compile") == "off"
    (step / "checkpoint.json").write_text(json.dumps(about))
    assert checkpoint.finished(tmp_path, config, DATA) == step
    with pytest.raises(ArgumentError, match="expected compile = on, received compile = off in the run that is there"):
        checkpoint.finished(tmp_path, override(config, {"compile": "on"}), DATA)
