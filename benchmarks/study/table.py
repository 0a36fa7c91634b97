"""The table of the pretraining study, from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.study.arms import ARMS, BASE, SEEDS
from reports.style import title

CORRUPTED = ("linear noise", "linear blur", "linear contrast", "linear brightness")
# name in the table, figures that are averaged, and by what they are multiplied
COLUMNS: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("linear probe, %", ("linear",), 100),
    ("nearest neighbours, %", ("knn",), 100),
    ("shifted, %", ("linear shifted",), 100),
    ("corrupted, %", CORRUPTED, 100),
    ("distance ratio", ("distance ratio",), 1),
    ("pets4 purity, %", ("purity",), 100),
)
Row = dict[str, Any]


def values(rows: Sequence[Row], names: tuple[str, ...], by: float, full: bool = False) -> dict[str, np.ndarray]:
    """Each arm's figure at each seed, (S,), averaged over `names`; arms in their order.

    >>> row = {"arm": "byol", "seed": 0, "figures": {"knn": {"value": 0.5}}}
    >>> values([row], ("knn",), 100)
    {'byol': array([50.])}
    """
    found: dict[str, list[float]] = {}
    shown = [r for r in rows if not r.get("tuning") and r.get("full", False) == full]
    for arm in ARMS:
        for row in sorted((r for r in shown if r["arm"] == arm), key=lambda r: r["seed"]):
            found.setdefault(arm, []).append(by * float(np.mean([row["figures"][n]["value"] for n in names])))
    return {arm: np.array(v) for arm, v in found.items()}


@dataclass(frozen=True)
class Mean:
    """The mean over seeds, and what is known of how much seeds differ: a standard deviation with its degrees of freedom."""

    value: float
    seeds: int
    deviation: float
    free: int
    pooled: bool  # over all arms of RELICv2


def means(of: dict[str, np.ndarray]) -> dict[str, Mean]:
    """The mean of each arm. Arms of RELICv2 share one standard deviation, other methods have their own.

    Three seeds alone say little of how much seeds differ; variants of one method are taken to differ alike, methods are not.

    >>> means({"relicv2": np.array([1.0, 3.0]), "no masks": np.array([5.0, 5.0])})["no masks"]
    Mean(value=np.float64(5.0), seeds=2, deviation=1.0, free=2, pooled=True)
    """
    family = {arm: v for arm, v in of.items() if ARMS[arm][0] == BASE}
    free = sum(len(v) - 1 for v in family.values())
    shared = float(np.sqrt(sum(((v - v.mean()) ** 2).sum() for v in family.values()) / max(free, 1)))
    return {
        arm: Mean(v.mean(), len(v), shared, free, True)
        if arm in family
        else Mean(v.mean(), len(v), float(v.std(ddof=1)) if len(v) > 1 else np.nan, len(v) - 1, False)
        for arm, v in of.items()
    }


def half_width(one: Mean, other: Mean | None = None) -> float:
    """Half of the 95% interval of a mean, or of the difference of two: Student's t, with Welch's degrees of freedom where
    the two deviations were found apart. NaN where nothing is known of the seeds.

    >>> a, b = Mean(1.0, 3, 1.0, 20, True), Mean(2.0, 3, 1.0, 2, False)
    >>> [round(half_width(*pair), 2) for pair in ((a,), (a, a), (a, b))]
    [1.2, 1.7, 3.2]
    """
    from scipy.special import stdtrit

    sides = [one] if other is None else [one, other]
    if any(m.free < 1 for m in sides):
        return np.nan
    parts = [m.deviation**2 / m.seeds for m in sides]
    free = float(one.free)
    if other is not None and not (one.pooled and other.pooled):
        weights = sum(part**2 / m.free for part, m in zip(parts, sides, strict=True))
        free = sum(parts) ** 2 / weights if weights else free
    return float(stdtrit(free, 0.975) * np.sqrt(sum(parts)))


def table(rows: Sequence[Row], full: bool = False) -> str:
    """Means over seeds of every arm, and how far each lies from the whole RELICv2 with its 95% interval."""
    lines = ["| arm | seeds | " + " | ".join(name for name, _, _ in COLUMNS) + " |", "|---" * (2 + len(COLUMNS)) + "|"]
    of = [means(values(rows, names, by, full)) for _, names, by in COLUMNS]
    for arm in (a for a in ARMS if a in of[0]):
        cells = [
            _cell(o[arm], None if arm in (BASE, "random") else o.get(BASE), by)
            for o, (_, _, by) in zip(of, COLUMNS, strict=True)
        ]
        lines.append(f"| {title(arm)} | {of[0][arm].seeds} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(mean: Mean, base: Mean | None, by: float) -> str:
    """A mean, and its change; bold where the interval leaves out 0 and all seeds are there."""
    digits = 1 if by == 100 else 3
    if base is None or np.isnan(half := half_width(mean, base)):
        return f"{mean.value:.{digits}f}"
    change = mean.value - base.value
    strong = "**" if abs(change) > half and min(mean.seeds, base.seeds) == len(SEEDS) else ""
    return f"{mean.value:.{digits}f} ({strong}{change:+.{digits}f}{strong} ± {half:.{digits}f})"
