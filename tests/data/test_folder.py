"""Folders of class folders, bundled data, tasks."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
from PIL import Image

from relic_eval.data.bundled import FASHION, bundled
from relic_eval.data.demo.make_fashion import SUPERCLASSES
from relic_eval.data.sources import dataset_splits, pictures
from relic_eval.data.tasks import Task, split_task
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import DataError, UnknownNameError
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
