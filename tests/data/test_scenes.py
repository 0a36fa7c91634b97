"""Sets with masks: from the tars of the mini suite, and in the layouts of PASCAL VOC 2012 and Cityscapes."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from relic_eval.data.scenes import SCENES, scene_splits, scenes
from relic_eval.errors import DataError, UnknownNameError
from relic_eval.tuning.scenery import SceneRows


def save(place, array, palette=False):
    place.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    if palette:
        picture = picture.convert("P") if array.ndim == 3 else picture
        picture.putpalette([int(v) for v in np.random.default_rng(0).integers(0, 255, 768)])
    picture.save(place)


@pytest.mark.parametrize("name", ["mini-petmask", "mini-camvid11"])
def test_masks_of_the_mini_suite_are_those_in_the_tar(name, data_folder):
    for split, count in SCENES[name].counts.items():
        found = scenes(name, split)
        assert len(found) == count == len(set(found.ids))
        with tarfile.open(data_folder / f"{name.removeprefix('mini-')}.tar") as tar:
            top = {"valid": "val"}.get(split, split)
            for row in (0, count - 1):
                stem = found.ids[row].split("/")[1]
                theirs = np.asarray(Image.open(io.BytesIO(tar.extractfile(f"{top}/images/{stem}.jpg").read())))
                mask = np.asarray(Image.open(io.BytesIO(tar.extractfile(f"{top}/masks/{stem}.png").read())))
                pixels, numbers = found.read(row)
                assert pixels.dtype == np.uint8
                assert numbers.dtype == np.int64
                assert np.array_equal(pixels, theirs)
                assert np.array_equal(numbers, mask if name == "mini-camvid11" else mask // 255)
                assert tuple(found.sizes(np.array([row]))[0]) == numbers.shape == pixels.shape[:2]


def test_another_number_of_masks_names_both(data_folder):
    with pytest.raises(DataError, match="expected 222 pictures with masks, received 221"):
        scenes("mini-petmask", "train", counts={"train": 222})


def voc(folder, augmented=True, pairs=False):
    """VOCdevkit/VOC2012 as published: palette masks, and the grey ones of the augmented set beside them."""
    root, rng = folder / "VOCdevkit" / "VOC2012", np.random.default_rng(0)
    for n, key in enumerate(("2007_000032", "2007_000039", "2011_003255")):
        save(root / "JPEGImages" / f"{key}.jpg", rng.integers(0, 255, (6 + n, 9, 3)).astype(np.uint8))
        mask = rng.integers(0, 21, (6 + n, 9)).astype(np.uint8)
        mask[0] = 255
        save(root / "SegmentationClass" / f"{key}.png", mask, palette=True)
        if augmented:
            save(root / "SegmentationClassAug" / f"{key}.png", mask[::-1].copy())
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    lines = ["2007_000032", "2007_000039"]
    if pairs:
        lines = [f"/JPEGImages/{key}.jpg /SegmentationClassAug/{key}.png" for key in lines]
    (lists / ("train_aug.txt" if pairs else "trainaug.txt")).write_text("\n".join(lines) + "\n")
    (lists / "val.txt").write_text("2011_003255\n")
    return root


@pytest.mark.parametrize("pairs", [False, True])
def test_pascal_voc_2012(tmp_path, pairs):
    root = voc(tmp_path, pairs=pairs)
    tiny = {"train": 2, "test": 1}
    train, test = (scenes("voc2012", split, folder=tmp_path, counts=tiny) for split in ("train", "test"))
    assert train.ids.tolist() == ["train/2007_000032", "train/2007_000039"]
    assert (len(train.classes), train.classes[15], train.ignore) == (21, "person", 255)
    assert test.sizes(np.arange(1)).tolist() == [[8, 9]]
    pixels, numbers = train.read(1)
    assert np.array_equal(numbers, np.asarray(Image.open(root / "SegmentationClassAug" / "2007_000039.png")))
    assert (numbers[-1] == 255).all()
    assert pixels.shape == (7, 9, 3)
    with pytest.raises(DataError, match="expected 10582 pictures with masks, received 2"):
        scenes("voc2012", "train", folder=tmp_path)


def test_pascal_without_augmented_masks_reads_the_numbers_behind_the_palette(tmp_path):
    root = voc(tmp_path, augmented=False)
    numbers = scenes("voc2012", "test", folder=tmp_path, counts={"test": 1}).read(0)[1]
    assert np.array_equal(numbers, np.asarray(Image.open(root / "SegmentationClass" / "2011_003255.png")))
    assert (numbers[0] == 255).all()


def test_cityscapes_has_its_nineteen_train_ids(tmp_path):
    labels, rng = np.arange(34, dtype=np.uint8).reshape(2, 17), np.random.default_rng(0)
    for split, city, key in (("train", "aachen", "aachen_000000_000019"), ("val", "lindau", "lindau_000001_000019")):
        picture = rng.integers(0, 255, (2, 17, 3)).astype(np.uint8)
        save(tmp_path / "leftImg8bit" / split / city / f"{key}_leftImg8bit.png", picture)
        save(tmp_path / "gtFine" / split / city / f"{key}_gtFine_labelIds.png", labels)
    tiny = {"train": 1, "test": 1}
    found = scenes("cityscapes", "train", folder=tmp_path, counts=tiny)
    assert found.ids.tolist() == ["train/aachen_000000_000019"]
    from torchvision.datasets import Cityscapes

    theirs = {c.id: c.train_id for c in Cityscapes.classes if c.id >= 0}
    wanted = [theirs[i] if 0 <= theirs[i] < 255 else 255 for i in range(34)]
    assert found.read(0)[1].ravel().tolist() == wanted
    assert found.classes == tuple(
        c.name for c in sorted(Cityscapes.classes, key=lambda c: c.train_id) if 0 <= c.train_id < 255
    )
    assert scenes("cityscapes", "test", folder=tmp_path, counts=tiny).ids.tolist() == ["test/lindau_000001_000019"]
    with pytest.raises(DataError, match="expected 500 pictures with masks, received 1"):
        scenes("cityscapes", "test", folder=tmp_path)


@pytest.mark.parametrize("fault", ["no mask", "other size", "strange number", "no picture"])
def test_faulty_masks_are_named(tmp_path, fault):
    root = voc(tmp_path)
    mask, picture = root / "SegmentationClassAug" / "2011_003255.png", root / "JPEGImages" / "2011_003255.jpg"
    if fault == "no mask":
        mask.unlink()
    elif fault == "other size":
        save(mask, np.zeros((3, 3), np.uint8))
    elif fault == "strange number":
        save(mask, np.full((8, 9), 21, np.uint8))
    else:
        picture.write_bytes(picture.read_bytes()[:-40])
    with pytest.raises(DataError, match="2011_003255"):
        scenes("voc2012", "test", folder=tmp_path, counts={"test": 1}).read(0)


def test_missing_sets_and_unknown_names(tmp_path):
    for name, said in (("voc2012", "Get VOCtrainval"), ("cityscapes", "cityscapes-dataset.com")):
        with pytest.raises(DataError, match=said):
            scenes(name, "train", folder=tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'mini-camvid11'"):
        scenes("camvid11", "train")
    with pytest.raises(UnknownNameError, match="'val'"):
        scenes("voc2012", "val")
    assert scene_splits("cityscapes") == ("train", "test")


def test_the_digest_follows_pictures_and_masks(tmp_path):
    root = voc(tmp_path)
    ask = lambda: scenes("voc2012", "test", tmp_path / "notes", folder=tmp_path, counts={"test": 1}).digest  # noqa: E731
    before = ask()
    assert ask() == before
    save(root / "SegmentationClassAug" / "2011_003255.png", np.zeros((8, 9), np.uint8))
    assert ask() != before


def test_no_picture_is_opened_before_its_size_is_asked_for(tmp_path, monkeypatch):
    import relic_eval.data.scenes as module

    voc(tmp_path)
    opened, upright_size = [], module.upright_size
    monkeypatch.setattr(module, "upright_size", lambda file: opened.append(file) or upright_size(file))
    found = scenes("voc2012", "train", folder=tmp_path, counts={"train": 2})
    assert (len(found), opened) == (2, [])
    rows = SceneRows(found, np.arange(2))
    assert rows.sizes_N2.tolist() == [[6, 9], [7, 9]]
    assert rows.sizes_N2 is rows.sizes_N2
    assert len(opened) == 2
    assert found.sizes(np.array([1])).tolist() == [[7, 9]]
