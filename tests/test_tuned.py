"""Tuned cells of a data set: which rows they are made of, what is left out and said so, and what their keys hold."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

import relic_eval.tuned as module
from relic_eval.cells import cell_path, key_of, read_cell, read_failures
from relic_eval.data import scenes as scenes_module
from relic_eval.data.duplicates import find_leaks
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError
from relic_eval.outcome import Outcome
from relic_eval.run import evaluate
from relic_eval.tuned import tuned
from relic_eval.tuning.finetune import FineTune
from relic_eval.tuning.segment_linear import SegmentLinear
from relic_eval.tuning.semi import Semi
from relic_eval.tuning.table import PROTOCOLS

SHORT = FineTune(learning_rates=(0.01,), decays=(0.0,), steps=1, batch=8)


@pytest.fixture
def encoder():
    return find_encoder("random:thin-resnet")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "finetune-small", SHORT)
    monkeypatch.setitem(PROTOCOLS, "semi-1pct", Semi(learning_rates=(0.1,), epochs=(1,)))
    monkeypatch.setitem(PROTOCOLS, "segment-linear", SegmentLinear(pixels=4, penalties=(1.0,)))


@pytest.fixture
def birds(tmp_path):
    """train/ with 3 classes x 10 pictures and test/ with 3 x 4."""
    rng = np.random.default_rng(0)
    for half, count in (("train", 10), ("test", 4)):
        for number, kind in enumerate("abc"):
            (tmp_path / "birds" / half / kind).mkdir(parents=True)
            for i in range(count):
                grey = (rng.integers(0, 90, (8, 8)) + 60 * number).astype(np.uint8)
                Image.fromarray(grey).save(tmp_path / "birds" / half / kind / f"{i}.png")
    return tmp_path / "birds"


def about(out, protocol="finetune-small", task="birds"):
    return read_cell(cell_path(out, "random", task, protocol)).about


def test_what_does_not_fit_a_set_is_left_out_and_said(encoder, birds, tmp_path, capsys):
    assert tuned(encoder, str(birds), ["segment-linear"], tmp_path / "out") == Outcome()
    assert "tune random birds segment-linear: left out, it needs masks" in "".join(capsys.readouterr())
    assert tuned(encoder, "mini-petmask", ["semi-1pct"], tmp_path / "out") == Outcome()
    assert "tune random mini-petmask semi-1pct: left out, it needs labels" in "".join(capsys.readouterr())
    assert not list((tmp_path / "out").rglob("*.json"))


def test_a_set_without_training_rows_is_not_tuned_on_its_test_rows(encoder, birds, tmp_path, capsys):
    out, place = tmp_path / "out", tmp_path / "r"
    tuned(encoder, str(birds), ["finetune-small"], out)
    old = cell_path(out, "random", "imagenet-r", "finetune-small")
    shutil.copytree(cell_path(out, "random", "birds", "finetune-small"), old)  # made when such sets were tuned
    place.mkdir()
    assert tuned(encoder, f"imagenet-r:{place}", ["finetune-small"], out) == Outcome()
    said = "tune random imagenet-r finetune-small: left out, the set has no training rows of its own"
    assert said in "".join(capsys.readouterr())
    assert not old.exists()
    assert read_failures(out) == []


def test_leaked_pictures_leave_training_and_the_cell_says_so(encoder, birds, tmp_path):
    out = tmp_path / "out"
    for number in (3, 7):
        shutil.copy(birds / "train" / "a" / f"{number}.png", birds / "test" / "a" / f"twin{number}.png")
    assert tuned(encoder, str(birds), ["finetune-small"], out, without_leaks=True) == Outcome(failed=1)
    assert "expected a search for leaks" in read_failures(out)[0]["error"]
    find_leaks(str(birds), out)
    assert tuned(encoder, str(birds), ["finetune-small"], out) == Outcome(made=1)
    whole = about(out)
    assert "dropped" not in whole["data"]
    assert tuned(encoder, str(birds), ["finetune-small"], out, without_leaks=True) == Outcome(made=1)
    its = about(out)
    assert whole["counts"] == {"train": 24, "valid": 6, "test": 14}
    assert its["counts"]["train"] + its["counts"]["valid"] == 28
    assert its["counts"]["test"] == 14
    embed(encoder, str(birds), out)
    evaluate(out, protocols=["knn"], without_leaks=True)
    probe = about(out, "knn")
    assert its["counts"] == probe["counts"]  # the same division
    assert its["data"]["dropped"] == its["task_settings"]["drop"] == probe["data"]["dropped"] != ""
    assert tuned(encoder, str(birds), ["finetune-small"], out, without_leaks=True) == Outcome(skipped=1)


def test_pictures_without_leaks_are_those_of_other_ids(birds, encoder, tmp_path):
    shutil.copy(birds / "train" / "a" / "3.png", birds / "test" / "a" / "twin.png")
    (leaks, *_) = find_leaks(str(birds), tmp_path / "out")
    (question,) = module._labelled(str(birds), encoder, tmp_path / "out", True, "fail")
    (whole,) = module._labelled(str(birds), encoder, tmp_path / "out", False, "fail")
    for its, theirs in zip(question.parts(), whole.parts(), strict=True):
        ids, all_ids = (part.labelled().ids for part in (its, theirs))
        assert ids.tolist() == [i for i in all_ids if i not in leaks.leaked["id"]]
    assert len(leaks.leaked["id"]) == 1
    assert question.division == [*whole.division, question.task.drop]


def test_a_store_of_other_pictures_says_nothing_of_these(encoder, birds, tmp_path):
    out, file = tmp_path / "out", birds / "train" / "b" / "4.png"
    good = file.read_bytes()
    file.write_bytes(good[:40])
    embed(encoder, str(birds), out, on_error="skip")
    assert tuned(encoder, str(birds), ["finetune-small"], out, on_error="skip") == Outcome(made=1)
    assert about(out)["counts"]["train"] + about(out)["counts"]["valid"] == 29
    file.write_bytes(good)  # and not embedded again
    assert tuned(encoder, str(birds), ["finetune-small"], out) == Outcome(made=1)
    assert about(out)["counts"] == {"train": 24, "valid": 6, "test": 12}


def test_unreadable_pictures_are_left_out_where_that_is_asked_for(encoder, birds, tmp_path, monkeypatch, capsys):
    out, file = tmp_path / "out", birds / "train" / "b" / "4.png"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ArgumentError, match="on_error: expected fail or skip"):
        tuned(encoder, str(birds), ["finetune-small"], out, on_error="ignore")
    assert tuned(encoder, str(birds), ["finetune-small"], out) == Outcome(failed=1)
    assert "4.png" in read_failures(out)[0]["error"]
    assert tuned(encoder, str(birds), ["finetune-small"], out, on_error="skip") == Outcome(made=1)
    assert "1 unreadable pictures are left out, the first" in "".join(capsys.readouterr())
    assert about(out)["counts"]["train"] + about(out)["counts"]["valid"] == 29
    key = key_of(cell_path(out, "random", "birds", "finetune-small"))
    reads = []
    monkeypatch.setattr("relic_eval.tuning.shots.read_ahead", lambda *words: reads.append(words))
    assert tuned(encoder, str(birds), ["finetune-small"], out, on_error="skip") == Outcome(skipped=1)
    assert reads == []  # what was found is noted
    embed(encoder, str(birds), out, on_error="skip")
    assert tuned(encoder, str(birds), ["finetune-small"], out, on_error="skip") == Outcome(skipped=1)
    assert key_of(cell_path(out, "random", "birds", "finetune-small")) == key


def test_a_list_of_names_is_in_the_key_of_the_set_that_it_names_alone(encoder, birds, tmp_path, monkeypatch):
    out, lists = tmp_path / "out", {"semi-1pct": ("n01440764_1.JPEG",)}
    assert tuned(encoder, str(birds), ["semi-1pct"], out) == Outcome(made=1)
    assert tuned(encoder, str(birds), ["semi-1pct"], out, lists=lists) == Outcome(skipped=1)
    monkeypatch.setattr(module, "LISTED", "birds")
    assert tuned(encoder, str(birds), ["semi-1pct"], out, lists=lists) == Outcome(made=1)


def test_a_set_with_masks_is_listed_once_and_no_header_is_opened_to_skip(encoder, data_folder, tmp_path, monkeypatch):
    asked, opened_before = [], module.masked_pictures
    monkeypatch.setattr(module, "masked_pictures", lambda *words: asked.append(words[:2]) or opened_before(*words))
    both = ["segment-linear", "segment-fcn-small"]
    assert tuned(find_encoder("pixels"), "mini-petmask", both, tmp_path) == Outcome(failed=2)
    assert asked == [("mini-petmask", "train"), ("mini-petmask", "test")]
    small = find_encoder("random:thin-resnet,side=32")
    assert tuned(small, "mini-petmask", ["segment-linear"], tmp_path) == Outcome(made=1)
    opened = []
    monkeypatch.setattr(scenes_module, "upright_size", opened.append)
    assert tuned(small, "mini-petmask", ["segment-linear"], tmp_path) == Outcome(skipped=1)
    assert opened == []
