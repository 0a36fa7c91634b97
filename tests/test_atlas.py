"""A store as one Parquet file: its columns, their types, and what they say against the store."""

from __future__ import annotations

import io
import shlex
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import relic_eval
from relic_eval import atlas, progress
from relic_eval.cells import read_cell, write_cell
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.records import Cell, Measurement
from relic_eval.run import evaluate
from relic_eval.store import read_store, read_thumbnails
from tests.test_cli import run


@pytest.fixture(autouse=True)
def _each_warning_anew(monkeypatch):
    monkeypatch.setattr(progress, "_warned", set())


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """Sixty pictures of two classes, divided by folder; pixels, with blocks of all test pictures."""
    folder, out = tmp_path_factory.mktemp("pictures"), tmp_path_factory.mktemp("out")
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("ant", "bee"):
            (folder / split / kind).mkdir(parents=True)
            for number in range(15):
                pixels = rng.integers(0, 255, (12, 12, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / kind / f"{number:02}.png")
    relic_eval.embed("pixels", str(folder), out)
    assert evaluate(out, protocols=["blocks"]).failed == 0
    (test,) = [s.path for s in relic_eval.stores(out) if s.split == "test"]
    return out, test


def test_columns_and_types_are_what_a_viewer_opens(embedded, tmp_path, capsys):
    out, store = embedded
    target = relic_eval.export(store, tmp_path / "x.parquet")
    schema = pq.read_schema(target)
    types = {field.name: field.type for field in schema}
    assert types == {
        **dict.fromkeys(("id", "path", "class", "superclass", "split"), pa.string()),
        "label": pa.int64(),
        "image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "vector": pa.list_(pa.float32()),
        "neighbors": pa.struct([("ids", pa.list_(pa.int64())), ("distances", pa.list_(pa.float64()))]),
    }
    assert "embedding-atlas" in capsys.readouterr().err
    again = tmp_path / "y.parquet"
    relic_eval.export(out, again, encoder="pixels")
    assert again.read_bytes() == target.read_bytes()


def test_the_command_it_prints_can_be_pasted(embedded, tmp_path, capsys):
    out, _ = embedded
    target = relic_eval.export(out, tmp_path / "two words" / "it's.parquet", encoder="pixels")
    words = shlex.split(capsys.readouterr().err.splitlines()[-1].split("open them with: ")[1])
    assert words[:2] == ["embedding-atlas", str(target)]


def test_rows_are_those_of_the_store_in_its_order(embedded, tmp_path):
    _, store = embedded
    table = pq.read_table(relic_eval.export(store, tmp_path / "x.parquet")).to_pylist()
    rows, pictures = read_store(store), read_thumbnails(store)
    assert [r["id"] for r in table] == rows.ids.tolist()
    assert [r["class"] for r in table] == [rows.classes[c] for c in rows.y_N]
    assert [r["label"] for r in table] == rows.y_N.tolist()
    assert (np.array([r["vector"] for r in table], np.float32) == rows.x_ND).all()
    assert {r["split"] for r in table} == {"test"}
    first = table[0]["image"]
    with (
        Image.open(io.BytesIO(first["bytes"]), formats=["PNG"]) as shown,
        Image.open(io.BytesIO(pictures[table[0]["id"]])) as kept,
    ):
        assert (np.asarray(shown) == np.asarray(kept)).all()  # PNG: viewers do not know WebP
    assert first["path"] == "00.png"


def test_neighbours_are_row_numbers(embedded, tmp_path):
    out, store = embedded
    table = pq.read_table(relic_eval.export(store, tmp_path / "x.parquet")).to_pylist()
    x = np.array([r["vector"] for r in table])
    far = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.fill_diagonal(far, np.inf)
    for row, its in enumerate(table):
        ids = its["neighbors"]["ids"]
        assert len(ids) == 5
        assert np.allclose(far[row, ids], its["neighbors"]["distances"], rtol=1e-4)
        assert far[row, ids].max() <= np.partition(far[row], 4)[4] * (1 + 1e-4)
    # of blocks that show some of the rows no viewer could stack them
    cell = read_cell(out / "cells" / "pixels" / store.parent.name / "blocks")
    short = {name: a[:-5] for name, a in cell.cell.neighbours.items()}
    place = shutil.copytree(out, tmp_path / "copy")
    about = {k: v for k, v in cell.about.items() if k not in ("files", "format")}
    write_cell(
        place, cell.encoder, cell.task, "blocks", Cell(cell.cell.rows, cell.cell.predictions, None, short), about
    )
    names = pq.read_schema(relic_eval.export(place, tmp_path / "y.parquet", encoder="pixels")).names
    assert "neighbors" not in names


def test_a_map_gives_x_and_y(embedded, tmp_path):
    out, store = embedded
    place = shutil.copytree(out, tmp_path / "copy")
    cell = read_cell(out / "cells" / "pixels" / store.parent.name / "blocks")
    ids = cell.cell.predictions["item"][::-1]
    n = len(ids)
    table = {
        "item": ids,
        "true": np.zeros(n, int),
        "predicted": np.zeros(n, int),
        "correct": np.zeros(n),
        "score": np.zeros(n),
    }
    curves = {"name": np.repeat(["pca", "other"], n), "x": np.arange(2.0 * n), "y": -np.arange(2.0 * n)}
    about = {k: v for k, v in cell.about.items() if k not in ("files", "format")}
    write_cell(place, "pixels", cell.task, "map", Cell((Measurement("explained", 0.5, n=n),), table, curves), about)
    rows = pq.read_table(relic_eval.export(place, tmp_path / "x.parquet", encoder="pixels")).to_pylist()
    assert [r["x"] for r in rows] == [float(ids.tolist().index(r["id"])) for r in rows]
    assert all(r["y"] == -r["x"] for r in rows)


def test_arrays_without_pictures(tmp_path, capsys):
    path = relic_eval.save_embeddings(
        np.eye(4), list("aabb"), tmp_path, name="mine", superclasses={"a": "vowel", "b": "other"}
    )
    rows = pq.read_table(relic_eval.stores(path)[0].export(tmp_path / "x.parquet")).to_pylist()
    assert [r["image"] for r in rows] == [None] * 4
    assert [r["superclass"] for r in rows] == ["vowel", "vowel", "other", "other"]
    assert "--image" not in capsys.readouterr().err


def test_many_groups_and_a_large_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(atlas, "ROWS", 3)
    monkeypatch.setattr(atlas, "LARGE", 100)
    x = np.random.default_rng(0).normal(size=(10, 5)).astype(np.float32)
    path = relic_eval.save_embeddings(x, list("aabbaabbaa"), tmp_path, name="mine")
    target = relic_eval.export(path, tmp_path / "x.parquet")
    assert pq.ParquetFile(target).num_row_groups == 4
    assert (np.array(pq.read_table(target)["vector"].to_pylist(), np.float32) == x).all()
    assert "which a viewer holds in memory" in capsys.readouterr().err


def test_what_is_not_there_or_damaged(embedded, tmp_path):
    out, store = embedded
    with pytest.raises(ArgumentError, match=r"ending in \.parquet"):
        relic_eval.export(store, tmp_path / "x.csv")
    with pytest.raises(UnknownNameError, match="Did you mean 'pixels'"):
        relic_eval.export(out, tmp_path / "x.parquet", encoder="pixel")
    with pytest.raises(UnknownNameError, match="split"):
        relic_eval.export(out, tmp_path / "x.parquet", split="valid")
    place = shutil.copytree(out, tmp_path / "copy")
    part = next(place.glob("embeddings/*/*/test.*/part-00000.npy"))
    part.write_bytes(part.read_bytes()[:-4] + b"oops")
    with pytest.raises(DataError, match=r"part-00000\.npy"):
        relic_eval.export(place, tmp_path / "x.parquet", encoder="pixels")
    assert not (tmp_path / "x.parquet").exists()


def test_the_command(embedded, tmp_path):
    out, store = embedded
    for words in (["pixels", "--out", str(out)], [str(store)]):
        done = run("export", *words, "--to", str(tmp_path / "x.parquet"))
        assert done.stdout.strip() == str(tmp_path / "x.parquet")
        assert pq.read_metadata(tmp_path / "x.parquet").num_rows == 30
