"""The transfer suite: each set written in the layout of its authors, read, and held against torchvision's own reader."""

from __future__ import annotations

import hashlib
import io
import json
import pickle

import numpy as np
import pytest
import torchvision
from PIL import Image
from scipy.io import savemat

from relic_eval.data import layouts
from relic_eval.data.classes import column
from relic_eval.data.named import Counts, draw_valid, open_named
from relic_eval.data.registry import SUITES
from relic_eval.data.sources import dataset_name, pictures, split_digest
from relic_eval.data.transfer import TRANSFER
from relic_eval.errors import DataError

RNG = np.random.default_rng(0)


def jpeg(place):
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 255, (10, 12, 3)).astype(np.uint8)).save(place)


def text(place, lines):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("\n".join(lines) + "\n")


def food101(root):
    base, said = root / "food-101", {}
    for split, count in (("train", 3), ("test", 2)):
        said = {c: [f"{c}/{split}{n}" for n in range(count)] for c in ("waffles", "apple_pie")}
        text(base / "meta" / f"{split}.json", [json.dumps(said)])
        for names in said.values():
            for name in names:
                jpeg(base / "images" / f"{name}.jpg")
    return Counts(2, 6, 2, 4), lambda s: torchvision.datasets.Food101(str(root), split=s)


def aircraft(root):
    base = root / "fgvc-aircraft-2013b" / "data"
    text(base / "variants.txt", ["707-320", "Cessna 172"])
    for split, start in (("train", 10), ("val", 20), ("test", 30)):
        lines = [f"{start + n:07d} {v}" for n, v in enumerate(["Cessna 172", "707-320"])]
        text(base / f"images_variant_{split}.txt", lines)
        for line in lines:
            jpeg(base / "images" / f"{line.split()[0]}.jpg")
    return Counts(2, 4, 2, 2), lambda s: torchvision.datasets.FGVCAircraft(str(root), split=s)


def dtd(root):
    base = root / "dtd" / "dtd"
    for split in ("train", "val", "test"):
        lines = [f"{c}/{c}_{split}.jpg" for c in ("banded", "zigzagged")]
        text(base / "labels" / f"{split}1.txt", lines)
        for line in lines:
            jpeg(base / "images" / line)
    return Counts(2, 4, 2, 2), lambda s: torchvision.datasets.DTD(str(root), split=s)


def pets(root):
    base = root / "oxford-iiit-pet"
    for split, count in (("trainval", 3), ("test", 2)):
        names = [
            (f"{b}_{split}{n}", k) for k, b in enumerate(("Abyssinian", "american_bulldog"), 1) for n in range(count)
        ]
        text(base / "annotations" / f"{split}.txt", [f"{name} {k} 1 1" for name, k in names])
        for name, _ in names:
            jpeg(base / "images" / f"{name}.jpg")
    reader = torchvision.datasets.OxfordIIITPet
    return Counts(2, 6, 2, 4), lambda s: reader(str(root), split="trainval" if s == "train" else s)


def flowers102(root):
    base = root / "flowers-102"
    base.mkdir(parents=True)
    savemat(base / "setid.mat", {"trnid": [[3, 1]], "valid": [[2, 6]], "tstid": [[5, 4]]})
    savemat(base / "imagelabels.mat", {"labels": [[7, 102, 1, 7, 50, 2]]})
    for n in range(1, 7):
        jpeg(base / "jpg" / f"image_{n:05d}.jpg")

    class Unchecked(torchvision.datasets.Flowers102):
        def _check_integrity(self):  # its checksums are those of the whole set
            return True

    return Counts(102, 4, 2, 2), lambda s: Unchecked(str(root), split=s)


def cars(root):
    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": np.array([["Acura RL", "BMW X3"]], dtype=object)})
    kind = [("bbox_x1", "O"), ("class", "O"), ("fname", "O")]
    for split, file, count in (
        ("train", "devkit/cars_train_annos.mat", 6),
        ("test", "cars_test_annos_withlabels.mat", 4),
    ):
        rows = np.array([[(1, n % 2 + 1, f"{n + 1:05d}.jpg") for n in range(count)]], dtype=kind)
        savemat(base / file, {"annotations": rows})
        for n in range(count):
            jpeg(base / f"cars_{split}" / f"{n + 1:05d}.jpg")
    return Counts(2, 6, 2, 4), lambda s: torchvision.datasets.StanfordCars(str(root), split=s)


def sun397(root):
    base = root / "SUN397"
    text(base / "ClassName.txt", ["/a/abbey", "/a/apartment_building/outdoor"])
    for name, split in (("Training_01.txt", "t"), ("Testing_01.txt", "s")):
        lines = [f"/a/{c}/sun_{split}{n}.jpg" for c in ("abbey", "apartment_building/outdoor") for n in range(3)]
        text(root / "Partitions" / name, lines)
        for line in lines:
            jpeg(base / line[1:])
    return Counts(2, 6, 2, 6), None


def caltech101(root):
    for c, count in (("BACKGROUND_Google", 33), ("airplanes", 31), ("yin_yang", 35)):
        for n in range(count):
            jpeg(root / "caltech101" / "101_ObjectCategories" / c / f"image_{n + 1:04d}.jpg")
    (root / "caltech101" / "101_ObjectCategories" / "BACKGROUND_Google" / "tmp").write_bytes(b"")
    return Counts(3, 90, 15, 9), None


def birdsnap(root):
    species = [("1", "Acadian Flycatcher", "Empidonax virescens", "Acadian_Flycatcher"), ("2", "Wren", "T. t.", "Wren")]
    text(root / "species.txt", ["\t".join(x) for x in [("id", "common", "scientific", "dir"), *species]])
    rows, tested = [("url", "md5", "path", "species_id", "bb_x1")], ["path"]
    for number, *_, folder in species:
        for n in range(5):
            rows.append(("http://x", "0", f"{folder}/{n}.jpg", number, "1"))
            jpeg(root / "download" / "images" / folder / f"{n}.jpg")
        tested.append(f"{folder}/3.jpg")
    text(root / "images.txt", ["\t".join(x) for x in rows])
    text(root / "test_images.txt", tested)
    return Counts(2, 8, 3, 2), None


def voc2007(root):
    base = root / "VOCdevkit" / "VOC2007"
    said = {
        "train": {"000001": (1, -1, 0), "000002": (-1, 1, 1)},
        "val": {"000003": (-1, 0, -1)},
        "test": {"000004": (1, 1, -1)},
    }
    for split, rows in said.items():
        text(base / "ImageSets" / "Main" / f"{split}.txt", list(rows))
        for place, label in enumerate(("aeroplane", "bird", "tvmonitor")):
            text(base / "ImageSets" / "Main" / f"{label}_{split}.txt", [f"{k} {v[place]:2d}" for k, v in rows.items()])
        for key in rows:
            jpeg(base / "JPEGImages" / f"{key}.jpg")
    return Counts(3, 3, 1, 1), None


WRITERS = {
    f.__name__: f for f in (food101, aircraft, dtd, pets, flowers102, cars, sun397, caltech101, birdsnap, voc2007)
}
OFFICIAL = {"aircraft": ("train", "val"), "dtd": ("train", "val"), "flowers102": ("train", "val")}


def theirs(reader, name, split):
    """Paths and class numbers that torchvision gives, in its order."""
    found = [reader(part) for part in (OFFICIAL.get(name, ("train",)) if split == "train" else ("test",))]
    attributes = [
        getattr(x, "_samples", None) or list(zip(getattr(x, "_image_files", None) or x._images, x._labels, strict=True))
        for x in found
    ]
    return [(str(path), int(label)) for pairs in attributes for path, label in pairs]


@pytest.mark.parametrize("name", WRITERS)
def test_a_set_in_its_published_layout(name, tmp_path):
    counts, reader = WRITERS[name](tmp_path)
    train, test = (open_named(TRANSFER[name], split, tmp_path, counts=counts) for split in ("train", "test"))
    assert (len(train), int(train.valid_N.sum()), len(test)) == (counts.train, counts.valid, counts.test)
    assert train.classes == test.classes
    assert not set(train.ids) & set(test.ids)
    assert (train.metric, train.title) == (TRANSFER[name].metric, TRANSFER[name].title)
    for source in (train, test):
        assert not source.read(np.arange(len(source)), 8)[1]
    if reader:
        for split, source in (("train", train), ("test", test)):
            assert list(zip(source.paths.tolist(), source.y_N.tolist(), strict=True)) == theirs(reader, name, split)
    if name in OFFICIAL:
        parts = len(theirs(reader, name, "train")) - counts.valid
        assert train.valid_N.tolist() == [False] * parts + [True] * counts.valid
    with pytest.raises(DataError, match=rf"{name} test: expected [\d,]+ pictures, received {counts.test}\."):
        open_named(TRANSFER[name], "test", tmp_path)
    with pytest.raises(DataError, match=rf"{name} train: expected {TRANSFER[name].counts.train:,} pictures, received"):
        open_named(TRANSFER[name], "train", tmp_path)


def test_what_difficult_objects_make_of_a_picture(tmp_path):
    counts, _ = voc2007(tmp_path)
    train = open_named(TRANSFER["voc2007"], "train", tmp_path, counts=counts)
    assert train.labels_NC.tolist() == [[True, False, False], [False, True, True], [False, False, False]]
    assert train.y_N.tolist() == [0, 1, 1]
    assert train.valid_N.tolist() == [False, False, True]
    assert open_named(TRANSFER["voc2007"], "test", tmp_path, counts=counts).labels_NC.tolist() == [[True, True, False]]


def test_caltech_takes_thirty_a_class_and_never_its_tmp(tmp_path):
    counts, _ = caltech101(tmp_path)
    train, test = (open_named(TRANSFER["caltech101"], s, tmp_path, counts=counts) for s in ("train", "test"))
    assert np.bincount(train.y_N).tolist() == [30, 30, 30]
    assert np.bincount(train.y_N[train.valid_N]).tolist() == [5, 5, 5]
    assert np.bincount(test.y_N).tolist() == [3, 1, 5]
    again = open_named(TRANSFER["caltech101"], "train", tmp_path, counts=counts)
    assert np.array_equal(again.ids, train.ids)
    assert again.digest == train.digest


def cifar(root, kind):
    """The python version of CIFAR, with the checksums of this tiny one in a reader of torchvision's."""
    base = {"CIFAR10": "cifar-10-batches-py", "CIFAR100": "cifar-100-python"}[kind]
    parent = getattr(torchvision.datasets, kind)
    (root / base).mkdir(parents=True)
    label, names = (
        ("labels", ["a", "b"]) if kind == "CIFAR10" else ("fine_labels", list(column("cifar100.csv", "class")))
    )
    lists = {}
    for split in ("train_list", "test_list"):
        lists[split] = []
        for file, _ in getattr(parent, split):
            n = 4 if split == "train_list" else 2
            y = [i % 2 for i in range(n)]
            content = pickle.dumps({"data": RNG.integers(0, 255, (n, 3072)).astype(np.uint8), label: y})
            (root / base / file).write_bytes(content)
            lists[split].append([file, hashlib.md5(content).hexdigest()])
    content = pickle.dumps({parent.meta["key"]: names})
    (root / base / parent.meta["filename"]).write_bytes(content)
    meta = {**parent.meta, "md5": hashlib.md5(content).hexdigest()}
    return type("Tiny", (parent,), {**lists, "meta": meta})


@pytest.mark.parametrize("kind", ["CIFAR10", "CIFAR100"])
def test_cifar_goes_through_torchvision_and_its_checksums(kind, tmp_path):
    tiny = cifar(tmp_path, kind)
    rows = layouts.cifar(kind, tmp_path, "train", tiny)
    reader = tiny(str(tmp_path))
    assert np.array_equal(rows.read(np.arange(len(rows)), 32)[0], reader.data)
    assert rows.y_N.tolist() == reader.targets
    assert rows.classes == tuple(reader.classes)
    assert (rows.superclasses is None) == (kind == "CIFAR10")
    name = kind.lower()
    with pytest.raises(DataError, match=rf"{name}: expected the files of {kind} .* torchvision.datasets.{kind}\(root="):
        open_named(TRANSFER[name], "train", tmp_path)  # pickles of others are not opened


def test_cifar_100_has_its_own_superclasses():
    above = dict(zip(column("cifar100.csv", "class"), column("cifar100.csv", "superclass"), strict=True))
    assert len(above) == 100
    assert sorted(list(above.values()).count(s) for s in set(above.values())) == [5] * 20
    assert (above["maple_tree"], above["whale"], above["bus"]) == ("trees", "aquatic_mammals", "vehicles_1")


def parquet(folder, splits, names=("ant", "bee"), label="label"):
    import pyarrow
    import pyarrow.parquet

    (folder / "data").mkdir(parents=True)
    kept = {}
    for split, count in splits.items():
        images, labels = [], [n % 2 for n in range(count)]
        for _ in range(count):
            file = io.BytesIO()
            Image.fromarray(RNG.integers(0, 255, (9, 9, 3)).astype(np.uint8)).save(file, "PNG")
            images.append({"bytes": file.getvalue(), "path": None})
        kept[split] = images
        table = pyarrow.table({"image": images, label: labels})
        said = {"info": {"features": {label: {"names": list(names), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(said)})
        half = count // 2
        for part, rows in enumerate((table.slice(0, half), table.slice(half))):
            place = folder / "data" / f"{split}-{part:05d}-of-00002.parquet"
            pyarrow.parquet.write_table(rows, place, row_group_size=2)
    return kept


def test_parquet_of_a_hub_repository(tmp_path):
    kept = parquet(tmp_path / "birds", {"train": 8, "validation": 4, "test": 6})
    train, test = (pictures(str(tmp_path / "birds"), split) for split in ("train", "test"))
    assert (train.classes, len(train), int(train.valid_N.sum()), len(test)) == (("ant", "bee"), 12, 4, 6)
    rows = np.array([5, 0, 4])
    wanted = [np.asarray(Image.open(io.BytesIO(kept["test"][row]["bytes"]))) for row in rows]
    assert np.array_equal(test.read(rows, 9)[0], np.stack(wanted))
    assert {test.size(row) for row in range(6)} == {(9, 9)}
    assert test.y_N.tolist() == [0, 1, 0, 1, 0, 1]
    assert dataset_name(str(tmp_path / "birds")) == "birds"
    assert split_digest(str(tmp_path / "birds"), "test") == test.digest


def test_parquet_for_a_named_set_is_held_to_its_counts(tmp_path):
    parquet(tmp_path, {"train": 8, "test": 6})
    food = open_named(TRANSFER["food101"], "train", tmp_path, counts=Counts(2, 8, 2, 6))
    assert int(food.valid_N.sum()) == 2
    with pytest.raises(DataError, match=r"expected 75,750 pictures, received 8"):
        open_named(TRANSFER["food101"], "train", tmp_path)


def test_faulty_parquet(tmp_path):
    kept = parquet(tmp_path / "x", {"train": 4, "test": 4}, label="kind")
    with pytest.raises(DataError, match="a column label, received image, kind"):
        pictures(str(tmp_path / "x"), "test")
    parquet(tmp_path / "y", {"train": 4, "test": 4}, names=("ant",))
    with pytest.raises(DataError, match="labels from 0 to 0, received 0 to 1"):
        pictures(str(tmp_path / "y"), "test")
    parquet(tmp_path / "z", {"train": 4})
    for file in (tmp_path / "z" / "data").iterdir():
        file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match="a damaged one"):
        pictures(str(tmp_path / "z"), "all")
    assert kept


def test_an_unreadable_picture_in_parquet_is_named(tmp_path):
    import pyarrow
    import pyarrow.parquet

    parquet(tmp_path / "x", {"train": 4, "test": 4})
    table = pyarrow.table({"image": [{"bytes": b"none", "path": None}] * 4, "label": [0, 1, 0, 1]})
    pyarrow.parquet.write_table(table, tmp_path / "x" / "data" / "test-00001-of-00002.parquet")
    _, problems = pictures(str(tmp_path / "x"), "test").read(np.arange(6), 8)
    assert sorted(problems) == [2, 3, 4, 5]
    assert "test-00001-of-00002.parquet, row group 0, row 0" in problems[2]


def test_class_folders_for_a_named_set(tmp_path):
    for split, count in (("train", 3), ("valid", 2), ("test", 2)):
        for c in ("banded", "zigzagged"):
            for n in range(count):
                jpeg(tmp_path / split / c / f"{n}.jpg")
    train = open_named(TRANSFER["dtd"], "train", tmp_path, counts=Counts(2, 10, 4, 4))
    assert int(train.valid_N.sum()) == 4
    assert len(open_named(TRANSFER["dtd"], "test", tmp_path, counts=Counts(2, 10, 4, 4))) == 4
    with pytest.raises(DataError, match="expected 5 validation pictures, received 4"):
        open_named(TRANSFER["dtd"], "train", tmp_path, counts=Counts(2, 10, 5, 4))


def test_drawn_validation_rows_have_the_published_sizes():
    sizes = {n: t.counts for n, t in TRANSFER.items() if not t.official}
    assert {n: (c.train - c.valid, c.valid) for n, c in sizes.items()} == {
        "food101": (68_175, 7_575), "cifar10": (45_000, 5_000), "cifar100": (44_933, 5_067), "birdsnap": (42_405, 4_981),
        "sun397": (15_880, 3_970), "cars": (6_494, 1_650), "pets": (2_940, 740), "caltech101": (2_550, 510),
    }  # fmt: skip
    y_N = np.repeat(np.arange(100), 500)
    valid_N = draw_valid(y_N, 5_067, 0)
    assert valid_N.sum() == 5_067
    assert set(np.bincount(y_N[valid_N])) == {50, 51}
    pets = np.repeat(np.arange(37), np.random.default_rng(0).integers(93, 101, 37))
    assert set(np.bincount(pets[draw_valid(pets, 740, 0)])) == {20}
    with pytest.raises(DataError, match="expected more than 5"):
        draw_valid(np.repeat([0, 1], [5, 50]), 10, 0)


def test_every_missing_set_says_where_to_get_it_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RELIC_EVAL_DATA", str(tmp_path))
    for name in SUITES["transfer"]:
        with pytest.raises(
            DataError, match=rf"{name}: expected a folder {tmp_path}/{name}, received nothing there\. "
        ) as told:
            pictures(name, "test")
        assert "Parquet" in str(told.value)
        (tmp_path / name).mkdir()
        with pytest.raises(DataError, match=rf"{name}: expected .*{name}:FOLDER names another place"):
            pictures(name, "test")
    assert len(SUITES["transfer"]) == 11


def test_a_list_that_names_a_missing_picture(tmp_path):
    counts, _ = dtd(tmp_path)
    next((tmp_path / "dtd" / "dtd" / "images" / "banded").glob("*test*")).unlink()
    with pytest.raises(DataError, match=r"banded_test\.jpg, received nothing there"):
        open_named(TRANSFER["dtd"], "test", tmp_path, counts=counts)


def test_flower_names_are_torchvisions():
    assert list(column("flowers102.csv", "name")) == torchvision.datasets.Flowers102.classes


def test_a_folder_of_ones_own_that_is_called_like_a_set_is_pointed_out(tmp_path, monkeypatch):
    monkeypatch.setenv("RELIC_EVAL_DATA", str(tmp_path / "sets"))
    (tmp_path / "sets").mkdir()
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="If it is your folder pets: type pets:pets, or give it another name"):
        pictures("pets", "test")
    monkeypatch.chdir(tmp_path / "sets")
    with pytest.raises(DataError) as told:
        pictures("pets", "test")
    assert "your folder" not in str(told.value)
