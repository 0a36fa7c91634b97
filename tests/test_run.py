"""Stores to cells: which embeddings are judged, what makes a cell anew, and what may never be mixed."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import relic_eval.fill
import relic_eval.plan
from relic_eval.board import make_board
from relic_eval.cells import cell_path, failure_path, read_cell
from relic_eval.data.sources import pictures as read_pictures
from relic_eval.data.tasks import Task, named_alike, pretraining_rows, split_task
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder, from_callable
from relic_eval.errors import ArgumentError, DataError
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.intake import import_arrays
from relic_eval.library.showing import leaderboard, report
from relic_eval.metrics.blocks import PRESETS
from relic_eval.records import Embeddings
from relic_eval.results import read_results
from relic_eval.run import evaluate, plan
from relic_eval.store import find_stores, read_manifest, read_store
from relic_eval.training import train
from reports.sections.choose import shown_blocks


def pictures(folder, classes, count=12, side=8):
    """A folder of class folders, each class of its own grey."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            grey = rng.integers(0, 40, (side, side)) + 60 * number
            Image.fromarray(grey.astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder


def mean_colour(scale=1.0):
    return lambda x: x.mean((2, 3)) * scale


def arrays(out, name="mine", seed=0, labels=("a", "b")):
    y = np.repeat([0, 1], 30)
    x = np.eye(2)[y] + np.random.default_rng(seed).normal(0, 0.3, (60, 2))
    return import_arrays(out, name, "set", x, np.array(labels)[y])


def test_pretraining_never_sees_a_row_that_will_test():
    y = np.repeat(np.arange(4), [20, 7, 30, 12])
    e = Embeddings(np.arange(len(y), dtype=float)[:, None], y, tuple("abcd"), ids=np.arange(len(y)).astype(str))
    train, valid, test = split_task(Task("t", "t", "d", train="all", test="all"), e, e)
    rows = pretraining_rows("all", y, e.classes)
    assert sorted(rows.astype(str)) == sorted([*train.ids, *valid.ids])
    assert not set(rows.astype(str)) & set(test.ids)
    assert len(pretraining_rows("train", y, e.classes)) == len(y)


@pytest.mark.parametrize("gone", ["a/0.png", "b/5.png", "c/11.png"])
def test_an_unreadable_picture_divides_the_others_as_before(tmp_path, gone):
    """Pretraining saw the whole listing: embedding that skips a picture must not make its rows test."""
    folder = pictures(tmp_path / "set", ["a", "b", "c"], count=30)
    source = read_pictures(str(folder), "all")
    trained = set(source.ids[pretraining_rows("all", source.y_N, source.classes)])
    (folder / gone).write_bytes(b"no picture")
    (path,) = embed(find_encoder("pixels"), str(folder), tmp_path / "out", on_error="skip")
    rows = read_store(path)
    assert len(rows) == 89
    parts = split_task(Task("t", "t", "set", train="all", test="all"), rows, rows)
    assert not trained & set(parts[2].ids)
    assert trained - {gone} == {*parts[0].ids, *parts[1].ids}
    assert len(set().union(*(part.ids for part in parts))) == 89


def test_a_class_that_lost_a_whole_part_is_named(tmp_path):
    y = np.repeat([0, 1], 3)
    rows = Embeddings(np.zeros((5, 1)), y[1:], ("a", "b"), absent_M2=np.array([[0, 0]]))
    with pytest.raises(DataError, match="class 'a': expected a readable picture in every part"):
        split_task(Task("t", "t", "t", train="all", test="all"), rows, rows)


def test_a_run_of_another_state_of_the_set_is_said(tmp_path, capsys):
    folder, out = pictures(tmp_path / "set", ["a", "b"]), tmp_path / "out"
    run = train("byol", str(folder), out, name="mine", changes={"steps": "1", "batch": "8"})
    embed(find_encoder(str(run)), str(folder), out)
    assert "before it changed" not in capsys.readouterr().err
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a" / "new.png")
    embed(find_encoder(str(run)), str(folder), out)
    assert "mine was trained on set before it changed" in capsys.readouterr().err


def test_a_set_that_is_divided_otherwise_leaves_no_old_cell(tmp_path):
    """From train/ and test/ to undivided, without superclasses: what was measured before is no longer current."""
    folder, out = tmp_path / "set", tmp_path / "out"
    for half in ("train", "test"):
        pictures(folder / half, ["a", "b", "c"])
    (folder / "superclasses.csv").write_text("class,superclass\na,x\nb,x\nc,y\n")
    embed(from_callable("mean", mean_colour(), digest="1"), str(folder), out)
    evaluate(out, protocols=["knn"])
    assert {r.task for r in read_results(out)} == {"set", "set-super"}
    for path in [*folder.iterdir()]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    pictures(folder, ["a", "b"])
    embed(from_callable("mean", mean_colour(-1), digest="2"), str(folder), out)
    evaluate(out, protocols=["knn"])
    assert [(r.task, r.about["counts"]["test"]) for r in read_results(out)] == [("set", 4)]


def test_a_cell_of_other_settings_of_its_protocol_stands_no_longer(tmp_path, monkeypatch):
    for name in ("one", "two"):
        arrays(tmp_path, name)
    evaluate(tmp_path, protocols=["knn"])
    monkeypatch.setattr(type(PROTOCOLS["knn"]), "version", 99)
    evaluate(tmp_path, encoders=["one"], protocols=["knn"])
    assert [r.encoder for r in read_results(tmp_path)] == ["one"]


def test_a_cell_for_which_there_are_too_few_images_now_goes(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.repeat(["a", "b"], 30)
    import_arrays(tmp_path, "mine", "set", x, y)
    evaluate(tmp_path, protocols=["fewshot-5", "knn"])
    import_arrays(tmp_path, "mine", "set", x[:36], y[:36])
    evaluate(tmp_path, protocols=["fewshot-5", "knn"])
    assert [r.protocol for r in read_results(tmp_path)] == ["knn"]
    assert not cell_path(tmp_path, "mine", "set", "fewshot-5").exists()


def test_pictures_saved_anew_without_a_change_are_not_another_set_for_ever(tmp_path):
    folder, out = pictures(tmp_path / "set", ["a", "b"]), tmp_path / "out"
    for name in ("one", "two"):
        embed(from_callable(name, mean_colour(), digest="1"), str(folder), out)
    evaluate(out, protocols=["knn"])
    for file in folder.rglob("*.png"):
        Image.open(file).copy().save(file, compress_level=0)
    for name in ("one", "two"):
        embed(from_callable(name, mean_colour(), digest="1"), str(folder), out)
        evaluate(out, protocols=["knn"])
    assert set(leaderboard(out, protocols=["knn"])["encoder"]) == {"one", "two"}


def test_undivided_arrays_take_the_place_of_divided_ones_and_the_other_way_round(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.repeat(["a", "b"], 30)
    for split in ("train", "test", "all", "train"):
        import_arrays(tmp_path, "mine", "set", x, y, split=split)
        assert "all" not in {s.split for s in find_stores(tmp_path)} or len(find_stores(tmp_path)) == 1
    assert [s.split for s in find_stores(tmp_path)] == ["train"]
    with pytest.raises(ArgumentError, match="a name of its own, received 'fashion'"):
        import_arrays(tmp_path, "mine", "fashion", x, y)


def test_nearest_neighbours_stand_on_the_board_where_there_is_no_linear_probe(tmp_path):
    arrays(tmp_path)
    evaluate(tmp_path, protocols=["knn", "blocks"])
    assert report(tmp_path).exists()
    assert set(leaderboard(tmp_path)["protocol"]) == {"knn"}


def test_the_command_trains_on_those_rows_only(tmp_path, monkeypatch):
    from pretrain import train
    from relic_eval.cli import app
    from relic_eval.data.sources import pictures as read

    seen = {}
    monkeypatch.setattr(
        train, "pretrain", lambda config, images, labels, *more, **named: seen.update(x=images, y=labels)
    )
    app(["pretrain", "supervised", "--data", "digits", "--out", str(tmp_path)], standalone_mode=False)
    source = read("digits", "all")
    rows = pretraining_rows("all", source.y_N, source.classes)
    assert 0.79 < len(rows) / len(source) < 0.81
    np.testing.assert_array_equal(seen["y"], source.y_N[rows])
    np.testing.assert_array_equal(seen["x"], source.read(rows, 28)[0])


def test_test_labels_are_matched_by_name(tmp_path):
    folder = tmp_path / "set"
    pictures(folder / "train", ["a", "b", "c"])
    pictures(folder / "test", ["a", "b", "c"])
    for picture in (folder / "test" / "b").iterdir():
        picture.unlink()
    (folder / "test" / "b").rmdir()
    embed(from_callable("mean", mean_colour(), digest="1"), str(folder), tmp_path / "out")
    assert evaluate(tmp_path / "out", protocols=["linear-byol"]).failed == 0
    for result in read_results(tmp_path / "out"):
        assert result.cell.rows[0].value == 1
        assert result.about["classes"] == ["a", "b", "c"]
        assert set(result.cell.predictions["true"]) == {0, 2}


def test_a_class_that_only_the_test_rows_have_is_an_error():
    train, test = (Embeddings(np.zeros((2, 1)), np.array([0, 1]), names) for names in (("a", "b"), ("a", "z")))
    with pytest.raises(DataError, match="received 'z'"):
        named_alike(test, train)


def test_weights_are_not_mixed_when_an_embedding_stops_half_way(tmp_path, monkeypatch):
    folder = tmp_path / "set"
    pictures(folder / "train", ["a", "b"])
    pictures(folder / "test", ["a", "b"])
    out = tmp_path / "out"
    embed(from_callable("mine", mean_colour(), digest="old"), str(folder), out)
    before = {s.split: s.path for s in find_stores(out)}
    real, calls = relic_eval.fill.finish, []

    def stop(*words):
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*words)

    with monkeypatch.context() as patch:
        patch.setattr(relic_eval.fill, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            embed(from_callable("mine", mean_colour(-1), digest="new"), str(folder), out)
    assert {s.split: s.path for s in find_stores(out)} == before
    embed(from_callable("mine", mean_colour(-1), digest="new"), str(folder), out)
    after = {s.split: s.path for s in find_stores(out)}
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())


def test_the_embedding_that_was_asked_for_last_is_judged_and_older_cells_stand_no_longer(tmp_path):
    first = arrays(tmp_path, seed=0)
    evaluate(tmp_path)
    second = arrays(tmp_path, seed=1)
    with pytest.raises(DataError, match="expected cells"):
        read_results(tmp_path)
    evaluate(tmp_path, protocols=["knn"])
    assert [r.protocol for r in read_results(tmp_path)] == ["knn"]
    assert read_results(tmp_path)[0].about["stores"]["test"] == read_manifest(second)["content"]
    assert arrays(tmp_path, seed=0) == first
    assert [s.path for s in find_stores(tmp_path)] == [first]


def test_a_cell_whose_repetition_failed_stands_no_longer(tmp_path):
    arrays(tmp_path)
    evaluate(tmp_path, protocols=["knn", "linear-byol"])
    place = failure_path(tmp_path, "mine", "set", "knn")
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"encoder": "mine", "task": "set", "protocol": "knn", "error": "e"}))
    assert [r.protocol for r in read_results(tmp_path)] == ["linear-byol"]


def test_another_version_or_setting_of_a_protocol_makes_its_cell_anew_and_a_title_does_not(tmp_path, monkeypatch):
    arrays(tmp_path)
    assert evaluate(tmp_path, protocols=["knn"]).made == 1
    assert evaluate(tmp_path, protocols=["knn"]).skipped == 1
    monkeypatch.setattr(type(PROTOCOLS["knn"]), "version", 99)
    assert evaluate(tmp_path, protocols=["knn"]).made == 1
    monkeypatch.setitem(PROTOCOLS, "knn", dataclasses.replace(PROTOCOLS["knn"], ks=(1,)))
    assert evaluate(tmp_path, protocols=["knn"]).made == 1
    real = relic_eval.plan.tasks_of
    monkeypatch.setattr(
        relic_eval.plan, "tasks_of", lambda *a: tuple(dataclasses.replace(t, title="Other") for t in real(*a))
    )
    assert evaluate(tmp_path, protocols=["knn"]).skipped == 1


def test_pictures_that_changed_in_between_are_not_put_side_by_side(tmp_path, capsys):
    folder, out = pictures(tmp_path / "set", ["a", "b"]), tmp_path / "out"
    embed(from_callable("one", mean_colour(), digest="1"), str(folder), out)
    for picture in (folder / "a").iterdir():
        Image.fromarray(np.full((8, 8), 255, np.uint8)).save(picture)
    embed(from_callable("two", mean_colour(), digest="1"), str(folder), out)
    evaluate(out, protocols=["linear-byol"])
    with pytest.raises(ArgumentError, match="the same images and labels for one and two"):
        make_board(read_results(out))
    assert set(leaderboard(out)["encoder"]) == {"one"}
    assert "two on set is left out, made of other images or labels than one" in capsys.readouterr().err
    assert set(leaderboard(out, baseline="two")["encoder"]) == {"two"}
    assert set(leaderboard(out, encoders=["two"])["encoder"]) == {"two"}
    page = report(out).read_text()
    assert "made of other images or labels than one" in page


def test_superclasses_that_come_later_are_taken_up(tmp_path):
    folder, out = pictures(tmp_path / "set", ["a", "b", "c"]), tmp_path / "out"
    encoder = from_callable("mean", mean_colour(), digest="1")
    (first,) = embed(encoder, str(folder), out)
    (folder / "superclasses.csv").write_text("class,superclass\na,x\nb,x\nc,y\n")
    (second,) = embed(encoder, str(folder), out)
    assert second != first
    assert read_store(second).superclasses == ("x", "x", "y")
    (folder / "superclasses.csv").write_text("class,superclass\na,x\nb,y\nc,y\n")
    assert read_store(embed(encoder, str(folder), out)[0]).superclasses == ("x", "y", "y")


def test_superclasses_are_a_task_of_their_own(tmp_path):
    folder, out = pictures(tmp_path / "set", ["a", "b", "c"]), tmp_path / "out"
    (folder / "superclasses.csv").write_text("class,superclass\na,x\nb,x\nc,y\n")
    embed(from_callable("mean", mean_colour(), digest="1"), str(folder), out)
    assert {job.task.name for job in plan(out)} == {"set", "set-super"}
    assert {job.protocol for job in plan(out, tasks=["set-super"])} == {"linear-byol", "knn"}
    evaluate(out, tasks=["set-super"])
    assert all(r.about["classes"] == ["x", "y"] and r.cell.rows[0].value > 0.6 for r in read_results(out))
    other = pictures(tmp_path / "set-super", ["a", "b"])  # a set of that name has the place
    embed(from_callable("mean", mean_colour(), digest="1"), str(other), out)
    assert [job.task.level for job in plan(out) if job.task.name == "set-super"] == ["class"] * 7


@pytest.mark.parametrize("above", ["a,x\nb,x\nc,x\n", "a,x\nb,y\nc,z\n"])
def test_superclasses_that_tell_nothing_are_no_task(tmp_path, above):
    folder = pictures(tmp_path / "set", ["a", "b", "c"])
    (folder / "superclasses.csv").write_text(above)
    embed(from_callable("mean", mean_colour(), digest="1"), str(folder), tmp_path / "out")
    assert {job.task.name for job in plan(tmp_path / "out")} == {"set"}


def test_unreadable_pictures_of_a_part_made_before_are_still_counted(tmp_path, monkeypatch):
    folder, out = pictures(tmp_path / "set", ["a", "b"]), tmp_path / "out"
    (folder / "a" / "3.png").write_bytes(b"no picture")
    monkeypatch.setattr(relic_eval.fill, "part_rows", lambda dims: 10)
    real = relic_eval.fill.write_part

    def stop(path, number, *more):
        if number == 1:
            raise KeyboardInterrupt
        real(path, number, *more)

    with monkeypatch.context() as patch:
        patch.setattr(relic_eval.fill, "write_part", stop)
        with pytest.raises(KeyboardInterrupt):
            embed(find_encoder("pixels"), str(folder), out, on_error="skip")
    (path,) = embed(find_encoder("pixels"), str(folder), out, on_error="skip")
    manifest = read_manifest(path)
    assert (manifest["rows"], len(manifest["parts"])) == (23, 6)
    assert ["a/3.png" in text for text in manifest["data"]["unreadable"]] == [True]


def test_a_cell_says_what_it_came_from(tmp_path):
    path = arrays(tmp_path)
    evaluate(tmp_path, protocols=["blocks"])
    about = read_cell(cell_path(tmp_path, "mine", "set", "blocks")).about
    assert about["stores"] == dict.fromkeys(("train", "test"), read_manifest(path)["content"])
    assert about["counts"] == {"train": 36, "valid": 12, "test": 12}
    assert about["settings"]["source"]


def test_a_small_set_leaves_out_what_it_has_too_few_images_for(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3))
    import_arrays(tmp_path, "mine", "small", x, np.repeat(["a", "b"], 10))
    done = evaluate(tmp_path)
    assert (done.made, done.failed) == (6, 0)
    assert "blocks" not in {r.protocol for r in read_results(tmp_path)}


def test_a_cell_of_a_newer_version_is_left_as_it_is(tmp_path, capsys):
    arrays(tmp_path)
    evaluate(tmp_path, protocols=["knn"])
    file = cell_path(tmp_path, "mine", "set", "knn") / "cell.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99, "key": "other"}))
    done = evaluate(tmp_path, protocols=["knn", "linear-byol"])
    assert (done.made, done.failed) == (1, 1)
    assert "newer relic-eval" in capsys.readouterr().err
    assert json.loads(file.read_text())["format"] == 99
    assert not failure_path(tmp_path, "mine", "set", "knn").exists()


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_are_no_names(tmp_path, name):
    with pytest.raises(ArgumentError, match="expected a name"):
        arrays(tmp_path, name=name)


def test_a_preset_of_blocks_is_a_protocol(tmp_path, capsys):
    """Its classes by name among others, with its titles and superclasses; a set without them is left out, and said."""
    preset = PRESETS["pets4"]
    names = np.array(["aardvark", *reversed(preset.ids)])
    y = np.repeat(np.arange(5), 60)
    x = 3 * np.eye(5)[y] + np.random.default_rng(0).normal(size=(300, 5))
    for split in ("train", "test"):
        import_arrays(tmp_path, "mine", "pets", x, names[y], split=split)
    arrays(tmp_path)
    done = evaluate(tmp_path, protocols=["blocks-pets4"])
    assert (done.made, done.failed) == (1, 0)
    assert "evaluate mine set blocks-pets4: left out, classes: expected those of the preset" in capsys.readouterr().err
    result = read_cell(cell_path(tmp_path, "mine", "pets", "blocks-pets4"))
    assert result.about["classes"] == list(preset.titles)
    assert result.about["superclasses"] == list(preset.superclasses)
    assert np.array_equal(result.cell.predictions["true"], np.repeat(np.arange(4), 50))
    assert {r.metric for r in result.cell.rows} >= {"purity", "superclass_purity", "superclass_purity_null"}
    plain = PROTOCOLS["blocks-pets4"](Embeddings(x, y, tuple(names)))
    assert result.cell.rows[0].value == plain.rows[0].value  # the same images, chosen by the evaluator itself
    assert [r.protocol for r in shown_blocks(read_results(tmp_path), ["mine"])] == ["blocks-pets4"]


def test_a_preset_needs_its_images(tmp_path):
    y = np.repeat(np.arange(4), 50)
    x = np.random.default_rng(0).normal(size=(200, 3))
    import_arrays(tmp_path, "mine", "pets", x, np.array(PRESETS["pets4"].ids)[y])  # ten of each class test
    assert evaluate(tmp_path, protocols=["blocks-pets4"]).failed == 1
    assert "50 images for pets4" in failure_path(tmp_path, "mine", "pets", "blocks-pets4").read_text()


def test_a_board_is_of_accuracies(tmp_path):
    arrays(tmp_path)
    evaluate(tmp_path, protocols=["discriminability"])
    with pytest.raises(ArgumentError, match="protocols of accuracy"):
        leaderboard(tmp_path, protocols=["discriminability"])


def test_the_command_that_makes_old_cells_again_does(tmp_path, capsys):
    """Cells of a protocol that is not run by default: the advice names it, and after it there is none."""
    import shlex

    from typer.testing import CliRunner

    from relic_eval.cli.app import app
    from relic_eval.results import read_results

    x, y = np.random.default_rng(0).normal(size=(120, 3)), np.repeat([0, 1], 60)
    import_arrays(tmp_path, "old one", "set", x, y)
    evaluate(tmp_path, protocols=["retrieval", "knn"])
    import_arrays(tmp_path, "old one", "set", x + 1, y)
    evaluate(tmp_path, protocols=["knn"])
    capsys.readouterr()
    read_results(tmp_path)
    text = capsys.readouterr().err
    assert "1 cell of older embeddings or settings, or of failed runs, is left out old one set retrieval: " in text
    words = shlex.split(text.rsplit(": '", 1)[1].strip()[:-1].replace("'\\''", "'"))
    assert words[:6] == ["relic-eval", "evaluate", "--encoder", "old one", "--protocol", "retrieval"]
    assert CliRunner().invoke(app, words[1:]).exit_code == 0
    read_results(tmp_path)
    assert "older" not in capsys.readouterr().err
