"""Average precision against scikit-learn, torchmetrics and VOC's own loops."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torchmetrics.functional.classification import binary_average_precision

from relic_eval.errors import ArgumentError
from relic_eval.metrics.precision import average_precision, mean_average_precision

KINDS = ("11-point", "all-point", "step")


def slow(true, score, kind):
    """VOC's loops (VOCevalcls.m, VOCap.m), in fractions; equal scores come in together."""
    points, found = [], 0
    for s in sorted(set(score), reverse=True):
        above = [t for t, its in zip(true, score, strict=True) if its >= s]
        points.append((Fraction(int(sum(above)), int(sum(true))), Fraction(int(sum(above)), len(above))))
    if kind == "11-point":
        return float(sum(max(p for r, p in points if r >= Fraction(t, 10)) for t in range(11)) / 11)
    area, before = Fraction(0), Fraction(found)
    for r, p in points:
        area += (r - before) * (p if kind == "step" else max(q for s, q in points if s >= r))
        before = r
    return float(area)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_equals_vocs_loops(data):
    n = data.draw(st.integers(1, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    kind = data.draw(st.sampled_from(KINDS))
    score = rng.integers(0, data.draw(st.sampled_from([2, 8, 1000])), n).astype(
        data.draw(st.sampled_from(["f8", ">f4", "f2", "i4"]))
    )
    true = rng.random(n) < 0.5
    true[rng.integers(n)] = True
    score, true = score[::-1], true[::-1]
    score.setflags(write=False)
    found = average_precision(true, score, kind=kind)
    assert found == pytest.approx(slow(true, score.astype(float), kind), rel=1e-12)
    order = rng.permutation(n)
    assert average_precision(true[order], score[order], kind=kind) == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_step_is_scikit_learns_and_torchmetrics(dtype):
    rng = np.random.default_rng(0)
    true, score = rng.random(400) < 0.2, rng.normal(size=400).astype(dtype).round(1)
    found = average_precision(true, score, kind="step")
    assert found == pytest.approx(average_precision_score(true, score), rel=1e-9)
    logit = torch.sigmoid(torch.from_numpy(score).double())
    assert found == pytest.approx(float(binary_average_precision(logit, torch.from_numpy(true).long())), rel=1e-4)


def test_eleven_points_by_hand():
    """Right, wrong, right: precision 1 for t up to 0.5 (six points), 2/3 for the other five."""
    true, score = np.array([1, 0, 1]), np.array([3.0, 2.0, 1.0])
    assert average_precision(true, score) == pytest.approx((6 + 5 * 2 / 3) / 11)
    assert average_precision(true, score, kind="all-point") == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_recall_of_three_tenths_counts_at_three_tenths():
    """The third of ten images of the class ends a perfect start; 3 * 0.1 > 0.3 in floats would lose that point."""
    true = np.array([1] * 3 + [0] * 10 + [1] * 7)
    later = 10 / 20
    assert average_precision(true, -np.arange(20.0)) == pytest.approx((4 + 7 * later) / 11)


def test_scores_of_any_size():
    """Their difference is more than float32 holds, or less than it holds in full."""
    for high, low in ((3e38, -3e38), (1e-45, 0)):
        assert average_precision(np.array([0, 1]), np.array([high, low], "f4"), kind="step") == 0.5
        assert average_precision(np.array([1, 0]), np.array([high, low], "f4"), kind="step") == 1


def test_ignored_images_count_neither_way():
    rng = np.random.default_rng(0)
    true, score, ignore = rng.random((60, 3)) < 0.4, rng.normal(size=(60, 3)), rng.random((60, 3)) < 0.3
    for kind in KINDS:
        found = mean_average_precision(true, score, ignore_NC=ignore, kind=kind)
        for c in range(3):
            kept = ~ignore[:, c]
            assert found.ap_C[c] == average_precision(true[kept, c], score[kept, c], kind=kind)
            assert found.ap_C[c] == average_precision(true[:, c], score[:, c], ignore_N=ignore[:, c], kind=kind)
        assert found.mean == pytest.approx(found.ap_C.mean())


def test_a_class_without_images_has_none():
    found = mean_average_precision(np.array([[1, 0], [0, 0]]), np.array([[2.0, 1.0], [1.0, 2.0]]))
    assert found.mean == 1
    assert np.isnan(found.ap_C).tolist() == [False, True]


@pytest.mark.parametrize(
    ("true", "score", "keywords", "match"),
    [
        (np.array([0, 0]), np.ones(2), {}, "an image of one class"),
        (np.array([1, 1]), np.ones(2), {"ignore_N": np.array([1, 1])}, "not ignored"),
        (np.array([1, -1]), np.ones(2), {}, "Of VOC's"),
        (np.array([1, 0]), np.array([np.nan, 1.0]), {}, "NaN or infinity"),
        (np.zeros(0), np.zeros(0), {}, "at least one row"),
        (np.array([1, 0]), np.ones(2), {"kind": "12-point"}, "Did you mean '11-point'"),
        (np.array([1, 0]), np.ones(2), {"ignore_N": np.array([0, 2])}, "ignore_NC: expected 0 and 1"),
    ],
)
def test_what_has_no_precision(true, score, keywords, match):
    with pytest.raises(ArgumentError, match=match):
        average_precision(true, score, **keywords)
