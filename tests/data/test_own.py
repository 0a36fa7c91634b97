"""Tasks of one's own: folders, listings, TOML, and what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from relic_eval.data.own import task
from relic_eval.data.sources import dataset_name, dataset_splits, pictures, refuse_inside, said_of, split_digest
from relic_eval.data.tasks import tasks_of
from relic_eval.data.toml import KEYS, read_task
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.store import read_manifest, read_store

TEN_LINES = """\
name = "garden"
title = "Animals of the garden"
metric = "mean_per_class"
train = "pictures/train"
valid = "pictures/valid"
test = "pictures/test"
superclasses = "above.csv"
block_classes = ["bee", "cat"]
"""


def make(folder, classes=("ant", "bee", "cat"), count=4, seed=0):
    rng = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 255, (12, 9, 3)).astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture
def garden(tmp_path):
    for seed, (split, classes) in enumerate((("train", "abc"), ("valid", "ab"), ("test", "bc"))):
        names = {"a": "ant", "b": "bee", "c": "cat"}
        make(tmp_path / "pictures" / split, [names[c] for c in classes], 3, seed)
    (tmp_path / "above.csv").write_text("class,superclass\nant,insect\nbee,insect\ncat,mammal\n")
    (tmp_path / "garden.toml").write_text(TEN_LINES)
    return tmp_path


def test_ten_lines_of_toml_are_a_task(garden, tmp_path):
    file = str(garden / "garden.toml")
    assert (dataset_name(file), dataset_splits(file)) == ("garden", ("train", "test"))
    train, test = (pictures(file, split) for split in ("train", "test"))
    assert train.classes == test.classes == ("ant", "bee", "cat")
    assert train.superclasses == ("insect", "insect", "mammal")
    assert train.y_N.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [0] * 3 + [1] * 3
    assert train.valid_N.tolist() == [False] * 9 + [True] * 6
    assert test.y_N.tolist() == [1] * 3 + [2] * 3  # training's numbers, though ant is not tested
    assert test.valid_N is None
    assert len({*train.ids, *test.ids}) == 21
    assert (train.title, train.metric, train.blocks) == ("Animals of the garden", "mean_per_class", ("bee", "cat"))
    rows = np.array([10, 1, 14, 0])  # of both folders, in another order
    theirs = [Image.open(train.paths[row]).convert("RGB").crop((0, 1, 9, 10)) for row in rows]
    assert np.array_equal(train.read(rows, 9)[0], np.stack([np.asarray(picture) for picture in theirs]))


def test_what_toml_says_reaches_the_manifest_and_a_change_of_words_embeds_nothing(garden, tmp_path, monkeypatch):
    file, out = str(garden / "garden.toml"), tmp_path / "out"
    train, _ = embed(find_encoder("pixels"), file, out)
    data = read_manifest(train)["data"]
    assert (data["title"], data["metric"], data["blocks"]) == (
        "Animals of the garden",
        "mean_per_class",
        ["bee", "cat"],
    )
    assert read_store(train).valid_N.sum() == 6
    (garden / "garden.toml").write_text(
        TEN_LINES.replace("of the garden", "outside").replace('"mean_per_class"', '"top1"')
    )
    before = (train / "part-00000.npy").stat().st_mtime_ns
    again, _ = embed(find_encoder("pixels"), file, out)
    data = read_manifest(again)["data"]
    assert again == train
    assert (train / "part-00000.npy").stat().st_mtime_ns == before
    assert data["title"] == "Animals outside"
    assert "metric" not in data
    asked = tasks_of("garden", {"train", "test"}, True, data["title"], "top1", tuple(data["blocks"]))
    assert asked[0].block_classes == ("bee", "cat")


def test_the_call_and_the_file_are_the_same_set(garden):
    top = garden / "pictures"
    own = task("garden", train=top / "train", valid=top / "valid", test=top / "test", superclasses=garden / "above.csv")
    assert split_digest(own, "train") == split_digest(str(garden / "garden.toml"), "train")
    assert said_of(own) == {"title": "garden", "metric": "", "blocks": [], "trains_on": ""}
    mapped = task("garden", train=top / "train", test=top / "test", superclasses={"ant": "i", "bee": "i", "cat": "m"})
    assert pictures(mapped, "test").superclasses == ("i", "i", "m")
    assert pictures(mapped, "train").valid_N is None


def listing(folder, text):
    make(folder / "all")
    (folder / "list.csv").write_text(text)
    return task("mine", folder=folder / "all", listing=folder / "list.csv")


def test_a_listing_says_which_file_is_what(tmp_path):
    lines = ["file,label,split"]
    lines += [
        f"{c}/{i}.png,{c.upper()},{['train', 'valid', 'test'][max(0, i - 1)]}" for c in ("ant", "bee") for i in range(4)
    ]
    own = listing(tmp_path, "\n".join(lines))
    train, test = pictures(own, "train"), pictures(own, "test")
    assert train.classes == ("ANT", "BEE")
    assert train.ids.tolist() == ["ant/0.png", "ant/1.png", "ant/2.png", "bee/0.png", "bee/1.png", "bee/2.png"]
    assert train.valid_N.tolist() == [False, False, True] * 2
    assert test.ids.tolist() == ["ant/3.png", "bee/3.png"]
    assert own.places == (tmp_path / "all",)


def test_a_listing_without_splits_is_divided(tmp_path):
    own = listing(tmp_path, "file,label\n" + "\n".join(f"{c}/{i}.png,{c}" for c in ("ant", "bee") for i in range(4)))
    assert dataset_splits(own) == ("all",)
    assert len(pictures(own, "all")) == 8


def test_several_labels_a_picture(tmp_path):
    lines = "file,label,split\nant/0.png,red,train\nant/0.png,blue,train\nant/1.png,blue,train\nbee/0.png,red,test\n"
    own = listing(tmp_path, lines)
    with pytest.raises(DataError, match=r"one line for each file, received 2 for ant/0\.png"):
        pictures(own, "train")
    many = task("mine", folder=tmp_path / "all", listing=tmp_path / "list.csv", metric="map11")
    train = pictures(many, "train")
    assert train.classes == ("blue", "red")
    assert train.labels_NC.tolist() == [[True, True], [True, False]]
    assert train.y_N.tolist() == [1, 0]
    assert pictures(many, "test").labels_NC.tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,label\n", "columns file, label, split, received none"),
        ("path,label\na,b\n", "received path, label"),
        ("file,label,split\nant/0.png,a,tset\n", "line 2"),
        ("file,label,split\nant/0.png,a,train\nant/1.png,b,test\n", "received none of 'b'"),
        ("file,label,split\nant/0.png,a,train\nant/0.png,a,test\n", r"in one split, received train and test"),
        ("file,label,split\nant/9.png,a,train\nbee/0.png,b,train\n", r"ant/9\.png"),
        ("file,label,split\nant/0.png,a,train\nbee/0.png,b,train\n", "at least 2 pictures of every class, received 1"),
    ],
)
def test_faulty_listings(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        pictures(listing(tmp_path, text), "train")


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ('tran = "x"', UnknownNameError, "Did you mean 'train'"),
        ("title = 3", ArgumentError, "title: expected text in quotes, received 3"),
        ('block_classes = "ant"', ArgumentError, "a list of class names"),
        ("superclasses = 3", ArgumentError, "a table of class = superclass"),
        ('metric = "top-1"', UnknownNameError, "x.toml: metric: expected one of .* Did you mean 'top1'"),
        ('folder = "x"', ArgumentError, "or folder and listing, received train and test and folder"),
        ("title = ", DataError, "expected TOML"),
        ('name = "a/b"', ArgumentError, "a name without slashes"),
    ],
)
def test_faulty_toml(tmp_path, line, kind, said):
    key = line.split(" ")[0]
    lines = [x for x in ('name = "n"', 'train = "a"', 'test = "b"') if not x.startswith(f"{key} ")]
    file = tmp_path / "x.toml"
    file.write_text("\n".join([*lines, line]))
    with pytest.raises(kind, match=said):
        read_task(file)


def test_missing_and_known_names(tmp_path):
    with pytest.raises(DataError, match="received nothing there"):
        dataset_splits(str(tmp_path / "no.toml"))
    (tmp_path / "x.toml").write_text('train = "a"\ntest = "b"\n')
    with pytest.raises(ArgumentError, match="a line name = "):
        dataset_splits(str(tmp_path / "x.toml"))
    with pytest.raises(ArgumentError, match="a name of its own, received 'mini-mnist'"):
        dataset_name(task("mini-mnist", train="a", test="b"))
    with pytest.raises(ArgumentError, match="a name of its own, received 'fashion'"):
        dataset_name(task("fashion", train="a", test="b"))
    with pytest.raises(DataError, match="expected a folder a"):
        pictures(task("x", train="a", test="b"), "train")
    with pytest.raises(ArgumentError, match="received train"):
        task("x", train="a")
    assert set(KEYS) >= {"name", "title", "metric", "train", "test", "valid", "superclasses", "block_classes"}


def test_classes_that_never_train_and_strange_blocks(garden):
    make(garden / "pictures" / "test2", ("bee", "dog"))
    top = garden / "pictures"
    with pytest.raises(DataError, match="training pictures of every class, received none of 'dog'"):
        pictures(task("x", train=top / "train", test=top / "test2"), "test")
    with pytest.raises(UnknownNameError, match="Did you mean 'bee'"):
        pictures(task("x", train=top / "train", test=top / "test", block_classes=["beee"]), "test")
    with pytest.raises(DataError, match="received none for 'cat'"):
        pictures(task("x", train=top / "train", test=top / "test", superclasses={"ant": "i", "bee": "i"}), "test")


def test_results_do_not_go_among_the_pictures(garden):
    with pytest.raises(ArgumentError, match="outside of the data"):
        refuse_inside(garden / "pictures" / "train" / "out", str(garden / "garden.toml"))
    refuse_inside(garden / "out", str(garden / "garden.toml"))


def test_an_unreadable_picture_is_named(garden, tmp_path):
    (garden / "pictures" / "valid" / "bee" / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"valid/bee/1\.png"):
        embed(find_encoder("pixels"), str(garden / "garden.toml"), tmp_path / "out")
    train, _ = embed(find_encoder("pixels"), str(garden / "garden.toml"), tmp_path / "out", on_error="skip")
    assert read_manifest(train)["data"]["absent"] == [[13, 1]]
    assert read_store(train).valid_N.tolist() == [False] * 9 + [True] * 5
