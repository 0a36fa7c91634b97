"""Masks of one's own, the command, and pretraining with either: on a small folder of pictures made here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain import checkpoint
from pretrain.config import Relicv2, override
from pretrain.feed import make_feed
from pretrain.methods.relicv2 import views
from pretrain.saliency.own import mask_files, read_own
from pretrain.saliency.packed import pack
from pretrain.squares import held
from pretrain.train import pretrain
from relic_eval.data.bundled import bundled
from relic_eval.data.opening import open_mask, open_square, upright_size
from relic_eval.data.sources import pictures
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.files import digest_file
from relic_eval.saliency import agreement, masks_of, show
from relic_eval.training import train
from relic_eval.views import Draw

SETTINGS = {"side": "16", "small_side": "16", "batch": "8", "hidden": "8", "out": "8", "negatives": "2", "p_mask": "1"}
SIZES = [(40, 30), (30, 40), (33, 33), (90, 31)]


def bright(row, column, size):
    return (column - size[0] / 2) ** 2 + (row - size[1] / 2) ** 2 < (min(size) / 3) ** 2


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Bright discs on dark ground as JPEG, two classes of twelve, and their masks as PNG."""
    data, masks = tmp_path_factory.mktemp("data") / "discs", tmp_path_factory.mktemp("masks")
    rng = np.random.default_rng(0)
    for name in ("train/a", "train/b", "test/a", "test/b"):
        (data / name).mkdir(parents=True)
        (masks / name).mkdir(parents=True)
        for number in range(12):
            size = SIZES[number % 4]
            row, column = np.mgrid[: size[1], : size[0]]
            mask = bright(row, column, size)
            pixels = np.where(mask[..., None], 200, 60) + rng.normal(0, 5, (*mask.shape, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(data / name / f"{number}.jpg", quality=95)
            Image.fromarray(mask.astype(np.uint8) * (1 + number)).save(masks / name / f"{number}.png")
    return data, masks


@pytest.fixture
def own(made, tmp_path):
    """A copy of the masks that may be spoilt."""
    return shutil.copytree(made[1], tmp_path / "own")


def read(made, folder):
    source = pictures(str(made[0]), "train")
    rows = np.arange(len(source))
    return np.concatenate(list(read_own(mask_files(folder, source, rows), source, rows, 32)))


def test_masks_lie_on_their_pictures(made):
    masks = read(made, made[1])
    images, _ = pictures(str(made[0]), "train").read(np.arange(24), 32)
    for mask, image in zip(masks, images, strict=True):
        assert ((image.mean(2) > 130) == mask).mean() > 0.97


@pytest.mark.parametrize("size", [(64, 48), (33, 97), (20, 20), (51, 17)])
@pytest.mark.parametrize("side", [16, 20, 40])
def test_a_mask_is_cut_as_its_picture_is(size, side, tmp_path):
    left = np.zeros((size[1], size[0]), np.uint8)
    left[:, : size[0] // 2], left[size[1] // 3 :, 0] = 255, 0
    Image.fromarray(left).save(tmp_path / "x.png")
    as_picture = open_square(tmp_path / "x.png", side)[..., 0] > 127
    assert (open_mask(tmp_path / "x.png", size, side, 1) == as_picture).mean() > 0.93


def test_a_turned_picture_has_a_mask_as_it_is_seen(tmp_path):
    for name in ("a", "b"):
        for number in range(3):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", (40, 20))
            exif = picture.getexif()
            exif[0x0112] = 6
            picture.save(tmp_path / "data" / name / f"{number}.jpg", exif=exif)
            (tmp_path / "masks" / name).mkdir(parents=True, exist_ok=True)
            mask = Image.new("L", (20, 40))
            mask.paste(1, (0, 0, 10, 40))
            mask.save(tmp_path / "masks" / name / f"{number}.png")
    source = pictures(str(tmp_path / "data"), "all")
    (masks,) = read_own(mask_files(tmp_path / "masks", source, np.arange(6)), source, np.arange(6), 16)
    assert masks[:, :, :8].all()
    assert not masks[:, :, 8:].any()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_all_but_0_is_foreground_in_every_mode(mode, tmp_path):
    mask = np.zeros((8, 8), bool)
    mask[2:5, 3:7] = True
    dtype = np.uint16 if mode == "I;16" else np.uint8
    picture = Image.fromarray(mask) if mode == "1" else Image.fromarray(mask.astype(dtype) * dtype(3))
    if mode == "P":
        picture.putpalette([9, 9, 9] * 256)  # numbers count, not colours
    elif mode not in ("1", "L", "I;16"):
        picture = picture.convert(mode)
    picture.save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as file:
        assert file.mode == mode
    assert np.array_equal(open_mask(tmp_path / "x.png", (8, 8), 8, 1), mask)


def test_masks_of_bundled_pictures(tmp_path):
    source, rows = bundled("digits", "all"), np.arange(3)
    for name in source.ids[rows]:
        file = tmp_path / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(file)
    (masks,) = read_own(mask_files(tmp_path, source, rows), source, rows, 8)
    assert np.array_equal(masks, np.eye(8, dtype=bool)[None].repeat(3, 0))


def spoil_missing(own):
    for number in (3, 7):
        (own / "train" / "a" / f"{number}.png").unlink()


def spoil_shape(own):
    for number in (4, 5):
        Image.new("L", (33, 33)).save(own / "train" / "b" / f"{number}.png")


def spoil_bytes(own):
    (own / "train" / "a" / "0.png").write_bytes(b"no picture")


def spoil_to(value):
    def spoil(own):
        for file in (own / "train").rglob("*.png"):
            Image.new("L", upright_size(file), value).save(file)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (spoil_missing, r"train/a/3\.png: expected a mask for each picture, received nothing there \(2 of 24"),
        (spoil_shape, r"train/b/4\.png: .* 33 x 33 pixels for a picture of 40 x 30 \(2 of 24 do not fit\)"),
        (spoil_bytes, r"train/a/0\.png: expected a mask that fits .* \(1 of 24"),
        (spoil_to(0), r"background only, and no mask of 24 has both"),
        (spoil_to(9), r"foreground only, and no mask of 24 has both"),
    ],
)
def test_bad_masks_are_said_before_the_first_step(spoil, text, made, own, tmp_path):
    spoil(own)
    with pytest.raises(DataError, match=text):
        train(
            "relicv2", str(made[0]), tmp_path / "out", name="x", changes={**SETTINGS, "steps": "1", "masks": str(own)}
        )
    assert not list((tmp_path / "out").rglob("step-*"))


def test_two_pictures_of_one_name_cannot_share_a_mask(made, tmp_path):
    data = shutil.copytree(made[0], tmp_path / "data")
    Image.new("RGB", (40, 30)).save(data / "train" / "a" / "0.webp")
    source = pictures(str(data), "train")
    with pytest.raises(DataError, match=r"0\.png: expected a mask for one picture"):
        mask_files(made[1], source, np.arange(len(source)))


def test_a_mask_may_be_smaller_or_a_pixel_off(own, made):
    for number, size in ((0, (20, 15)), (1, (31, 40))):
        with Image.open(own / "train" / "a" / f"{number}.png") as file:
            other = file.resize(size, Image.Resampling.NEAREST)
        other.save(own / "train" / "a" / f"{number}.png")
    assert (read(made, own) == read(made, made[1])).mean() > 0.99


def test_masks_are_stored_under_the_digest_of_their_files(made, own, tmp_path):
    source = pictures(str(made[0]), "train")
    first, masks = masks_of(str(own), source, np.arange(24), 32, tmp_path)
    assert np.array_equal(masks[torch.arange(24)][:, 0].numpy(), read(made, own))
    assert masks_of(str(own), source, np.arange(24), 32, tmp_path)[0] == first
    Image.new("L", SIZES[0], 1).save(own / "train" / "a" / "0.png")
    assert masks_of(str(own), source, np.arange(24), 32, tmp_path)[0] != first


def crops(masks, images, **more):
    config = override(Relicv2(), {**SETTINGS, "p_mask": 1, "pad": 0, **more})
    feed = make_feed(config, held(images), None, "cpu", masks)
    batch = feed.take(torch.arange(8))
    return torch.stack(views(config, batch, Draw(torch.Generator().manual_seed(0), 8))[:2])


def test_what_is_background_in_a_mask_is_black_in_every_large_crop(made):
    images, _ = pictures(str(made[0]), "train").read(np.arange(8), 32)
    assert crops(pack(np.zeros((8, 32, 32), bool)), images, brightness=0, contrast=0, solarise=0).max() == 0
    whole = crops(pack(np.ones((8, 32, 32), bool)), images)
    torch.testing.assert_close(whole, crops(None, images, p_mask=0))


def test_the_feed_makes_masks_by_name_and_none_of_a_path(made):
    images, _ = pictures(str(made[0]), "train").read(np.arange(8), 32)
    feed = make_feed(override(Relicv2(), {"masks": "rbd"}), held(images), None, "cpu")
    assert 0.05 < feed.take(torch.arange(8)).mask.float().mean() < 0.6
    with pytest.raises(ArgumentError, match="for pictures in memory"):
        make_feed(override(Relicv2(), {"masks": str(made[1])}), held(images), None, "cpu")


def weights(run):
    return digest_file(checkpoint.latest(run) / "checkpoint.safetensors")


def test_pretraining_with_masks_of_ones_own(made, own, tmp_path):
    def run(name, steps="4", **more):
        changes = {**SETTINGS, "steps": steps, "checkpoint_every": "2", **more}
        return train("relicv2", str(made[0]), tmp_path, name=name, changes=changes)

    theirs = run("own", masks=str(own))
    about = json.loads((checkpoint.latest(theirs) / "checkpoint.json").read_text())
    assert about["config"]["masks"] == str(own)
    assert len(about["data"]["masks"]) == 64
    assert weights(theirs) != weights(run("border"))  # other crops, other weights
    assert {p.name.split(".")[1] for p in (tmp_path / "masks" / "discs").iterdir()} == {"folder"}
    shutil.rmtree(theirs / "step-00000004")
    run("own", masks=str(own))  # taken up
    Image.new("L", SIZES[0], 1).save(own / "train" / "a" / "0.png")
    with pytest.raises(ArgumentError, match=r"data = discs \(\w+, masks"):
        run("own", masks=str(own))
    whole = weights(run("none", p_mask="0", masks=str(own)))
    assert whole == weights(run("none-border", p_mask="0"))
    assert len(list((tmp_path / "masks" / "discs").iterdir())) == 1  # with p_mask=0 none are made


def test_a_run_from_before_masks_were_a_setting_goes_on(made, tmp_path):
    images, _ = pictures(str(made[0]), "train").read(np.arange(24), 32)
    config = override(Relicv2(), {**SETTINGS, "steps": 2})
    step = pretrain(config, images, None, tmp_path, data={"name": "x", "digest": "y"})
    file = step / "checkpoint.json"
    about = json.loads(file.read_text())
    del about["config"]["masks"]
    file.write_text(json.dumps(about))
    assert pretrain(config, images, None, tmp_path, data={"name": "x", "digest": "y"}) == step
    with pytest.raises(ArgumentError, match="masks = rbd"):
        pretrain(override(config, {"masks": "rbd"}), held(images), None, tmp_path, data={"name": "x", "digest": "y"})


def test_masks_of_another_shape_are_refused(made, tmp_path):
    images, _ = pictures(str(made[0]), "train").read(np.arange(24), 32)
    masks = pack(np.ones((24, 32, 31), bool))
    with pytest.raises(ArgumentError, match="like the pictures"):
        pretrain(override(Relicv2(), SETTINGS), images, None, tmp_path, data={}, masks=masks)


def test_the_setting_takes_a_maker_or_a_folder_that_is_there(tmp_path):
    assert override(Relicv2(), {"masks": str(tmp_path)}).masks == str(tmp_path)
    with pytest.raises(ArgumentError, match="expected a folder, received nothing at"):
        override(Relicv2(), {"masks": str(tmp_path / "nowhere")})
    with pytest.raises(UnknownNameError, match=r"or a folder of PNG masks.*Did you mean 'spectral'"):
        override(Relicv2(), {"masks": "spektral"})


def test_the_command_from_pictures_to_a_sheet(made, tmp_path):
    words = ["saliency", "--data", str(made[0]), "--maker", "rbd", "--out", str(tmp_path), "--truth", str(made[1])]
    done = subprocess.run([sys.executable, "-m", "relic_eval.cli", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder, share, iou, f = done.stdout.splitlines()
    assert upright_size(Path(folder) / "saliency.png") == (2 + 12 * 66, 2 + 4 * 66)
    assert share.startswith("foreground: ")
    assert "of 24 pictures; none in 0, all in 0" in share
    assert float(iou.split()[1]) > 0.8
    assert float(f.split()[4]) > 0.8
    before = digest_file(f"{folder}/masks.npy")
    again = show(str(made[0]), "rbd", tmp_path, truth=str(made[1]))
    assert again == done.stdout.splitlines()
    assert digest_file(f"{folder}/masks.npy") == before
    assert sorted(p.name for p in made[0].iterdir()) == ["test", "train"]  # nothing is written among the pictures


def test_the_command_shows_the_masks_that_pretraining_uses(made, tmp_path):
    """At the side that pretraining takes pictures at: the larger of its own and the set's."""
    for data, side, there in ((str(made[0]), 32, 64), ("digits", 12, 12)):
        place = show(data, "fused", tmp_path / "out", side=side)[0]
        changes = {"masks": "fused", "side": f"{side}", "small_side": "8", "steps": "1", "batch": "12"}
        train("relicv2", data, tmp_path / "out", name=f"m-{there}", changes=changes)
        folders = list(Path(place).parent.iterdir())
        assert [str(f) for f in folders if f.is_dir()] == [place]
        assert json.loads((Path(place) / "masks.json").read_text())["request"]["side"] == there


def test_a_folder_of_masks_may_move(made, tmp_path):
    """A run knows masks by what is in them: another path to the same ones takes it up."""
    changes = {"steps": "1", "batch": "12", "side": "32", "masks": str(made[1])}
    first = train("relicv2", str(made[0]), tmp_path, name="own", changes=changes)
    moved = shutil.copytree(made[1], tmp_path / "moved")
    assert train("relicv2", str(made[0]), tmp_path, name="own", changes={**changes, "masks": str(moved)}) == first
    Image.new("L", SIZES[0], 1).save(moved / "train" / "a" / "0.png")
    with pytest.raises(ArgumentError, match="masks"):
        train("relicv2", str(made[0]), tmp_path, name="own", changes={**changes, "masks": str(moved)})


def test_masks_do_not_go_among_the_pictures(made):
    with pytest.raises(ArgumentError, match="outside of the data"):
        show(str(made[0]), "border", made[0] / "out")


def test_agreement_is_the_mean_with_an_interval_over_pictures():
    rng = np.random.default_rng(0)
    true, predicted = rng.random((2, 60, 6, 6)) < 0.5
    both = (true & predicted).sum((1, 2)) / (true | predicted).sum((1, 2))
    means = [both[rng.integers(0, 60, 60)].mean() for _ in range(4000)]
    words = agreement([true[:7], true[7:]], pack(predicted))[0].replace(")", "").split()
    assert float(words[1]) == pytest.approx(both.mean(), abs=6e-4)
    for found, expected in zip((words[4], words[6]), np.percentile(means, [2.5, 97.5]), strict=True):
        assert float(found) == pytest.approx(expected, abs=4e-3)
