"""The table of the pretraining study, from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.study.arms import ARMS, BASE
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


def values(rows: Sequence[Row], names: tuple[str, ...], by: float) -> dict[str, np.ndarray]:
    """Each arm's figure at each seed, (S,), averaged over `names`; arms in their order.

    >>> row = {"arm": "byol", "seed": 0, "figures": {"knn": {"value": 0.5}}}
    >>> values([row], ("knn",), 100)
    {'byol': array([50.])}
    """
    found: dict[str, list[float]] = {}
    for arm in ARMS:
        for row in sorted(
            (r for r in rows if r["arm"] == arm and not {"tuning", "full"} & set(r)), key=lambda r: r["seed"]
        ):
            found.setdefault(arm, []).append(by * float(np.mean([row["figures"][n]["value"] for n in names])))
    return {arm: np.array(v) for arm, v in found.items()}


def spread(of: dict[str, np.ndarray]) -> tuple[float, int]:
    """Standard deviation between seeds, pooled over the trained arms, and its degrees of freedom.

    Three seeds alone say too little of how much seeds differ; it is taken to be alike in all arms that were trained.

    >>> spread({"a": np.array([1.0, 3.0]), "b": np.array([5.0, 5.0])})
    (1.0, 2)
    """
    trained = [v for arm, v in of.items() if arm != "random" and len(v) > 1]
    free = sum(len(v) - 1 for v in trained)
    return float(np.sqrt(sum(((v - v.mean()) ** 2).sum() for v in trained) / max(free, 1))), free


def half_width(deviation: float, free: int, *seeds: int) -> float:
    """Half of the 95% interval (Student's t) of a mean over `seeds` runs, or of the difference of two such means.

    >>> round(half_width(1.0, 28, 3), 3), round(half_width(1.0, 28, 3, 3), 3)
    (1.183, 1.673)
    """
    from scipy.special import stdtrit

    return float(stdtrit(max(free, 1), 0.975) * deviation * np.sqrt(sum(1 / n for n in seeds)))


def table(rows: Sequence[Row]) -> str:
    """Means over seeds of every arm, and how far each lies from the whole RELICv2 with its 95% interval."""
    lines = ["| arm | seeds | " + " | ".join(name for name, _, _ in COLUMNS) + " |", "|---" * (2 + len(COLUMNS)) + "|"]
    of = [values(rows, names, by) for _, names, by in COLUMNS]
    spreads = [spread(o) for o in of]
    for arm in (a for a in ARMS if a in of[0]):
        cells = []
        for o, (deviation, free), (_, _, by) in zip(of, spreads, COLUMNS, strict=True):
            digits, text = (1 if by == 100 else 3), ""
            if arm not in (BASE, "random") and BASE in o:
                half = half_width(deviation, free, len(o[arm]), len(o[BASE]))
                change = o[arm].mean() - o[BASE].mean()
                strong = "**" if abs(change) > half else ""
                text = f" ({strong}{change:+.{digits}f}{strong} ± {half:.{digits}f})"
            cells.append(f"{o[arm].mean():.{digits}f}{text}")
        lines.append(f"| {title(arm)} | {len(of[0][arm])} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
