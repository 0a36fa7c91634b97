"""Views of pictures: stores of their own, the same whatever the batch, and nothing else is touched."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import relic_eval
from relic_eval.cli import app
from relic_eval.data.bundled import bundled
from relic_eval.data.views import augmented, read_views, views_of
from relic_eval.encode import embed
from relic_eval.encoders.load import find_encoder, from_callable
from relic_eval.errors import ArgumentError, DataError
from relic_eval.files import digest_file, read_json
from relic_eval.records import EncodeRequest, ViewRequest, settings_key
from relic_eval.store import find_stores, read_manifest, read_store, verify
from relic_eval.tables import read_table


def flat():
    return from_callable("flat", lambda x: x.flatten(1), digest="1")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Digits with three views of each picture."""
    out = tmp_path_factory.mktemp("views")
    (path,) = embed(flat(), "digits", out, views=3)
    return path


def test_the_key_of_whole_pictures_is_what_it_was_before_there_were_views():
    request = EncodeRequest("pixels", "w", "fashion", "test", "d", 28)
    key = "fb9061b206e73a8f2acae468932246888b23892d1c4c07748368d086d700db8b"
    assert settings_key(request) == key
    asked = [ViewRequest(key, 1, "r"), ViewRequest(key, 2, "r"), ViewRequest(key, 1, "s"), ViewRequest("k", 1, "r")]
    assert len({key, *map(settings_key, asked), settings_key(ViewRequest(key, 1, "r", seed=1))}) == 6


def test_whole_pictures_are_embedded_and_found_as_without_views(made, tmp_path):
    (plain,) = embed(flat(), "digits", tmp_path)
    assert plain.name == made.name
    for name in ("part-00000.npy", "part-00000.parquet", "manifest.json", "thumbnails.parquet"):
        assert digest_file(plain / name) == digest_file(made / name)
    assert read_json(plain.parent / "current.json") == read_json(made.parent / "current.json")
    assert [s.path for s in find_stores(made.parents[3])] == [made]
    assert not (plain.parent / "views.json").exists()
    assert views_of(plain) == []
    assert read_views(plain).views == ()


def test_a_view_is_a_store_of_the_same_rows(made):
    rows, places = read_views(made), views_of(made)
    assert [verify(p) for p in places] == [[], [], []]
    assert [v.shape for v in rows.views] == [rows.x_ND.shape] * 3
    table = read_table(places[1] / "part-00000.parquet", ("id", "view", "label", "sha256"))
    assert table["id"].tolist() == rows.ids.tolist()
    assert set(table["view"]) == {"2"}
    assert table["label"].tolist() == rows.y_N.tolist()
    assert read_manifest(places[0])["request"]["whole"] == read_manifest(made)["key"]
    assert not (places[0] / "thumbnails.parquet").exists()


def test_views_are_other_pictures_of_the_same_things(made):
    rows = read_views(made)
    everything = [rows.x_ND, *rows.views]
    for i, a in enumerate(everything):
        for b in everything[i + 1 :]:
            assert (np.abs(a - b).max(1) > 0.05).mean() > 0.95
    away = [np.square(v - rows.x_ND).sum(1).mean() for v in rows.views]
    others = np.square(rows.x_ND - np.roll(rows.x_ND, 1, 0)).sum(1).mean()
    assert max(away) < 1.5 * others
    assert max(away) < 1.2 * min(away)


@pytest.mark.parametrize("batch", [1000, 37])
def test_neither_the_batch_nor_the_number_of_views_counts(made, tmp_path, batch):
    (path,) = embed(flat(), "digits", tmp_path, views=2, batch=batch)
    assert [p.name for p in views_of(path)] == [p.name for p in views_of(made)[:2]]
    for mine, other in zip(read_views(path).views, read_views(made).views, strict=False):
        np.testing.assert_array_equal(mine, other)


def test_any_rows_in_any_order_are_the_same_pictures():
    source = bundled("digits", "all")
    whole = augmented(source, 1).read(np.arange(len(source)), 8)[0]
    rows = np.random.default_rng(0).permutation(len(source))[:200]
    np.testing.assert_array_equal(augmented(source, 1).read(rows, 8)[0], whole[rows])
    assert (augmented(source, 1, seed=1).read(rows, 8)[0] != whole[rows]).any((1, 2, 3)).mean() > 0.95


def test_no_picture_is_encoded_twice(tmp_path):
    seen: Counter[bytes] = Counter()

    def count(x):
        seen.update(bytes(p) for p in (x * 255).byte().flatten(1).numpy())
        return x.flatten(1)

    def run(views):
        seen.clear()
        embed(from_callable("count", count, digest="1"), "digits", tmp_path, views=views, device="cpu")
        return seen.total()

    # each store looks at one picture for the number of features, that of the whole ones at a batch of 2 and one of 4
    n, first, steady = 1797, 1, 6
    assert run(2) == n + steady + 2 * (n + first)
    assert run(2) == run(0) == run(1) == 0
    assert run(3) == n + first
    assert [len(read_views(s.path).views) for s in find_stores(tmp_path)] == [3]


def test_training_rows_that_no_measure_looks_at_get_no_views(tmp_path):
    paths = embed(find_encoder("pixels"), "fashion", tmp_path, views=1)
    assert [len(views_of(p)) for p in paths] == [0, 1, 1]
    test, shifted = (read_views(p) for p in paths[1:])
    assert test.views[0].shape == (2000, 784)
    assert not np.array_equal(test.views[0], shifted.views[0])


def test_pictures_that_are_left_out_are_left_out_of_every_view(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(40):
            picture = Image.fromarray(rng.integers(0, 255, (20, 30, 3)).astype(np.uint8))
            picture.save(tmp_path / "set" / name / f"{i:02}.png")
    (tmp_path / "set" / "bee" / "30.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"bee/30\.png"):
        embed(flat(), str(tmp_path / "set"), tmp_path / "out", views=1)
    (path,) = embed(flat(), str(tmp_path / "set"), tmp_path / "out", views=1, on_error="skip")
    rows = read_views(path)
    assert rows.views[0].shape == (79, 64 * 64 * 3)
    assert not any("30.png" in name for name in rows.ids if name.startswith("bee"))
    assert rows.take(np.array([5, 2])).views[0].shape == (2, 64 * 64 * 3)
    np.testing.assert_array_equal(rows.take(np.array([5, 2])).views[0], rows.views[0][[5, 2]])


def test_views_of_other_weights_are_not_taken_for_ones_own(made):
    out = made.parents[3]
    (other,) = embed(from_callable("flat", lambda x: x.flatten(1), digest="2"), "digits", out)
    assert read_views(other).views == ()
    (back,) = embed(flat(), "digits", out)
    assert back == made
    assert len(read_views(back).views) == 3


def test_views_of_another_store_under_this_ones_name_are_refused(tmp_path):
    first, second = (
        embed(from_callable("flat", lambda x: x.flatten(1), digest=d), "digits", tmp_path, views=1)[0] for d in "12"
    )
    file = first.parent / "views.json"
    names = read_json(file)
    file.write_text(file.read_text().replace(names[first.name][0], names[second.name][0]))
    with pytest.raises(DataError, match=r"expected views of the rows of .*, received others"):
        read_views(first)


def test_a_damaged_note_or_view_is_passed_over_and_made_again(tmp_path, capsys):
    (path,) = embed(flat(), "digits", tmp_path, views=1)
    (view,) = views_of(path)
    (path.parent / "views.json").write_text("[1")
    assert read_views(path).views == ()
    assert "views.json" in capsys.readouterr().err
    (view / "part-00000.npy").write_bytes(b"\x93NUMPY")
    embed(flat(), "digits", tmp_path, views=1)
    assert views_of(path) == [view]
    assert verify(view) == []
    (view / "manifest.json").unlink()
    assert views_of(path) == []


def test_the_number_of_views_is_a_whole_number(tmp_path):
    with pytest.raises(ArgumentError, match="views: expected a whole number of at least 0"):
        embed(flat(), "digits", tmp_path, views=-1)
    with pytest.raises(ArgumentError, match="views: expected a whole number of at least 0"):
        relic_eval.embed("pixels", "digits", tmp_path, views=1.5)


def test_from_the_command_line(tmp_path):
    line = [sys.executable, "-m", "relic_eval.cli", "embed", "pixels", "--data", "digits", "--views", "2"]
    done = subprocess.run([*line, "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (store,) = find_stores(tmp_path)
    assert done.stdout.splitlines() == [str(store.path)]
    assert [read_store(p).x_ND.shape for p in views_of(store.path)] == [(1797, 64)] * 2
    with pytest.raises(ArgumentError, match=r"--views: expected encoders of pictures, received a \.npy file"):
        app(["embed", "x.npy", "--labels", "l.csv", "--views", "2"], standalone_mode=False)
