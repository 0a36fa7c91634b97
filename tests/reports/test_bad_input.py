"""Files that are gone, damaged, empty or of another format: the page says what it lacks and shows the rest."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from relic_eval import progress
from relic_eval.cells import cell_path
from relic_eval.files import digest_file
from relic_eval.tables import read_table, write_table
from reports.material import read_material
from reports.page import to_html
from reports.write import write_report


@pytest.fixture(autouse=True)
def _each_warning_anew(monkeypatch):
    monkeypatch.setattr(progress, "_warned", set())


@pytest.fixture
def out(digits_page, tmp_path):
    """A run of two encoders of pictures, to be damaged; without its report."""
    place = shutil.copytree(digits_page.parents[1], tmp_path / "run")
    shutil.rmtree(place / "report")
    return place


def cell(out, protocol="linear-byol", encoder="pixels"):
    (task,) = (out / "cells" / encoder).iterdir()
    return cell_path(out, encoder, task.name, protocol)


def edit(path, **changes):
    file = path / "cell.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def replaced(path, name, table):
    """Put another table into a cell, which describes it as its own."""
    write_table(path / f"{name}.parquet", table)
    edit(path, files={f.name: digest_file(f) for f in sorted(path.glob("*.parquet"))})


def written(out):
    return write_report(out).read_text()


def report(out, capsys, *said, make=lambda out: to_html(read_material(out))):
    """The page; each of `said` stands on it and on stderr."""
    count = len(list(out.glob("cells/*/*/*/cell.json")))
    before = {
        f: f.read_bytes() for part in ("cells", "embeddings") for f in sorted(out.glob(f"{part}/**/*.*")) if f.is_file()
    }
    page = make(out)
    err = capsys.readouterr().err
    for words in said:
        assert words in page, words
        assert words in err, words
    assert str(out) not in page  # no folder of this machine
    assert before == {f: f.read_bytes() for f in before}  # nothing is lost
    assert len(list(out.glob("cells/*/*/*/cell.json"))) == count
    return page


@pytest.mark.parametrize(
    ("number", "said"), [(99, "received 99, made by a newer relic-eval"), (0, "received 0, which no relic-eval reads")]
)
def test_a_cell_of_another_format(out, number, said, capsys):
    edit(cell(out), format=number)
    page = report(out, capsys, said)
    assert "1 cell is missing: Pixels on" in page
    assert page.count("<tr data-row") == 2  # the other encoder, and this one's other columns
    assert {r.encoder for r in read_material(out).results} == {"pixels", "random"}


@pytest.mark.parametrize("number", [99, 0])
def test_a_store_of_another_format(out, number, capsys):
    for file in out.glob("embeddings/pixels/*/*/manifest.json"):
        file.write_text(json.dumps({**json.loads(file.read_text()), "format": number}))
    page = report(out, capsys, "The embeddings of pixels on")
    assert 'id="lacking"' in page
    assert page.count("<tr data-row") == 2


@pytest.mark.parametrize("name", ["rows", "predictions"])
def test_an_empty_table(out, name, capsys):
    path = cell(out)
    replaced(path, name, {k: a[:0] for k, a in read_table(path / f"{name}.parquet").items()})
    page = report(out, capsys, f"{name}.parquet: expected a table with rows, received an empty one")
    assert page.count("<tr data-row") == 2


def test_empty_overlaps_and_curves_cost_no_page(out, capsys):
    path = cell(out, "discriminability")
    table = read_table(path / "curves.parquet")
    replaced(path, "curves", {k: a[:0] for k, a in table.items()})
    page = report(out, capsys)
    assert page.count("<tr data-row") == 2
    assert 'id="outlines"' in page


@pytest.mark.parametrize(
    ("protocol", "name", "column"),
    [
        ("linear-byol", "predictions", "item"),
        ("fewshot-5", "predictions", "correct"),
        ("blocks", "neighbours", "query"),
        ("discriminability", "curves", "x"),
        ("spectrum", "rows", "value"),
    ],
)
def test_a_column_that_is_gone(out, protocol, name, column, capsys):
    path = cell(out, protocol)
    replaced(path, name, {k: a for k, a in read_table(path / f"{name}.parquet").items() if k != column})
    page = report(out, capsys, f"{name}.parquet: expected a table with the column {column}, received none")
    assert page.count("<tr data-row") == 2


def test_thumbnails_that_are_gone(out, capsys):
    for file in out.glob("embeddings/pixels/*/*/thumbnails.parquet"):
        file.unlink()
    page = report(out, capsys, "The small pictures of pixels on")
    assert 'id="lacking"' in page
    # the other encoder's store has the same pictures, by the digest of the data
    assert "data:image/webp;base64," in page


def test_thumbnails_that_are_damaged(out, capsys):
    for file in out.glob("embeddings/*/*/*/thumbnails.parquet"):
        file.write_bytes(b"PAR1 and nothing else")
    page = report(out, capsys, "The small pictures of pixels on", "The small pictures of random on")
    assert "data:image/webp;base64," not in page


def test_single_pictures_that_are_damaged(out, capsys):
    files = sorted(out.glob("embeddings/*/*/*/thumbnails.parquet"))
    for file in files:
        table = read_table(file)
        webp = list(table["webp"])
        webp[0] = webp[0][:20]  # cut off
        webp[1] = webp[1][:30] + bytes(len(webp[1]) - 30)  # of the right length, and nothing in it
        write_table(file, {"id": table["id"], "webp": np.array(webp, object)})
    page = report(out, capsys, "1 small pictures of pixels on")
    assert "data:image/webp;base64," in page


def test_a_store_that_is_gone(out, capsys):
    shutil.rmtree(out / "embeddings" / "pixels")
    page = report(out, capsys, "The embeddings of pixels on")
    assert page.count("<tr data-row") == 2
    shutil.rmtree(out / "embeddings")
    page = report(out, capsys, "The embeddings of random on")
    assert page.count("<tr data-row") == 2
    assert "data:image/webp;base64," not in page


def test_the_page_is_made_again_once_a_table_is_whole(out, capsys):
    path = cell(out)
    content = (path / "predictions.parquet").read_bytes()
    (path / "predictions.parquet").write_bytes(content[:50])
    assert "1 cell is missing" in report(out, capsys, make=written)
    (path / "predictions.parquet").write_bytes(content)
    assert "1 cell is missing" not in report(out, capsys, make=written)


def test_a_whole_run_lacks_nothing(out, capsys):
    page = report(out, capsys)
    assert 'id="lacking"' not in page
    assert list(read_material(out).lacking) == []
    assert "warning" not in capsys.readouterr().err
