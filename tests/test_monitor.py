"""The measures from inside a training loop: ours and anyone's."""

from __future__ import annotations

import itertools
import math
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import relic_eval
from pretrain import checkpoint
from pretrain.config import METHODS, override
from pretrain.train import Run, pretrain
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError, DataError
from relic_eval.files import digest_file
from relic_eval.monitor import measure, reached, read_monitor
from relic_eval.store import read_manifest
from reports.write import report_key

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


@pytest.mark.filterwarnings("ignore")  # Lightning's own: of workers, loggers and what torch no longer wants
def test_three_lines_in_lightning(toy, tmp_path):
    import pytorch_lightning as pl

    class Learner(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.encoder, self.head = nn.Sequential(nn.Flatten(), nn.Linear(144, 8)), nn.Linear(8, 2)
            self.watch = relic_eval.Monitor(tmp_path, *toy, every=4)

        def training_step(self, batch, number):
            return nn.functional.cross_entropy(self.head(self.encoder(batch[0])), batch[1])

        def on_train_batch_end(self, outputs, batch, number):
            self.watch(self.global_step, self.encoder, images=self.global_step * 20, loss=outputs["loss"].item())

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 0.01)

    pictures, y = toy
    data = torch.utils.data.TensorDataset(torch.from_numpy(pictures)[:, None].float() / 255, torch.from_numpy(y))
    loader = torch.utils.data.DataLoader(data, batch_size=20)
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    learner = Learner()
    pl.Trainer(max_epochs=2, accelerator="cpu", **quiet).fit(learner, loader)
    rows = read_monitor(tmp_path / "monitor.csv")
    assert [(row["step"], row["images"]) for row in rows] == [(4, 80), (8, 160), (12, 240), (16, 320)]
    assert rows[-1]["linear"] > 0.9
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert learner.encoder.training


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


def stopped_and_taken_up(toy, out):
    for steps in (range(0, 40, 10), range(20, 60, 10)):
        watch = relic_eval.Monitor(out, *toy, every=10)
        for step in steps:
            watch(step, Sides(step), loss=float(steps.start))


def test_a_run_that_is_taken_up_writes_its_rows_anew(toy, tmp_path):
    stopped_and_taken_up(toy, tmp_path)
    rows = read_monitor(tmp_path / "monitor.csv")
    assert [(row["step"], row["loss"]) for row in rows] == [(0, 0), (10, 0), (20, 20), (30, 20), (40, 20), (50, 20)]


def events(folder):
    """What TensorBoard itself reads: by name the steps and values, in order."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {name: [(e.step, e.value) for e in read.Scalars(name)] for name in read.Tags()["scalars"]}


@pytest.mark.parametrize("number", [0, 9])
def test_tensorboard_has_the_rows_of_the_table_once_though_the_run_was_stopped(toy, tmp_path, monkeypatch, number):
    from tensorboard.summary.writer import event_file_writer

    # files of one second and one process differ by a number without leading zeros: 9 sorts after 10
    count = itertools.count(number)
    monkeypatch.setattr(type(event_file_writer._global_uid), "get", lambda _: next(count))
    stopped_and_taken_up(toy, tmp_path)
    rows = read_monitor(tmp_path / "monitor.csv")
    found = events(tmp_path)
    assert set(found) == {"loss", "knn", "linear", "spread", "effective_rank", "n"}
    for name, points in found.items():
        assert [step for step, _ in points] == [0, 10, 20, 30, 40, 50]
        assert [value for _, value in points] == pytest.approx([row[name] for row in rows], rel=1e-6)


def test_without_tensorboard_nothing_is_written_and_nothing_said(toy, tmp_path, capsys, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "tensorboard" or n.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # what an import finds where it is not installed
    relic_eval.Monitor(tmp_path, *toy, every=1)(1, Sides(3.0))
    assert [p.name for p in tmp_path.iterdir()] == ["monitor.csv"]
    assert capsys.readouterr() == ("", "")


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
    assert [row["n"] for row in rows] == [20, 20, 20]  # a fifth of monitor_rows, by class
    assert checkpoint.read_about(watched)["monitor"] == rows
    assert checkpoint.read_about(plain)["monitor"] == []


def small(changes):
    return override(METHODS["supervised"](), {"steps": 8, "batch": 16, "side": 12, "checkpoint_every": 4} | changes)


def test_a_run_that_was_killed_ends_with_the_rows_of_one_that_was_not(toy, tmp_path, monkeypatch):
    config = small({"monitor_every": 2})
    whole = pretrain(config, *toy, tmp_path / "whole", data=DATA)
    real = Run.move

    def killed(self, step, out):
        if step == 6:  # two rows are past the checkpoint of step 4 by then
            raise KeyboardInterrupt
        return real(self, step, out)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config, *toy, tmp_path / "parts", data=DATA)
    assert [row["step"] for row in read_monitor(tmp_path / "parts" / "monitor.csv")] == [2, 4, 6]
    (tmp_path / "parts" / "monitor.csv").unlink()  # the checkpoint knows the rows
    again = pretrain(config, *toy, tmp_path / "parts", data=DATA)
    assert digest_file(again / "checkpoint.json") == digest_file(whole / "checkpoint.json")
    tables = [(tmp_path / name / "monitor.csv").read_text().splitlines() for name in ("whole", "parts")]
    assert tables[0] == tables[1]


def test_what_is_no_number_is_left_out_of_the_checkpoint(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("relic_eval.monitor.measure", lambda *a: {"knn": math.nan, "linear": 0.5})
    monkeypatch.setattr("relic_eval.monitor.COLLAPSED", {})
    step = pretrain(small({"monitor_every": 8}), *toy, tmp_path, data=DATA)
    (row,) = checkpoint.read_about(step)["monitor"]
    assert "knn" not in row
    assert (row["step"], row["linear"]) == (8, 0.5)


def test_the_rows_go_into_the_store_and_change_no_key(toy, tmp_path):
    """The same weights trained again with more measured: the store stays where it is, its record follows, so does the report."""
    pictures, y = toy
    for number, (pixels, label) in enumerate(zip(pictures, y, strict=True)):
        (tmp_path / "set" / f"{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "set" / f"{label}" / f"{number}.png")
    found, keys = [], []
    for every in (0, 4):
        shutil.rmtree(tmp_path / "mine", ignore_errors=True)
        pretrain(small({"monitor_every": every}), *toy, tmp_path / "mine", data=DATA)
        (store,) = embed(find_encoder(str(tmp_path / "mine")), str(tmp_path / "set"), tmp_path / "out")
        found.append((store, read_manifest(store)))
        keys.append(report_key(tmp_path / "out", []))
    (first, before), (second, after) = found
    assert first == second
    assert before["content"] == after["content"]
    assert before["encoder"]["training"]["monitor"] == []
    assert after["encoder"]["training"]["monitor"] == read_monitor(tmp_path / "mine" / "monitor.csv")
    assert keys[0] != keys[1]


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
