"""The suite mini, read from its tars: the same pictures as tarfile gives, counts, validation rows, damage."""

from __future__ import annotations

import csv
import io
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from relic_eval.data.archive import open_archive
from relic_eval.data.mini import MINI, SUITE, TABLE, whole_tracks
from relic_eval.data.named import Counts, open_named
from relic_eval.data.registry import dataset_lines, expand, task_lines
from relic_eval.data.sources import dataset_name, dataset_splits, pictures, refuse_inside, split_digest
from relic_eval.data.tasks import Task, split_task
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.records import Embeddings, Transform
from relic_eval.store import read_manifest, read_store


@pytest.mark.parametrize("name", [n for n in TABLE if n != "cifar10-full"])
def test_each_set_holds_what_its_table_says_and_the_pictures_of_its_tar(name, data_folder):
    train, test = (pictures(f"mini-{name}", split) for split in dataset_splits(f"mini-{name}"))
    assert (len(train), len(test), len(train.classes)) == (TABLE[name][2], TABLE[name][3], TABLE[name][1])
    assert train.classes == test.classes
    assert len({*train.ids, *test.ids}) == len(train) + len(test)
    row = len(test) // 2
    with tarfile.open(data_folder / f"{name}.tar") as tar:
        content = tar.extractfile(test.ids[row]).read()
    theirs = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    side = min(theirs.shape[:2])
    cut = [slice((n - side) // 2, (n - side) // 2 + side) for n in theirs.shape[:2]]
    assert np.array_equal(test.read(np.array([row]), side)[0][0], theirs[cut[0], cut[1]])
    folder = test.ids[row].split("/")[1]
    assert folder.replace("_", " ").endswith(test.classes[test.y_N[row]].replace("_", " "))


def test_the_suite_has_eleven_tasks():
    assert len(SUITE) == 11
    assert set(MINI) - set(SUITE) == {"mini-pets4", "mini-cifar10-full"}


def test_cifar10_full_is_read_out_of_the_zips_in_its_tar(data_folder):
    test = pictures("mini-cifar10-full", "test")
    assert (len(test), np.bincount(test.y_N).tolist()) == (10_000, [1000] * 10)
    row = int(np.flatnonzero(test.y_N == test.classes.index("ship"))[17])
    with tarfile.open(data_folder / "cifar10-full.tar") as tar:
        inner = zipfile.ZipFile(io.BytesIO(tar.extractfile("test/ship.zip").read()))
    theirs = np.asarray(Image.open(io.BytesIO(inner.read("0017.jpg"))))
    assert np.array_equal(test.read(np.array([row]), 32)[0][0], theirs)


def test_no_traffic_sign_trains_and_validates(data_folder):
    train = pictures("mini-gtsrb40", "train")
    with tarfile.open(data_folder / "gtsrb40.tar") as tar:
        rows = csv.DictReader(io.TextIOWrapper(tar.extractfile("index.csv")))
        sign = {r["file"]: "/".join(r["source_path"].split("_")[0].split("/")[-2:]) for r in rows}
    signs = np.array([sign[i] for i in train.ids])
    assert not set(signs[train.valid_N]) & set(signs[~train.valid_N])
    for label in range(40):
        share = train.valid_N[train.y_N == label].mean()
        assert 0 < share < 0.6, train.classes[label]
    assert 0.2 <= train.valid_N.mean() < 0.3
    assert np.array_equal(pictures("mini-gtsrb40", "train").valid_N, train.valid_N)


def test_the_last_track_of_a_class_trains():
    assert not whole_tracks(np.array(["a/1"] * 9), 0).any()
    tracks = np.array(["a/1"] * 5 + ["a/2"] * 5)
    assert whole_tracks(tracks, 0).sum() == 5


@pytest.mark.parametrize("name", ["oxfordpets37", "caltech40"])
def test_validation_rows_are_stratified_at_least_one_a_class(name, data_folder):
    train, test = (pictures(f"mini-{name}", split) for split in ("train", "test"))
    rows = [Embeddings(np.zeros((len(p), 1)), p.y_N, p.classes, ids=p.ids, valid_N=p.valid_N) for p in (train, test)]
    parts = split_task(Task("t", "t", "d"), *rows)
    assert [len(set(part.y_N)) for part in parts] == [len(train.classes)] * 3
    assert len(parts[0]) + len(parts[1]) == len(train)
    assert not set(parts[0].ids) & set(parts[1].ids)


def test_counts_that_differ_name_both(data_folder):
    with pytest.raises(DataError, match=r"mini-pets4 test: expected 201 pictures, received 200"):
        open_named(MINI["mini-pets4"], "test", counts=Counts(4, train=400, test=201))
    with pytest.raises(DataError, match=r"expected 5 classes, received 4"):
        open_named(MINI["mini-pets4"], "test", counts=Counts(5, train=400, test=200))


def test_skipping_lists_nothing_and_imports_no_torch(data_folder, tmp_path, monkeypatch):
    before = split_digest("mini-cifar10-full", "test", tmp_path)
    assert before == pictures("mini-cifar10-full", "test", tmp_path).digest
    assert before != split_digest("mini-cifar10-full", "train", tmp_path)
    code = (
        "import sys; from pathlib import Path; from relic_eval.data.sources import split_digest;"
        f"print(split_digest('mini-cifar10-full', 'test', Path({str(tmp_path)!r})));"
        "assert not {'torch', 'PIL', 'pandas', 'sklearn'} & set(sys.modules); import relic_eval.data.archive as a;"
        "assert a._indexed.cache_info().currsize == 0"
    )
    import subprocess

    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == before


def test_threads_read_the_same_tar(data_folder):
    source = pictures("mini-rsscn7", "test")
    alone = source.read(np.arange(len(source)), 32)[0]
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda row: source.read(np.array([row]), 32)[0][0], range(len(source))))
    assert np.array_equal(np.stack(parts), alone)


def tiny(folder, spoil=False, count=2):
    """A pets4.tar of two pictures a class and split."""
    rng = np.random.default_rng(0)
    with tarfile.open(folder / "pets4.tar", "w") as tar:
        for split in ("train", "test"):
            for label in ("cat_a", "cat_b", "dog_a", "dog_b"):
                for n in range(count):
                    file = io.BytesIO()
                    Image.fromarray(rng.integers(0, 255, (20, 24, 3)).astype(np.uint8)).save(file, "JPEG")
                    content = file.getvalue()
                    if spoil and (split, label, n) == ("test", "dog_a", 1):
                        content = content[:60]
                    entry = tarfile.TarInfo(f"{split}/{label}/{n:04d}.jpg")
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
    return folder


def test_an_unreadable_picture_in_a_tar_is_named_or_left_out_and_counted(tmp_path, monkeypatch):
    import dataclasses

    from relic_eval.data import registry

    small = dataclasses.replace(MINI["mini-pets4"], counts=Counts(4, train=8, test=8))
    monkeypatch.setitem(registry.NAMED, "mini-pets4", small)  # the table is data; what reads it is as it is
    where = f"mini-pets4:{tiny(tmp_path, spoil=True)}"
    with pytest.raises(DataError, match=r"pets4\.tar: test/dog_a/0001\.jpg"):
        embed(find_encoder("pixels"), where, tmp_path / "out")
    _, path = embed(find_encoder("pixels"), where, tmp_path / "out", on_error="skip")
    manifest = read_manifest(path)
    assert (manifest["rows"], len(manifest["data"]["unreadable"])) == (7, 1)
    assert manifest["data"]["title"] == "Cats and dogs, four breeds"
    assert read_store(path).superclasses == ("cat", "cat", "dog", "dog")


def test_a_transform_reaches_pictures_in_a_tar(tmp_path):
    source = open_named(MINI["mini-pets4"], "test", tiny(tmp_path), counts=Counts(4, train=8, test=8))
    asked = source.read(np.array([0]), Transform(8, resize=10, interpolation="bilinear"))[0][0]
    picture = Image.open(io.BytesIO(open_archive(tmp_path / "pets4.tar").read(source.ids[0]))).convert("RGB")
    assert np.array_equal(asked, np.asarray(picture.resize((12, 10), Image.Resampling.BILINEAR).crop((2, 1, 10, 9))))


@pytest.mark.parametrize("fault", ["cut", "no tar", "other zip"])
def test_a_damaged_tar_is_named(tmp_path, fault):
    place = tiny(tmp_path) / "pets4.tar"
    if fault == "cut":
        source = open_named(MINI["mini-pets4"], "test", tmp_path, counts=Counts(4, train=8, test=8))
        place.write_bytes(place.read_bytes()[:3000])
        assert len(source.read(np.arange(8), 8)[1]) == 8
        with pytest.raises(DataError, match="pets4"):
            open_named(MINI["mini-pets4"], "test", tmp_path, counts=Counts(4, train=8, test=8))
        return
    if fault == "no tar":
        place.write_bytes(b"not a tar" * 1000)
    else:
        with tarfile.open(place, "w") as tar:
            entry = tarfile.TarInfo("train/x.zip")
            entry.size = 5
            tar.addfile(entry, io.BytesIO(b"12345"))
    with pytest.raises(DataError, match=r"pets4\.tar"):
        open_named(MINI["mini-pets4"], "test", tmp_path)


def test_a_changed_tar_is_read_anew(tmp_path):
    read = lambda count: open_named(  # noqa: E731
        MINI["mini-pets4"], "test", tiny(tmp_path, count=count), tmp_path, Counts(4, train=4 * count, test=4 * count)
    )
    first, second = read(2), read(3)
    assert (len(first), len(second)) == (8, 12)
    assert first.digest != second.digest


def test_missing_variable_file_and_name(tmp_path, monkeypatch):
    monkeypatch.delenv("RELIC_EVAL_DATA", raising=False)
    with pytest.raises(DataError, match=r"mini-mnist: expected RELIC_EVAL_DATA .* export RELIC_EVAL_DATA="):
        pictures("mini-mnist", "test")
    monkeypatch.setenv("RELIC_EVAL_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="where there is none"):
        pictures("mini-mnist", "test")
    monkeypatch.setenv("RELIC_EVAL_DATA", str(tmp_path))
    for ask in (pictures, split_digest):
        with pytest.raises(DataError, match=r"mnist\.tar, received nothing there. Put mnist\.tar"):
            ask("mini-mnist", "test")
    with pytest.raises(UnknownNameError, match="Did you mean 'mini-mnist'"):
        pictures("mini-mnst", "test")
    with pytest.raises(UnknownNameError, match="'val'"):
        pictures("mini-mnist", "val")
    assert dataset_name("mini-mnist") == "mini-mnist"


def test_suites_stand_for_sets_and_are_none(data_folder, tmp_path):
    with pytest.raises(ArgumentError, match=r"the suite mini\. It stands for mini-cifar10, "):
        pictures("mini", "test")
    assert expand(["digits", "mini", "mini-mnist"]) == ("digits", *SUITE)
    (tmp_path / "food101").mkdir()
    with pytest.raises(ArgumentError, match="Type food101:FOLDER for that very set"):
        dataset_name(str(tmp_path / "food101"))
    assert dataset_name(f"food101:{tmp_path / 'food101'}") == "food101"
    with pytest.raises(ArgumentError, match="outside of the data"):
        refuse_inside(tmp_path / "food101" / "out", f"food101:{tmp_path / 'food101'}")
    refuse_inside(data_folder / "out", "mini-mnist")  # a tar takes no class from a folder beside it


def test_masks_of_ones_own_need_pictures_that_are_files(tmp_path):
    from pretrain.saliency.own import _size

    source = open_named(MINI["mini-pets4"], "test", tiny(tmp_path), counts=Counts(4, train=8, test=8))
    with pytest.raises(DataError, match="expected pictures that are files"):
        _size(source, 0)


def test_every_set_and_task_is_listed():
    sets, tasks = dataset_lines(), task_lines()
    assert "mini-mnist: Digits, small MNIST; 10 classes, 1,000 train, 500 test; top1" in sets
    assert "imagenet-r: ImageNet-R; 1000 classes, 30,000 test; top1" in sets
    assert any(line.startswith("transfer: the suite of food101, cifar10,") for line in sets)
    assert "mini-mnist: Digits, small MNIST (mini-mnist, train -> test)" in tasks
    assert "imagenet-r: ImageNet-R (imagenet, train -> imagenet-r, test)" in tasks


def test_classes_are_called_what_people_read(data_folder):
    classes = pictures("mini-tinyimagenet40", "test").classes
    assert {"trilobite", "sea slug"} <= set(classes)
    assert len(set(classes)) == 40
    assert not any(name[0] == "n" and name[1:9].isdigit() for name in classes)


def test_every_sign_has_tracks_that_train_and_tracks_that_validate(data_folder):
    train = pictures("mini-gtsrb40", "train")
    for label in range(40):
        its = train.valid_N[train.y_N == label]
        assert its.any(), train.classes[label]
        assert not its.all(), train.classes[label]
