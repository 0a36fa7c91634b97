"""Scores of predictions, as fractions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def accuracy(true_N: Int[np.ndarray, " N"], predicted_N: Int[np.ndarray, " N"]) -> float:
    """Share of predictions that are right.

    >>> accuracy(np.array([0, 1]), np.array([0, 0]))
    0.5
    """
    return float((true_N == predicted_N).mean())


def mean_per_class(true_N: Int[np.ndarray, " N"], predicted_N: Int[np.ndarray, " N"]) -> float:
    """Mean of the accuracies of the classes that occur among the true labels.

    >>> mean_per_class(np.array([0, 0, 0, 2]), np.array([0, 0, 1, 2]))
    0.8333333333333333
    """
    count_C = np.bincount(true_N)
    right_C = np.bincount(true_N, weights=true_N == predicted_N, minlength=len(count_C))
    return float((right_C[count_C > 0] / count_C[count_C > 0]).mean())
