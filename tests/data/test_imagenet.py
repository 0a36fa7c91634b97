"""ImageNet and its relatives: class maps by count and id, and each published layout, with one small picture a class."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from relic_eval.data.classes import column
from relic_eval.data.imagenet import (
    CLASSES,
    CORRUPTIONS,
    EXTRA,
    IMAGENET,
    NUMBER,
    OBJECTNET,
    R_WNIDS,
    ROBUST,
    SUPERCLASSES,
    WNIDS,
)
from relic_eval.data.named import Counts, open_named
from relic_eval.data.registry import SUITES, expand, find_source
from relic_eval.data.sources import dataset_splits, said_of
from relic_eval.data.tasks import named_alike, tasks_of
from relic_eval.errors import DataError
from relic_eval.metrics.blocks import class_numbers_of
from relic_eval.records import Embeddings


def content(seed):
    """Bytes of a picture of its own."""
    import io

    file = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), seed % 256, np.uint8)).save(file, "PNG")
    return file.getvalue()


def put(place, seed=0):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content(seed))


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """train/WNID/*.JPEG, two a class, and val/WNID/*.JPEG, one a class."""
    root = tmp_path_factory.mktemp("imagenet")
    for n, wnid in enumerate(WNIDS):
        put(root / "train" / wnid / f"{wnid}_7.JPEG", n)
        put(root / "train" / wnid / f"{wnid}_12.JPEG", n)
        put(root / "val" / wnid / f"ILSVRC2012_val_{n + 1:08d}.JPEG", n)
    return root


def test_class_maps_have_their_published_sizes_and_ids():
    assert (len(WNIDS), len(set(WNIDS)), len(set(CLASSES))) == (1000, 1000, 1000)
    assert list(WNIDS) == sorted(WNIDS)
    known = {"n01440764": 0, "n02123597": 284, "n02100583": 211, "n03126707": 517, "n15075141": 999}
    assert {w: NUMBER[w] for w in known} == known
    assert (CLASSES[284], CLASSES[999]) == ("n02123597 Siamese cat", "n15075141 toilet tissue")
    assert (len(R_WNIDS), len(set(R_WNIDS))) == (200, 200)
    assert set(R_WNIDS) <= set(WNIDS)
    assert (R_WNIDS[0], R_WNIDS[-1]) == ("n01443537", "n12267677")
    assert len(OBJECTNET) == 113
    assert {w for its in OBJECTNET.values() for w in its} <= set(WNIDS)
    assert OBJECTNET["chair"] == ("n02791124", "n03376595", "n04099969")
    assert OBJECTNET["banana"] == ("n07753592",)
    assert sum(map(len, OBJECTNET.values())) == len({w for its in OBJECTNET.values() for w in its})
    assert (len(CORRUPTIONS), len(EXTRA)) == (15, 4)


def test_class_maps_are_those_that_others_hold():
    import importlib.util
    from pathlib import Path

    from torchvision.models import ResNet50_Weights

    info = Path(importlib.util.find_spec("timm").origin).parent / "data" / "_info"
    assert tuple(ResNet50_Weights.IMAGENET1K_V1.meta["categories"]) == column("imagenet.csv", "name")
    assert list(WNIDS) == (info / "imagenet_synsets.txt").read_text().split()
    numbers = (info / "imagenet_r_indices.txt").read_text().split()
    assert sorted(NUMBER[w] for w in R_WNIDS) == sorted(map(int, numbers))


def test_superclasses_are_nodes_of_a_hierarchy():
    assert len(SUPERCLASSES) == 1000
    above = dict(zip(WNIDS, SUPERCLASSES, strict=True))
    assert (above["n02123597"], above["n02100583"], above["n01440764"], above["n02690373"]) == (
        "mammal",
        "mammal",
        "fish",
        "craft",
    )
    assert len(set(SUPERCLASSES)) == 30
    assert SUPERCLASSES.count("other") == 110
    assert SUPERCLASSES.count("bird") == 59


def test_imagenet_in_class_folders(imagenet):
    tiny = Counts(1000, 2000, 1000, 1000)
    train, test = (open_named(IMAGENET["imagenet"], s, imagenet, counts=tiny) for s in ("train", "test"))
    assert train.classes == test.classes == CLASSES
    assert train.y_N.tolist() == np.repeat(np.arange(1000), 2).tolist()
    assert np.bincount(train.y_N[train.valid_N]).tolist() == [1] * 1000
    assert [test.read(np.array([n]), 4)[0][0, 0, 0, 0] for n in (0, 255, 256, 999)] == [0, 255, 0, 999 % 256]
    assert len(set(map(str, train.ids)) | set(map(str, test.ids))) == 3000
    with pytest.raises(DataError, match=r"imagenet train: expected 1,281,167 pictures, received 2,000"):
        open_named(IMAGENET["imagenet"], "train", imagenet)
    with pytest.raises(DataError, match=r"imagenet test: expected 50,000 pictures, received 1,000"):
        open_named(IMAGENET["imagenet"], "test", imagenet)


@pytest.mark.parametrize("truth", ["devkit", "solution"])
def test_imagenet_with_validation_pictures_in_one_folder(tmp_path, truth):
    order = np.random.default_rng(0).permutation(1000)[:6]  # class numbers of the six pictures
    for n, label in enumerate(order, 1):
        put(tmp_path / "val" / f"ILSVRC2012_val_{n:08d}.JPEG", int(label))
    if truth == "devkit":
        data = tmp_path / "ILSVRC2012_devkit_t12" / "data"
        data.mkdir(parents=True)
        theirs = np.random.default_rng(1).permutation(1000)  # the devkit numbers classes otherwise, from 1
        kind = [("ILSVRC2012_ID", "O"), ("WNID", "O")]
        rows = np.array([(int(theirs[n]) + 1, w) for n, w in enumerate(WNIDS)], dtype=kind).reshape(-1, 1)
        savemat(data / "meta.mat", {"synsets": rows})
        (data / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{theirs[n] + 1}\n" for n in order))
    else:
        with open(tmp_path / "LOC_val_solution.csv", "w", newline="") as file:
            csv.writer(file).writerows(
                [("ImageId", "PredictionString")]
                + [
                    (f"ILSVRC2012_val_{n:08d}", f"{WNIDS[label]} 1 2 3 4 {WNIDS[0]} 1 2 3 4")
                    for n, label in enumerate(order, 1)
                ]
            )
    test = open_named(IMAGENET["imagenet"], "test", tmp_path, counts=Counts(1000, test=6))
    assert test.y_N.tolist() == order.tolist()
    assert test.read(np.arange(6), 4)[0][:, 0, 0, 0].tolist() == (order % 256).tolist()


def test_imagenet_without_a_ground_truth_or_a_class(tmp_path, imagenet):
    put(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG")
    with pytest.raises(DataError, match=r"LOC_val_solution\.csv, or ILSVRC2012_devkit_t12/"):
        open_named(IMAGENET["imagenet"], "test", tmp_path)
    for wnid in WNIDS[:-1]:
        (tmp_path / "train" / wnid).mkdir(parents=True)
    with pytest.raises(DataError, match="expected 1000 folders of wnids, received none: n15075141"):
        open_named(IMAGENET["imagenet"], "train", tmp_path)


def test_lists_of_labelled_pictures(imagenet, tmp_path):
    import os

    os.symlink(imagenet / "train", tmp_path / "train")
    os.symlink(imagenet / "val", tmp_path / "val")
    names = [f"{w}_7.JPEG" for w in WNIDS[::-1]]
    (tmp_path / "1percent.txt").write_text("\n".join(names))
    train = open_named(IMAGENET["imagenet-1pct"], "train", tmp_path, counts=Counts(1000, train=1000))
    assert [p.rsplit("/", 1)[1] for p in train.paths] == names
    assert train.y_N.tolist() == list(range(999, -1, -1))
    assert len(open_named(IMAGENET["imagenet-1pct"], "test", tmp_path, counts=Counts(1000, test=1000))) == 1000
    with pytest.raises(DataError, match="expected 12,811 pictures, received 1,000"):
        open_named(IMAGENET["imagenet-1pct"], "train", tmp_path)
    with pytest.raises(DataError, match=r"10percent\.txt, received nothing there\. Put 10percent\.txt"):
        open_named(IMAGENET["imagenet-10pct"], "train", tmp_path)
    (tmp_path / "1percent.txt").write_text("x_1.JPEG\n")
    with pytest.raises(DataError, match=r"n01440764_10026\.JPEG, received x_1"):
        open_named(IMAGENET["imagenet-1pct"], "train", tmp_path)


@pytest.mark.parametrize("nested", [False, True])
def test_imagenet_v2_folders_are_numbers(tmp_path, nested):
    root = tmp_path / "imagenetv2-top-images-format-val" if nested else tmp_path
    for n in range(1000):
        put(root / str(n) / f"{n}a.jpeg", n)
    test = open_named(IMAGENET["imagenetv2-top-images"], "test", tmp_path, counts=Counts(1000, test=1000))
    assert test.y_N.tolist() == list(range(1000))
    assert test.read(np.array([2, 10, 100]), 4)[0][:, 0, 0, 0].tolist() == [2, 10, 100]
    with pytest.raises(DataError, match="imagenetv2-top-images test: expected 10,000 pictures, received 1,000"):
        open_named(IMAGENET["imagenetv2-top-images"], "test", tmp_path)
    (root / "7" / "7a.jpeg").unlink()
    (root / "7").rmdir()
    with pytest.raises(DataError, match="received no 7"):
        open_named(IMAGENET["imagenetv2-top-images"], "test", tmp_path)


def test_imagenet_c_has_a_split_for_each_corruption_and_severity(tmp_path, imagenet):
    for place, seed in (("fog/1", 0), ("noise/gaussian_noise/5", 7), ("extra/spatter/2", 9)):
        for n, wnid in enumerate(WNIDS):
            put(tmp_path / place / wnid / f"ILSVRC2012_val_{n + 1:08d}.JPEG", n + seed)
    assert dataset_splits(f"imagenet-c:{tmp_path}") == ("gaussian_noise-5", "fog-1", "spatter-2")
    tiny = IMAGENET["imagenet-c"]
    one, five = (open_named_tiny(tiny, split, tmp_path) for split in ("fog-1", "gaussian_noise-5"))
    assert np.array_equal(one.ids, five.ids)
    assert one.y_N.tolist() == list(range(1000))
    assert five.read(np.array([3]), 4)[0][0, 0, 0, 0] == 10
    assert one.digest != five.digest
    with pytest.raises(DataError, match="imagenet-c fog-1: expected 50,000 pictures, received 1,000"):
        open_named(tiny, "fog-1", tmp_path)
    with pytest.raises(DataError, match=r"expected folders as fog/3/n01440764 .* zenodo"):
        dataset_splits(f"imagenet-c:{imagenet}")


def open_named_tiny(named, split, folder):
    import dataclasses

    return open_named(dataclasses.replace(named, each=None), split, folder, counts=Counts(1000, test=1000))


def test_imagenet_r_keeps_the_numbers_of_imagenet(tmp_path):
    for wnid in R_WNIDS:
        put(tmp_path / wnid / "art_0.jpg", NUMBER[wnid])
    (tmp_path / "README.txt").write_text("x")
    test = open_named(IMAGENET["imagenet-r"], "test", tmp_path, counts=Counts(1000, test=200))
    assert test.classes == CLASSES
    assert test.y_N.tolist() == [NUMBER[w] for w in R_WNIDS]
    rows = [Embeddings(np.zeros((len(y), 1)), y, CLASSES) for y in (test.y_N, np.arange(1000))]
    assert np.array_equal(named_alike(*rows).y_N, test.y_N)
    with pytest.raises(DataError, match="imagenet-r test: expected 30,000 pictures, received 200"):
        open_named(IMAGENET["imagenet-r"], "test", tmp_path)
    put(tmp_path / "n99999999" / "art_0.jpg")
    with pytest.raises(DataError, match="expected 200 folders of wnids, received one that is none of them: n99999999"):
        open_named(IMAGENET["imagenet-r"], "test", tmp_path)


@pytest.mark.parametrize("top", ["", "sketch"])
def test_imagenet_sketch(tmp_path, top):
    for n, wnid in enumerate(WNIDS):
        put(tmp_path / top / wnid / "sketch_0.JPEG", n)
    test = open_named(IMAGENET["imagenet-sketch"], "test", tmp_path, counts=Counts(1000, test=1000))
    assert test.y_N.tolist() == list(range(1000))
    with pytest.raises(DataError, match="expected 50,889 pictures, received 1,000"):
        open_named(IMAGENET["imagenet-sketch"], "test", tmp_path)


@pytest.mark.parametrize("top", ["images", "objectnet-1.0/images"])
def test_objectnet_loses_its_border_and_may_have_several_right_classes(tmp_path, top):
    pixels = np.full((6, 8, 3), 100, np.uint8)
    pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1] = ([255, 0, 0],) * 4
    for folder in (*OBJECTNET, "air_freshener"):
        (tmp_path / top / folder).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / top / folder / "0a.png")
    test = open_named(IMAGENET["objectnet"], "test", tmp_path, counts=Counts(1000, test=113))
    assert len(test) == 113
    assert not any("air_freshener" in i for i in test.ids)
    row = test.ids.tolist().index("chair/0a.png")
    assert np.flatnonzero(test.labels_NC[row]).tolist() == [423, 559, 765]
    assert test.y_N[row] == 423
    square, problems = test.read(np.array([row]), 4)
    assert (square == 100).all()
    assert not problems
    with pytest.raises(DataError, match="objectnet test: expected 18,574 pictures, received 113"):
        open_named(IMAGENET["objectnet"], "test", tmp_path)
    (tmp_path / top / "chair" / "0a.png").write_bytes(b"none")
    assert "chair/0a.png" in test.read(np.array([row]), 4)[1][row]


def test_a_head_of_imagenet_is_what_they_are_tested_with():
    assert SUITES["robust-imagenet"] == ROBUST
    assert len(expand(["robust-imagenet"])) == 7
    for name in ROBUST:
        assert said_of(name)["trains_on"] == "imagenet"
    (task,) = tasks_of("imagenet-r", {"test"}, True, "ImageNet-R", "top1", (), "imagenet")
    assert (task.name, task.trains_on, task.train, task.test) == ("imagenet-r", "imagenet", "train", "test")
    assert find_source("imagenet").said()["trains_on"] == ""


def test_missing_sets_say_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("RELIC_EVAL_DATA", str(tmp_path))
    for name, named in IMAGENET.items():
        with pytest.raises(DataError, match=rf"{name}: expected a folder {tmp_path}/.* (Get|Put) "):
            named.listed() if callable(named.splits) else open_named(named, "test")


def test_presets_of_blocks_find_their_classes():
    assert class_numbers_of(CLASSES, "imagenet-dogs-cats") == [211, 213, 284, 285]


def test_the_page_of_tasks_names_every_set_with_its_numbers():
    from pathlib import Path

    from relic_eval.data.registry import NAMED
    from relic_eval.data.scenes import SCENES

    text = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    for name, named in NAMED.items():
        row = next(line for line in rows if f"`{name}`" in line.split("|")[1])
        counts = named.counts
        drawn = counts.train - counts.valid if name in expand(["transfer", "voc2007"]) else counts.train
        for number in filter(None, (drawn, counts.test)):
            assert f"{number:,}" in row, (name, number)
        assert counts.classes == 1000 or row.split("|")[2].strip() == str(counts.classes), name
    for name, kind in SCENES.items():
        row = next(line for line in rows if f"`{name}`" in line.split("|")[1])
        assert all(f"{number:,}" in row for number in kind.counts.values()), name
    assert all(any(line.startswith(f"| `{suite}`") for line in rows) for suite in SUITES)
