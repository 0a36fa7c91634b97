"""ImageNet-C as one number: hand-made predictions, a slow reference of mCE and its interval, and AlexNet's rates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from relic_eval.data.corruptions import KINDS
from relic_eval.data.imagenet import CORRUPTIONS
from relic_eval.data.severities import WHOLE
from relic_eval.errors import ArgumentError
from relic_eval.evaluators import shared
from relic_eval.evaluators.elsewhere import Elsewhere
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.severities import ALEXNET, ALEXNET_CLEAN, said_most
from relic_eval.metrics.statistics import wilson
from relic_eval.records import CLEAN, Embeddings

HEAD = Logistic(lowest=1e-3, highest=10, count=3)
ISSUE_10 = {  # AlexNet's error at each severity, as hendrycks/robustness, issue 10, has them
    "gaussian_noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
    "shot_noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
    "impulse_noise": (0.78374, 0.89808, 0.9487, 0.9872, 0.99548),
    "defocus_blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
    "glass_blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
    "motion_blur": (0.5843, 0.70048, 0.82108, 0.8975, 0.92638),
    "zoom_blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
    "snow": (0.71726, 0.88392, 0.86468, 0.9187, 0.94952),
    "frost": (0.6139, 0.79734, 0.8879, 0.89942, 0.9343),
    "fog": (0.67474, 0.7605, 0.84378, 0.8726, 0.945),
    "brightness": (0.4514, 0.48502, 0.54048, 0.62166, 0.7244),
    "contrast": (0.64548, 0.7615, 0.88874, 0.9776, 0.9927),
    "elastic_transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
    "pixelate": (0.52218, 0.5462, 0.73728, 0.87092, 0.91262),
    "jpeg_compression": (0.51002, 0.54718, 0.57294, 0.65458, 0.74778),
}


@pytest.fixture(autouse=True)
def nothing_remembered():
    shared._fitted.clear()


def clusters(many, seed):
    y = np.repeat(np.arange(3), many)
    x = np.eye(3)[y] * 8 + np.random.default_rng(seed).normal(0, 0.3, (len(y), 3))
    return Embeddings(x.astype("f"), y, ("ant", "bee", "cat"), ids=np.arange(len(y)).astype(str))


def split(wrong_VN, names):
    """Rows of which view v shows picture n as the next class where wrong_VN says so."""
    test = clusters(20, 3)
    views = [np.where(wrong_N[:, None], np.roll(test.x_ND, 1, 1), test.x_ND) for wrong_N in wrong_VN]
    return clusters(20, 1), clusters(10, 2), dataclasses.replace(test, views=tuple(views), corruptions=tuple(names))


def names_of():
    return [name.replace("-", " ") for name in WHOLE]


def by(cell, metric, **params):
    keys = {"kind", "strength"}
    (found,) = [
        r for r in cell.rows if r.metric == metric and {k: v for k, v in r.params.items() if k in keys} == params
    ]
    return found


def test_alexnets_rates_are_the_means_of_its_five_severities_and_torchvisions():
    from torchvision.models import AlexNet_Weights

    assert tuple(ALEXNET) == KINDS == CORRUPTIONS == tuple(ISSUE_10)
    for kind, rates in ISSUE_10.items():
        assert ALEXNET[kind] == pytest.approx(sum(rates) / 5, abs=1e-9), kind
    theirs = AlexNet_Weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert pytest.approx(1 - theirs / 100, abs=1e-9) == ALEXNET_CLEAN


def test_a_case_by_hand():
    """Half of the pictures wrong everywhere, but none under fog, and a tenth where nothing is done to them."""
    names = [*names_of(), "spatter 2", CLEAN]
    wrong = np.zeros((77, 60), bool)
    wrong[:75, ::2] = True
    wrong[[i for i, name in enumerate(names) if name.startswith("fog")]] = False
    wrong[75] = True  # spatter: all, in no mean
    wrong[76, ::10] = True
    cell = Elsewhere(HEAD)(*split(wrong, names))
    assert [r.metric for r in cell.rows[:3]] == ["top1", "mce", "relative_mce"]
    top1, mce, relative = cell.rows[:3]
    assert top1.value == pytest.approx(1 - 14 * 0.5 / 15)
    # (0.5 / 0.886428 + 0.5 / 0.894468 + ... + 0 / 0.819324 of fog) / 15, and with 0.1 and 0.43478 taken from above and below
    assert mce.value == pytest.approx(0.6060418, abs=1e-7)
    assert relative.value == pytest.approx(1.2156817, abs=1e-7)
    assert (top1.params["kinds"], top1.params["strengths"], top1.n) == (15, "1 2 3 4 5", 60)
    assert by(cell, "top1", kind="fog").value == 1
    assert by(cell, "top1", kind="snow").value == 0.5
    assert by(cell, "top1", strength=4).value == pytest.approx(1 - 14 * 0.5 / 15)
    assert by(cell, "ce", kind="snow").value == pytest.approx(0.5 / 0.866816)
    snow = by(cell, "top1", kind="snow", strength=3)
    assert (snow.value, snow.low, snow.high) == (0.5, *wilson(30, 60))
    assert by(cell, "top1", kind="spatter", strength=2).value == 0
    assert by(cell, "clean_top1").value == pytest.approx(0.9)
    assert len(cell.rows) == 3 + 15 + 5 + 15 + 75 + 2
    assert all(r.low <= r.value + 1e-12 and r.value <= r.high + 1e-12 for r in cell.rows)
    np.testing.assert_allclose(cell.predictions["correct"][:4], [1 / 15, 1, 1 / 15, 1], rtol=1e-6)
    np.testing.assert_array_equal(cell.predictions["predicted"][:4], [1, 0, 1, 0])
    at = cell.curves["name"] == "spatter"
    assert (cell.curves["x"][at], cell.curves["y"][at]) == (2, 0)


def slow(wrong, pictures, clean=None):
    """mCE of these pictures as the paper writes it: sums over severities, each corruption by itself, a loop."""
    total = relative = 0.0
    for kind, rates in ISSUE_10.items():
        ours = theirs = ours_more = theirs_more = 0.0
        for s in (1, 2, 3, 4, 5):
            error = sum(bool(wrong[WHOLE.index(f"{kind}-{s}")][n]) for n in pictures) / len(pictures)
            ours, theirs = ours + error, theirs + rates[s - 1]
            if clean is not None:
                ours_more += error - sum(bool(clean[n]) for n in pictures) / len(pictures)
                theirs_more += rates[s - 1] - 0.43478
        total += ours / theirs
        relative += ours_more / theirs_more if theirs_more else 0
    return total / 15, relative / 15


def test_mce_is_that_of_a_slow_reference_and_resamples_pictures_not_corruptions():
    rng = np.random.default_rng(5)
    hard_N = rng.uniform(0.05, 0.95, 60)  # a picture is hard under every corruption: as in truth
    wrong = rng.random((76, 60)) < hard_N
    cell = Elsewhere(HEAD)(*split(wrong, [*names_of(), CLEAN]))
    _, mce, relative = cell.rows[:3]
    expected = slow(wrong[:75], range(60), wrong[75])
    assert (mce.value, relative.value) == (pytest.approx(expected[0], abs=1e-9), pytest.approx(expected[1], abs=1e-9))
    samples = [
        slow(wrong[:75], np.concatenate([rng.integers(20 * c, 20 * c + 20, 20) for c in range(3)]), wrong[75])
        for _ in range(300)
    ]
    for row, its in ((mce, 0), (relative, 1)):
        ends = np.percentile([s[its] for s in samples], [2.5, 97.5])
        width = row.high - row.low
        assert width > 0.1  # thousands of independent pictures would have given a tenth of this
        np.testing.assert_allclose([row.low, row.high], ends, atol=0.15 * width)
    # of one number a picture top-1 and mCE go opposite ways
    assert cell.rows[0].low < cell.rows[0].value < cell.rows[0].high


def test_without_clean_pictures_there_is_no_relative_mce_and_no_mean_without_one_of_the_splits():
    names = names_of()
    rows = split(np.zeros((75, 60), bool), names)
    cell = Elsewhere(HEAD)(*rows)
    assert {r.metric for r in cell.rows} == {"top1", "mce", "ce"}
    assert cell.rows[1].value == 0
    few = dataclasses.replace(rows[2], views=rows[2].views[:-2], corruptions=tuple(names[:-2]))
    with pytest.raises(ArgumentError, match="received no jpeg_compression 4 and 1 more"):
        Elsewhere(HEAD)(*rows[:2], few)


def test_what_is_said_most_often():
    rng = np.random.default_rng(0)
    said = rng.integers(0, 7, (20, 9000))
    np.testing.assert_array_equal(said_most(said), [np.bincount(column, minlength=7).argmax() for column in said.T])
