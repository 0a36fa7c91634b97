"""Stores: whole or absent, never a pickle, older ones left alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder, from_callable
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.files import read_json, whole_folder, write_bytes
from relic_eval.intake import import_arrays
from relic_eval.store import find_stores, read_manifest, read_store, read_thumbnails, verify


def test_a_store_gives_back_what_was_put_in(tmp_path):
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    path = import_arrays(tmp_path, "a/b", "birds", x, ["owl", "tit"] * 3)
    back = read_store(path)
    np.testing.assert_array_equal(back.x_ND, x)
    assert back.classes == ("owl", "tit")
    assert verify(path) == []
    assert find_stores(tmp_path)[0].encoder == "a/b"


def test_nan_rows_are_counted_and_the_first_is_named(tmp_path):
    x = np.zeros((5, 2))
    x[3] = np.nan
    with pytest.raises(ArgumentError, match=r"1 of 5 rows \(the first is row 3"):
        import_arrays(tmp_path, "a", "birds", x, [0, 1, 0, 1, 0])
    assert find_stores(tmp_path) == []


def test_labels_that_do_not_fit(tmp_path):
    with pytest.raises(ArgumentError, match="expected 3 labels, one a row"):
        import_arrays(tmp_path, "a", "birds", np.zeros((3, 2)), [0, 1])


def test_a_newer_store_is_refused_and_left_as_it_is(tmp_path):
    path = import_arrays(tmp_path, "a", "birds", np.eye(2), [0, 1])
    manifest = read_json(path / "manifest.json") | {"format": 99}
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="newer relic-eval"):
        read_store(path)
    assert read_json(path / "manifest.json")["format"] == 99


def test_a_damaged_part_is_found(tmp_path):
    path = import_arrays(tmp_path, "a", "birds", np.eye(2), [0, 1])
    (path / "part-00000.npy").write_bytes(b"\x93NUMPY")
    assert verify(path) == ["part-00000.npy"]
    with pytest.raises(DataError, match="damaged"):
        read_store(path)


def test_a_pickle_is_never_read(tmp_path):
    path = import_arrays(tmp_path, "a", "birds", np.eye(2), [0, 1])
    np.save(path / "part-00000.npy", np.array([object(), object()]), allow_pickle=True)
    with pytest.raises(DataError, match="damaged"):
        read_store(path)


def test_embedding_is_skipped_when_it_is_there(tmp_path):
    calls = []

    def count(x):
        calls.append(len(x))
        return x.flatten(1)

    encoder = from_callable("count", count, digest="1")
    first = embed(encoder, "digits", tmp_path)
    seen = len(calls)
    assert embed(encoder, "digits", tmp_path) == first
    assert len(calls) == seen
    assert embed(from_callable("count", count, digest="2"), "digits", tmp_path) != first


def test_pixels_of_the_bundled_set_and_their_thumbnails(tmp_path):
    paths = embed(find_encoder("pixels"), "fashion", tmp_path)
    assert [read_manifest(p)["rows"] for p in paths] == [10_000, 2_000, 2_000]
    test, shifted = read_store(paths[1]), read_store(paths[2])
    assert np.bincount(test.y_N).tolist() == [200] * 10
    np.testing.assert_array_equal(test.ids, shifted.ids)
    assert np.abs(test.x_ND - shifted.x_ND).mean() > 0
    assert len(read_thumbnails(paths[1])) == 500


def test_an_encoder_that_gives_nan_names_the_picture(tmp_path):
    with pytest.raises(DataError, match="first is digits/all/0"):
        embed(from_callable("bad", lambda x: x.flatten(1) * float("nan"), digest="1"), "digits", tmp_path)
    assert find_stores(tmp_path) == []


@pytest.mark.parametrize(("name", "near"), [("pixel", "pixels"), ("random:thin-resne", "thin-resnet")])
def test_unknown_encoders_get_the_nearest_name(name, near):
    with pytest.raises(UnknownNameError, match=f"Did you mean '{near}'"):
        find_encoder(name)


def test_a_failed_write_leaves_what_was_there(tmp_path):
    place = tmp_path / "cell"
    with whole_folder(place) as new:
        write_bytes(new / "x", b"old")

    def fail():
        with whole_folder(place) as new:
            write_bytes(new / "x", b"new")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert (place / "x").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["cell"]
