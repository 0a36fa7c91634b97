"""Ranks that say no more than the data: who is certainly better, rank intervals, ties with the best, and views over tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from relic_eval.arrays import numbers
from relic_eval.errors import ArgumentError
from relic_eval.metrics.hypotheses import holm


@dataclass(frozen=True)
class Ranks:
    """By model: the rank interval, and whether it is tied with the best."""

    first_M: np.ndarray  # 1 + number of models that are certainly better
    last_M: np.ndarray  # number of models that are not certainly worse, itself included
    tied_M: np.ndarray  # the best (the first of equals), and those that it is not certainly better than


def ranks(value_M: Float[np.ndarray, " M"], p_MM: Float[np.ndarray, "M M"], level: float = 0.05) -> Ranks:
    """Ranks of M models from their values (larger is better) and the p value of each pair, corrected by Holm over all pairs.

    >>> ranks(np.array([0.9, 0.8, 0.5]), np.array([[1, 0.4, 0.001], [0.4, 1, 0.01], [0.001, 0.01, 1]]))
    Ranks(first_M=array([1, 1, 3]), last_M=array([2, 2, 3]), tied_M=array([ True,  True, False]))
    """
    value_M, p_MM = numbers("value_M", value_M, 1), numbers("p_MM", p_MM, 2)
    better_MM = certainly_better(value_M, p_MM, level)
    return Ranks(1 + better_MM.sum(0), len(value_M) - better_MM.sum(1), ~better_MM[value_M.argmax()])


def certainly_better(
    value_M: Float[np.ndarray, " M"], p_MM: Float[np.ndarray, "M M"], level: float = 0.05
) -> Shaped[np.ndarray, "M M"]:
    """At [i, j]: whether model i is larger than model j and the pair differs, after Holm's correction.

    >>> certainly_better(np.array([0.9, 0.5]), np.array([[1.0, 0.01], [0.01, 1.0]])).tolist()
    [[False, True], [False, False]]
    """
    value_M, p_MM = numbers("value_M", value_M, 1), numbers("p_MM", p_MM, 2)
    if p_MM.shape != (len(value_M), len(value_M)):
        raise ArgumentError("p_MM", f"a p for each two of {len(value_M)} models", f"shape {p_MM.shape}")
    if not len(value_M) or not np.isfinite(value_M).all() or not ((p_MM >= 0) & (p_MM <= 1)).all():
        raise ArgumentError("p_MM", "finite values and p from 0 to 1", "none or others", "Rank models with all tasks.")
    pair = np.triu_indices(len(value_M), 1)
    differ_MM = np.zeros(p_MM.shape, bool)
    differ_MM[pair] = holm(p_MM[pair], level)
    return (differ_MM | differ_MM.T) & (value_M[:, None] > value_M)


def mean_rank(value_MT: Shaped[np.ndarray, "M T"]) -> Float[np.ndarray, " M"]:
    """Mean over tasks of each model's rank: 1 is best, equal values share the mean of their ranks.

    >>> mean_rank(np.array([[0.9, 0.8], [0.5, 0.8]])).tolist()
    [1.25, 1.75]
    """
    from scipy.stats import rankdata

    value_MT = numbers("value_MT", value_MT, 2).astype(np.float64)  # unsigned numbers have no negative
    if not value_MT.size or not np.isfinite(value_MT).all():
        raise ArgumentError("value_MT", "a finite value for each model and task", "none or NaN", "Leave models out.")
    return rankdata(-value_MT, axis=0).mean(1)


def borda(value_MT: Shaped[np.ndarray, "M T"]) -> Float[np.ndarray, " M"]:
    """Borda count: over all tasks, how many other models each model beats; a tie counts one half.

    >>> borda(np.array([[0.9, 0.8], [0.5, 0.8]])).tolist()
    [1.5, 0.5]
    """
    value_MT = numbers("value_MT", value_MT, 2)
    return (len(value_MT) - mean_rank(value_MT)) * value_MT.shape[1]


def geometric_change(value_MT: Float[np.ndarray, "M T"], base_T: Float[np.ndarray, " T"]) -> Float[np.ndarray, " M"]:
    """Change against a baseline in per cent, by the geometric mean of the ratios: one easy task cannot carry it.

    >>> geometric_change(np.array([[0.8, 0.2]]), np.array([0.4, 0.4])).tolist()
    [0.0]
    """
    value_MT, base_T = numbers("value_MT", value_MT, 2), numbers("base_T", base_T, 1)
    if not (value_MT > 0).all() or not (base_T > 0).all():
        raise ArgumentError("value_MT", "values and baselines above 0", "0, less or NaN")
    return 100 * np.expm1(np.log(value_MT / base_T).mean(1))
