"""Checkpoints of one pretraining run on a board: what they reached step by step, and what each stretch of training gained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from relic_eval.board.records import Board, Difference
from relic_eval.files import digest_json
from relic_eval.metrics.hypotheses import holm
from relic_eval.metrics.statistics import Z95

# settings of a run that change no number: one that was taken up with others is the same
NO_DIFFERENCE = ("checkpoint_every", "keep_every", "monitor_every", "monitor_rows")
Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Gain:
    """Mean over columns of the change from one checkpoint to a later one, as a fraction, with a 95% interval.

    The interval is never too narrow for dependence: columns of one data set count as wholly dependent, other ones as independent.
    """

    first: int  # steps
    last: int
    value: float
    low: float
    high: float
    columns: int
    p: float
    certain: bool = False  # after Holm's correction for all gains of the board, and the interval excludes 0


@dataclass(frozen=True)
class History:
    """One run: its checkpoints on the board by step, the gain of each stretch, and that from the first to the last."""

    run: str
    encoders: tuple[str, ...]
    steps: tuple[int, ...]
    gains: tuple[Gain, ...] = ()
    whole: Gain | None = None


def runs_of(manifests: Mapping[str, Sequence[Manifest]], encoders: Sequence[str]) -> list[History]:
    """Runs of which two or more of these encoders are checkpoints, read the same way; in the order of the encoders.

    >>> made = lambda step: [{"encoder": {"training": {"method": "byol", "config": {}, "data": {}, "step": step, "run": "b"}}}]
    >>> [(h.run, h.encoders, h.steps) for h in runs_of({"late": made(20), "early": made(10)}, ["late", "early"])]
    [('b', ('early', 'late'), (10, 20))]
    """
    found: dict[str, dict[int, str]] = {}
    called: dict[str, str] = {}
    methods: dict[str, str] = {}
    for name in encoders:
        its = manifests.get(name) or [{"encoder": {}}]
        training = its[0]["encoder"].get("training")
        if training:
            key = _identity(its[0]["encoder"])
            found.setdefault(key, {}).setdefault(int(training["step"]), name)
            methods[key] = str(training["method"])
            called[key] = called.get(key) or str(training.get("run") or "")  # a store of before does not say it
    return [
        History(called[key] or methods[key], tuple(by_step[s] for s in sorted(by_step)), tuple(sorted(by_step)))
        for key, by_step in found.items()
        if len(by_step) > 1
    ]


def _identity(encoder: Mapping[str, Any]) -> str:
    """Which run an encoder is of, and how its network is read: settings, seed and data say it, the folder does not."""
    training = encoder["training"]
    config = {k: v for k, v in training["config"].items() if k not in NO_DIFFERENCE}
    return digest_json([training["method"], config, training["data"], encoder.get("kind"), encoder.get("settings")])


def histories(board: Board, manifests: Mapping[str, Sequence[Manifest]]) -> tuple[History, ...]:
    """The runs of which the board has two checkpoints or more, with what each stretch gained.

    >>> histories(Board(None, (), (), ()), {})
    ()
    """
    found = []
    for run in runs_of(manifests, [row.encoder for row in board.rows]):
        steps = list(zip(run.steps, run.encoders, strict=True))
        gains = tuple(g for a, b in pairwise(steps) if (g := gain(board, a, b)))
        whole = gain(board, steps[0], steps[-1])
        if whole is not None and len(gains) == len(steps) - 1:
            found.append((run, gains, whole))
    # of two checkpoints the whole is the one stretch
    every = [g for _, gains, whole in found for g in (*gains, *([whole] if len(gains) > 1 else []))]
    rejected = holm(np.array([g.p for g in every], float))
    sure = {(id(g)): bool(yes) and (g.low > 0 or g.high < 0) for g, yes in zip(every, rejected, strict=True)}
    made = []
    for run, gains, whole in found:
        settled = tuple(replace(g, certain=sure[id(g)]) for g in gains)
        last = settled[0] if len(settled) == 1 else replace(whole, certain=sure[id(whole)])
        made.append(replace(run, gains=settled, whole=last))
    return tuple(made)


def gain(board: Board, first: tuple[int, str], last: tuple[int, str]) -> Gain | None:
    """The mean change over the columns that both (step, encoder) have; None where they have none in common.

    >>> from relic_eval.board.records import Column
    >>> board = Board(None, (Column("t", "p", "T", 9),), (), (Difference(0, "b", "a", 0.1, 0.02, 0.18),))
    >>> found = gain(board, (5, "a"), (9, "b"))
    >>> round(found.value, 2), round(found.low, 2), round(found.high, 2)
    (0.1, 0.02, 0.18)
    """
    its = [(c, d) for c in range(len(board.columns)) if (d := board.difference(first[1], last[1], c))]
    if not its:
        return None
    signed = [(board.columns[c].dataset or board.columns[c].task, *step_change(d, last[1])) for c, d in its]
    value = sum(v for _, v, _, _ in signed) / len(signed)
    below, above = ({name: 0.0 for name, *_ in signed} for _ in range(2))
    for name, v, low, high in signed:
        below[name] += v - low
        above[name] += high - v
    low = value - math.hypot(*below.values()) / len(signed)
    high = value + math.hypot(*above.values()) / len(signed)
    half = value - low if value > 0 else high - value
    p = math.erfc(abs(value) / half * Z95 / 2**0.5) if half > 0 else float(value == 0)
    return Gain(first[0], last[0], value, low, high, len(signed), p)


def step_change(d: Difference, later: str) -> tuple[float, float, float]:
    """A difference of two checkpoints as the change to the later one, with its interval.

    >>> step_change(Difference(0, "a", "b", 0.25, 0.125, 0.5), "b")
    (-0.25, -0.5, -0.125)
    """
    return (d.value, d.low, d.high) if d.better == later else (-d.value, -d.high, -d.low)


def history_table(board: Board, runs: Sequence[History]) -> list[dict[str, Any]]:
    """One record a run, checkpoint and column: value with interval, and the paired change since the checkpoint before.

    >>> history_table(Board(None, (), (), ()), [])
    []
    """
    entries = {row.encoder: row.entries for row in board.rows}
    found = []
    for run in runs:
        for place, (step, encoder) in enumerate(zip(run.steps, run.encoders, strict=True)):
            for number, column in enumerate(board.columns):
                entry = entries[encoder][number]
                d = board.difference(run.encoders[place - 1], encoder, number) if place else None
                change = (None, None, None) if d is None else step_change(d, encoder)
                found.append(
                    {
                        "run": run.run,
                        "step": step,
                        "encoder": encoder,
                        "task": column.task,
                        "protocol": column.protocol,
                        "metric": column.metric,
                        "n": column.n,
                        "value": None if entry is None else entry.value,
                        "low": None if entry is None else entry.low,
                        "high": None if entry is None else entry.high,
                        "change": change[0],
                        "change_low": change[1],
                        "change_high": change[2],
                        "certain": None if d is None else d.certain,
                    }
                )
    return found
