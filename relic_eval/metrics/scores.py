"""Scores of predictions, as fractions."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from relic_eval.arrays import labels, matrix, whole
from relic_eval.errors import ArgumentError

BLOCK = 1 << 22  # scores looked at together


def accuracy(true_N: Int[np.ndarray, " N"], predicted_N: Int[np.ndarray, " N"]) -> float:
    """Share of predictions that are right. Raises ArgumentError for none, or for another number of them than of labels.

    >>> accuracy(np.array([0, 1]), np.array([0, 0]))
    0.5
    """
    true_N, predicted_N = _both(true_N, predicted_N)
    return float((true_N == predicted_N).mean())


def mean_per_class(true_N: Int[np.ndarray, " N"], predicted_N: Int[np.ndarray, " N"]) -> float:
    """Mean of the accuracies of the classes that occur among the true labels; ArgumentError as `accuracy`.

    >>> mean_per_class(np.array([0, 0, 0, 2]), np.array([0, 0, 1, 2]))
    0.8333333333333333
    """
    true_N, predicted_N = _both(true_N, predicted_N)
    # numbered anew: class numbers may be far apart
    _, class_N, count_C = np.unique(true_N, return_inverse=True, return_counts=True)
    return float((np.bincount(class_N, weights=true_N == predicted_N) / count_C).mean())


def top_k(true_N: Int[np.ndarray, " N"], score_NC: Shaped[np.ndarray, "N C"], k: int = 5) -> float:
    """Share of images whose true class is among the k classes of the highest scores.

    Equal scores stand in the order of the class numbers, as in argmax: k = 1 is its accuracy, and a constant score is no
    hit for every class. Raises ArgumentError for k outside 1 to C, labels from C on, NaN or infinity.

    >>> top_k(np.array([2, 1]), np.array([[0.1, 0.5, 0.4], [0.3, 0.3, 0.3]]), k=1)
    0.0
    >>> top_k(np.array([2, 1]), np.array([[0.1, 0.5, 0.4], [0.3, 0.3, 0.3]]), k=2)
    1.0
    """
    true_N, score_NC = scored(true_N, score_NC)
    if whole("k", k, 1) > score_NC.shape[1]:
        raise ArgumentError("k", f"1 to {score_NC.shape[1]}, the number of classes", f"{k}")
    return float((classes_before(true_N, score_NC) < k).mean())


def classes_before(true_N: Int[np.ndarray, " N"], score_NC: Shaped[np.ndarray, "N C"]) -> Int[np.ndarray, " N"]:
    """How many classes stand before the true one: every `top_k` in one pass. ArgumentError as there.

    >>> classes_before(np.array([2, 1]), np.array([[0.1, 0.5, 0.4], [0.3, 0.3, 0.3]]))
    array([1, 1])
    """
    true_N, score_NC = scored(true_N, score_NC)
    n, classes = score_NC.shape
    before_N, rows = np.empty(n, np.int64), max(1, BLOCK // classes)
    for start in range(0, n, rows):
        block_BC, its_B1 = score_NC[start : start + rows], true_N[start : start + rows, None]
        own_B1 = np.take_along_axis(block_BC, its_B1, 1)
        first_BC = (block_BC > own_B1) | ((block_BC == own_B1) & (np.arange(classes) < its_B1))
        before_N[start : start + rows] = first_BC.sum(1)
    return before_N


def scored(true_N: Any, score_NC: Any, name: str = "score_NC") -> tuple[np.ndarray, np.ndarray]:
    """Labels and finite scores after a check that there is a label a row and a column for each label.

    >>> [a.shape for a in scored(np.array([1]), np.array([[0.2, 0.8]]))]
    [(1,), (1, 2)]
    """
    score_NC = matrix(name, score_NC)
    true_N = labels("true_N", true_N, len(score_NC))
    if true_N.max() >= score_NC.shape[1]:
        raise ArgumentError("true_N", f"classes below {score_NC.shape[1]}, the columns of {name}", f"{true_N.max()}")
    return true_N, score_NC


def _both(true_N: Any, predicted_N: Any) -> tuple[np.ndarray, np.ndarray]:
    true_N = labels("true_N", true_N)
    if not len(true_N):
        raise ArgumentError("true_N", "at least one label", "none", "An empty split has no score.")
    return true_N, labels("predicted_N", predicted_N, len(true_N))
