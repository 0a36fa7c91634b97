"""95% intervals: of a share, of resamples, and of a mean over a few tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from relic_eval.arrays import asarray
from relic_eval.errors import ArgumentError

Z95 = 1.959963984540054


def wilson(right: float | int | np.number, n: float | int) -> tuple[float, float]:
    """95% interval of a share: `right` of `n` (Wilson 1927); both may be fractional.

    Over shares it covers 95% on average; single shares 91.6% to 98.5% where one to five right or wrong answers are expected.
    Raises ArgumentError where there is nothing to count, or more is right than there is.

    >>> tuple(round(v, 4) for v in wilson(8, 10))
    (0.4902, 0.9433)
    """
    if n < 1 or not 0 <= right <= n:
        raise ArgumentError("right", "0 to n right answers of at least one", f"{right} of {n}")
    p, z2 = float(right) / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * (p * (1 - p) / n + z2 / (4 * n * n)) ** 0.5
    # at no or all right the ends are 0 and 1 by the formula, and only rounding would say otherwise
    return (0.0 if p == 0 else max(0.0, middle - half)), (1.0 if p == 1 else min(1.0, middle + half))


def square_and_add(
    before: float, before_ends: tuple[float, float], after: float, after_ends: tuple[float, float]
) -> tuple[float, float, float]:
    """95% interval of `after` less `before`, and p, of two independent estimates with a 95% interval each.

    The distances of the intervals' ends, squared and added (Newcombe 1998, Stat. Med. 17:873, method 10); p is two-sided, normal
    by the end that faces 0, so that it is below 0.05 just where the interval excludes 0.

    >>> [round(v, 3) for v in square_and_add(0.5, (0.47, 0.53), 0.6, (0.56, 0.64))]
    [0.05, 0.15, 0.0]
    """
    value = after - before
    low = value - math.hypot(after - after_ends[0], before_ends[1] - before)
    high = value + math.hypot(after_ends[1] - after, before - before_ends[0])
    half = value - low if value > 0 else high - value
    if half == 0:
        return low, high, 1.0 if value == 0 else 0.0
    return low, high, math.erfc(abs(value) / half * Z95 / 2**0.5)


def interval(samples: Float[np.ndarray, "*batch B"]) -> tuple[Any, Any]:
    """2.5% and 97.5% percentiles along the last axis.

    >>> interval(np.arange(101.0))
    (np.float64(2.5), np.float64(97.5))
    """
    low, high = np.percentile(samples, [2.5, 97.5], axis=-1)
    return low, high


def relative_changes(
    value_B: Float[np.ndarray, " B"], base_B: Float[np.ndarray, " B"]
) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, " B"]]:
    """Least and largest change in per cent that each resample allows; the two differ only where value and baseline are both 0.

    Where the baseline is 0 and the value is not, the change is larger than any (inf); where both are 0 it may be any, from -100
    to inf. So a percentile interval of these is that of all ratios r for which value - r * baseline is not surely of one sign.

    >>> low_B, high_B = relative_changes(np.array([3.0, 1.0, 0.0]), np.array([2.0, 0.0, 0.0]))
    >>> low_B.tolist(), high_B.tolist()
    ([50.0, inf, -100.0], [50.0, inf, inf])
    """
    none_B = base_B == 0
    change_B = 100 * (value_B / np.where(none_B, 1, base_B) - 1)
    if not none_B.any():
        return change_B, change_B
    low_B = np.where(none_B, np.where(value_B > 0, np.inf, -100.0), change_B)
    return low_B, np.where(none_B, np.inf, change_B)


def bounds_interval(low_B: Float[np.ndarray, " B"], high_B: Float[np.ndarray, " B"]) -> tuple[float, float]:
    """`interval` of what is known between bounds: 2.5% point of the lower and 97.5% point of the upper ones, which may be inf.

    Between two resamples, of which one may be inf, the outer one is taken.

    >>> bounds_interval(np.arange(101.0), np.append(np.arange(100.0), np.inf))
    (2.0, 98.0)
    """
    if np.isfinite(low_B).all() and np.isfinite(high_B).all():
        return float(interval(low_B)[0]), float(interval(high_B)[1])
    return float(np.percentile(low_B, 2.5, method="lower")), float(np.percentile(high_B, 97.5, method="higher"))


def t_interval(values: Float[np.ndarray, "*batch T"]) -> tuple[Any, Any]:
    """95% interval of the mean over T tasks, seen as a sample of other such tasks (Student 1908).

    Resampling the tasks would be too narrow for a handful of them: over 11 tasks percentiles cover 91%.
    Raises ArgumentError for fewer than two tasks, NaN or infinity.

    >>> tuple(round(float(v), 3) for v in t_interval(np.array([1.0, 2.0, 3.0])))
    (-0.484, 4.484)
    """
    from scipy.special import stdtrit

    values = asarray(values)
    tasks = values.shape[-1] if values.ndim else 0
    if tasks < 2:
        raise ArgumentError("values", "at least two tasks", f"{tasks}", "One task says nothing about others.")
    if not np.isfinite(values).all():
        raise ArgumentError("values", "finite numbers", "NaN or infinity", "Compare models on the same tasks.")
    mean = values.mean(-1)
    half = stdtrit(tasks - 1, 0.975) * values.std(-1, ddof=1) / tasks**0.5
    return mean - half, mean + half


def grouped_t_interval(value_T: Float[np.ndarray, " T"], group_T: Sequence[Any]) -> tuple[float, float]:
    """`t_interval` of the mean of T numbers of which those of one group (a data set, asked about twice) belong together.

    The groups are the sample: their sums of deviations G / (G - 1) / T^2 are the variance of the mean, with G - 1 degrees of
    freedom (Liang and Zeger 1986, one-way); with a number a group it is `t_interval`. Raises ArgumentError as there.

    >>> tuple(round(float(v), 3) for v in grouped_t_interval(np.array([1.0, 2.0, 3.0]), ["a", "b", "c"]))
    (-0.484, 4.484)
    """
    from scipy.special import stdtrit

    value_T = asarray(value_T)
    if value_T.ndim != 1 or len(value_T) != len(group_T):
        raise ArgumentError("group_T", f"a group for each of {value_T.size} numbers", f"{len(group_T)}")
    number_T = np.unique(np.asarray(group_T), return_inverse=True)[1]
    groups = int(number_T.max(initial=-1)) + 1
    if groups < 2:
        raise ArgumentError("group_T", "at least two groups", f"{groups}", "One data set says nothing about others.")
    if not np.isfinite(value_T).all():
        raise ArgumentError("value_T", "finite numbers", "NaN or infinity", "Compare models on the same tasks.")
    mean = float(value_T.mean())
    sum_G = np.bincount(number_T, weights=value_T - mean)
    half = float(stdtrit(groups - 1, 0.975) * (groups / (groups - 1) * (sum_G @ sum_G)) ** 0.5 / len(value_T))
    return mean - half, mean + half
