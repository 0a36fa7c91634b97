"""What is damaged costs what it describes and nothing else; it is named, and made again where that loses nothing."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from relic_eval import progress
from relic_eval.cells import cell_path, failure_path, read_failures
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import DataError, NewerError
from relic_eval.intake import import_arrays
from relic_eval.results import read_results
from relic_eval.run import evaluate
from relic_eval.store import complete, find_stores, read_manifest, read_store, read_thumbnails, verify
from reports.write import write_report

SHAPES = ["{}", "[1]", '{"format": "2"}', '{"format": 1}', "{", ""]
QUICK = ("knn", "linear-byol")


@pytest.fixture(autouse=True)
def _each_warning_anew(monkeypatch):
    monkeypatch.setattr(progress, "_warned", set())


@pytest.fixture
def made(tmp_path):
    """Two encoders of one set, evaluated; the folder and their stores."""
    y = np.repeat([0, 1], 30)
    paths = {}
    for seed, name in enumerate(("one", "two")):
        x = np.eye(2)[y] + np.random.default_rng(seed).normal(0, 0.3, (60, 2))
        paths[name] = import_arrays(tmp_path, name, "set", x, np.array(["a", "b"])[y])
    assert evaluate(tmp_path, protocols=QUICK).made == 4
    return tmp_path, paths


def encoders(out):
    return {r.encoder for r in read_results(out)}


@pytest.mark.parametrize("content", SHAPES)
def test_a_cell(made, content, capsys):
    out, _ = made
    cell = cell_path(out, "one", "set", "knn") / "cell.json"
    cell.write_text(content)
    assert len(read_results(out)) == 3
    assert str(cell) in capsys.readouterr().err
    done = evaluate(out, protocols=QUICK)
    assert (done.made, done.skipped, done.failed) == (1, 3, 0)
    assert len(read_results(out)) == 4


@pytest.mark.parametrize("table", ["rows", "predictions", "neighbours"])
@pytest.mark.parametrize("how", ["cut", "gone", "changed"])
def test_a_table_of_a_cell(made, table, how, capsys):
    out, _ = made
    file = cell_path(out, "one", "set", "knn") / f"{table}.parquet"
    content = bytearray(file.read_bytes())
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    assert len(read_results(out)) == 3
    assert file.name in capsys.readouterr().err
    assert evaluate(out, protocols=QUICK).made == 1
    assert len(read_results(out)) == 4


@pytest.mark.parametrize("content", SHAPES)
def test_a_manifest_of_an_import(made, content, capsys):
    out, paths = made
    before = read_store(paths["one"])
    x, labels = np.array(before.x_ND), np.array(before.classes)[before.y_N]
    (paths["one"] / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_manifest(paths["one"])
    assert [s.encoder for s in find_stores(out)] == ["two"]
    assert "manifest.json" in capsys.readouterr().err
    assert encoders(out) == {"one", "two"}  # measured when it was whole
    assert evaluate(out, protocols=QUICK).skipped == 2
    write_report(out)
    assert import_arrays(out, "one", "set", x, labels) == paths["one"]
    assert verify(paths["one"]) == []
    assert evaluate(out, protocols=QUICK).skipped == 4


@pytest.mark.parametrize("content", ["[1]", "{", "", '{"all": 3}'])
def test_a_note_of_stores_in_use(made, content, capsys):
    out, paths = made
    (paths["one"].parent / "current.json").write_text(content)
    assert [s.encoder for s in find_stores(out)] == ["two"]
    assert "current.json" in capsys.readouterr().err
    import_arrays(out, "one", "set", np.eye(2)[np.repeat([0, 1], 30)], np.repeat(["a", "b"], 30))
    assert [s.encoder for s in find_stores(out)] == ["one", "two"]


@pytest.mark.parametrize("ending", ["npy", "parquet"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_part_is_encoded_again(tmp_path, ending, how, capsys):
    (path,) = embed(find_encoder("pixels"), "digits", tmp_path)
    digest = read_manifest(path)["content"]
    file = path / f"part-00000.{ending}"
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:1000])
    assert embed(find_encoder("pixels"), "digits", tmp_path) == [path]
    assert f"damaged part-00000.{ending}. It is made again" in capsys.readouterr().err
    assert read_manifest(path)["content"] == digest
    assert verify(path) == []
    assert complete(path)


def test_numbers_that_changed_fail_their_own_cells(made):
    out, paths = made
    file = paths["one"] / "part-00000.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for name in ("one", "two"):
        shutil.rmtree(out / "cells" / name)
    done = evaluate(out, protocols=QUICK)
    assert (done.made, done.failed) == (2, 2)
    assert encoders(out) == {"two"}
    assert all("part-00000.npy" in f["error"] and f["encoder"] == "one" for f in read_failures(out))


def test_a_cell_in_the_place_of_another(made, capsys):
    out, _ = made
    shutil.rmtree(out / "cells" / "one" / "set" / "knn")
    shutil.copytree(out / "cells" / "two" / "set" / "knn", out / "cells" / "one" / "set" / "knn")
    assert len(read_results(out)) == 3
    assert "received that of two set" in capsys.readouterr().err
    assert evaluate(out, protocols=QUICK).made == 1
    assert len(read_results(out)) == 4


@pytest.mark.parametrize(
    ("record", "path"),
    [("manifest", "data"), ("manifest", "encoder"), ("cell", "task_settings"), ("cell", "counts"), ("cell", "data")],
)
def test_a_record_that_is_empty_inside(made, record, path):
    out, paths = made
    folder = paths["one"] if record == "manifest" else cell_path(out, "one", "set", "knn")
    file = folder / f"{record}.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {path: {}}))
    evaluate(out, protocols=QUICK)
    write_report(out)
    assert "two" in encoders(out)


def test_a_report_is_made_again_where_a_file_of_it_is_not_what_was_written(made):
    out, _ = made
    page = write_report(out)
    whole = {f: f.read_bytes() for f in page.parent.rglob("*") if f.is_file()}
    assert len(whole) >= 6
    page.write_text("mine")
    (page.parent / "tables" / "board.csv").write_text("false")
    shutil.rmtree(page.parent / "figures")
    write_report(out)
    assert {f: f.read_bytes() for f in page.parent.rglob("*") if f.is_file()} == whole


def test_a_failure_is_forgotten_when_its_cell_stands_again(made):
    out, _ = made
    note = failure_path(out, "one", "set", "knn")
    note.parent.mkdir(parents=True)
    note.write_text("{")
    assert len(read_results(out)) == 3
    assert [(f["encoder"], f["task"], f["protocol"]) for f in read_failures(out)] == [("one", "set", "knn")]
    assert "damaged" in read_failures(out)[0]["error"]
    assert evaluate(out, protocols=QUICK).skipped == 4
    assert len(read_results(out)) == 4


def test_thumbnails_and_the_note_of_a_report(tmp_path, capsys):
    (path,) = embed(find_encoder("pixels"), "digits", tmp_path)
    evaluate(tmp_path, protocols=["linear-byol", "blocks"])
    page = write_report(tmp_path)
    (page.parent / "report.json").write_text("[")
    (path / "thumbnails.parquet").write_bytes(b"PAR1")
    assert read_thumbnails(path) == {}
    page.unlink()
    assert write_report(tmp_path) == page
    assert page.exists()
    assert "does without these pictures" in capsys.readouterr().err


def test_a_store_of_a_newer_version_costs_its_own_encoder(made, capsys):
    out, paths = made
    file = paths["one"] / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    with pytest.raises(NewerError, match="newer relic-eval"):
        complete(paths["one"])
    assert [s.encoder for s in find_stores(out)] == ["two"]
    assert "newer relic-eval" in capsys.readouterr().err
    assert json.loads(file.read_text())["format"] == 99


def test_what_others_put_beside_the_report_stays(made):
    out, _ = made
    page = write_report(out)
    (page.parent / "figures" / "mine.txt").write_text("mine")
    (page.parent / "notes.md").write_text("notes")
    write_report(out, baseline="two")
    assert (page.parent / "notes.md").read_text() == "notes"
    assert (page.parent / "figures" / "mine.txt").read_text() == "mine"
    write_report(out, encoders=["one"])
    assert (page.parent / "notes.md").exists()
    assert not (page.parent / "figures" / "change.svg").exists()
