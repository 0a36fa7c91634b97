"""Pictures with masks of one's own: the layout, the ten lines, what is left out of them, and what is wrong with them."""

from __future__ import annotations

import dataclasses
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import relic_eval
import relic_eval.data.own_scenes as module
from relic_eval.cells import cell_path, key_of, read_cell, read_failures
from relic_eval.commands import Grid
from relic_eval.data import scenes as scenes_module
from relic_eval.data.duplicates import find_leaks
from relic_eval.data.own import task
from relic_eval.data.scenes import unmasked
from relic_eval.data.sources import (
    dataset_name,
    dataset_splits,
    has_masks,
    masked_pictures,
    pictures,
    refuse_inside,
    said_of,
)
from relic_eval.data.tasks import rows_that_test
from relic_eval.data.toml import read_task
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder
from relic_eval.errors import ArgumentError, DataError, UnreadableError
from relic_eval.grid import transfer
from relic_eval.outcome import Outcome
from relic_eval.tuned import tuned
from relic_eval.tuning.scenery import divide_scenes
from relic_eval.tuning.segment_linear import SegmentLinear
from relic_eval.tuning.table import PROTOCOLS

ENCODER = "random:thin-resnet,side=32,name=thin"
TOML = next(
    text
    for text in re.findall(
        r"```toml\n(.*?)```", (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(), re.DOTALL
    )
    if "miou" in text
)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "segment-linear", SegmentLinear(pixels=16, penalties=(1e-3, 1.0)))
    fcn = dataclasses.replace(PROTOCOLS["segment-fcn-small"], learning_rates=(0.01,), steps=2, crop=17, batch=4)
    monkeypatch.setitem(PROTOCOLS, "segment-fcn-small", fcn)


def pair(top, name, picture, mask, ending=".png"):
    """Save a picture and its mask."""
    for kind, array, end in (("images", picture, ending), ("masks", mask, ".png")):
        (top / kind).mkdir(parents=True, exist_ok=True)
        made = array if isinstance(array, Image.Image) else Image.fromarray(array)
        made.save(top / kind / f"{name}{end}")


def made(top, count=10, values=(0, 1), seed=0):
    """Noise in blobs, brighter where the mask has the second value; sizes differ."""
    rng = np.random.default_rng(seed)
    for n in range(count):
        high, wide = int(rng.integers(20, 28)), int(rng.integers(20, 28))
        mask = np.full((high, wide), values[0], np.uint8)
        mask[5:15, 4 + n % 5 : 15] = values[1]
        blobs = np.kron(rng.integers(0, 120, (7, 7, 3)), np.ones((4, 4, 1), int))[:high, :wide]
        pair(top, f"p{n}", (blobs + 120 * (mask == values[1])[..., None]).astype(np.uint8), mask)
    return top


@pytest.fixture(scope="module")
def pets(data_folder, tmp_path_factory):
    """A folder with the first 24 training and 12 test pairs of real pets, and the ten lines of docs/tasks.md beside it."""
    place = tmp_path_factory.mktemp("own")
    with tarfile.open(data_folder / "petmask.tar") as tar:
        for split, count in (("train", 24), ("test", 12)):
            names = sorted(n for n in tar.getnames() if n.startswith(f"{split}/images/") and n.endswith(".jpg"))[:count]
            members = [*names, *(n.replace("/images/", "/masks/").replace(".jpg", ".png") for n in names)]
            tar.extractall(place / "pets", members=[tar.getmember(n) for n in members], filter="data")
    (place / "pets.toml").write_text(TOML)
    return place


def about(out, name="my-pets"):
    return read_cell(cell_path(out, "thin", name, "segment-linear")).about


def test_the_ten_lines_of_the_documentation_are_judged(pets, tmp_path):
    assert len(TOML.splitlines()) <= 10
    assert "classes" in TOML
    file = str(pets / "pets.toml")
    assert (dataset_name(file), dataset_splits(file), said_of(file)["title"]) == (
        "my-pets",
        ("train", "test"),
        "My pets, foreground",
    )
    grid = Grid((ENCODER,), (file,), ("segment-linear",))
    assert transfer(grid, tmp_path) == Outcome(made=1)
    its = read_cell(cell_path(tmp_path, "thin", "my-pets", "segment-linear"))
    assert its.about["counts"] == {"train": 19, "valid": 5, "test": 12}
    assert its.about["classes"] == ["rest", "pet"]
    assert its.about["title"].startswith("My pets, foreground")
    assert "unreadable" not in its.about
    row = its.cell.rows[0]
    assert (row.metric, row.n) == ("miou", 12)
    assert 0.2 < row.low < row.value < row.high < 1
    true = [(np.asarray(Image.open(f)) == 255).sum() for f in sorted((pets / "pets" / "test" / "masks").iterdir())]
    table = its.cell.overlaps
    assert table["true"][table["class"] == 1].tolist() == true  # every labelled pixel was judged
    assert transfer(grid, tmp_path) == Outcome(skipped=1)


def test_the_named_set_and_ones_own_folder_of_it_hold_the_same(pets):
    theirs = masked_pictures("mini-petmask", "test")
    its = masked_pictures(str(pets / "pets.toml"), "test")
    assert its.ids.tolist() == theirs.ids[:12].tolist()
    for row in (0, 11):
        for mine, other in zip(its.read(row), theirs.read(row), strict=True):
            assert np.array_equal(mine, other)


def test_one_call_in_python(tmp_path):
    made(tmp_path / "blobs", values=(0, 7))
    own = relic_eval.task("shapes", folder=tmp_path / "blobs", metric="miou", classes={"sky": 0, "box": 7})
    both = ["segment-linear", "segment-fcn-small"]
    board = relic_eval.transfer({"thin": "random:thin-resnet,side=32"}, own, tmp_path / "out", protocols=both)
    assert sorted(board[["encoder", "task", "protocol", "metric"]].values.tolist()) == [
        ["thin", "shapes", protocol, "miou"] for protocol in sorted(both)
    ]
    assert board["value"].between(0, 1, inclusive="neither").all()
    assert about(tmp_path / "out", "shapes")["counts"] == {"train": 6, "valid": 2, "test": 2}


def test_a_folder_alone_is_a_set_whose_classes_are_the_values_in_its_masks(tmp_path, monkeypatch):
    folder = made(tmp_path / "blobs", values=(3, 7))
    mask = np.asarray(Image.open(folder / "masks" / "p0.png")).copy()
    mask[0] = 255
    Image.fromarray(mask).save(folder / "masks" / "p0.png")
    assert has_masks(str(folder))
    its = masked_pictures(str(folder), "all", tmp_path / "notes")
    assert (its.classes, its.ids[0]) == (("3", "7"), "all/p0")
    numbers = its.read(0)[1]
    assert np.array_equal(numbers, np.where(mask == 255, its.ignore, (mask == 7).astype(int)))
    monkeypatch.setattr(module, "mask_values", None)  # they are noted
    assert masked_pictures(str(folder), "all", tmp_path / "notes").classes == ("3", "7")
    with pytest.raises(ArgumentError, match="folder outside of the data"):
        refuse_inside(folder / "out", str(folder))
    with pytest.raises(
        ArgumentError, match=r"a set with labels, received blobs, which has masks\. Name it to 'relic-eval"
    ):
        embed(find_encoder("pixels"), str(folder), tmp_path / "out")
    with pytest.raises(ArgumentError, match="a set with masks, received digits"):
        masked_pictures("digits", "all")
    with pytest.raises(DataError, match="nothing was made"):
        transfer(Grid(("pixels",), (str(folder),), ("knn",)), tmp_path / "out")


def test_a_set_of_one_split_is_divided_as_labelled_ones_are(tmp_path):
    its = masked_pictures(str(made(tmp_path / "blobs", 11)), "all")
    train, valid, test = divide_scenes(its, its)
    assert [len(part) for part in (train, valid, test)] == [7, 2, 2]
    assert sorted([*train.rows, *valid.rows, *test.rows]) == list(range(11))
    whole = unmasked({"all": its})["all"]
    assert test.rows.tolist() == rows_that_test("all", whole.y_N, whole.classes).tolist()
    fewer = divide_scenes(its, its, left_out={"all": [int(train.rows[0]), int(test.rows[1])]})
    assert [part.rows.tolist() for part in fewer] == [train.rows[1:].tolist(), valid.rows.tolist(), [test.rows[0]]]
    with pytest.raises(DataError, match="readable pictures with masks to test, received none of 11 in all"):
        divide_scenes(its, its, left_out={"all": test.rows.tolist()})


def test_folders_that_validate(tmp_path):
    for seed, split in enumerate(("train", "val", "test")):
        made(tmp_path / "blobs" / split, 3 + seed, seed=seed)
    assert dataset_splits(str(tmp_path / "blobs")) == ("train", "test", "valid")
    assert masked_pictures(str(tmp_path / "blobs"), "valid").ids.tolist() == [f"valid/p{n}" for n in range(4)]
    assert tuned(find_encoder(ENCODER), str(tmp_path / "blobs"), ["segment-linear"], tmp_path / "out").made == 1
    assert about(tmp_path / "out", "blobs")["counts"] == {"train": 3, "valid": 4, "test": 5}
    shutil.rmtree(tmp_path / "blobs" / "test")
    assert dataset_splits(str(tmp_path / "blobs")) == ("train", "test")
    assert len(masked_pictures(str(tmp_path / "blobs"), "test")) == 4


def test_palettes_bits_and_names_of_classes(tmp_path):
    folder = made(tmp_path / "blobs", 3)
    values = np.asarray(Image.open(folder / "masks" / "p1.png"))
    palette = Image.fromarray(values)
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.save(folder / "masks" / "p1.png")
    Image.fromarray(values == 1).save(folder / "masks" / "p2.PNG")
    (folder / "masks" / "p2.png").unlink()
    (folder / "classes.txt").write_text("rest\nbox\nnever\n")
    its = masked_pictures(str(folder), "all")
    assert its.classes == ("rest", "box", "never")
    assert np.array_equal(its.read(1)[1], values)
    with pytest.raises(UnreadableError, match=r"p2\.PNG: expected a mask of \d+ x \d+ pixels"):
        its.read(2)  # p1's
    listed = masked_pictures(task("x", folder=folder, metric="miou", classes=["a", "b"]), "all")
    assert listed.classes == ("a", "b")
    assert listed.digest != its.digest


def test_no_mask_is_opened_to_skip_a_cell(tmp_path, monkeypatch):
    folder, encoder = made(tmp_path / "blobs"), find_encoder(ENCODER)
    for on_error in ("fail", "skip"):
        tuned(encoder, str(folder), ["segment-linear"], tmp_path / "out", on_error=on_error)
    monkeypatch.setattr(scenes_module, "opened", None)
    monkeypatch.setattr(scenes_module, "open_upright", None)
    for on_error in ("fail", "skip"):
        done = tuned(encoder, str(folder), ["segment-linear"], tmp_path / "out", on_error=on_error)
        assert done == Outcome(skipped=1)


def _grey(folder):
    Image.open(folder / "masks" / "p2.png").convert("RGB").save(folder / "masks" / "p2.png")


def _other_ending(folder):
    (folder / "masks" / "p2.png").rename(folder / "masks" / "p2.jpg")


def _all_of_one(folder):
    for file in (folder / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(file)) * 255).save(file)


def _twins(folder):
    Image.open(folder / "images" / "p2.png").save(folder / "images" / "p2.bmp")


def _no_pictures(folder):
    (folder / "images").rename(folder / "gone")
    (folder / "images").mkdir()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_grey, r"p2\.png: expected a mask of one channel of at most 8 bits, received 3 of uint8\. Save the number"),
        (_other_ending, r"p2\.png: expected a mask .*masks/p2\.png, received p2\.jpg \(and so for 1 of 6 pictures\)"),
        (lambda f: (f / "masks" / "p2.png").unlink(), r"expected a mask .*masks/p2\.png, received none"),
        (
            _all_of_one,
            r"received the values 0, 255, of which 255 is ignored\. Say which value is which class: classes =",
        ),
        (_twins, r"expected one picture of this name, received p2\.bmp too"),
        (_no_pictures, r"expected pictures in .*images, received none"),
        (lambda f: (f / "classes.txt").write_text("rest\n"), r"classes\.txt: expected at least two classes"),
        (lambda f: (f / "classes.txt").write_text("a\na\n"), r"a name of its own for each class, received 'a' twice"),
        (lambda f: (f / "classes.txt").write_bytes(b"\xff\xfe\xff"), r"classes\.txt: expected UTF-8"),
    ],
)
def test_what_is_wrong_with_a_set_is_said(tmp_path, spoil, said):
    folder = made(tmp_path / "blobs", 6)
    spoil(folder)
    with pytest.raises((DataError, ArgumentError), match=said):
        masked_pictures(str(folder), "all")


def test_values_beyond_the_classes_and_missing_folders(tmp_path):
    folder = made(tmp_path / "blobs" / "train", 6).parent
    made(folder / "test", 4, values=(0, 9))
    with pytest.raises(
        DataError, match=r"p0\.png: expected values of blobs's classes, 0, 1, or 255 .*, received 9\. Name"
    ):
        masked_pictures(str(folder), "test")
    assert tuned(find_encoder(ENCODER), str(folder), ["segment-linear"], tmp_path / "out").failed == 1
    assert "received 9" in read_failures(tmp_path / "out")[0]["error"]
    own = task("x", folder=folder, metric="miou", ignore=9)
    assert masked_pictures(own, "test").read(0)[1].max() == 2
    with pytest.raises(ArgumentError, match="ignore: expected a value that is no class of x, received 1"):
        masked_pictures(task("x", folder=folder, metric="miou", classes=["a", "b"], ignore=1), "train")
    with pytest.raises(DataError, match=r"expected a file .*no\.txt, a class name a line"):
        masked_pictures(task("x", folder=folder, metric="miou", classes=folder / "no.txt"), "train")
    shutil.rmtree(folder / "test" / "masks")
    with pytest.raises(DataError, match=r"expected images/ and masks/ in .*test, received images\. Put pictures"):
        dataset_splits(str(folder))
    with pytest.raises(
        DataError, match=r"expected images/ and masks/, or train/ and test/ .* in .*images, received no"
    ):
        dataset_splits(task("x", folder=folder / "test" / "images", metric="miou"))
    with pytest.raises(DataError, match=r"expected a folder .*nowhere, received nothing there"):
        dataset_splits(task("x", folder=folder / "nowhere", metric="miou"))
    with pytest.raises(ArgumentError, match="a name of its own, received 'mini-petmask'"):
        dataset_name(task("mini-petmask", folder=folder, metric="miou"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('folder = "a"\n', r'received folder\. Pictures with masks are a folder with metric "miou"'),
        (
            'metric = "miou"\ntrain = "a"\ntest = "b"\n',
            "folder alone where the metric is miou, received train and test",
        ),
        ('train = "a"\ntest = "b"\nignore = 3\n', "ignore: expected it of sets with masks"),
        ('metric = "miou"\nfolder = "a"\nblock_classes = ["b"]\n', "block_classes: expected it of sets with labels"),
        ('metric = "miou"\nfolder = "a"\nclasses = 3\n', "a list of names, the name of a file of them, or a table"),
        ('metric = "miou"\nfolder = "a"\nignore = "3"\n', "ignore: expected a number"),
        ('metric = "miou"\nfolder = "a"\n[classes]\nb = 0\nc = 300\n', "values from 0 to 255.*received 300"),
        (
            'metric = "miou"\nfolder = "a"\n[classes]\nb = 1\nc = 1\n',
            "a value of its own for each class, received 1 twice",
        ),
    ],
)
def test_faulty_words(tmp_path, lines, said):
    (tmp_path / "x.toml").write_text('name = "x"\n' + lines)
    with pytest.raises(ArgumentError, match=said):
        read_task(tmp_path / "x.toml")


def test_names_may_stand_in_a_file_beside_the_toml(tmp_path):
    made(tmp_path / "blobs", 6)
    (tmp_path / "names.txt").write_text("rest\nbox\n")
    (tmp_path / "x.toml").write_text('name = "x"\nmetric = "miou"\nfolder = "blobs"\nclasses = "names.txt"\n')
    assert masked_pictures(str(tmp_path / "x.toml"), "all").classes == ("rest", "box")


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_what_cannot_be_read_is_named_or_left_out_and_counted(tmp_path, kind, capsys):
    folder, out, encoder = made(tmp_path / "blobs" / "train", 10).parent, tmp_path / "out", find_encoder(ENCODER)
    made(folder / "test", 5, seed=1)
    bad = [folder / "train" / kind / "p3.png", folder / "test" / kind / "p4.png"]
    good = [file.read_bytes() for file in bad]
    for file, content in zip(bad, good, strict=True):
        file.write_bytes(content[: len(content) // 2])
    assert tuned(encoder, str(folder), ["segment-linear"], out) == Outcome(failed=1)
    assert f"{kind}/p3.png: expected a readable picture" in read_failures(out)[0]["error"]
    assert tuned(encoder, str(folder), ["segment-linear"], out, on_error="skip") == Outcome(made=1)
    said = capsys.readouterr().err
    assert "tune blobs train: 1 unreadable pictures or masks are left out, the first train/p3" in said
    assert read_failures(out) == []
    its = about(out, "blobs")
    assert its["counts"]["train"] + its["counts"]["valid"] == 9
    assert its["counts"]["test"] == 4
    assert its["unreadable"] == ["train/p3", "test/p4"]
    key = key_of(cell_path(out, "thin", "blobs", "segment-linear"))
    for file, content in zip(bad, good, strict=True):
        file.write_bytes(content)
    assert tuned(encoder, str(folder), ["segment-linear"], out, on_error="skip") == Outcome(made=1)
    assert "unreadable" not in about(out, "blobs")
    assert key_of(cell_path(out, "thin", "blobs", "segment-linear")) != key


def test_a_mask_of_another_size_is_left_out_and_one_of_strange_values_never(tmp_path):
    folder, out, encoder = made(tmp_path / "blobs"), tmp_path / "out", find_encoder(ENCODER)
    file = folder / "masks" / "p3.png"
    Image.open(file).resize((9, 9), Image.Resampling.NEAREST).save(file)
    assert tuned(encoder, str(folder), ["segment-linear"], out) == Outcome(failed=1)
    assert "p3.png: expected a mask of" in read_failures(out)[0]["error"]
    assert tuned(encoder, str(folder), ["segment-linear"], out, on_error="skip") == Outcome(made=1)
    assert about(out, "blobs")["unreadable"] == ["all/p3"]
    (folder / "classes.txt").write_text("rest\nbox\n")
    Image.fromarray(np.full((9, 9), 5, np.uint8)).save(file)
    assert tuned(encoder, str(folder), ["segment-linear"], out, on_error="skip") == Outcome(failed=1)
    assert "received 5" in read_failures(out)[0]["error"]


def test_leaked_pictures_leave_training_of_real_pets(pets, tmp_path):
    folder, out, encoder = tmp_path / "pets", tmp_path / "out", find_encoder(ENCODER)
    shutil.copytree(pets / "pets", folder)
    (tmp_path / "pets.toml").write_text(TOML)  # beside a copy of the folder
    data = str(tmp_path / "pets.toml")
    for place in sorted((folder / "test" / "images").iterdir())[:2]:
        Image.open(place).save(folder / "train" / "images" / f"again_{place.stem}.png")
        mask = folder / "test" / "masks" / f"{place.stem}.png"
        shutil.copy(mask, folder / "train" / "masks" / f"again_{place.stem}.png")
    assert tuned(encoder, data, ["segment-linear"], out, without_leaks=True) == Outcome(failed=1)
    assert "expected a search for leaks" in read_failures(out)[0]["error"]
    (leaks,) = find_leaks(data, out)
    assert leaks.counts == {"test": 12, "train": 26}
    assert set(leaks.pairs["kind"]) == {"exact"}
    assert all(name.startswith("train/again_") for name in leaks.leaked["id"])
    grid = Grid((ENCODER,), (data,), ("segment-linear",), drop_leaks=True)
    assert transfer(grid, out) == Outcome(made=1)
    its = about(out)
    assert its["counts"]["train"] + its["counts"]["valid"] == 24
    assert its["counts"]["test"] == 12
    assert its["data"]["dropped"] == its["task_settings"]["drop"] != ""
    assert transfer(grid, out) == Outcome(skipped=1)


def test_leaks_are_sought_between_the_parts_and_among_pictures_that_validate(tmp_path):
    folder = made(tmp_path / "blobs", 10)
    its = masked_pictures(str(folder), "all")
    train, valid, test = (part.ids.tolist() for part in divide_scenes(its, its))
    for leaked in (train[0], valid[0]):
        for kind in ("images", "masks"):
            shutil.copy(folder / kind / f"{test[0][4:]}.png", folder / kind / f"{leaked[4:]}.png")
    (leaks,) = find_leaks(str(folder), tmp_path / "out")
    assert leaks.counts == {"test": 2, "train": 8}
    assert set(leaks.leaked["id"]) == {train[0], valid[0]}
    for seed, split in enumerate(("train", "val", "test")):
        made(tmp_path / "other" / split, 4, seed=seed)
    shutil.copy(tmp_path / "other" / "test" / "images" / "p1.png", tmp_path / "other" / "val" / "images" / "p2.png")
    shutil.copy(tmp_path / "other" / "test" / "masks" / "p1.png", tmp_path / "other" / "val" / "masks" / "p2.png")
    (leaks,) = find_leaks(str(tmp_path / "other"), tmp_path / "out")
    assert leaks.leaked["id"].tolist() == ["valid/p2"]
    done = tuned(
        find_encoder(ENCODER), str(tmp_path / "other"), ["segment-linear"], tmp_path / "out", without_leaks=True
    )
    assert done == Outcome(made=1)
    assert about(tmp_path / "out", "other")["counts"] == {"train": 4, "valid": 3, "test": 4, "dropped": 1}


def test_pictures_cannot_be_opened_as_labelled_ones():
    with pytest.raises(ArgumentError, match="a set with labels, received mini-petmask, which has masks"):
        pictures("mini-petmask", "train")
