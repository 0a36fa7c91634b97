"""Pictures that are tested and trained on: planted copies on real sets, the record, rows that are dropped."""

from __future__ import annotations

import dataclasses
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

import relic_eval.data.fingerprints as prints
from relic_eval.data.duplicates import find_leaks, near_leaks
from relic_eval.data.fingerprints import fingerprints
from relic_eval.data.leaks import (
    drop_digest,
    drop_leaks,
    leaked_ids,
    leaks_content,
    leaks_path,
    leaks_text,
    read_leaks,
    read_leaks_at,
)
from relic_eval.data.sources import pictures
from relic_eval.data.tasks import Task, pretraining_rows
from relic_eval.errors import DataError, UnknownNameError
from relic_eval.intake import import_arrays
from relic_eval.records import Embeddings


def noise(rng, side=40):
    """A picture of blobs, as large as a photograph's."""
    return Image.fromarray(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )


def made(folder, count=6, splits=("train", "test"), seed=0):
    rng = np.random.default_rng(seed)
    for split in splits:
        for name in ("ant", "bee"):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                noise(rng).save(folder / split / name / f"{i}.png")
    return folder


def plant(folder, copies, rng):
    """Save test pictures among the training pictures: by name, (quality, scale), or the same pixels as PNG."""
    for number, (place, how) in enumerate(copies):
        picture = Image.open(place).convert("RGB")
        target = folder / "train" / place.parent.name / f"planted{number}"
        if how is None:
            picture.save(target.with_suffix(".png"))
            continue
        quality, scale = how
        size = tuple(max(1, round(n * scale)) for n in picture.size)
        picture.resize(size, Image.Resampling.BICUBIC).save(target.with_suffix(".jpg"), quality=quality)


@pytest.mark.parametrize("name", ["oxfordpets37", "cifar10"])
def test_planted_copies_are_found_on_real_pictures(data_folder, tmp_path, name):
    folder = tmp_path / f"some-{name}"
    with tarfile.open(data_folder / f"{name}.tar") as tar:
        files = [m for m in tar.getmembers() if m.name.endswith(".jpg")]
        few = files[::3] if name == "cifar10" else files
        tar.extractall(folder, members=few, filter="data")
    rng = np.random.default_rng(7)
    tested = rng.permutation(sorted((folder / "test").rglob("*.jpg")))
    exact, again, clean = tested[:30], tested[30:110], tested[110:]
    hows = [(int(rng.integers(30, 91)), float(2 ** rng.uniform(-1, 1))) for _ in again]
    plant(folder, [*((p, None) for p in exact), *zip(again, hows, strict=True)], rng)
    (leaks,) = find_leaks(str(folder), tmp_path / "out")
    kind = dict(zip(leaks.pairs["test"], leaks.pairs["kind"], strict=True))
    found = {p: kind.get(str(p.relative_to(folder)), "") for p in tested}
    assert all(found[p] == "exact" for p in exact)
    assert np.mean([found[p] != "" for p in again]) >= 0.95
    assert not any(found[p] for p in clean)
    leaked = set(leaks.leaked["id"])
    assert all("planted" in name for name in leaked)
    assert len(leaked) >= 30 + 0.95 * len(again)
    assert leaks.share()[0] == leaks.tested() / len(tested)


def test_exact_means_pixels_not_files(tmp_path):
    folder = made(tmp_path / "set")
    picture = Image.open(folder / "test" / "ant" / "3.png")
    picture.save(folder / "train" / "bee" / "z.bmp")  # another file, another class
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned back when it is shown
    turned.save(folder / "train" / "bee" / "turned.png", exif=exif)
    turned.save(folder / "train" / "bee" / "other.png")
    (leaks,) = find_leaks(str(folder), tmp_path / "out")
    assert leaks.pairs["train"].tolist() == ["train/bee/turned.png", "train/bee/z.bmp"]
    assert set(leaks.pairs["kind"]) == {"exact"}
    assert set(leaks.pairs["distance"]) == {0.0}
    assert (leaks.tested(), leaks.tested("exact"), leaks.tested("re-encoded")) == (1, 1, 0)
    assert leaks_content(leaks)["labels_disagree"] == 2
    assert "labelled ant and bee" in leaks_text(leaks)
    assert {*leaks.thumbnails} == {"test test/ant/3.png", "train train/bee/turned.png", "train train/bee/z.bmp"}
    json.dumps(leaks_content(leaks))


def test_a_search_is_made_once_and_again_when_pictures_change(tmp_path, monkeypatch):
    folder, out = made(tmp_path / "set"), tmp_path / "out"
    (first,) = find_leaks(str(folder), out)
    assert len(first.pairs["test"]) == 0
    with monkeypatch.context() as m:
        m.setattr(prints, "_made", None)  # nothing is decoded
        m.setattr("relic_eval.data.duplicates._search", None)
        (again,) = find_leaks(str(folder), out)
    assert again.counts == {"test": 12, "train": 12}
    Image.open(folder / "test" / "ant" / "0.png").save(folder / "train" / "ant" / "new.png")
    (other,) = find_leaks(str(folder), out)
    assert other.leaked["id"].tolist() == ["train/ant/new.png"]


def test_damage_costs_another_pass(tmp_path, capsys):
    folder, out = made(tmp_path / "set"), tmp_path / "out"
    find_leaks(str(folder), out)
    for file in out.glob("leaks/pictures/*/small.npy"):
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    source = pictures(str(folder), "test")
    assert len(fingerprints(source, out)) == 12
    assert "made again" in capsys.readouterr().err
    file = leaks_path(out, "set") / "pairs.parquet"
    file.write_bytes(b"gone")
    assert read_leaks(out) == []
    assert len(find_leaks(str(folder), out)) == 1
    assert len(read_leaks(out)) == 1


def test_a_whole_set_leaks_between_the_parts_of_its_division(tmp_path):
    folder = made(tmp_path / "set", 30, ("all",)) / "all"
    source = pictures(str(folder), "all")
    seen = pretraining_rows("all", source.y_N, source.classes)
    tests = np.setdiff1d(np.arange(len(source)), seen)
    within = source.paths[seen[:2]]
    Image.open(within[0]).save(within[1])  # both are trained on: no leak
    across = (source.paths[tests[0]], source.paths[seen[5]])
    Image.open(across[0]).save(across[1])
    (leaks,) = find_leaks(str(folder), tmp_path / "out")
    assert leaks.counts == {"test": len(tests), "train": len(seen)}
    assert leaks.pairs["test"].tolist() == [source.ids[tests[0]]]
    assert leaks.leaked["id"].tolist() == [source.ids[seen[5]]]


def test_against_what_an_encoder_was_pretrained_on(tmp_path):
    folder, other = made(tmp_path / "set"), tmp_path / "big"
    made(other / "x", 8, ("all",), seed=1)
    (other / "x" / "all").rename(other / "pictures")
    place = other / "pictures" / "ant" / "0.png"
    Image.open(folder / "test" / "bee" / "1.png").save(place)
    (leaks,) = find_leaks(str(folder), tmp_path / "out", against=str(other / "pictures"))
    source = pictures(str(other / "pictures"), "all")
    seen = source.ids[pretraining_rows("all", source.y_N, source.classes)]
    assert leaks.against == "pictures"
    assert leaks.counts["train"] == len(seen)
    assert leaks.leaked["id"].tolist() == [n for n in ["ant/0.png"] if n in seen]
    assert (
        read_leaks_at(leaks_path(tmp_path / "out", "set", "pictures")).leaked["id"].tolist()
        == leaks.leaked["id"].tolist()
    )
    with pytest.raises(DataError, match="expected a search for leaks"):  # in its own training pictures it was not made
        leaked_ids(tmp_path / "out", Task("set", "set", "set"), leaks.data)


def test_unreadable_pictures_are_left_out_and_said(tmp_path, capsys):
    folder = made(tmp_path / "set")
    (folder / "train" / "ant" / "0.png").write_bytes(b"no picture")
    (leaks,) = find_leaks(str(folder), tmp_path / "out")
    assert leaks.counts == {"test": 12, "train": 11}
    assert "1 pictures cannot be read" in capsys.readouterr().err


def test_many_copies_keep_the_nearest_pairs_and_every_leaked_row(tmp_path):
    folder = made(tmp_path / "set", 3)
    for i in range(30):
        Image.open(folder / "test" / "ant" / "0.png").save(folder / "train" / "ant" / f"c{i}.png")
    (leaks,) = find_leaks(str(folder), tmp_path / "out")
    assert len(leaks.pairs["test"]) == 20
    assert len(leaks.leaked["id"]) == 30


def test_rows_are_dropped_by_id_and_the_digest_says_so(tmp_path):
    folder, out = made(tmp_path / "set"), tmp_path / "out"
    Image.open(folder / "test" / "ant" / "0.png").save(folder / "train" / "ant" / "new.png")
    (leaks,) = find_leaks(str(folder), out)
    task = Task("set", "set", "set")
    ids = leaked_ids(out, task, leaks.data)
    train = pictures(str(folder), "train")
    rows = Embeddings(np.zeros((len(train), 2)), train.y_N, train.classes, ids=train.ids)
    left = drop_leaks(rows, ids)
    assert set(rows.ids) - set(left.ids) == {"train/ant/new.png"}
    assert len(left) == len(rows) - 1
    assert dataclasses.replace(task, drop=drop_digest(ids)) != task
    assert drop_digest(ids) != drop_digest(train.ids)
    with pytest.raises(DataError, match=r"class 'bee'.*received none"):
        drop_leaks(rows, train.ids[train.y_N == 1])
    with pytest.raises(DataError, match="in the pictures as embedded"):
        leaked_ids(out, task, {"train": "other", "test": leaks.data["test"]})


def test_near_rows_of_an_encoder(tmp_path, capsys):
    rng, out = np.random.default_rng(0), tmp_path / "out"
    y, x = np.repeat([0, 1], 10), rng.normal(size=(20, 8))
    test = rng.normal(size=(20, 8))
    test[4] = 3 * x[7] + 0.02 * rng.normal(size=8)  # a cosine above 0.99; another length does not matter
    for split, z in (("train", x), ("test", test)):
        import_arrays(out, "mine", "set", z, np.array(["a", "b"])[y], split=split)
    (leaks,) = near_leaks(out, "set")
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (test, x)]
    slow = np.argwhere(unit[0] @ unit[1].T >= 0.99)
    assert slow.tolist() == [[4, 7]]
    assert (leaks.pairs["test"].tolist(), leaks.pairs["train"].tolist()) == (["set/test/4"], ["set/train/7"])
    assert leaks.pairs["distance"][0] == pytest.approx(1 - float((unit[0] @ unit[1].T)[4, 7]), abs=1e-6)
    assert leaks.share("near")[0] == 0.05
    assert near_leaks(out, "set", ["mine"])[0].pairs["test"].tolist() == ["set/test/4"]
    assert "already there" in capsys.readouterr().err
    assert [found.encoder for found in read_leaks(out)] == ["mine"]
    for split, z in (("train", x), ("test", test)):
        import_arrays(out, "narrow", "set", z + 100, np.array(["a", "b"])[y], split=split)
    near_leaks(out, "set", ["narrow"])
    assert "how narrow its cone" in capsys.readouterr().err
    with pytest.raises(UnknownNameError):
        near_leaks(out, "set", ["miner"])
    with pytest.raises(DataError, match="expected embeddings of birds"):
        near_leaks(out, "birds")
