"""Differences of distance ratios between encoders: paired by image, and what a loop over samples would say."""

from __future__ import annotations

import numpy as np
import pytest

from relic_eval.board import ratio_shifts, shares_below
from relic_eval.cells import Result
from relic_eval.metrics.statistics import interval
from relic_eval.records import Cell, Measurement


def made(encoder, ratio_N, digest="d"):
    n = len(ratio_N)
    table = {
        "item": np.array([f"{i}" for i in range(n)]),
        "true": np.arange(n) % 4,
        "predicted": np.arange(n) % 4,
        "correct": np.ones(n),
        "score": np.asarray(ratio_N),
    }
    about = {"data": {"train": digest, "test": digest}}
    return Result(encoder, "t", "discriminability", Cell((Measurement("distance_ratio", 1.0, n=n),), table), about)


def two(n=400, seed=0):
    rng = np.random.default_rng(seed)
    image_N = rng.normal(0, 0.2, n)  # what an image brings along under every encoder
    return 1.1 + image_N + rng.normal(0, 0.02, n), 1.15 + image_N + rng.normal(0, 0.02, n)


def test_differences_are_those_of_the_cells_and_their_intervals_are_paired():
    base_N, other_N = two()
    (shift,) = ratio_shifts([made("base", base_N), made("other", other_N)], ["base"])
    assert (shift.encoder, shift.baseline, shift.n) == ("other", "base", 400)
    assert shift.median == pytest.approx(np.median(other_N) - np.median(base_N))
    assert shift.below == pytest.approx((other_N < 1).mean() - (base_N < 1).mean())
    rng, slow = np.random.default_rng(9), []
    strata = [np.flatnonzero(np.arange(400) % 4 == c) for c in range(4)]
    for _ in range(2000):
        rows = np.concatenate([rng.choice(s, len(s)) for s in strata])
        b, o = base_N[rows], other_N[rows]
        slow.append([np.median(o) - np.median(b), (o < 1).mean() - (b < 1).mean()])
    low, high = interval(np.array(slow).T)
    assert [shift.median_low, shift.below_low] == pytest.approx(low.tolist(), abs=0.006)
    assert [shift.median_high, shift.below_high] == pytest.approx(high.tolist(), abs=0.006)
    alone = np.sqrt(2) * 1.96 * 1.25 * base_N.std() / 20  # half the width, were the images of the two drawn apart
    assert shift.median_high - shift.median_low < alone
    assert shift.sure


def test_each_baseline_has_its_pairs_and_turning_a_pair_round_turns_its_signs():
    base_N, other_N = two()
    cells = [made("base", base_N), made("other", other_N), made("third", other_N + 0.1)]
    shifts = {(s.encoder, s.baseline): s for s in ratio_shifts(cells, ["base", "other", "nobody"])}
    assert set(shifts) == {("other", "base"), ("third", "base"), ("base", "other"), ("third", "other")}
    one, back = shifts["other", "base"], shifts["base", "other"]
    assert (one.median, one.median_low, one.below_high) == pytest.approx(
        (-back.median, -back.median_high, -back.below_low)
    )
    third = shifts["third", "other"]
    assert (third.median_low, third.median_high) == pytest.approx((0.1, 0.1))  # the same for every image: no spread


def test_other_images_are_not_compared_and_images_without_a_ratio_count_for_nobody():
    base_N, other_N = two(50)
    assert ratio_shifts([made("base", base_N), made("other", other_N, "e")], ["base"]) == []
    assert ratio_shifts([made("base", base_N), made("other", np.full(50, np.nan))], ["base"]) == []
    lost = other_N.copy()
    lost[:5] = np.nan
    (shift,) = ratio_shifts([made("base", base_N), made("other", lost)], ["base"])
    assert shift.n == 45
    assert shift.median == pytest.approx(np.median(other_N[5:]) - np.median(base_N))
    assert shift.below == pytest.approx((other_N[5:] < 1).mean() - (base_N < 1).mean())
    assert shares_below([made("a", [0.5, 1.0, 2.0, np.nan])]) == {"a": pytest.approx(1 / 3)}
