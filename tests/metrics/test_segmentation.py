"""Intersection over union against scikit-learn, torchmetrics and slow loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from sklearn.metrics import confusion_matrix, jaccard_score
from torchmetrics.functional.classification import multiclass_jaccard_index

from relic_eval.errors import ArgumentError
from relic_eval.metrics import segmentation
from relic_eval.metrics.segmentation import iou, mask_f, mask_iou, mean_iou, pixel_confusion


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_counts_equal_scikit_learns(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    classes, kind = data.draw(st.integers(2, 6)), data.draw(st.sampled_from(["u1", "i8", ">i4", "i2"]))
    shape = data.draw(st.sampled_from([(7,), (3, 5), (2, 4, 6)]))
    true, predicted = (rng.integers(0, classes, shape).astype(kind).T for _ in range(2))
    true[rng.random(true.shape) < 0.2] = 255
    true.setflags(write=False)
    kept = true != 255
    found = pixel_confusion(true, predicted, classes)
    if kept.any():
        expected = confusion_matrix(true[kept], predicted[kept], labels=np.arange(classes))
        np.testing.assert_array_equal(found, expected)
        union = [((true == c) | (predicted == c))[kept].sum() for c in range(classes)]
        both = [((true == c) & (predicted == c))[kept].sum() for c in range(classes)]
        there = [c for c in range(classes) if union[c]]
        np.testing.assert_allclose(iou(found)[there], [both[c] / union[c] for c in there], rtol=1e-12)
        assert mean_iou(found) == pytest.approx(np.mean([both[c] / union[c] for c in there]))
    else:
        assert found.sum() == 0


def test_images_add_up(monkeypatch):
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 21, (2, 5, 30, 40), np.uint8)
    true[:, :3] = 255
    whole = pixel_confusion(true, predicted, 21)
    monkeypatch.setattr(segmentation, "BLOCK", 97)
    total = sum(pixel_confusion(t, p, 21) for t, p in zip(true, predicted, strict=True))
    np.testing.assert_array_equal(total, whole)
    kept = true != 255
    expected = jaccard_score(true[kept], predicted[kept], average="macro", labels=np.arange(21))
    assert mean_iou(total) == pytest.approx(expected, rel=1e-12)
    theirs = multiclass_jaccard_index(
        torch.from_numpy(predicted).long(), torch.from_numpy(true).long(), 21, ignore_index=255
    )
    assert mean_iou(total) == pytest.approx(float(theirs), rel=1e-5)


def test_a_class_that_is_only_predicted_has_0():
    found = iou(pixel_confusion(np.array([0, 0, 0]), np.array([0, 0, 2]), 4))
    np.testing.assert_allclose(found, [2 / 3, np.nan, 0, np.nan])


def test_predictions_on_ignored_pixels_may_be_anything():
    assert pixel_confusion(np.array([0, 255]), np.array([0, 99]), 2).sum() == 1
    assert pixel_confusion(np.array([0, -1], np.int8), np.array([0, 1], np.int8), 2, ignore=-1).sum() == 1
    assert pixel_confusion(np.array([0, 1]), np.array([0, 1]), 2, ignore=None).sum() == 2


@pytest.mark.parametrize(
    ("true", "predicted", "match"),
    [
        (
            np.array([0, 2]),
            np.array([0, 1]),
            "true: expected classes from 0 to 1, received 2. Is that the label to ignore",
        ),
        (np.array([0, 1]), np.array([0, 255]), "predicted: expected classes from 0 to 1, received 255"),
        (np.array([0, 1]), np.array([-1, 1]), "received -1"),
        (np.array([0.0, 1.0]), np.array([0.0, 1.0]), "whole numbers"),
    ],
)
def test_labels_out_of_range(true, predicted, match):
    with pytest.raises(ArgumentError, match=match):
        pixel_confusion(true, predicted, 2)


def test_a_class_is_not_ignored():
    """Its row would be empty, and what is predicted as it would make it an IoU of 0; classes above 255 are no borders."""
    with pytest.raises(ArgumentError, match="none of the 2 classes, received 0"):
        pixel_confusion(np.array([0, 1]), np.array([0, 0]), 2, ignore=0)
    with pytest.raises(ArgumentError, match="none of the 256 classes, received 255"):
        pixel_confusion(np.array([255]), np.array([255]), 256)
    assert pixel_confusion(np.array([255]), np.array([255]), 256, ignore=None)[255, 255] == 1
    assert pixel_confusion(np.array([254, 255]), np.array([254, 0]), 255).sum() == 1


def test_no_pixel_has_no_mean():
    with pytest.raises(ArgumentError, match="at least one pixel"):
        mean_iou(np.zeros((3, 3), int))
    with pytest.raises(ArgumentError, match="square matrix of counts"):
        iou(np.array([[1, -1], [0, 1]]))


def test_masks_against_loops_over_pixels():
    rng = np.random.default_rng(0)
    true, predicted = rng.random((20, 5, 7)) < 0.4, rng.random((20, 5, 7)) < 0.5
    true[0] = predicted[0] = False
    true[1], predicted[2], predicted[3] = False, False, ~true[3]
    for row, (a, b) in enumerate(zip(true.tolist(), predicted.tolist(), strict=True)):
        pairs = [(t, p) for line, other in zip(a, b, strict=True) for t, p in zip(line, other, strict=True)]
        both, either = pairs.count((True, True)), len(pairs) - pairs.count((False, False))
        said, there = both + pairs.count((False, True)), both + pairs.count((True, False))
        precision, recall = both / said if said else 0, both / there if there else 0
        share = 0.3 * precision + recall
        f = 1.3 * precision * recall / share if share else float(said == there == 0)
        assert mask_iou(true, predicted)[row] == pytest.approx(both / either if either else 1)
        assert mask_f(true, predicted)[row] == pytest.approx(f)


def test_masks_that_are_none_are_refused():
    mask = np.ones((2, 3, 3), bool)
    with pytest.raises(ArgumentError, match=r"masks .* of bool"):
        mask_iou(mask.astype(np.uint8), mask)
    with pytest.raises((ArgumentError, TypeCheckError), match="predicted_NHW"):
        mask_f(mask, mask[:1])
