"""The network of masks: better than the noisy masks it learns from, and the same each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pretrain.saliency import network as net
from pretrain.saliency.makers import make_masks
from pretrain.saliency.threshold import to_masks
from relic_eval.metrics.segmentation import mask_iou

PLAN = replace(net.PLAN, batch=16, fewest_steps=90, most_steps=90, lr=6e-3)


def squares(count, side=32, seed=0):
    """Bright squares on dark ground, uint8 (N, side, side, 3), their masks, and noisy masks."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:side, :side]
    left, top = rng.integers(2, side // 2, (2, count, 1, 1))
    size = rng.integers(side // 4, side // 2, (count, 1, 1))
    mask = (row >= top) & (row < top + size) & (column >= left) & (column < left + size)
    pixels = np.where(mask[..., None], 190, 70) + rng.normal(0, 25, (count, side, side, 3))
    noisy = mask.copy()
    for one in noisy:  # a block is turned over, and every sixth pixel
        top, left = rng.integers(0, side - side // 3, 2)
        one[top : top + side // 3, left : left + side // 3] ^= True
        one ^= rng.random(one.shape) < 1 / 6
    return pixels.clip(0, 255).astype(np.uint8), mask, noisy


def learnt(pixels, noisy):
    x, labels = net._seen(pixels), torch.from_numpy(noisy[:, None].astype(np.float32))
    return net.learn(x, labels, PLAN)


def test_it_is_better_than_the_masks_it_learns_from():
    pixels, mask, noisy = squares(96)
    network = learnt(pixels, noisy)
    found = to_masks(net.predict(network, pixels))
    theirs, ours = mask_iou(mask, noisy).mean(), mask_iou(mask, found).mean()
    assert theirs < 0.5
    assert ours > theirs + 0.3
    others, true, _ = squares(20, seed=1)  # that it has not seen
    assert mask_iou(true, to_masks(net.predict(network, others))).mean() > theirs + 0.3


def test_the_same_pictures_give_the_same_masks(monkeypatch):
    monkeypatch.setattr(net.train, "__defaults__", (replace(PLAN, fewest_steps=6, most_steps=6),))
    pixels, _, _ = squares(12)
    state = torch.random.get_rng_state()
    first, second = (net.network(pixels) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.dtype == np.float32
    assert (first >= 0).all()
    assert (first <= 1).all()
    assert torch.equal(torch.random.get_rng_state(), state)  # nothing is drawn from what others draw from
    assert np.array_equal(make_masks("network", pixels), to_masks(first))


def test_labels_move_towards_the_predictions(monkeypatch):
    pixels, _, noisy = squares(16)
    seen = []
    real = net._augmented
    monkeypatch.setattr(net, "_augmented", lambda x, labels, *more: (seen.append(labels), real(x, labels, *more))[1])
    net.learn(
        net._seen(pixels),
        torch.from_numpy(noisy[:, None].astype(np.float32)),
        replace(PLAN, fewest_steps=4, most_steps=4, moves=1),
    )
    assert all(set(labels.unique().tolist()) <= {0.0, 1.0} for labels in seen[:2])
    for labels in seen[2:]:  # seven tenths of what it was, the rest a probability
        assert ((labels <= 0.3) | (labels >= 0.7)).all()
        assert len(labels.unique()) > 100


@pytest.mark.parametrize("side", [(28, 28), (33, 50), (96, 96)])
def test_pictures_and_labels_are_mirrored_and_cropped_alike(side):
    x = torch.arange(side[0] * side[1]).view(1, 1, *side).float().expand(4, -1, -1, -1)
    some, labels = net._augmented(x.expand(-1, 3, -1, -1), x, torch.Generator().manual_seed(0), 0.75)
    assert torch.equal(some[:, :1], labels)
    assert labels.shape[2] >= 0.74 * side[0]
    steps = labels[:, 0, :, 1] - labels[:, 0, :, 0]
    assert set(steps.flatten().tolist()) == {1.0, -1.0}


def test_large_pictures_are_seen_smaller_and_masks_have_their_size():
    pixels = np.random.default_rng(0).integers(0, 255, (2, 130, 100, 1)).astype(np.uint8)
    seen = net._seen(pixels)
    assert seen.shape == (2, 3, 83, 64)
    np.testing.assert_allclose(seen.mean((1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std((1, 2, 3)), 1, rtol=1e-4)
    assert net.predict(net.Net(), pixels).shape == (2, 130, 100)


def test_of_many_pictures_some_are_learnt_from(monkeypatch):
    monkeypatch.setattr(net, "MOST", 10)
    monkeypatch.setattr(net, "learn", lambda x, labels, plan: (x, labels))
    pixels, _, _ = squares(30)
    asked = []
    x, labels = net.train(lambda rows: (asked.extend(rows.tolist()), pixels[rows])[1], 30)
    assert len(set(asked)) == 10
    assert asked == sorted(asked)
    assert torch.equal(x, net._seen(pixels[asked]))
    assert np.array_equal(labels[:, 0].numpy() > 0, make_masks("fused", pixels[asked]))
