"""Two classifiers on the same images: who is right where the other is wrong, by group, and how alike their errors are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from relic_eval.arrays import numbers, whole
from relic_eval.errors import ArgumentError
from relic_eval.metrics.statistics import wilson


@dataclass(frozen=True)
class Outcomes:
    """Images by group (G): right in both, only in the first, only in the second, in neither.

    Counts; of several training draws their means, which are fractions.
    """

    both_G: np.ndarray
    first_G: np.ndarray
    second_G: np.ndarray
    neither_G: np.ndarray

    @property
    def images_G(self) -> np.ndarray:
        """Images of each group."""
        return self.both_G + self.first_G + self.second_G + self.neither_G


def outcomes(
    first_TN: Shaped[np.ndarray, "T N"],
    second_TN: Shaped[np.ndarray, "_ _"],
    group_N: Int[np.ndarray, " _"] | None = None,
    groups: int = 1,
) -> Outcomes:
    """Counts of who is right, by group; T training draws of both are compared draw by draw.

    Raises ArgumentError for anything but right (1) and wrong (0), other shapes, or groups beyond `groups`.

    >>> o = outcomes(np.array([[1, 1, 0]]), np.array([[1, 0, 0]]), np.array([0, 1, 1]), 2)
    >>> o.both_G.tolist(), o.first_G.tolist(), o.second_G.tolist(), o.neither_G.tolist()
    ([1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 1.0])
    """
    a_TN, b_TN = _right("first_TN", first_TN), _right("second_TN", second_TN)
    if a_TN.shape != b_TN.shape:
        raise ArgumentError("second_TN", f"shape {a_TN.shape} like first_TN", f"{b_TN.shape}", "Compare equal draws.")
    images, groups = a_TN.shape[1], whole("groups", groups, 1)
    group_N = np.zeros(images, np.int64) if group_N is None else group_N
    if len(group_N) != images or (images and not 0 <= group_N.min() <= group_N.max() < groups):
        raise ArgumentError("group_N", f"{images} group numbers below {groups}", "others")

    def count(shares_N: np.ndarray) -> np.ndarray:
        return np.bincount(group_N, weights=shares_N, minlength=groups)

    both_N = (a_TN & b_TN).mean(0)
    return Outcomes(
        count(both_N), count((a_TN & ~b_TN).mean(0)), count((~a_TN & b_TN).mean(0)), count((~a_TN & ~b_TN).mean(0))
    )


def _right(name: str, right_TN: np.ndarray) -> np.ndarray:
    right_TN = numbers(name, right_TN, 2)
    if not right_TN.size or not ((right_TN == 0) | (right_TN == 1)).all():
        raise ArgumentError(name, "right (1) or wrong (0) for at least one image", "other values or none")
    return right_TN == 1


def paired_difference(
    both: float | int, first: float | int, second: float | int, neither: float | int
) -> tuple[float, float, float]:
    """Share right of the first minus that of the second on the same images, with a 95% interval (Newcombe 1998, method 10).

    The ends join the Wilson intervals of both shares, less what their correlation takes off; they stay within -1 and 1 and
    have a width where one is right on all. Raises ArgumentError for no images or negative counts.

    >>> tuple(round(v, 4) for v in paired_difference(20, 12, 2, 16))
    (0.2, 0.0562, 0.3292)
    """
    n = both + first + second + neither
    if min(both, first, second, neither) < 0 or n < 1:
        raise ArgumentError("counts", "at least one image, and no negative count", f"{(both, first, second, neither)}")
    right_a, right_b = both + first, both + second
    (low_a, high_a), (low_b, high_b) = wilson(min(right_a, n), round(n)), wilson(min(right_b, n), round(n))
    a, b = right_a / n, right_b / n
    margins = right_a * (second + neither) * right_b * (first + neither)
    product = both * neither - first * second
    if product > 0:  # of a positive correlation, a continuity correction
        product = max(product - n / 2, 0.0)
    phi = product / math.sqrt(margins) if margins > 0 else 0.0
    down = (a - low_a) ** 2 - 2 * phi * (a - low_a) * (high_b - b) + (high_b - b) ** 2
    up = (high_a - a) ** 2 - 2 * phi * (high_a - a) * (b - low_b) + (b - low_b) ** 2
    return a - b, a - b - math.sqrt(max(down, 0.0)), a - b + math.sqrt(max(up, 0.0))


def error_consistency(first_TN: Shaped[np.ndarray, "T N"], second_TN: Shaped[np.ndarray, "T N"]) -> float:
    """Cohen's kappa of right and wrong: how much more often both are right or both wrong than their accuracies alone would do.

    1 where they err on the same images, 0 where errors are independent, below 0 where each is right where the other is wrong
    (Geirhos, Meding and Wichmann 2020). The mean over training draws; NaN where all draws leave nothing to expect, as when
    both are always right.

    >>> error_consistency(np.array([[1, 1, 0, 0]]), np.array([[1, 1, 0, 0]])), error_consistency(np.array([[1, 0]]), np.array([[0, 1]]))
    (1.0, -1.0)
    """
    a_TN, b_TN = _right("first_TN", first_TN), _right("second_TN", second_TN)
    observed_T = (a_TN == b_TN).mean(1)
    a_T, b_T = a_TN.mean(1), b_TN.mean(1)
    expected_T = a_T * b_T + (1 - a_T) * (1 - b_T)
    there = expected_T < 1
    if not there.any():
        return math.nan
    return float(((observed_T - expected_T)[there] / (1 - expected_T)[there]).mean())
