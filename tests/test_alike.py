"""How alike encoders are: measured once, of the same images by id, kept, and told where it is not known."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from relic_eval.alike import alike_path, make_alike, read_alike
from relic_eval.cells import cell_path, read_cell
from relic_eval.intake import import_arrays
from relic_eval.metrics.similarity import linear_cka, mutual_knn
from relic_eval.run import evaluate
from relic_eval.store import find_stores, read_store
from reports.material import read_material
from reports.page import to_html
from reports.sections.alike import alike_section
from reports.write import write_report


@pytest.fixture
def folder(board_folder, tmp_path):
    return shutil.copytree(board_folder, tmp_path / "out")


def rows_of(out, encoder):
    """The test rows of a cell, by hand."""
    items = read_cell(cell_path(out, encoder, "animals", "linear-byol")).cell.predictions["item"]
    (store,) = (read_store(s.path) for s in find_stores(out) if s.encoder == encoder)
    place = {item: row for row, item in enumerate(store.ids.tolist())}
    return store.x_ND[[place[item] for item in sorted(items.tolist())]]


def test_numbers_are_those_of_the_test_rows(folder):
    make_alike(folder)
    (record,) = read_alike(folder)
    near, far = rows_of(folder, "near"), rows_of(folder, "far")
    assert (record.task, record.n, record.k) == ("animals", 60, 10)
    assert sorted(record.encoders) == ["far", "near"]
    assert record.cka_MM[0, 1] == pytest.approx(linear_cka(near, far), abs=1e-6)
    assert record.overlap_MM[0, 1] == pytest.approx(mutual_knn(near, far, k=10), abs=1e-6)


def test_it_is_made_once_and_again_where_a_store_changes_or_the_record_is_damaged(folder):
    make_alike(folder)
    file = alike_path(folder, "animals")
    before = file.stat().st_mtime_ns, file.read_bytes()
    make_alike(folder)
    assert (file.stat().st_mtime_ns, file.read_bytes()) == before
    file.write_text("{")
    make_alike(folder)
    assert file.read_bytes() == before[1]
    y = np.repeat(np.arange(3), 100)
    x = np.eye(3)[y] + np.random.default_rng(5).normal(0, 9, (300, 3))
    above = {"ant": "insect", "bee": "insect", "cat": "mammal"}
    import_arrays(folder, "far", "animals", x, np.array(["ant", "bee", "cat"])[y], superclasses=above)
    evaluate(folder)
    make_alike(folder)
    assert json.loads(file.read_bytes())["key"] != json.loads(before[1])["key"]


def test_more_rows_than_most_are_drawn_alike_for_all(folder, monkeypatch):
    monkeypatch.setattr("relic_eval.alike.MOST", 25)
    make_alike(folder)
    (record,) = read_alike(folder)
    chosen = np.sort(np.random.default_rng(0).permutation(60)[:25])
    assert record.n == 25
    assert record.cka_MM[0, 1] == pytest.approx(
        linear_cka(*(rows_of(folder, e)[chosen] for e in ("near", "far"))), abs=1e-6
    )


def test_the_page_shows_what_was_kept_and_says_what_is_not_known(folder):
    said = alike_section(read_material(folder))
    assert said.content["figure"] is None
    assert "relic-eval report" in said.content["why"]
    page = write_report(folder, measure=make_alike)
    shown = read_alike(folder)[0].cka_MM[0, 1]
    assert f"near and far: CKA {shown:.2f}" in page.read_text()
    before = page.stat().st_mtime_ns
    assert write_report(folder, measure=make_alike).stat().st_mtime_ns == before
    alike_path(folder, "animals").unlink()
    assert "is not known" in write_report(folder).read_text()


def test_numbers_of_older_embeddings_are_not_shown(folder):
    make_alike(folder)
    y = np.repeat(np.arange(3), 100)
    x = np.eye(3)[y] + np.random.default_rng(6).normal(0, 9, (300, 3))
    above = {"ant": "insect", "bee": "insect", "cat": "mammal"}
    import_arrays(folder, "far", "animals", x, np.array(["ant", "bee", "cat"])[y], superclasses=above)
    assert evaluate(folder, protocols=["linear-byol", "knn"]).failed == 0
    shutil.rmtree(folder / "embeddings" / "near")
    make_alike(folder)  # of one encoder alone nothing is measured, and the record stays
    (record,) = read_alike(folder)
    assert len(record.encoders) == 2
    said = alike_section(read_material(folder))
    assert said.content["figure"] is None
    assert "far: its cells are of other embeddings" in said.content["why"]


def test_embeddings_that_are_gone_are_said_to_be(folder):
    y = np.repeat(np.arange(3), 100)
    names = np.array(["ant", "bee", "cat"])[y]
    above = {"ant": "insect", "bee": "insect", "cat": "mammal"}
    import_arrays(folder, "third", "animals", np.eye(3)[y] + 0.1 * y[:, None], names, superclasses=above)
    evaluate(folder)
    shutil.rmtree(folder / "embeddings" / "far")
    make_alike(folder)
    (record,) = read_alike(folder)
    assert sorted(record.encoders) == ["near", "third"]
    assert record.left_out == (("far", "its embeddings are gone"),)
    assert "Left out: far: its embeddings are gone." in to_html(read_material(folder))


def test_two_pages_of_other_encoders_share_the_record(folder):
    make_alike(folder, ["near"])
    before = alike_path(folder, "animals").read_bytes()
    make_alike(folder, ["far", "near"], ["animals"])
    assert alike_path(folder, "animals").read_bytes() == before
    assert alike_section(read_material(folder, encoders=["near"])) is None
