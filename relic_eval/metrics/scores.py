"""Scores of predictions, as fractions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from relic_eval.arrays import labels


def accuracy(true_N: Int[np.ndarray, " N"], predicted_N: Int[np.ndarray, " N"]) -> float:
    """Share of predictions that are right (top-1). Raises ArgumentError for lengths that differ.

    >>> accuracy(np.array([0, 1]), np.array([0, 0]))
    0.5
    """
    true_N, predicted_N = _both(true_N, predicted_N)
    return float((true_N == predicted_N).mean())


def mean_per_class(true_N: Int[np.ndarray, " N"], predicted_N: Int[np.ndarray, " N"]) -> tuple[float, int]:
    """Mean of the accuracies of the classes that occur among the true labels, and how many they are.

    >>> mean_per_class(np.array([0, 0, 2]), np.array([0, 1, 2]))
    (0.75, 2)
    """
    true_N, predicted_N = _both(true_N, predicted_N)
    count_C = np.bincount(true_N)
    right_C = np.bincount(true_N, weights=true_N == predicted_N, minlength=len(count_C))
    there_C = count_C > 0
    return float((right_C[there_C] / count_C[there_C]).mean()), int(there_C.sum())


def confusion_counts(
    true_N: Int[np.ndarray, " N"], predicted_N: Int[np.ndarray, " N"], classes: int
) -> Int[np.ndarray, "C C"]:
    """How many images of each class (rows) were given each class (columns).

    >>> confusion_counts(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    true_N, predicted_N = _both(true_N, predicted_N)
    return np.bincount(true_N * classes + predicted_N, minlength=classes * classes).reshape(classes, classes)


def _both(true_N: np.ndarray, predicted_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    true_N = labels("true_N", true_N)
    return true_N, labels("predicted_N", predicted_N, rows=len(true_N))
