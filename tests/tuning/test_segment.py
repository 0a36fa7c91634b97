"""Segmentation: the dilated network, crops, counts, and what is learnt from hand-made and real masks."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image
from torch import nn
from torch.nn import functional as F

from relic_eval.board import Board
from relic_eval.cells import Result, read_cell, write_cell
from relic_eval.data.scenes import scenes
from relic_eval.encoders.load import find_encoder
from relic_eval.encoders.networks import build_network
from relic_eval.encoders.wrapped import Wrapped
from relic_eval.errors import ArgumentError
from relic_eval.metrics.segmentation import bootstrap_mean_iou, mean_iou, picture_counts, pixel_confusion
from relic_eval.tuning import feed, maps
from relic_eval.tuning.canvas import Canvases, middles, on_device, scaled_crops, spread
from relic_eval.tuning.dilate import dilate
from relic_eval.tuning.fcn import Fcn, pixel_loss
from relic_eval.tuning.overlaps import aligned, counts_of, overlaps
from relic_eval.tuning.scenery import NONE, SceneRows, divide_scenes
from relic_eval.tuning.segment_fcn import SegmentFcn
from relic_eval.tuning.segment_linear import SegmentLinear
from relic_eval.tuning.shown import chosen_places, inside
from relic_eval.tuning.table import PROTOCOLS
from relic_eval.views import Draw
from reports.sections.pictures.segmentation import segmentation_section
from reports.sections.section import Material

SMALL = SegmentFcn(
    learning_rates=(0.2,), steps=60, batch=8, scales=(1.0, 1.5), crop=25, view=0, width=16, dilation=1, trainings=2
)
SHORT = dataclasses.replace(SMALL, steps=2, learning_rates=(0.1, 0.2))


def last_maps(network, x):
    if hasattr(network, "maps"):
        return network.maps(x)
    if hasattr(network, "forward_features"):
        return network.forward_features(x)
    return nn.Sequential(*list(network.children())[:-2])(x)


def network(name):
    kind, _, model = name.rpartition(" ")
    makers = {"": lambda n: build_network(n, 3), "torchvision": torchvision.models.get_model, "timm": timm.create_model}
    return makers[kind](model).eval()


@pytest.mark.parametrize(
    "name",
    ["thin-resnet", "resnet18-32px", "resnet50", "torchvision resnet18", "torchvision resnet50", "timm resnet18"],
)
def test_a_dilated_map_is_twice_as_large_and_what_it_was_at_the_even_places(name):
    its = network(name).double()
    side = 16 if name.endswith("32px") else 64
    x = torch.rand(1, 3, side, 3 * side // 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.inference_mode():
        before, after = last_maps(its, x), last_maps(dilate(its), x)
    assert after.shape[2:] == (2 * before.shape[2], 2 * before.shape[3])
    torch.testing.assert_close(after[:, :, ::2, ::2], before, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(after[:, :, 1::2, 1::2], before)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto", "resnet50d", "mobilenetv3_small_050"])
def test_a_network_without_such_a_stage_is_refused_and_told_what_to_use(name):
    with pytest.raises(ArgumentError, match=r"expected a ResNet, .* Use segment-linear"):
        dilate(timm.create_model(name))


def test_logits_are_as_large_as_the_picture_and_gradients_reach_the_first_layer():
    its = Wrapped(dilate(build_network("resnet18", 3)), (0.5,), (0.25,))
    model = Fcn(its, 512, 4, width=8)
    assert [layer.dilation for layer in model.neck if isinstance(layer, nn.Conv2d)] == [(6, 6)] * 2
    logits = model(torch.rand(2, 3, 49, 65))
    assert logits.shape == (2, 4, 49, 65)
    pixel_loss(logits, torch.randint(0, 4, (2, 49, 65))).backward()
    assert its.network.stem[0].weight.grad.abs().max() > 0


def test_the_loss_is_that_of_the_labelled_pixels_alone():
    logits, y = torch.randn(2, 3, 4, 5), torch.randint(-1, 3, (2, 4, 5))
    torch.testing.assert_close(pixel_loss(logits, y), F.cross_entropy(logits, y, ignore_index=-1))
    assert pixel_loss(logits, torch.full((2, 4, 5), -1)) == 0  # and not NaN


def test_counts_and_their_mean_iou_are_those_of_a_slow_loop():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 4, (5, 6, 7)), rng.integers(0, 3, (5, 6, 7))
    true[rng.random(true.shape) < 0.2] = 255
    counts = picture_counts(true, predicted, 4)
    for n in range(5):
        for c in range(4):
            kept = true[n] != 255
            is_c, said_c = (true[n] == c) & kept, (predicted[n] == c) & kept
            assert counts[:, n, c].tolist() == [(is_c & said_c).sum(), is_c.sum(), said_c.sum()]
    sums = counts.sum(1)
    slow = [sums[0, c] / (sums[1, c] + sums[2, c] - sums[0, c]) for c in range(4)]
    model = np.stack([counts])[:, :, None]
    assert bootstrap_mean_iou(model[:, :, :, :1], draws=2)[0, 0] == pytest.approx(
        mean_iou(pixel_confusion(true[0], predicted[0], 4))
    )
    assert np.mean(slow) == pytest.approx(mean_iou(pixel_confusion(true, predicted, 4)))
    draws = bootstrap_mean_iou(model, draws=4000)[0]
    slow_rng = np.random.default_rng(1)
    again = []
    for _ in range(4000):
        its = counts[:, slow_rng.integers(0, 5, 5)].sum(1)
        either = its[1] + its[2] - its[0]
        again.append((its[0][either > 0] / either[either > 0]).mean())
    assert draws.mean() == pytest.approx(np.mean(again), abs=3e-3)
    assert draws.std() == pytest.approx(np.std(again), rel=0.06)


def test_two_models_are_resampled_together():
    counts = picture_counts(np.arange(24).reshape(4, 2, 3) % 2, np.zeros((4, 2, 3), int), 2)[None, :, None]
    both = bootstrap_mean_iou(np.concatenate([counts, counts]), draws=50)
    assert np.array_equal(both[0], both[1])


def test_cells_of_other_pictures_are_not_compared():
    true = np.arange(24).reshape(4, 2, 3) % 2
    one = picture_counts(true, np.zeros((4, 2, 3), int), 2)[:, None]
    other = picture_counts(1 - true.clip(max=0), np.zeros((4, 2, 3), int), 2)[:, None]
    ids = np.array(list("abcd"))
    assert np.array_equal(aligned([overlaps(one, ids)] * 2, 2), np.stack([one, one]))
    twice = one.repeat(2, 1)
    for wrong in (overlaps(one, ids[::-1]), overlaps(other, ids), overlaps(twice, ids)):
        with pytest.raises(ArgumentError, match="tables: expected cells of"):
            aligned([overlaps(one, ids), wrong], 2)


def draw(n, seed=0):
    return Draw(torch.Generator().manual_seed(seed), n)


def test_a_crop_at_the_pictures_own_scale_is_a_piece_of_it_with_the_classes_of_its_pixels(patches):
    source = Canvases([patches[0]])
    fill = torch.tensor([0.1, 0.2, 0.3])
    x, y, sizes = on_device(source.take(np.arange(6)), fill, "cpu")
    for flip in (0.0, 1.0):
        crop, classes = scaled_crops(x, y, sizes, 12, (1.0, 1.0), flip, draw(6))
        # positions are fractions of a pixel, so classes are compared: they are those of the nearest pixel
        again = scaled_crops(x, y, sizes, 12, (1.0, 1.0), 1 - flip, draw(6))
        torch.testing.assert_close(crop.flip(3), again[0], rtol=0, atol=1e-5)
        assert (classes.flip(2) == again[1]).float().mean() > 0.99
    picture, mask = patches[0].scenes.read(int(patches[0].rows[0]))
    bright = (crop[0] + fill.view(3, 1, 1)).amax(0) > 130 / 255
    inside = (classes[0] > 0) & bright
    assert inside.sum() > 0.8 * max(1, int((classes[0] > 0).sum()))
    assert picture.shape[:2] == mask.shape


def test_a_scaled_crop_sees_more_or_less_of_the_picture(patches):
    source = Canvases([patches[0]])
    x, y, sizes = on_device(source.take(np.arange(32)), torch.zeros(3), "cpu")
    half, _ = scaled_crops(x, y, sizes, 60, (0.5, 0.5), 0.0, draw(32))
    seen = (half.amax(1) > 0).float().sum((1, 2))
    torch.testing.assert_close(seen, sizes.prod(1) / 4, rtol=0.25, atol=0)  # all of it, at half its sides
    _, large = scaled_crops(x, y, sizes, 16, (2.0, 2.0), 0.0, draw(32))
    assert (large >= NONE).all()
    assert (large == NONE).float().mean() < 0.2


def test_the_middle_is_cut_pixel_by_pixel(patches):
    source = Canvases([patches[0]])
    fill = torch.tensor([0.1, 0.2, 0.3])
    x, y, sizes = on_device(source.take(np.arange(32)), fill, "cpu")
    small, its = middles(x, y, sizes, 11, 13)
    whole, all_of_it = middles(x, y, sizes, source.high, source.wide)
    for n in range(32):
        picture, mask = patches[0].scenes.read(int(patches[0].rows[n]))
        mask = np.where(mask == 9, NONE, mask)
        top, left = (mask.shape[0] - 11) // 2, (mask.shape[1] - 13) // 2
        box = np.s_[top : top + 11, left : left + 13]
        rows, columns = inside(np.array(mask.shape), source.high, source.wide)
        assert np.array_equal(all_of_it[n][rows, columns], mask)
        assert np.array_equal(its[n], mask[box])
        shown = (small[n] + fill.view(3, 1, 1)).permute(1, 2, 0)
        np.testing.assert_allclose(shown, picture[box] / 255, atol=1e-4)
        assert (all_of_it[n] >= 0).sum() == (mask >= 0).sum()
        assert (whole[n].abs().amax(0) > 1e-4).sum() == mask.size


def test_maps_are_spread_as_torch_spreads_one_picture():
    y = torch.randn(2, 3, 4, 5)
    wide = spread(y, torch.tensor([[11.0, 9.0], [16.0, 20.0]]), 16, 20)
    for n, (h, w) in enumerate([(11, 9), (16, 20)]):
        alone = F.interpolate(y[n : n + 1], size=(h, w), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(wide[n, :, :h, :w], alone, rtol=1e-4, atol=1e-5)


def check_overlays(cell, part):
    """Kept pictures and masks are as large as these small scenes: each pixel is counted in `overlaps`, by the first training."""
    assert cell.overlays["item"].tolist() == part.ids[chosen_places(len(part))].tolist()
    first = cell.overlaps["draw"] == 0 if "draw" in cell.overlaps else np.ones(len(cell.overlaps["item"]), bool)
    for n, item in enumerate(cell.overlays["item"].tolist()):
        picture, true = part.scenes.read(part.ids.tolist().index(item))
        kept = {
            name: np.asarray(Image.open(io.BytesIO(cell.overlays[name][n]), formats=[kind])).astype(int)
            for name, kind in (("picture", "WEBP"), ("true", "PNG"), ("predicted", "PNG"))
        }
        assert np.array_equal(kept["true"], np.where(true == 9, 255, true))
        assert np.abs(kept["picture"] - picture).mean() < 30  # noise, pressed
        counts = picture_counts(np.where(true == 9, -1, true)[None], kept["predicted"][None], 3, ignore=-1)[:, 0]
        rows = first & (cell.overlaps["item"] == item)
        for c, both, is_c, said_c in zip(
            *(cell.overlaps[name][rows] for name in ("class", "both", "true", "predicted")), strict=True
        ):
            assert counts[:, c].tolist() == [both, is_c, said_c]


def test_a_trained_network_finds_what_a_colour_shows(encoder, patches):
    cell = SMALL(encoder, *patches)
    first = cell.rows[0]
    assert (first.metric, first.n, first.params["trainings"]) == ("miou", 10, 2)
    assert first.value > 0.6
    assert first.low < first.value < first.high
    named = [row.params["class"] for row in cell.rows if row.metric == "iou"]
    assert named == ["rest", "red", "green"]
    counts, items = counts_of(cell.overlaps, 3)
    assert items.tolist() == patches[2].ids.tolist()
    assert first.value == pytest.approx(
        np.mean([np.mean(b / (t + p - b)) for b, t, p in counts.sum(2).transpose(1, 0, 2)])
    )
    labelled = sum((patches[2].scenes.read(row)[1] != 9).sum() for row in range(10))
    assert counts[1, 0].sum() == counts[2, 0].sum() == labelled
    check_overlays(cell, patches[2])


def test_poisoned_test_masks_change_no_choice_and_a_kill_goes_on_to_the_same_cell(
    encoder, patches, tmp_path, monkeypatch
):
    whole = SHORT(encoder, *patches)
    source = patches[2].scenes
    swapped = dataclasses.replace(
        source,
        digest="p",
        read=lambda row: (source.read(row)[0], np.array([1, 2, 0, 9])[source.read(row)[1].clip(max=3)]),
    )
    poisoned = SHORT(encoder, *patches[:2], SceneRows(swapped, patches[2].rows))
    assert {n: v for n, v in poisoned.rows[0].params.items() if n != "spread"} == {
        n: v for n, v in whole.rows[0].params.items() if n != "spread"
    }
    assert np.array_equal(poisoned.curves["y"], whole.curves["y"])
    real, done = SegmentFcn._fit, []

    def killed(self, *arguments):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(arguments[-1])
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentFcn, "_fit", killed)
        with pytest.raises(KeyboardInterrupt):
            SHORT(encoder, *patches, keep=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 3  # both rates, and the first of two trainings
    again = SHORT(encoder, *patches, keep=tmp_path)
    assert again.rows == whole.rows
    assert all(np.array_equal(again.overlaps[name], whole.overlaps[name]) for name in whole.overlaps)
    assert all(np.array_equal(again.overlays[name], whole.overlays[name]) for name in whole.overlays)
    assert len(list(tmp_path.glob("*.json"))) == 4


def test_scenes_that_do_not_fit_are_read_while_it_trains_to_the_same_numbers(encoder, patches, monkeypatch):
    held = SHORT(encoder, *patches)
    monkeypatch.setattr(feed, "HELD", 0)
    monkeypatch.setattr("relic_eval.tuning.canvas.HELD", 0)
    assert SHORT(encoder, *patches).rows == held.rows


def test_a_linear_layer_on_frozen_maps_finds_it_too_and_encodes_each_picture_once(encoder, patches, monkeypatch):
    shown, real = [], maps.maps_of
    monkeypatch.setattr(maps, "maps_of", lambda module, x: shown.append(len(x)) or real(module, x))
    its = dataclasses.replace(PROTOCOLS["segment-linear"], side=64, pixels=64)
    cell = its(encoder, *patches)
    assert sum(shown) == sum(len(part) for part in patches)
    assert cell.rows[0].value > 0.75
    assert cell.rows[0].converged
    assert len(cell.curves["x"]) == 2 * len(its.penalties)
    counts, _ = counts_of(cell.overlaps, 3)
    assert counts[1].sum() == sum((patches[2].scenes.read(row)[1] != 9).sum() for row in range(10))
    check_overlays(cell, patches[2])
    source = patches[2].scenes
    swapped = dataclasses.replace(source, read=lambda row: (source.read(row)[0], 2 - source.read(row)[1].clip(max=2)))
    poisoned = its(encoder, *patches[:2], SceneRows(swapped, patches[2].rows))
    assert poisoned.rows[0].params == cell.rows[0].params
    assert np.array_equal(poisoned.curves["y"], cell.curves["y"])


def test_a_linear_layer_says_the_same_before_and_after_spreading(encoder, patches):
    rng = np.random.default_rng(0)
    its = maps.compute_maps(encoder, patches[2].take(np.arange(1)), maps.Transform(40))
    weights, bias = rng.normal(size=(2, 128, 3)), rng.normal(size=(2, 3))
    x_RD, y_R = its.pixels(60_000, seed=0)  # each pixel about a hundred times
    for true, said in its.predictions(weights, bias):
        for layer, predicted in enumerate(said):
            shares = [(predicted[true == c] == 1).mean() for c in (0, 1)]
            rows = (x_RD @ weights[layer] + bias[layer]).argmax(1)
            drawn = [(rows[y_R == c] == 1).mean() for c in (0, 1)]
            np.testing.assert_allclose(shares, drawn, atol=0.02)


def test_an_encoder_without_maps_is_refused(patches):
    for evaluator in (SHORT, SegmentLinear()):
        with pytest.raises(ArgumentError, match="expected a network with weights to train"):
            evaluator(find_encoder("pixels"), *patches)


def test_training_validation_and_test_scenes_share_no_picture(patches):
    train, valid, test = patches
    assert (len(train), len(valid), len(test)) == (32, 8, 10)
    assert not set(train.ids) & set(valid.ids)
    own = divide_scenes(train.scenes, test.scenes, dataclasses.replace(test.scenes, split="valid"))
    assert [len(part) for part in own] == [40, 10, 10]
    other = dataclasses.replace(test.scenes, classes=("a", "b", "c"))
    with pytest.raises(ArgumentError, match="expected the classes of train"):
        divide_scenes(train.scenes, other)


def test_a_cell_of_masks_is_written_and_read_with_its_counts(encoder, patches, tmp_path):
    cell = SHORT(encoder, *patches)
    about = {
        "key": "k",
        "title": "Patches",
        "classes": list(patches[0].scenes.classes),
        "settings": {},
        "versions": {},
        "stores": {},
        "data": {"train": "a", "test": "b"},
        "counts": {"train": 1, "valid": 1, "test": 1},
        "task_settings": {"title": "", "dataset": "d", "train": "train", "test": "test", "level": "class", "seed": 0},
    }
    back = read_cell(write_cell(tmp_path, "e", "patches", "segment-fcn", cell, about)).cell
    assert back.predictions is None
    for name in ("overlaps", "overlays"):
        for column, values in getattr(cell, name).items():
            assert np.array_equal(getattr(back, name)[column], values), column


@pytest.mark.parametrize("name", ["segment-fcn-small", "segment-linear"])
def test_real_masks_of_pets_and_streets(data_folder, encoder, name, monkeypatch):
    short = {"steps": 12, "trainings": 1, "learning_rates": (0.03,)} if name == "segment-fcn-small" else {"side": 64}
    its = dataclasses.replace(PROTOCOLS[name], **short)
    train, valid, test = divide_scenes(scenes("mini-petmask", "train"), scenes("mini-petmask", "test"))
    few = (train.take(np.arange(40)), valid.take(np.arange(12)), test.take(np.arange(20)))
    cell = its(encoder, *few)
    assert 0.2 < cell.rows[0].value < 1  # all of one class: 0.22 and 0.28
    if name == "segment-fcn-small":  # a dozen steps of a random network teach it little, but something
        loss = cell.curves["y"][cell.curves["name"] == "loss"]
        assert loss[-3:].mean() < loss[:3].mean()
    else:
        assert cell.rows[0].value > 0.3
    assert [row.params.get("class") for row in cell.rows[2:]] == ["rest", "pet"]
    assert len(np.unique(cell.overlaps["item"])) == 20
    about = {"title": "Pets", "classes": list(few[2].scenes.classes), "data": {"train": "a", "test": "b"}}
    results = [Result(encoder.name, "pets", name, cell, about)]
    (figure,) = segmentation_section(Material(results, Board(None, (), (), ()))).content["figures"]
    assert len(figure["pictures"]["lines"][1]["tiles"]) == 6
    assert set(figure["pictures"]["names"]) <= set(few[2].ids.tolist())
