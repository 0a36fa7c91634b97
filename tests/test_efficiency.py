"""What training had cost when a measure reached a value, against a slow search and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from relic_eval.efficiency import COUNTS, costs, ratios, reached, round_value


def run(values, batch, per, every=10):
    """Rows of a run with so many pictures a batch and floating-point operations a picture."""
    steps = every * (1 + np.arange(len(values)))
    return [
        {
            "step": int(s),
            "images": int(s * batch),
            "views": int(2 * s * batch),
            "flops": float(per * s * batch),
            "linear": v,
        }
        for s, v in zip(steps, values, strict=True)
    ]


def test_costs_by_hand():
    """b takes twice the steps of a but half the pictures a step and a quarter of the operations a picture."""
    runs = {
        "a": run([0.4, 0.6, 0.7], 64, 100.0),
        "b": run([0.3, 0.4, 0.5, 0.61], 32, 25.0),
        "c": run([0.2, 0.59], 64, 1),
    }
    found = costs(runs, "linear", 0.6)
    assert found["a"] == {"step": 20, "images": 1280, "views": 2560, "flops": 128_000}
    assert found["c"] is None
    assert ratios(found, "a")["b"] == {"step": 2, "images": 1, "views": 1, "flops": 0.25}
    assert ratios(found, "b")["a"] == {"step": 0.5, "images": 1, "views": 1, "flops": 4}
    assert ratios(found, "a")["c"] is None
    assert ratios(found, "c") == {"a": None, "b": None, "c": None}
    assert round_value(runs, "linear") == 0.6  # a reaches 0.7, but alone


def test_costs_are_those_of_the_first_row_found_one_by_one():
    rng = np.random.default_rng(0)
    for _ in range(200):
        values = np.where(rng.random(12) < 0.2, math.nan, rng.integers(0, 21, 12) / 20).tolist()
        rows, value = run(values, 8, 3.0), float(rng.integers(1, 21) / 20)
        there = [place for place, v in enumerate(values) if not math.isnan(v) and v >= value]
        found = costs({"a": rows}, "linear", value)["a"]
        assert found == (None if not there else {c: rows[there[0]][c] for c in COUNTS})
        assert (reached(rows, "linear", value) is None) == (not there)


def test_the_round_value_is_the_last_that_two_reach():
    rng = np.random.default_rng(1)
    for _ in range(200):
        runs = {f"{i}": run((rng.integers(0, 101, 4) / 100).tolist(), 8, 1.0) for i in range(rng.integers(2, 5))}
        enough = [
            k / 20 for k in range(1, 21) if sum(c is not None for c in costs(runs, "linear", k / 20).values()) >= 2
        ]
        assert round_value(runs, "linear") == (max(enough) if enough else None)


def test_missing_numbers_are_passed_over():
    rows = [{"step": 10, "linear": math.nan}, {"step": 20}, {"step": 30, "linear": 0.5}]
    assert costs({"own loop": rows}, "linear", 0.5) == {"own loop": {"step": 30}}
    assert round_value({"own loop": rows, "collapsed": rows[:2]}, "linear") == 0.5  # the only one that has numbers
    assert round_value({"collapsed": rows[:2]}, "linear") is None
    with pytest.raises(KeyError):
        ratios({"a": None}, "b")
