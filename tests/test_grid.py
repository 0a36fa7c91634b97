"""The transfer grid: every pair once, failures named and tried again, nothing done twice, however it is divided."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import relic_eval.fill
import relic_eval.progress
from relic_eval.cells import read_failures, write_failure
from relic_eval.commands import Grid, read_grid
from relic_eval.data.leaks import read_leaks
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder, from_callable
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.files import digest_file
from relic_eval.grid import time_left, transfer
from relic_eval.outcome import Outcome
from relic_eval.results import read_results
from relic_eval.store import find_stores, read_manifest

PROTOCOLS = ("knn", "discriminability")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two folders of class folders, 3 classes x 12 pictures each."""
    place, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    for name in ("birds", "fish"):
        for number, kind in enumerate("abc"):
            (place / name / kind).mkdir(parents=True)
            for i in range(12):
                grey = (rng.integers(0, 90, (8, 8)) + 60 * number).astype(np.uint8)
                Image.fromarray(grey).save(place / name / kind / f"{i}.png")
    return place


def grid_of(sets, encoders=("pixels", "random:thin-resnet"), protocols=PROTOCOLS):
    return Grid(tuple(encoders), (str(sets / "birds"), str(sets / "fish")), protocols)


def files(out):
    """Contents of everything that is a result, by place; clock times are none."""
    return {
        str(f.relative_to(out)): digest_file(f)
        for part in ("cells", "embeddings")
        for f in (out / part).rglob("*")
        if f.is_file()
    }


def test_every_cell_is_made_and_the_second_time_nothing_is_done(sets, tmp_path, monkeypatch):
    assert transfer(grid_of(sets), tmp_path) == Outcome(made=8)
    made = {(r.encoder, r.task, r.protocol) for r in read_results(tmp_path)}
    assert made == {(e, t, p) for e in ("pixels", "random") for t in ("birds", "fish") for p in PROTOCOLS}
    before = files(tmp_path)

    def refuse(*_):
        raise AssertionError("a picture was opened or encoded again")

    monkeypatch.setattr("relic_eval.data.opening.open_square", refuse)
    monkeypatch.setattr(relic_eval.fill, "encode_batch", refuse)
    monkeypatch.setattr("relic_eval.run.read_store", refuse)
    assert transfer(grid_of(sets), tmp_path) == Outcome(skipped=8)
    assert files(tmp_path) == before


def test_a_pair_that_fails_is_named_and_tried_again_and_the_others_go_on(sets, tmp_path):
    state = {"broken": True}

    def encode(x):
        if state["broken"]:
            raise RuntimeError("no such layer")
        return x.mean((2, 3))

    encoders = [from_callable("mine", encode, digest="1"), find_encoder("pixels")]
    grid = grid_of(sets, ("mine", "pixels"), ("knn",))
    assert transfer(grid, tmp_path, encoders=encoders) == Outcome(made=2, failed=2)
    noted = read_failures(tmp_path)
    assert [(f["encoder"], f["task"], f["protocol"]) for f in noted] == [
        ("mine", "birds", "embed"),
        ("mine", "fish", "embed"),
    ]
    assert all("no such layer" in f["error"] for f in noted)
    state["broken"] = False
    assert transfer(grid, tmp_path, encoders=encoders) == Outcome(made=2, skipped=2)
    assert read_failures(tmp_path) == []


def test_shards_do_every_pair_once_and_together_what_one_does(sets, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    transfer(grid_of(sets), whole)
    outcomes = [transfer(grid_of(sets), parts, shard=f"{i}/3") for i in (1, 2, 3)]
    assert sum(outcomes, Outcome()) == Outcome(made=8)
    assert sorted(o.made for o in outcomes) == [2, 2, 4]
    assert files(parts) == files(whole)


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_a_shard_that_is_none_is_refused(sets, tmp_path, shard):
    with pytest.raises(ArgumentError, match="1 <= I <= N"):
        transfer(grid_of(sets), tmp_path, shard=shard)


def test_a_pool_makes_the_same_bytes(sets, tmp_path):
    one, several = tmp_path / "one", tmp_path / "several"
    transfer(grid_of(sets), one)
    threads = os.environ.get("OMP_NUM_THREADS")
    assert transfer(grid_of(sets), several, workers=2) == Outcome(made=8)
    assert os.environ.get("OMP_NUM_THREADS") == threads
    cells = {k: v for k, v in files(one).items() if k.startswith("cells")}
    assert {k: v for k, v in files(several).items() if k.startswith("cells")} == cells


def test_a_pool_needs_encoders_with_names(sets, tmp_path):
    mine = [from_callable("mine", lambda x: x.mean((2, 3)), digest="1")]
    with pytest.raises(ArgumentError, match="python:MODULE:NAME"):
        transfer(grid_of(sets, ("mine",)), tmp_path, encoders=mine, workers=2)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"encoders": ("pixel",)}, "pixels"),
        ({"protocols": ("knnn",)}, "knn"),
        ({"data": ("fashio",)}, "fashion"),
    ],
)
def test_unknown_names_end_it_before_a_picture_is_opened(sets, tmp_path, change, match):
    with pytest.raises(UnknownNameError, match=match):
        transfer(dataclasses.replace(grid_of(sets), **change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_sets_of_one_name_are_refused(sets, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "birds").symlink_to(sets / "birds")
    grid = Grid(("pixels",), (str(sets / "birds"), str(tmp_path / "other" / "birds")), ("knn",))
    with pytest.raises(ArgumentError, match="both called 'birds'"):
        transfer(grid, tmp_path / "out")


def test_what_was_asked_for_is_noted(sets, tmp_path):
    transfer(grid_of(sets, ("pixels",)), tmp_path)
    assert read_grid(tmp_path) == grid_of(sets, ("pixels",))


def test_a_killed_grid_goes_on_and_ends_as_one_that_was_not(sets, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    transfer(grid_of(sets), whole)
    code = (
        "import sys; from relic_eval.grid import *; from pathlib import Path;"
        "transfer(Grid(('pixels', 'random:thin-resnet'), tuple(sys.argv[2:]), ('knn', 'discriminability')), Path(sys.argv[1]))"
    )
    words = [sys.executable, "-c", code, str(killed), str(sets / "birds"), str(sets / "fish")]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if list(killed.glob("cells/*/*/*/cell.json")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 1 <= len(list(killed.glob("cells/*/*/*/cell.json"))) < 8
    done = transfer(read_grid(killed), killed)
    assert done.made + done.skipped == 8
    assert done.failed == 0
    assert files(killed) == files(whole)


def test_time_left_is_exact_where_speed_times_size_holds():
    speed, size = {"a": 1.0, "b": 3.0, "c": 0.5}, {"x": 10.0, "y": 2.0, "z": 7.0}
    done = {(e, d): speed[e] * size[d] for e, d in [("a", "x"), ("a", "y"), ("a", "z"), ("b", "x"), ("c", "y")]}
    todo = [("b", "y"), ("b", "z"), ("c", "x"), ("c", "z")]
    assert time_left(done, todo) == pytest.approx(sum(speed[e] * size[d] for e, d in todo), rel=1e-6)
    assert time_left({}, todo) == 0.0
    assert time_left({("a", "x"): 4.0}, [("b", "y"), ("b", "x")]) == pytest.approx(8.0)


def test_stores_are_found_by_encoder_and_set(sets, tmp_path):
    transfer(grid_of(sets), tmp_path)
    assert {s.dataset for s in find_stores(tmp_path, ["pixels"], ["birds"])} == {"birds"}
    assert {s.encoder for s in find_stores(tmp_path, ["random"])} == {"random"}
    assert len(find_stores(tmp_path)) == 4


def test_networks_are_tuned_beside_what_is_measured_of_embeddings(sets, tmp_path, monkeypatch):
    from relic_eval.tuning.finetune import FineTune
    from relic_eval.tuning.table import PROTOCOLS as TUNED

    short = FineTune(learning_rates=(0.01, 0.03), decays=(0.0,), steps=2, batch=8)
    monkeypatch.setitem(TUNED, "finetune-small", short)
    grid = Grid(("random:thin-resnet", "pixels"), (str(sets / "birds"),), ("knn", "finetune-small"))
    assert transfer(grid, tmp_path) == Outcome(made=3, failed=1)
    (note,) = read_failures(tmp_path)
    assert (note["encoder"], note["protocol"]) == ("pixels", "finetune-small")
    results = {(r.encoder, r.protocol): r for r in read_results(tmp_path)}
    cell, probe = results[("random", "finetune-small")], results[("random", "knn")]
    assert cell.about["counts"] == probe.about["counts"]
    np.testing.assert_array_equal(cell.cell.predictions["item"], probe.cell.predictions["item"])  # the same division
    assert cell.about["settings"]["learning_rates"] == [0.01, 0.03]
    assert not list((tmp_path / "notes").rglob("*.json"))
    before = files(tmp_path)
    assert transfer(grid, tmp_path) == Outcome(skipped=3, failed=1)
    assert files(tmp_path) == before
    monkeypatch.setitem(TUNED, "finetune-small", dataclasses.replace(short, steps=3))
    assert ("random", "finetune-small") not in {(r.encoder, r.protocol) for r in read_results(tmp_path)}
    assert transfer(grid, tmp_path) == Outcome(made=1, skipped=2, failed=1)


def test_sets_with_masks_are_segmented_and_nothing_else(data_folder, sets, tmp_path, monkeypatch):
    from relic_eval.tuning.segment_linear import SegmentLinear
    from relic_eval.tuning.table import PROTOCOLS as TUNED

    monkeypatch.setitem(TUNED, "segment-linear", SegmentLinear(pixels=8, penalties=(1e-3, 1.0)))
    grid = Grid(("random:thin-resnet,side=32",), ("mini-petmask", str(sets / "fish")), ("segment-linear", "knn"))
    assert transfer(grid, tmp_path) == Outcome(made=2)
    made = {(r.task, r.protocol): r for r in read_results(tmp_path)}
    assert set(made) == {("mini-petmask", "segment-linear"), ("fish", "knn")}
    row = made[("mini-petmask", "segment-linear")].cell.rows[0]
    assert row.metric == "miou"
    assert 0.2 < row.low < row.value < row.high < 1
    assert transfer(grid, tmp_path) == Outcome(skipped=2)


def test_corrupted_pictures_are_embedded_once_and_measured(sets, tmp_path):
    pytest.importorskip("imagecorruptions", reason="the extra [robust] is not installed")
    grid = Grid(
        ("random:thin-resnet",), (str(sets / "birds"),), ("linear-byol", "robust"), corruptions=3, kinds=("contrast",)
    )
    assert transfer(grid, tmp_path) == Outcome(made=2)
    rows = {
        (r.protocol, row.metric, row.params.get("kind")): row for r in read_results(tmp_path) for row in r.cell.rows
    }
    assert rows[("robust", "top1", "contrast")].n == 3  # one of each class
    before = files(tmp_path)
    assert transfer(grid, tmp_path) == Outcome(skipped=2)
    assert files(tmp_path) == before
    none = dataclasses.replace(grid, corruptions=-1, kinds=())
    assert transfer(none, tmp_path / "none").made == 1  # robust is left out: there is nothing that it could measure


def test_leaked_pictures_are_found_and_dropped(sets, tmp_path):
    place = tmp_path / "set"
    shutil.copytree(sets / "birds", place / "train")
    shutil.copytree(sets / "fish", place / "test")
    shutil.copy(place / "train" / "a" / "3.png", place / "test" / "a" / "twin.png")
    grid = Grid(("pixels",), (str(place),), ("knn",), drop_leaks=True)
    write_failure(tmp_path / "out", "pixels", "set", "leaks", "the search failed before")
    assert transfer(grid, tmp_path / "out") == Outcome(made=1)
    assert read_failures(tmp_path / "out") == []
    (result,) = read_results(tmp_path / "out")
    leaked = len({i for leaks in read_leaks(tmp_path / "out") for i in leaks.leaked["id"].tolist()})
    assert leaked >= 1
    assert result.about["counts"]["train"] + result.about["counts"]["valid"] == 36 - leaked
    assert result.about["task_settings"]["drop"]


def test_published_lists_are_of_semi_supervised_protocols(sets, tmp_path):
    for text in ("knn=names.txt", "semi-1pct", "semi-1pct="):
        with pytest.raises(ArgumentError, match="semi-1pct=FILE"):
            transfer(dataclasses.replace(grid_of(sets), lists=(text,)), tmp_path)
    with pytest.raises(DataError, match="received nothing there"):
        transfer(dataclasses.replace(grid_of(sets), lists=("semi-1pct=/nowhere.txt",)), tmp_path)


def test_a_name_given_twice_is_one_encoder_in_a_pool_too(sets, tmp_path):
    grid = grid_of(sets, ("pixels", "pixels", "random:thin-resnet"), ("knn",))
    assert transfer(grid, tmp_path, workers=2) == Outcome(made=4)
    assert {r.encoder for r in read_results(tmp_path)} == {"pixels", "random"}


def test_an_encoder_may_raise_anything_and_costs_its_own_row(sets, tmp_path):
    encoders = [from_callable("mine", lambda x: x.nothing, digest="1"), find_encoder("pixels")]
    grid = grid_of(sets, ("mine", "pixels"), ("knn",))
    assert transfer(grid, tmp_path, encoders=encoders) == Outcome(made=2, failed=2)
    assert read_failures(tmp_path)[0]["error"].startswith("AttributeError: ")
    with pytest.raises(DataError, match=r"relic_eval\.transfer"):  # such a grid has no words to be taken up by
        read_grid(tmp_path)


def test_what_is_tested_on_the_head_of_another_set_waits_for_it(sets, tmp_path, monkeypatch):
    """A set without training rows of its own, before the one that has them in the list."""
    from relic_eval.data import registry
    from relic_eval.data.named import Counts, Named
    from relic_eval.data.rows import of_files

    def listed(place, split):
        files = sorted(f"{kind}/{i}.png" for kind in "abc" for i in (range(4) if split == "test" else range(4, 12)))
        return of_files(place, files, np.array(["abc".index(f[0]) for f in files]), tuple("abc"), split)

    head = Named("head", "Head", Counts(3, train=24, test=12), listed, "")
    away = Named("away", "Away", Counts(3, test=12), listed, "", splits=("test",), trains_on="head")
    monkeypatch.setitem(registry.NAMED, "head", head)
    monkeypatch.setitem(registry.NAMED, "away", away)
    data = (f"away:{sets / 'fish'}", f"head:{sets / 'birds'}")
    grid = Grid(("pixels",), data, ("linear-byol", "robust-sets"), drop_leaks=True)
    assert transfer(grid, tmp_path) == Outcome(made=2)
    made = {(r.task, r.protocol): r for r in read_results(tmp_path)}
    assert set(made) == {("head", "linear-byol"), ("away", "robust-sets")}  # neither is taken for an older one
    assert made[("away", "robust-sets")].about["counts"]["test"] == 12
    assert transfer(grid, tmp_path) == Outcome(skipped=2)
    shards = [transfer(dataclasses.replace(grid, drop_leaks=False), tmp_path / "s", shard=f"{i}/2") for i in (1, 2)]
    assert sum(shards, Outcome()) == Outcome(made=2)


def test_cells_of_other_corruptions_never_stand_side_by_side(sets, tmp_path):
    pytest.importorskip("imagecorruptions", reason="the extra [robust] is not installed")
    from relic_eval.board import read_board

    for encoder, kind in (("pixels", "contrast"), ("random:thin-resnet", "brightness")):
        grid = Grid((encoder,), (str(sets / "birds"),), ("robust",), corruptions=3, kinds=(kind,))
        assert transfer(grid, tmp_path).made == 1
    board, _, apart = read_board(tmp_path, protocols=("robust",))
    assert len(board.rows) == 1
    assert len(apart) == 1
    transfer(dataclasses.replace(grid, kinds=("contrast",)), tmp_path)
    assert len(read_board(tmp_path, protocols=("robust",))[0].rows) == 2


def test_a_cell_of_corruptions_that_are_no_longer_in_use_stands_no_longer(sets, tmp_path):
    pytest.importorskip("imagecorruptions", reason="the extra [robust] is not installed")
    from relic_eval.data.corruptions import Corruptions
    from relic_eval.encode import embed

    grid = Grid(("pixels",), (str(sets / "birds"),), ("robust", "knn"), corruptions=3, kinds=("contrast",))
    transfer(grid, tmp_path)
    assert {r.protocol for r in read_results(tmp_path)} == {"robust", "knn"}
    embed(find_encoder("pixels"), str(sets / "birds"), tmp_path, corruptions=Corruptions(kinds=("contrast",), most=6))
    assert {r.protocol for r in read_results(tmp_path)} == {"knn"}


def test_a_grid_that_judges_nothing_says_so(sets, tmp_path, capsys):
    with pytest.raises(DataError, match="nothing was made"):
        transfer(Grid(("pixels",), ("mini-petmask",), ("knn",)), tmp_path)
    assert "it has masks and no labels" in capsys.readouterr().err
    assert transfer(Grid(("pixels",), ("mini-petmask",)), tmp_path) == Outcome()  # nobody asked for a protocol
    assert "nothing was made" in capsys.readouterr().err


@pytest.mark.parametrize(("protocol", "option"), [("robust", "--corruptions 100"), ("multiview", "--views 10")])
def test_a_protocol_without_its_pictures_says_which_option_makes_them(sets, tmp_path, capsys, protocol, option):
    with pytest.raises(DataError, match="nothing was made"):
        transfer(Grid(("pixels",), (str(sets / "birds"),), (protocol,)), tmp_path)
    assert f"{option} of 'relic-eval embed' or 'transfer' makes them" in capsys.readouterr().err
    assert read_failures(tmp_path) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"on_error": "skp"}, "on_error: expected fail or skip"), ({"device": "tpu"}, "device: expected")],
)
def test_settings_that_are_none_are_refused_before_any_work(sets, tmp_path, capsys, wrong, said):
    with pytest.raises(ArgumentError, match=said):
        transfer(Grid(("pixels",), (str(sets / "birds"),), ("knn",), **wrong), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().err == ""


MINE = """
import torch

def unseeded():
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(192, 8))

def seeded():
    torch.manual_seed(3)
    return unseeded()

def named(x):
    return x.flatten(1) if "cpu" in {"cpu", "cuda", "mps", "xpu"} else x
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "weights_for_tests.py").write_text(MINE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(relic_eval.progress, "_warned", set())
    yield "python:weights_for_tests"
    sys.modules.pop("weights_for_tests", None)


def test_a_pool_refuses_a_network_that_is_made_with_other_weights_in_every_process(sets, tmp_path, mine):
    encoders = tuple(f"{mine}:{name}" for name in ("unseeded", "seeded", "named"))
    grid = grid_of(sets, encoders, ("knn",))
    assert transfer(grid, tmp_path / "out", workers=2) == Outcome(made=4, failed=2)
    for failure in read_failures(tmp_path / "out"):
        assert failure["encoder"] == "unseeded"
        assert "the same weights in every process, received others" in failure["error"]
        assert "--workers 1" in failure["error"]
    assert {s.encoder for s in find_stores(tmp_path / "out")} == {"seeded", "named"}
    assert transfer(dataclasses.replace(grid, encoders=encoders[:1]), tmp_path / "out") == Outcome(made=2)
    assert not read_failures(tmp_path / "out")


def test_other_weights_of_one_name_are_warned_of_where_they_are_made_and_where_they_are_shown(
    sets, tmp_path, mine, capsys
):
    birds, fish = (str(sets / name) for name in ("birds", "fish"))
    old, new = (find_encoder(f"{mine}:unseeded") for _ in range(2))
    assert old.digest != new.digest
    grid = Grid(("unseeded",), (birds, fish), ("knn",))
    transfer(grid, tmp_path / "out", encoders=[old])
    read_results(tmp_path / "out")
    assert "warning" not in capsys.readouterr().err
    transfer(dataclasses.replace(grid, data=(fish,)), tmp_path / "out", encoders=[new])
    assert capsys.readouterr().err.count("unseeded: its embeddings of birds under") == 1
    read_results(tmp_path / "out")
    said = capsys.readouterr().err
    assert "unseeded: its cells are of 2 encoders with different weights or settings (birds; fish)" in said
    read_results(tmp_path / "out", tasks=["fish"])
    embed(new, fish, tmp_path / "out")  # nothing changes
    assert "warning" not in capsys.readouterr().err
    relic_eval.progress._warned.clear()
    transfer(grid, tmp_path / "out", encoders=[new])  # birds is embedded again: both are the same again
    read_results(tmp_path / "out")
    assert "warning" not in capsys.readouterr().err
    embed(old, birds, tmp_path / "out")
    assert "unseeded: its embeddings of fish under" in capsys.readouterr().err


def test_one_encoder_of_sets_with_other_sides_and_colours_has_one_digest(sets, tmp_path, capsys, data_folder, mine):
    grid = Grid(("pixels", "random:thin-resnet"), (str(sets / "birds"), "mini-cifar10"), ("knn",))
    assert transfer(grid, tmp_path / "out") == Outcome(made=4)
    sides = {m["dims"] for s in find_stores(tmp_path / "out", ["pixels"]) for m in [read_manifest(s.path)]}
    assert len(sides) == 2
    read_results(tmp_path / "out")
    assert "warning" not in capsys.readouterr().err


def test_where_all_is_there_nothing_heavy_is_loaded(sets, tmp_path):
    words = ["transfer", "pixels", "--data", str(sets / "birds"), "--protocol", "knn", "--out", str(tmp_path)]
    code = (
        f"import sys; sys.argv[1:] = {words!r}; from relic_eval.cli import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "print([m for m in ('torch', 'pandas', 'sklearn', 'PIL') if m in sys.modules])"
    )
    said = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert "'torch'" in said[0].stdout
    assert "1 already there" in said[1].stdout
    assert said[1].stdout.splitlines()[-1] == "[]"
