"""The measures from inside a training loop: ours and anyone's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import relic_eval
from pretrain import checkpoint
from pretrain.config import METHODS, override
from pretrain.train import pretrain
from relic_eval.errors import ArgumentError, DataError
from relic_eval.files import digest_file
from relic_eval.monitor import measure, reached, read_monitor

DATA = {"name": "toy", "digest": "d"}


@pytest.fixture(scope="module")
def toy():
    """Two classes that stand on either side, under noise."""
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    pictures = rng.integers(0, 120, (160, 12, 12)).astype(np.uint8)
    pictures[y == 0, :, :6] += 100
    pictures[y == 1, :, 6:] += 100
    return pictures, y


class Sides(nn.Module):
    """Tells left from right as well as it is told to, and says whether it is in training."""

    def __init__(self, strength):
        super().__init__()
        self.strength, self.seen = nn.Parameter(torch.tensor(float(strength))), []

    def forward(self, x):
        self.seen.append(self.training)
        noise = torch.randn(len(x), 4, generator=torch.Generator().manual_seed(len(self.seen)))
        return noise + self.strength * torch.stack([x[..., :6].mean((1, 2, 3)), x[..., 6:].mean((1, 2, 3))] * 2, 1)


def test_three_lines_in_anyones_loop(toy, tmp_path):
    watch = relic_eval.Monitor(tmp_path, *toy, every=10, batch=50)
    model = Sides(-1.0).train()
    for step in range(31):
        model.strength.data += 1
        watch(step, model, images=step * 8)
    rows = read_monitor(tmp_path / "monitor.csv")
    assert [row["step"] for row in rows] == [0, 10, 20, 30]
    assert [row["images"] for row in rows] == [0, 80, 160, 240]
    assert rows[0]["linear"] < 0.8 < rows[-1]["linear"]
    assert rows[0]["knn"] < 0.8 < rows[-1]["knn"]
    assert model.training
    assert not any(model.seen)  # measured in evaluation mode, given back in training
    assert len(model.seen) == 4 * 4
    assert reached(rows, "linear", 0.9)["step"] <= 30
    assert reached(rows, "linear", 1.1) is None


def test_numbers_are_those_of_the_protocols(toy):
    x = Sides(3.0)(torch.from_numpy(toy[0])[:, None] / 255).detach().numpy()
    found = measure(x, toy[1], ("left", "right"))
    assert found["knn"] == relic_eval.knn(x, toy[1]).rows[0].value
    assert found["linear"] == relic_eval.linear_probe(x, toy[1]).rows[0].value
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert found["spread"] == pytest.approx(np.mean(unit.std(0)) * 2, rel=1e-5)


def test_a_collapse_is_warned_of(toy, tmp_path, capsys):
    constant = lambda x: torch.ones(len(x), 3) + 1e-4 * x.flatten(1)[:, :3]  # noqa: E731
    row = relic_eval.Monitor(tmp_path, *toy, every=1)(7, constant)
    assert row["spread"] < 0.02
    assert "step 7: spread is" in capsys.readouterr().err
    gone = relic_eval.Monitor(tmp_path / "b", *toy, every=1)(8, lambda x: torch.ones(len(x), 3))
    assert gone["effective_rank"] == 0
    assert math.isnan(gone["linear"])
    assert "effective_rank is 0, below 1.5: the encoder has collapsed" in capsys.readouterr().err
    broken = relic_eval.Monitor(tmp_path / "c", *toy, every=1)(9, lambda x: torch.full((len(x), 3), torch.nan))
    assert all(math.isnan(broken[name]) for name in ("knn", "linear", "spread", "effective_rank"))


def test_a_run_that_is_taken_up_writes_its_rows_anew(toy, tmp_path):
    for steps in (range(0, 40, 10), range(20, 60, 10)):
        watch = relic_eval.Monitor(tmp_path, *toy, every=10)
        for step in steps:
            watch(step, Sides(step), loss=float(steps.start))
    rows = read_monitor(tmp_path / "monitor.csv")
    assert [(row["step"], row["loss"]) for row in rows] == [(0, 0), (10, 0), (20, 20), (30, 20), (40, 20), (50, 20)]


def test_what_does_not_fit_is_said(toy, tmp_path):
    pictures, y = toy
    with pytest.raises(ArgumentError, match="pictures: expected uint8"):
        relic_eval.Monitor(tmp_path, pictures.astype(int), y)
    with pytest.raises(ArgumentError, match="two classes or more, received 1"):
        relic_eval.Monitor(tmp_path, pictures, np.zeros(160, int))
    with pytest.raises(ArgumentError, match="encoder: expected features"):
        relic_eval.Monitor(tmp_path, pictures, y, every=1)(0, lambda x: x)
    (tmp_path / "monitor.csv").write_text("a,b\nx,y\n")
    with pytest.raises(DataError, match=r"monitor\.csv: expected rows of numbers"):
        relic_eval.Monitor(tmp_path, pictures, y)


@pytest.mark.parametrize("method", ["relicv2", "supervised"])
def test_pretraining_is_watched_and_not_changed(method, toy, tmp_path):
    config = override(METHODS[method](), {"steps": 6, "batch": 16, "side": 12, "checkpoint_every": 3})
    config = override(config, {"small_side": 8} if method == "relicv2" else {})
    plain = pretrain(config, *toy, tmp_path / "plain", data=DATA)
    watched = pretrain(override(config, {"monitor_every": 2, "monitor_rows": 100}), *toy, tmp_path / "w", data=DATA)
    files = [digest_file(step / "checkpoint.safetensors") for step in (plain, watched)]
    assert files[0] == files[1]
    rows = read_monitor(tmp_path / "w" / "monitor.csv")
    assert [row["step"] for row in rows] == [2, 4, 6]
    crops = 3 if method == "relicv2" else 1
    assert [row["views"] for row in rows] == [crops * row["images"] for row in rows]
    assert rows[0]["images"] == 32
    assert rows[2]["flops"] == pytest.approx(3 * rows[0]["flops"])
    assert all(0 <= row["linear"] <= 1 for row in rows)
    history = dict(map(tuple, checkpoint.read_about(watched)["history"]["loss"]))
    assert rows[2]["loss"] == pytest.approx(history[5], abs=1e-6)


def test_operations_are_those_of_the_convolutions():
    """A convolution by hand: 2 * outputs * inputs a pixel; three times for what learns, once more for the target."""
    from pretrain.watch import picture_cost

    encoder = nn.Conv2d(2, 5, 3, padding=1)
    crops = [torch.zeros(4, 2, 12, 12), torch.zeros(4, 2, 8, 8)]
    large, small = (2 * 5 * 2 * 9 * side**2 for side in (12, 8))
    assert picture_cost(encoder, crops, override(METHODS["byol"](), {"side": 12})) == 4 * large + 4 * small
    views = [crops[0], crops[0], crops[1]]  # two large ones, which the target sees, and a small one
    assert picture_cost(encoder, views, override(METHODS["relicv2"](), {"side": 12})) == 8 * large + 3 * small
    assert picture_cost(encoder, crops[:1], override(METHODS["supervised"](), {"side": 12})) == 3 * large


def test_pictures_without_labels_cannot_be_watched(toy, tmp_path):
    config = override(METHODS["byol"](), {"steps": 1, "batch": 16, "side": 12, "monitor_every": 1})
    with pytest.raises(ArgumentError, match="0 for pictures without labels"):
        pretrain(config, toy[0], None, tmp_path, data=DATA)
