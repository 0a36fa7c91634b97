"""Corruptions of pictures: the library's own, the same whatever the batch, of any size and of grey pictures."""

from __future__ import annotations

import dataclasses
import os
import sys
import tarfile
import threading
from collections import Counter

import numpy as np
import pytest

from relic_eval.data.bundled import bundled
from relic_eval.data.corruptions import (
    KINDS,
    SEEDED,
    Corruptions,
    corrupted,
    corruptions_of,
    first_of_each,
    held,
    library_version,
    with_corruptions,
)
from relic_eval.data.pictures import from_array, only, resize
from relic_eval.data.tasks import Task, split_task
from relic_eval.encode import embed
from relic_eval.encoders.load import from_callable
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.robust import Robust
from relic_eval.files import digest_file, digest_json, read_json
from relic_eval.records import Transform
from relic_eval.store import find_stores, read_manifest, read_store, verify
from relic_eval.tables import read_table

if os.environ.get("CI"):
    import imagecorruptions
else:
    imagecorruptions = pytest.importorskip("imagecorruptions", reason="the extra [robust] is not installed")


def source(side=40, count=6, channels=3):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (count, side // 4, side // 4, channels)).astype(np.uint8)
    pixels = coarse.repeat(4, 1).repeat(4, 2)
    return from_array("toy", "test", pixels, np.arange(count) % 2, ("a", "b"), digest="d")


@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_is_the_librarys_and_grows_with_its_strength(kind):
    toy, whole = source(), np.arange(6)
    clean = toy.read(whole, 40)[0]
    made = [corrupted(toy, kind, s).read(whole, 40)[0] for s in (1, 5)]
    away = [np.abs(m.astype(int) - clean).mean() for m in made]
    assert made[0].shape == clean.shape
    assert made[0].dtype == np.uint8
    if kind in (
        "pixelate",
        "frost",
    ):  # blocks of four pixels hide a reduction to a quarter; frost is cut anew, thick or thin
        assert away[0] > 1
    else:
        assert away[1] > away[0] > 1
    seed = int(digest_json([0, kind, 5, "toy/test/3"])[:8], 16)
    np.random.seed(seed)  # noqa: NPY002
    more = {"seed": seed} if kind in SEEDED else {}
    theirs = imagecorruptions.corrupt(clean[3], severity=5, corruption_name=kind, **more)
    np.testing.assert_array_equal(made[1][3], theirs)


def test_the_kinds_are_the_librarys_fifteen():
    assert list(KINDS) == imagecorruptions.get_corruption_names()
    assert library_version().split()[0].startswith("imagecorruptions")


@pytest.mark.parametrize("kind", ["gaussian_noise", "impulse_noise", "glass_blur", "snow", "elastic_transform"])
def test_neither_batch_nor_order_nor_threads_nor_the_global_generator_change_a_picture(kind):
    toy = source()
    worse = corrupted(toy, kind, 3)
    whole = worse.read(np.arange(6), 40)[0]
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(worse.read(np.array([4, 1]), 40)[0], whole[[4, 1]])
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(
        corrupted(only(toy, np.array([5, 2])), kind, 3).read(np.arange(2), 40)[0], whole[[5, 2]]
    )
    found = {}
    threads = [
        threading.Thread(target=lambda r=r: found.update({r: worse.read(np.array([r]), 40)[0][0]})) for r in range(6)
    ]
    [t.start() for t in threads], [t.join() for t in threads]
    np.testing.assert_array_equal(np.stack([found[r] for r in range(6)]), whole)
    assert (corrupted(toy, kind, 3, seed=1).read(np.arange(6), 40)[0] != whole).any()


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (28, 1), (28, 3), (33, 3)])
def test_small_and_grey_pictures(side, channels, capfd):
    toy = source(64, channels=channels)
    for kind in KINDS:
        made = corrupted(toy, kind, 3).read(np.array([0, 5]), side)[0]
        assert made.shape == (2, side, side, channels), kind
        assert (made != toy.read(np.array([0, 5]), side)[0]).any(), kind
    assert capfd.readouterr().out == ""


def test_padding_alone_changes_nothing():
    """A strength of contrast that is only a mean: inside the mirror image the picture stays where it was."""
    toy = source(28)
    clean, made = toy.read(np.arange(6), 28)[0], corrupted(toy, "brightness", 1).read(np.arange(6), 28)[0]
    theirs = np.stack(
        [
            imagecorruptions.corrupt(
                np.pad(c, ((2, 2), (2, 2), (0, 0)), mode="symmetric"), severity=1, corruption_name="brightness"
            )
            for c in clean
        ]
    )
    np.testing.assert_array_equal(made, theirs[:, 2:-2, 2:-2])
    corner = [np.corrcoef(c.ravel(), m.ravel())[0, 1] for c, m in zip(clean, made, strict=True)]
    assert min(corner) > 0.9


def test_encoders_of_all_sides_are_shown_the_same_corrupted_picture():
    toy, rows = source(64), np.arange(6)
    assert toy.corrupted_at == 64
    made = corrupted(toy, "gaussian_noise", 3)
    whole = made.read(rows, 64)[0]
    np.testing.assert_array_equal(made.read(rows, 40)[0], resize(whole, 40))
    seen = Transform(32, resize=48, interpolation="bilinear")
    np.testing.assert_array_equal(made.read(rows, seen)[0], resize(whole, seen))


def test_pictures_that_are_held_are_read_once():
    seen, toy = [], source()
    counting = dataclasses.replace(toy, read=lambda rows, side: (seen.append(len(rows)), toy.read(rows, side))[1])
    kept = held(counting, 40)
    for kind in KINDS[:3]:
        corrupted(kept, kind, 1).read(np.arange(2), 40)
    assert seen == [6]
    kept.read(np.arange(2), 20)
    assert seen == [6, 2]


def test_problems_keep_their_picture():
    toy = source()
    bad = dataclasses.replace(
        toy, read=lambda rows, side: (toy.read(rows, side)[0], {r: f"bad {r}" for r in rows.tolist() if r == 4})
    )
    part = only(bad, np.array([1, 4]))
    assert held(part, 40).read(np.array([1, 0]), 40)[1] == {1: "bad 4"}
    assert corrupted(part, "fog", 1).read(np.arange(2), 40)[1] == {1: "bad 4"}


def test_the_first_of_each_class():
    y = np.array([1, 0, 0, 1, 0, 2])
    assert first_of_each(y, 0).tolist() == list(range(6))
    assert first_of_each(y, 6).tolist() == [0, 1, 2, 3, 5]
    assert first_of_each(y, 1).tolist() == [0, 1, 5]  # one of each at least


@pytest.mark.parametrize("wrong", [{"kinds": ("rain",)}, {"strengths": (0,)}, {"strengths": ()}, {"kinds": ()}])
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises((ArgumentError, UnknownNameError)):
        Corruptions(**wrong)


def test_another_library_of_that_name_is_refused(monkeypatch):
    monkeypatch.setattr("relic_eval.data.corruptions.PACKAGE", "no-such-package")
    with pytest.raises(DataError, match="received another package"):
        library_version()


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(DataError, match=r"pip install 'relic-eval\[robust\]'"):
        corrupted(source(), "fog", 1)


ASKED = Corruptions(kinds=("gaussian_noise", "contrast"), strengths=(2, 5), most=40)


def flat():
    return from_callable("flat", lambda x: x.flatten(1), digest="1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Digits, one split that is divided later, with two kinds at two strengths of forty of those that test."""
    out = tmp_path_factory.mktemp("corruptions")
    (path,) = embed(flat(), "digits", out, corruptions=ASKED)
    return path


def test_stores_lie_beside_the_whole_pictures_and_change_nothing_there(made, tmp_path):
    (plain,) = embed(flat(), "digits", tmp_path)
    assert plain.name == made.name
    for name in ("part-00000.npy", "part-00000.parquet", "manifest.json"):
        assert digest_file(plain / name) == digest_file(made / name)
    assert read_json(plain.parent / "current.json") == read_json(made.parent / "current.json")
    assert [s.path for s in find_stores(made.parents[3])] == [made]
    assert corruptions_of(plain) == []
    places = corruptions_of(made)
    assert [verify(p) for p in places] == [[]] * 4
    about = [read_manifest(p)["request"] for p in places]
    assert [(a["kind"], a["strength"]) for a in about] == [(k, s) for k in ASKED.kinds for s in ASKED.strengths]
    assert set(read_table(places[1] / "part-00000.parquet", ("view",))["view"]) == {"gaussian_noise 5"}


def test_the_rows_are_test_rows_of_every_class_in_their_order(made):
    rows = read_store(made)
    test = split_task(Task("digits", "d", "digits", train="all", test="all"), rows, rows)[2]
    worse = with_corruptions(test, made)
    assert worse.corruptions == ("gaussian_noise 2", "gaussian_noise 5", "contrast 2", "contrast 5")
    assert np.bincount(worse.y_N).tolist() == [4] * 10
    assert [v.shape for v in worse.views] == [(40, 64)] * 4
    assert set(worse.ids) <= set(test.ids)
    whole = dict(zip(rows.ids.tolist(), rows.x_ND, strict=True))
    np.testing.assert_array_equal(worse.x_ND, np.stack([whole[i] for i in worse.ids.tolist()]))
    away = [np.abs(v - worse.x_ND).mean() for v in worse.views]
    assert away[1] > away[0] > 0.01
    shuffled = np.random.default_rng(0).permutation(len(test))
    again = with_corruptions(test.take(shuffled), made)
    order = np.argsort(again.ids)
    np.testing.assert_array_equal(again.views[0][order], worse.views[0][np.argsort(worse.ids)])


def test_neither_batch_nor_other_kinds_count_and_nothing_is_encoded_twice(made, tmp_path):
    seen: Counter[int] = Counter()

    def count(x):
        seen.update({1: len(x)})
        return x.flatten(1)

    def run(**asked):
        seen.clear()
        (path,) = embed(
            from_callable("count", count, digest="1"),
            "digits",
            tmp_path,
            batch=7,
            corruptions=Corruptions(most=40, **asked),
        )
        return path, seen.total()

    # each store looks at one picture for the number of features, that of the whole ones at a batch of 2 and one of 4
    n, first, steady = 1797, 1, 6
    path, total = run(kinds=("contrast",), strengths=(5,))
    assert total == n + steady + 40 + first
    assert run(kinds=("contrast",), strengths=(5,))[1] == 0
    path, total = run(kinds=("contrast", "gaussian_noise"), strengths=(5,))
    assert total == 40 + first
    mine = {read_manifest(p)["request"]["kind"]: np.array(read_store(p).x_ND) for p in corruptions_of(path)}
    theirs = {
        read_manifest(p)["request"]["kind"]: np.array(read_store(p).x_ND)
        for p in corruptions_of(made)
        if read_manifest(p)["request"]["strength"] == 5
    }
    for kind, x in mine.items():
        np.testing.assert_array_equal(x, theirs[kind])


def test_stores_of_other_pictures_are_refused(made, tmp_path):
    asked = Corruptions(kinds=("contrast",), strengths=(1, 2), most=20)
    (path,) = embed(flat(), "digits", tmp_path, corruptions=asked)
    rows = read_store(path)
    test = split_task(Task("digits", "d", "digits", train="all", test="all"), rows, rows)[2]
    few = corruptions_of(path)
    embed(flat(), "digits", tmp_path, corruptions=dataclasses.replace(asked, most=40))
    many, note = corruptions_of(path), path.parent / "corruptions.json"
    assert not set(few) & set(many)
    note.write_text(note.read_text().replace(many[0].name, few[0].name))
    with pytest.raises(DataError, match="expected the pictures of the other corruptions"):
        with_corruptions(test, path)


def test_splits_that_only_train_get_none(tmp_path):
    paths = embed(
        from_callable("mean", lambda x: x.mean((2, 3)), digest="1"),
        "fashion",
        tmp_path,
        corruptions=Corruptions(("fog",), (1,), most=10),
    )
    assert [len(corruptions_of(p)) for p in paths] == [0, 1, 1]
    assert len(bundled("fashion", "test")) == 2000
    assert [len(read_store(q)) for p in paths[1:] for q in corruptions_of(p)] == [10, 10]


def test_a_real_set_loses_accuracy_as_corruption_grows(data_folder, tmp_path):
    """The whole way: pictures, embeddings, corrupted pictures beside them, and the probe of clean rows on both."""
    with tarfile.open(data_folder / "mnist.tar") as tar:
        tar.extractall(tmp_path / "mnist", filter="data")
    (tmp_path / "mnist" / "index.csv").unlink()
    asked = Corruptions(("gaussian_noise", "contrast"), (1, 5), most=200)
    train, test = embed(flat(), str(tmp_path / "mnist"), tmp_path / "out", corruptions=asked)[::-1]
    if "train" in test.name:
        train, test = test, train
    parts = split_task(Task("mnist", "m", "mnist"), read_store(train), read_store(test))
    worse = with_corruptions(parts[2], test)
    cell = Robust(Logistic(lowest=10, highest=1e3, count=2))(parts[0], parts[1], worse)
    value = {(r.metric, r.params.get("strength")): r.value for r in cell.rows if "kind" not in r.params}
    assert cell.rows[0].n == 200
    assert value["clean_top1", None] > 0.8
    assert value["top1", 1] > value["top1", 5] + 0.1
    assert value["clean_top1", None] > value["top1", 5]
