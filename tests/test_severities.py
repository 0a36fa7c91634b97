"""ImageNet-C in its published layout, from pictures to a column of the board: whole, partly there, and changed."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from relic_eval.board import read_board
from relic_eval.commands import Grid
from relic_eval.data import imagenet, registry
from relic_eval.data.named import Counts
from relic_eval.data.severities import WHOLE, with_severities
from relic_eval.encode import embed
from relic_eval.encoders.load import from_callable
from relic_eval.errors import DataError
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.severities import ALEXNET, ALEXNET_CLEAN
from relic_eval.grid import transfer
from relic_eval.outcome import Outcome
from relic_eval.published import published_beside
from relic_eval.records import CLEAN
from relic_eval.results import read_results
from relic_eval.run import evaluate
from relic_eval.store import find_stores, read_store

WNIDS = imagenet.WNIDS[:3]
EACH = 4  # test pictures a class
TOPS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "extra": ("spatter",),
}


def place_of(kind):
    """Where the tars unpack it: some corruptions below the name of their tar, the others at the top."""
    return next((f"{top}/{kind}" for top, kinds in TOPS.items() if kind in kinds), kind)


def put(place, grey, seed):
    place.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 20, (6, 6, 3)) + grey
    Image.fromarray(pixels.astype(np.uint8)).save(place, "PNG")


def wrong_of(split):
    """How many of the pictures, the first ones, look like another class: from none to all."""
    return 0 if split == "test" else (WHOLE.index(split) if split in WHOLE else 75) * 12 // 75


def split_of(root, prefix, wrong):
    for n in range(3 * EACH):
        number = (n % 3 + 1) % 3 if n < wrong else n % 3
        put(root / prefix / WNIDS[n % 3] / f"ILSVRC2012_val_{n + 1:08d}.JPEG", 40 + 90 * number, n)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for n in range(36):
        put(root / "imagenet/train" / WNIDS[n % 3] / f"{WNIDS[n % 3]}_{n}.JPEG", 40 + 90 * (n % 3), 100 + n)
    split_of(root / "imagenet", "val", 1)  # one of the clean pictures is wrong too
    for split in (*WHOLE, "spatter-2"):
        kind, _, strength = split.rpartition("-")
        split_of(root / "imagenet-c", f"{place_of(kind)}/{strength}", wrong_of(split))
    return root


@pytest.fixture
def tiny(sets, monkeypatch):
    """The layouts as they are, of three classes in place of a thousand; a probe of three penalties in place of 45."""
    for name in ("WNIDS", "CLASSES", "SUPERCLASSES"):
        monkeypatch.setattr(imagenet, name, getattr(imagenet, name)[:3])
    monkeypatch.setenv("RELIC_EVAL_DATA", str(sets))
    counts = {"imagenet": Counts(3, 36, 9, 3 * EACH), "imagenet-c": Counts(3, test=3 * EACH)}
    for name, its in counts.items():
        named = dataclasses.replace(registry.NAMED[name], counts=its, each=None)
        monkeypatch.setitem(registry.NAMED, name, named)
    monkeypatch.setattr(Logistic, "penalties", lambda self: (1e-3, 1e-1, 10.0))
    return sets


def mean_colour(name="mine", scale=1.0):
    return from_callable(name, lambda x: x.mean((2, 3)) * scale, digest=str(scale), side=6)


def cells(out):
    return {(r.task, r.protocol): r for r in read_results(out)}


def test_the_whole_set_is_one_task_and_one_column_beside_the_published_rows(tiny, tmp_path, capsys):
    grid = Grid(("mine", "twice"), ("imagenet-c", "imagenet"), ("robust-sets",))
    encoders = [mean_colour(), mean_colour("twice", 2.0)]
    assert transfer(grid, tmp_path, encoders=encoders) == Outcome(made=2)
    assert transfer(grid, tmp_path, encoders=encoders) == Outcome(skipped=2)
    found = cells(tmp_path)
    assert set(found) == {("imagenet-c", "robust-sets")}
    cell = found[("imagenet-c", "robust-sets")].cell
    wrong = {split: wrong_of(split) / 12 for split in WHOLE}
    error = {kind: np.mean([wrong[f"{kind}-{s}"] for s in (1, 2, 3, 4, 5)]) for kind in ALEXNET}
    by = {r.metric: r.value for r in cell.rows[:3]}
    assert by["top1"] == pytest.approx(1 - np.mean(list(wrong.values())))
    assert by["mce"] == pytest.approx(np.mean([error[k] / ALEXNET[k] for k in ALEXNET]))
    more = [(error[k] - 1 / 12) / (ALEXNET[k] - ALEXNET_CLEAN) for k in ALEXNET]
    assert by["relative_mce"] == pytest.approx(np.mean(more))
    splits = {f"{r.params['kind']}-{r.params['strength']}": r.value for r in cell.rows if len(r.params) == 2}
    assert splits == pytest.approx({**{split: 1 - share for split, share in wrong.items()}, "spatter-2": 0})
    board, _, missing = read_board(tmp_path, protocols=("robust-sets",))
    (column,) = board.columns
    assert (column.task, column.title, column.n, column.metric) == ("imagenet-c", "ImageNet-C", 12, "top1")
    (entry,) = board.rows[0].entries
    assert (entry.value, entry.low, entry.high) == (cell.rows[0].value, cell.rows[0].low, cell.rows[0].high)
    assert entry.low < entry.value < entry.high
    assert not missing
    assert {p.value for p in published_beside(board)[0]} == {40.9, 31.1, 42.8, 44.5, 44.8}
    assert "missing" not in capsys.readouterr().err


def test_a_set_that_is_partly_there_names_what_it_lacks_and_becomes_whole(tiny, tmp_path, capsys):
    """Each split by itself, no mean; when the rest comes, one cell in the place of all of them."""
    part, out = tmp_path / "part" / "imagenet-c", tmp_path / "out"
    for kind in ("fog", "snow"):
        shutil.copytree(tiny / "imagenet-c" / kind, part / kind)
    shutil.rmtree(part / "snow" / "4")
    encoder = mean_colour()
    embed(encoder, "imagenet", out)
    embed(encoder, f"imagenet-c:{part}", out)
    capsys.readouterr()
    assert evaluate(out, protocols=["robust-sets"]) == Outcome(made=9)
    said = capsys.readouterr().err
    assert "66 of 75 splits are missing, so that there is no mean and no mCE" in said
    assert "zoom_blur-5, snow-4, frost-1" in said
    assert "fog-1" not in said.split("Missing: ")[1].splitlines()[0]
    found = cells(out)
    assert {task for task, _ in found} == {f"imagenet-c-fog-{s}" for s in (1, 2, 3, 4, 5)} | {
        f"imagenet-c-snow-{s}" for s in (1, 2, 3, 5)
    }
    fog = found[("imagenet-c-fog-3", "robust-sets")]
    assert fog.cell.rows[0].value == pytest.approx(1 - wrong_of("fog-3") / 12)
    assert fog.about["title"] == "ImageNet-C, fog-3"
    assert not any(r.metric == "mce" for f in found.values() for r in f.cell.rows)
    embed(encoder, "imagenet-c", out)
    assert evaluate(out, protocols=["robust-sets"]) == Outcome(made=1)
    assert set(cells(out)) == {("imagenet-c", "robust-sets")}  # the nine stand no longer
    embed(encoder, f"imagenet-c:{part}", out)  # and back: the mean is of splits that are no longer in use
    assert set(cells(out)) == set(found)


def test_a_cell_stands_no_longer_when_one_of_its_splits_has_changed(tiny, tmp_path):
    data = tmp_path / "data" / "imagenet-c"
    shutil.copytree(tiny / "imagenet-c", data)
    out, encoder = tmp_path / "out", mean_colour()
    embed(encoder, "imagenet", out)
    embed(encoder, f"imagenet-c:{data}", out)
    assert evaluate(out, protocols=["robust-sets"]) == Outcome(made=1)
    whole = cells(out)[("imagenet-c", "robust-sets")]
    split_of(data, "contrast/4", 0)
    embed(encoder, f"imagenet-c:{data}", out)
    with pytest.raises(DataError, match="expected cells, received none"):
        read_results(out)
    assert evaluate(out, protocols=["robust-sets"]) == Outcome(made=1)
    changed = cells(out)[("imagenet-c", "robust-sets")]
    gained = wrong_of("contrast-4") / 12 / 75
    assert changed.cell.rows[0].value == pytest.approx(whole.cell.rows[0].value + gained)
    assert changed.about["data"] != whole.about["data"]
    shutil.rmtree(data / "extra")  # which is in no mean: the cell is another, the pictures of its mean are not
    embed(encoder, f"imagenet-c:{data}", out)
    assert evaluate(out, protocols=["robust-sets"]) == Outcome(made=1)
    assert cells(out)[("imagenet-c", "robust-sets")].about["data"] == changed.about["data"]
    assert (
        evaluate(out, protocols=["spectrum"], datasets=["imagenet-c"]) == Outcome()
    )  # of one split it would say little


def test_pictures_that_a_split_lacks_are_left_out_of_all_and_clean_ones_are_found_by_name(tiny, tmp_path, capsys):
    data = tmp_path / "imagenet-c"
    for split in ("fog/1", "fog/2"):
        split_of(data, split, 0)
    bad = data / "fog/2" / WNIDS[1] / "ILSVRC2012_val_00000005.JPEG"
    bad.write_bytes(b"none")
    encoder = mean_colour()
    one, two = embed(encoder, f"imagenet-c:{data}", tmp_path / "out", on_error="skip")
    embed(encoder, "imagenet", tmp_path / "out")
    clean = next(s.path for s in find_stores(tmp_path / "out") if (s.dataset, s.split) == ("imagenet", "test"))
    rows = with_severities(read_store(one), one, [two, clean])
    assert rows.corruptions == ("fog 1", "fog 2", CLEAN)
    assert len(rows) == 11
    assert not any("00000005" in name for name in rows.ids)
    assert all(len(view) == 11 for view in rows.views)
    names = [name.rsplit("/", 1)[1] for name in rows.ids]
    theirs = read_store(clean)
    place = [[i.rsplit("/", 1)[1] for i in theirs.ids].index(name) for name in names]
    np.testing.assert_array_equal(rows.views[2], theirs.x_ND[place])
    np.testing.assert_array_equal(rows.views[1], read_store(two).x_ND)
    assert isinstance(rows.views[1], np.memmap)  # 75 stores of a large set would not fit into memory
    (tmp_path / "few").mkdir()
    shutil.copytree(tiny / "imagenet" / "train", tmp_path / "few" / "imagenet" / "train")
    split_of(tmp_path / "few" / "imagenet", "val", 0)
    shutil.move(
        tmp_path / "few/imagenet/val" / WNIDS[0] / "ILSVRC2012_val_00000001.JPEG",
        tmp_path / "few/imagenet/val" / WNIDS[0] / "other.JPEG",
    )
    embed(encoder, f"imagenet:{tmp_path / 'few' / 'imagenet'}", tmp_path / "few" / "out")
    few = next(s.path for s in find_stores(tmp_path / "few" / "out") if s.split == "test")
    assert with_severities(read_store(one), one, [two, few]).corruptions == ("fog 1", "fog 2")
    assert "received none of 1. There is no relative mCE" in capsys.readouterr().err
