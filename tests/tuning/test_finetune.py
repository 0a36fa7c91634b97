"""Fine-tuning: what it trains, chooses, notes and refuses."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from relic_eval.data.pictures import from_array
from relic_eval.data.tasks import Task, split_task
from relic_eval.encoders.load import find_encoder, from_module
from relic_eval.errors import ArgumentError, DataError
from relic_eval.metrics.precision import mean_average_precision
from relic_eval.records import Embeddings, Transform
from relic_eval.tuning import classify, feed
from relic_eval.tuning.classify import Crops, begin, fit, scores
from relic_eval.tuning.descent import Descent
from relic_eval.tuning.feed import Feed
from relic_eval.tuning.finetune import FineTune
from relic_eval.tuning.shots import Shots, divide, joined

SMALL = FineTune(learning_rates=(0.003, 0.03), decays=(0.0, 1e-4), steps=16, batch=24)
SHORT = dataclasses.replace(SMALL, decays=(0.0,), steps=2, batch=16)


def same(one, other):
    """Whether two cells are the same to the last bit."""
    tables = [(a or {}, b or {}) for n in ("predictions", "curves") for a, b in [(getattr(one, n), getattr(other, n))]]
    return one.rows == other.rows and all(
        a.keys() == b.keys() and all(np.array_equal(a[k], b[k], equal_nan=a[k].dtype.kind == "f") for k in a)
        for a, b in tables
    )


def counted(monkeypatch, kill_at=None):
    """The texts of the runs that are made from now on; at one of them, as a kill would, everything ends."""
    made, real = [], classify.fit

    def fit_and_count(*arguments):
        if len(made) == kill_at:
            raise KeyboardInterrupt
        made.append(arguments[-1])
        return real(*arguments)

    monkeypatch.setattr(classify, "fit", fit_and_count)
    return made


def test_a_colour_is_learnt_and_test_pictures_are_predicted(encoder, shots):
    cell = SMALL(encoder, *shots)
    assert cell.rows[0].metric == "top1"
    assert cell.rows[0].value > 0.9
    assert cell.rows[0].low < cell.rows[0].value <= cell.rows[0].high
    test = shots[2]
    assert cell.predictions["item"].tolist() == test.pictures.ids[test.rows].tolist()
    assert cell.predictions["correct"].mean() == np.float32(cell.rows[0].value)
    names = cell.curves["name"]
    loss = cell.curves["y"][names == "loss"]
    assert loss[-1] < loss[0] / 2
    assert sum(n.startswith("validation top1") for n in names) == 4
    assert cell.rows[0].params["norm_weight"] == 0.1


def test_same_seed_same_bytes_another_seed_another_run(encoder, shots):
    first, second = SHORT(encoder, *shots), SHORT(encoder, *shots)
    assert same(first, second)
    other = dataclasses.replace(SHORT, seed=1)(encoder, *shots)
    assert not np.array_equal(first.curves["y"], other.curves["y"])


def test_gradients_reach_the_first_layer_and_all_of_the_network_is_trained(encoder, shots):
    start = begin(encoder, shots[0])
    model = start.classifier(3, seed=0).train()
    nn.functional.cross_entropy(model(torch.rand(6, 3, 16, 16)), torch.arange(6) % 3).backward()
    assert model.encoder.network.stem[0].weight.grad.abs().max() > 0
    before = {n: p.clone() for n, p in start.module.state_dict().items()}
    source = Feed(shots[0], start.cropped)
    tuned, _ = fit(start, source, np.arange(72), Descent(2, 0.05), 24, Crops(), "t")
    after = tuned.encoder.state_dict()
    assert all(not torch.equal(after[n], t) for n, t in before.items() if t.is_floating_point() and t.numel() > 1)
    assert all(torch.equal(start.module.state_dict()[n], t) for n, t in before.items())  # what came is left as it was
    fresh = start.classifier(3, seed=0)
    assert not np.allclose(scores(start, fresh, source), scores(start, tuned, source))


def test_poisoned_test_labels_change_no_choice_and_no_prediction(encoder, shots):
    train, valid, test = shots
    poisoned = dataclasses.replace(test, y_N=(test.y_N + 1) % 3)
    right, wrong = (SHORT(encoder, train, valid, t) for t in (test, poisoned))
    assert right.rows[0].params == wrong.rows[0].params
    assert np.array_equal(right.predictions["predicted"], wrong.predictions["predicted"])
    assert np.array_equal(right.curves["y"], wrong.curves["y"])
    assert right.rows[0].value != wrong.rows[0].value


@pytest.mark.parametrize("kill_at", [1, 2])
def test_a_kill_between_points_goes_on_to_the_same_cell(encoder, shots, tmp_path, monkeypatch, kill_at):
    whole = SHORT(encoder, *shots)
    with monkeypatch.context() as patch:
        counted(patch, kill_at)
        with pytest.raises(KeyboardInterrupt):
            SHORT(encoder, *shots, keep=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == kill_at
    made = counted(monkeypatch)
    assert same(SHORT(encoder, *shots, keep=tmp_path), whole)
    assert len(made) == 2 - kill_at + 1  # the points that were left, and the final run


@pytest.mark.parametrize("change", ["steps", "labels", "weights", "valid"])
def test_points_of_other_settings_or_data_are_not_used(encoder, shots, tmp_path, monkeypatch, change):
    SHORT(encoder, *shots, keep=tmp_path)
    train, valid, test = shots
    evaluator, other = SHORT, encoder
    if change == "steps":
        evaluator = dataclasses.replace(SHORT, steps=3)
    elif change == "labels":
        train = dataclasses.replace(train, y_N=train.y_N[::-1].copy())
    elif change == "weights":
        other = dataclasses.replace(encoder, digest="other")
    else:
        valid = valid.take(np.arange(20))
    made = counted(monkeypatch)
    cell = evaluator(other, train, valid, test, keep=tmp_path)
    assert len(made) == 3
    assert same(cell, evaluator(other, train, valid, test))


def test_a_larger_grid_uses_the_points_that_are_there_and_a_damaged_one_is_made_again(
    encoder, shots, tmp_path, monkeypatch, capfd
):
    SHORT(encoder, *shots, keep=tmp_path)
    made = counted(monkeypatch)
    larger = dataclasses.replace(SHORT, learning_rates=(0.003, 0.03, 0.1))
    larger(encoder, *shots, keep=tmp_path)
    assert len(made) == 1 + 1
    note = min(tmp_path.glob("*.json"))
    note.write_text("{")
    made.clear()
    cell = larger(encoder, *shots, keep=tmp_path)
    assert len(made) == 1 + 1
    assert note.name in capfd.readouterr().err
    assert json.loads(note.read_text())["found"]["valid"] is not None
    assert same(cell, larger(encoder, *shots))


def test_a_point_that_diverges_costs_only_itself(encoder, shots):
    wild = dataclasses.replace(SHORT, learning_rates=(0.003, 1e12), decays=(0.0,))
    cell = wild(encoder, *shots)
    assert cell.rows[0].params["learning_rate"] == 0.003
    assert cell.rows[0].params["diverged"] == 1
    with pytest.raises(ArgumentError, match="expected one at which the loss stays finite"):
        dataclasses.replace(wild, learning_rates=(1e12,))(encoder, *shots)


def of_metric(parts, metric, labels_NC=None):
    changed = dataclasses.replace(parts[0].pictures, metric=metric, labels_NC=labels_NC)
    its = (None if labels_NC is None else labels_NC[part.rows] for part in parts)
    return tuple(dataclasses.replace(p, pictures=changed, labels_NC=own) for p, own in zip(parts, its, strict=True))


def test_the_metric_of_the_task_chooses_and_stands_first_with_its_interval(encoder, shots):
    train, valid, test = of_metric(shots, "mean_per_class")
    valid = valid.take(np.concatenate([np.flatnonzero(valid.y_N != 2), np.flatnonzero(valid.y_N == 2)[:1]]))
    cell = SHORT(encoder, train, valid, test)
    assert [row.metric for row in cell.rows] == ["mean_per_class", "top1"]
    assert cell.rows[0].low <= cell.rows[0].value <= cell.rows[0].high
    score = np.eye(3)[np.where(valid.y_N == 2, 0, valid.y_N)]  # one picture wrong: a whole class
    assert classify.value_of(valid, score) == pytest.approx(2 / 3)
    assert classify.value_of(of_metric([valid], "top1")[0], score) == pytest.approx(1 - 1 / len(valid))
    assert classify.value_of(valid, np.full((len(valid), 3), np.nan)) is None


def test_pictures_of_several_classes_are_tuned_by_yes_or_no_and_judged_by_precision(encoder, shots):
    several = np.arange(120)[:, None] % 3 == np.arange(3)
    several[:, 2] |= several[:, 0]  # all that is red is blue too
    parts = of_metric(shots, "map11", several)
    cell = SMALL(encoder, *parts)
    assert cell.rows[0].metric == "map11"
    assert cell.rows[0].value > 0.9
    assert [row.params["class"] for row in cell.rows[1:]] == ["red", "green", "blue"]
    labels = several[parts[2].rows]
    score = cell.predictions["score"].reshape(24, 3)
    assert cell.rows[0].value == pytest.approx(mean_average_precision(labels, score).mean, abs=1e-6)
    assert ((score > 0) == labels).mean() > 0.85
    logits, target = torch.randn(5, 3), torch.randint(0, 2, (5, 3)).float()
    by_hand = -(target * logits.sigmoid().log() + (1 - target) * (-logits).sigmoid().log()).sum(1).mean()
    torch.testing.assert_close(classify.yes_or_no(logits, target), by_hand)


def test_what_has_no_weights_is_refused_and_a_module_of_ones_own_is_left_as_it_is(shots):
    with pytest.raises(ArgumentError, match="expected a network with weights to train, received 'pixels'"):
        SHORT(find_encoder("pixels"), *shots)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    before = {name: t.clone() for name, t in module.eval().state_dict().items()}
    own, _ = from_module("own", module, digest="1")
    assert SHORT(own, *shots).rows[0].n == 24
    assert not module.training
    assert all(torch.equal(module.state_dict()[name], t) for name, t in before.items())


def test_grey_pictures_go_to_an_encoder_of_three_channels_and_its_transform_is_used(fashion):
    images, y = fashion
    asked = []
    source = from_array("greys", "all", images[..., 0], y, tuple("abcdefghij"), digest="g")
    listening = dataclasses.replace(source, read=lambda rows, side: asked.append(side) or source.read(rows, side))
    parts = divide(Task("greys", "Greys", "greys", train="all", test="all"), listening, listening)
    encoder = dataclasses.replace(find_encoder("random:thin-resnet"), channels=3, transform=Transform(16, resize=20))
    one = dataclasses.replace(SHORT, learning_rates=(0.01,), decays=(0.0,), steps=2)
    assert one(encoder, *parts).rows[0].n == len(parts[2])
    # crops come from the square of the shorter side, and the centre is judged
    assert set(asked) == {Transform(20), Transform(16, resize=20)}


def test_pictures_that_do_not_fit_are_read_while_it_trains_to_the_same_numbers(encoder, shots, monkeypatch):
    held = SHORT(encoder, *shots)
    monkeypatch.setattr(feed, "HELD", 0)
    assert same(SHORT(encoder, *shots), held)


def test_an_unreadable_picture_is_named(encoder, shots):
    train, valid, test = shots
    broken = dataclasses.replace(
        train.pictures,
        read=lambda rows, side: (np.zeros((len(rows), 16, 16, 3), np.uint8), {3: "birds/3.jpg: cut off"}),
    )
    with pytest.raises(DataError, match=r"birds/3\.jpg: cut off"):
        SHORT(encoder, dataclasses.replace(train, pictures=broken), valid, test)


@pytest.mark.parametrize("whole", [True, False])
def test_rows_are_divided_as_those_of_embeddings(whole):
    y = np.repeat(np.arange(3), 12)
    source = from_array("s", "all" if whole else "train", np.zeros((36, 2, 2), np.uint8), y, tuple("abc"), digest="d")
    other = from_array("s", "test", np.zeros((9, 2, 2), np.uint8), np.arange(9) % 3, tuple("abc"), digest="e")
    task = Task("s", "S", "s", train="all", test="all") if whole else Task("s", "S", "s")
    gone = [5, 20]
    kept = np.setdiff1d(np.arange(36), gone)
    e = Embeddings(
        np.zeros((34, 1)), y[kept], source.classes, ids=source.ids[kept], absent_M2=np.array([[5, 0], [20, 1]])
    )
    t = e if whole else Embeddings(np.zeros((9, 1)), other.y_N, other.classes, ids=other.ids)
    expected = split_task(task, e, t)
    found = divide(task, source, source if whole else other, left_out=(gone, gone if whole else ()))
    assert all(isinstance(part, Shots) for part in found)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.labelled().ids.tolist() == theirs.ids.tolist()
        assert mine.y_N.tolist() == theirs.y_N.tolist()
    marked = dataclasses.replace(source, valid_N=np.arange(36) % 12 == 0)
    if not whole:
        assert divide(task, marked, other)[1].rows.tolist() == [0, 12, 24]


def test_labels_of_several_classes_are_numbered_as_the_training_rows_are():
    def source(split, labels, classes):
        blank, y = np.zeros((len(labels), 2, 2), np.uint8), labels.argmax(1)
        return dataclasses.replace(from_array("s", split, blank, y, classes, digest=split), labels_NC=labels)

    train = source("train", np.tile(np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], bool), (5, 1)), ("ant", "bee", "cat"))
    test = source("test", np.array([[1, 0], [0, 1], [1, 1]], bool), ("cat", "ant"))  # no bee, and another order
    task = Task("s", "S", "s", metric="map11")
    parts = divide(task, train, test, ([4], [1]))
    assert parts[2].classes == ("ant", "bee", "cat")
    assert parts[2].labels_NC.tolist() == [[False, False, True], [True, False, True]]
    assert parts[2].labels_NC[np.arange(2), parts[2].y_N].all()
    assert parts[2].labelled().labels_NC.shape == (2, 3)
    for part in parts[:2]:
        np.testing.assert_array_equal(part.labels_NC, train.labels_NC[part.rows])
    both = joined(*parts[:2])
    np.testing.assert_array_equal(both.take(both.y_N == 1).labels_NC, train.labels_NC[both.rows[both.y_N == 1]])
