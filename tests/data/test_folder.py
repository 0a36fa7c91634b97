"""Folders of class folders, bundled data, tasks."""

from __future__ import annotations

import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from relic_eval.data.archive import open_archive
from relic_eval.data.bundled import FASHION, bundled
from relic_eval.data.demo.make_fashion import SUPERCLASSES
from relic_eval.data.opening import open_square, stored_size
from relic_eval.data.pictures import only
from relic_eval.data.rows import of_archive, of_files, together
from relic_eval.data.sources import dataset_splits, pictures
from relic_eval.data.tasks import Task, split_task
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.fill import _sizes
from relic_eval.records import Embeddings
from relic_eval.store import read_manifest


def make(folder, count=6):
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 255, (40, 30, 3)).astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder


def test_a_folder_of_class_folders(tmp_path):
    source = pictures(str(make(tmp_path / "set")), "all")
    assert (source.classes, len(source)) == (("ant", "bee"), 12)
    pixels, problems = source.read(np.arange(3), 16)
    assert pixels.shape == (3, 16, 16, 3)
    assert not problems


def test_an_unreadable_picture_fails_by_name_or_is_left_out_and_counted(tmp_path):
    folder = make(tmp_path / "set")
    (folder / "ant" / "0.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"ant/0\.png"):
        embed(find_encoder("pixels"), str(folder), tmp_path / "out")
    (path,) = embed(find_encoder("pixels"), str(folder), tmp_path / "out", on_error="skip")
    manifest = read_manifest(path)
    assert manifest["rows"] == 11
    assert len(manifest["data"]["unreadable"]) == 1


@pytest.mark.parametrize("count", [0, 1])
def test_a_class_with_too_few_images(tmp_path, count):
    with pytest.raises(DataError, match=f"at least 3 pictures, received {count}"):
        pictures(str(make(tmp_path / "set", count)), "all")


def test_train_and_val_as_imagenet_has_them(tmp_path):
    make(tmp_path / "set" / "train")
    make(tmp_path / "set" / "val", 3)
    folder = str(tmp_path / "set")
    assert dataset_splits(folder) == ("train", "test")
    assert [len(pictures(folder, split)) for split in ("train", "test")] == [12, 6]
    make(tmp_path / "set" / "test", 2)  # where there is a test folder, it is that
    assert len(pictures(folder, "test")) == 4


@pytest.mark.parametrize("names", [["train"], ["test", "val"], ["training", "testing"]])
def test_half_a_division_is_no_class(tmp_path, names):
    for name in names:
        make(tmp_path / "set" / name)
    with pytest.raises(DataError, match=f"received only {'.*'.join(sorted(names))}"):
        dataset_splits(str(tmp_path / "set"))


def test_a_train_among_other_vehicles_is_a_class(tmp_path):
    folder = make(tmp_path / "set")
    (folder / "ant").rename(folder / "train")
    assert dataset_splits(str(folder)) == ("all",)
    assert pictures(str(folder), "all").classes == ("bee", "train")


@pytest.mark.parametrize("name", ["fashion", "digits", "fashion-super"])
def test_a_folder_with_the_name_of_something_bundled(tmp_path, name):
    make(tmp_path / name)
    with pytest.raises(ArgumentError, match=f"a name of its own, received '{name}'"):
        embed(find_encoder("pixels"), str(tmp_path / name), tmp_path / "out")
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_missing_folder_and_an_unknown_name():
    with pytest.raises(DataError, match="received nothing there"):
        dataset_splits("./nowhere")
    with pytest.raises(UnknownNameError, match="Did you mean 'fashion'"):
        dataset_splits("fashon")


def test_a_changed_picture_changes_the_digest_and_a_touched_one_does_not(tmp_path):
    folder, cache = make(tmp_path / "set"), tmp_path / "cache"
    before = pictures(str(folder), "all", cache).digest
    file = folder / "ant" / "0.png"
    file.touch()
    assert pictures(str(folder), "all", cache).digest == before
    file.write_bytes((folder / "ant" / "1.png").read_bytes())
    assert pictures(str(folder), "all", cache).digest != before


def test_the_bundled_halves_share_no_picture():
    train, test = bundled("fashion", "train"), bundled("fashion", "test")
    seen = {p.tobytes() for p in train.read(np.arange(len(train)), 28)[0]}
    assert len(seen) == 10_000
    assert not any(p.tobytes() in seen for p in test.read(np.arange(len(test)), 28)[0])
    assert np.bincount(train.y_N).tolist() == [1000] * 10
    assert set(SUPERCLASSES) == {"tops", "dress", "trousers", "shoes", "bag"}
    assert sum(f.stat().st_size for f in FASHION.iterdir()) < 6e6
    assert "MIT" in (FASHION / "LICENSE").read_text()


def test_validation_rows_are_stratified_and_apart():
    e = Embeddings(np.arange(40.0)[:, None], np.repeat([0, 1], 20), ("a", "b"), ids=np.arange(40).astype(str))
    train, valid, test = split_task(Task("t", "t", "d", "all", "all"), e, e)
    assert np.bincount(valid.y_N).tolist() == [4, 4]
    assert sorted([*train.ids, *valid.ids, *test.ids]) == sorted(e.ids)


def test_a_real_set_goes_through(tmp_path, data_folder):
    with tarfile.open(data_folder / "pets4.tar") as tar:
        tar.extractall(tmp_path / "pets4", filter="data")
    paths = embed(find_encoder("pixels"), str(tmp_path / "pets4"), tmp_path / "out")
    assert [read_manifest(p)["rows"] for p in paths] == [400, 200]


def test_deep_greys_are_scaled_and_depths_without_a_range_are_refused(tmp_path):
    ramp = np.linspace(0, 255, 32).round()[None].repeat(32, 0)
    eight = tmp_path / "8.png"
    Image.fromarray(ramp.astype(np.uint8)).save(eight)
    for name in ("16.png", "16.tif"):
        Image.fromarray((ramp * 257).astype(np.uint16)).save(tmp_path / name)
        np.testing.assert_array_equal(open_square(tmp_path / name, 32), open_square(eight, 32))
    for kind in (np.int32, np.float32):
        Image.fromarray(ramp.astype(kind)).save(tmp_path / "deep.tif")
        with pytest.raises(DataError, match="8 or 16 bits"):
            open_square(tmp_path / "deep.tif", 32)


def test_what_is_no_picture_is_not_counted_and_a_line_is_refused(tmp_path):
    folder = make(tmp_path / "set")
    (folder / "ant" / "._0.png").write_bytes(b"left by a Mac")
    (folder / "ant" / "folder.png").mkdir()
    (folder / "ant" / "dangling.png").symlink_to(tmp_path / "nowhere")
    assert len(pictures(str(folder), "all")) == 12
    Image.new("L", (1, 50_000)).save(folder / "ant" / "line.png")
    _, problems = pictures(str(folder), "all").read(np.arange(13), 16)
    assert len(problems) == 1
    assert "times as long as wide" in next(iter(problems.values()))


def test_sizes_are_noted_as_pictures_lie_upright_and_readable(tmp_path):
    """An EXIF entry turns a picture; one that cannot be read has no size; a set that is in memory has one for all."""
    folder = make(tmp_path / "set")
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(np.zeros((20, 90, 3), np.uint8)).save(folder / "ant" / "0.jpg", exif=turned)
    (folder / "bee" / "9.png").write_bytes(b"no picture")
    source = pictures(str(folder), "all")
    (row,) = np.flatnonzero(source.ids == "ant/0.jpg")
    assert source.size(row) == (90, 20)
    (path,) = embed(find_encoder("pixels"), str(folder), tmp_path / "out", on_error="skip")
    assert read_manifest(path)["data"]["sizes"] == {"of": 13, "shorter": [20, 30, 30], "longer": [40, 40, 90]}
    assert _sizes(replace(source, size=lambda row: stored_size(folder / "nothing.png")), {}) == {}
    assert _sizes(replace(source, size=None), {}) == {}
    pair = only(source, np.array([row, 1]))
    assert [pair.size(0), pair.size(1)] == [(90, 20), (30, 40)]
    paths = embed(find_encoder("pixels"), "digits", tmp_path / "digits")
    sizes = [read_manifest(p)["data"]["sizes"] for p in paths]
    assert {tuple(s["shorter"] + s["longer"]) for s in sizes} == {(8, 8, 8, 8, 8, 8)}
    assert all(s["of"] == min(500, read_manifest(p)["rows"]) for s, p in zip(sizes, paths, strict=True))


def test_sizes_of_rows_in_an_archive_and_of_parts_together(tmp_path):
    """Each picture has its own size, so that a row taken for another shows."""
    folder = tmp_path / "set"
    for number, name in enumerate(("ant", "bee")):
        (folder / name).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.zeros((5 + i, 9 + 10 * number, 3), np.uint8)).save(folder / name / f"{i}.png")
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        tar.add(folder, arcname=".")
    names, y = [f"{name}/{i}.png" for name in ("ant", "bee") for i in range(3)], np.repeat([0, 1], 3)
    archive = open_archive(tmp_path / "set.tar")
    inside = [next(n for n in archive.spans if n.endswith(name)) for name in names]
    expected = [(9 + 10 * (row // 3), 5 + row % 3) for row in range(6)]
    for rows in (of_archive(archive, inside, y, ("ant", "bee")), of_files(folder, names, y, ("ant", "bee"), "note")):
        assert [rows.size(row) for row in range(6)] == expected
        both = together([rows, rows], 1)
        assert [both.size(row) for row in range(12)] == expected * 2
        assert both.pictures("set", "train", "digest").size(7) == expected[1]
        assert together([rows, replace(rows, size=None)], 1).size is None


def test_a_class_that_skipping_would_empty_is_an_error(tmp_path, capsys):
    folder = make(tmp_path / "set")
    (folder / "ant" / "0.png").write_bytes(b"")
    embed(find_encoder("pixels"), str(folder), tmp_path / "out", on_error="skip")
    assert "left out 1 of 12 pictures" in capsys.readouterr().err
    for picture in (folder / "ant").iterdir():
        picture.write_bytes(b"")
    with pytest.raises(DataError, match="none of 'ant'"):
        embed(find_encoder("pixels"), str(folder), tmp_path / "out", on_error="skip")


@pytest.mark.parametrize("place", [".", "runs"])
def test_results_do_not_go_among_the_classes(tmp_path, place):
    folder = make(tmp_path / "set")
    with pytest.raises(ArgumentError, match="outside of the data"):
        embed(find_encoder("pixels"), str(folder), folder / place)
    assert sorted(p.name for p in folder.iterdir()) == ["ant", "bee"]


def test_a_long_path_of_another_alphabet(tmp_path):
    folder = make(tmp_path / ("птицы" * 10) / ("и звери" * 8))
    assert len(embed(find_encoder("pixels"), str(folder), tmp_path / "out")) == 1


def test_a_damaged_note_is_made_anew(tmp_path):
    folder, cache = make(tmp_path / "set"), tmp_path / "cache"
    digest = pictures(str(folder), "all", cache).digest
    (note,) = cache.iterdir()
    for content in ("{}", "[1]", "{"):
        note.write_text(content)
        assert pictures(str(folder), "all", cache).digest == digest
