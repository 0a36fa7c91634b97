"""P8: how time grows when rows, columns, classes or penalties are doubled: the slope in log-log, 1 being linear."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.claim import Figure, timed
from benchmarks.features import real, tiled

BASE = {"rows": 6000, "columns": 512, "classes": 20, "penalties": 23}
QUICK = {"rows": 300, "columns": 16, "classes": 4, "penalties": 5}


def doubled(quick: bool) -> Iterator[Figure]:
    """Each part of the engine at a base size and with one size doubled; the least of three runs."""
    base = QUICK if quick else BASE
    x_ND, _ = real("tinyimagenet40", "train", 300) if quick else real("cifar10-full", "train", 6000)
    for name, (work, sizes) in _parts().items():
        before = _least(work, x_ND, base, quick)
        for size in sizes:
            after = _least(work, x_ND, base | {size: 2 * base[size]}, quick)
            yield Figure(f"{name}, {size} doubled", after, before, "s", math.log2(after / before), None, "slope")


def _least(work: Callable[..., Any], x_ND: np.ndarray, sizes: dict[str, int], quick: bool) -> float:
    big = tiled(x_ND, sizes["rows"], sizes["columns"])
    y_N = np.random.default_rng(0).integers(0, sizes["classes"], sizes["rows"])
    big[:, : sizes["classes"]] += 0.5 * np.eye(sizes["classes"], dtype=np.float32)[y_N][:, : sizes["columns"]]
    return min(timed(lambda: work(big, y_N, sizes))[0] for _ in range(1 if quick else 3))


def _parts() -> dict[str, tuple[Callable[..., Any], tuple[str, ...]]]:
    from relic_eval.metrics.discriminability import discriminability
    from relic_eval.metrics.neighbours import nearest
    from relic_eval.metrics.similarity import linear_cka
    from relic_eval.probes.logistic import fit_path

    def path(x, y, sizes):
        return fit_path(x, y, classes=sizes["classes"], penalties=np.logspace(-6, 5, sizes["penalties"]).tolist())

    return {
        "penalty path": (path, ("rows", "columns", "classes", "penalties")),
        "neighbours, rows against rows": (lambda x, y, s: nearest(x, x, 10, exclude_self=True), ("rows", "columns")),
        "exact discriminability": (lambda x, y, s: discriminability(x, y), ("rows", "columns", "classes")),
        "linear CKA": (lambda x, y, s: linear_cka(x, x[:, ::-1]), ("rows", "columns")),
    }
