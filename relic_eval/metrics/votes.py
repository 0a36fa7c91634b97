"""Votes of neighbours for a class, for every k from one list: each neighbour votes once, and the count is read at each k."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from relic_eval.arrays import numbers, whole
from relic_eval.errors import ArgumentError, look_up

BLOCK_BYTES = 64 << 20  # of votes counted together
HOW = {"majority": "majority", "distance": "distance", "softmax": "softmax"}
SIMILARITIES = {"cosine": "cosine", "euclid": "euclid", "inner": "inner"}


def vote(
    labels_QK: Int[np.ndarray, "Q K"],
    score_QK: Float[np.ndarray, "Q K"] | None,
    ks: Sequence[int],
    classes: int,
    *,
    how: str = "majority",
    similarity: str = "cosine",
    temperature: float = 0.07,
) -> Int[np.ndarray, "ks Q"]:
    """The class with most votes among the first k neighbours, for each k; of tied classes the one whose first is nearest.

    `labels_QK` and `score_QK` are those of neighbours in order, best first, as `nearest` gives them with `similarity`. `how`:

    majority    each has the weight 1; `score_QK` is not looked at and may be None
    distance    1 / distance; where there are distances of 0 these have the weight 1 and all others 0, as in scikit-learn
                (`weights="distance"`); with cosine the distance is 1 - similarity; not with inner products
    softmax     exp(similarity / temperature), of cosines or inner products: Wu et al. 2018 (arXiv 1805.01978), DINO's eval_knn.py

    Raises ArgumentError for labels out of range, k above the neighbours there are, scores that are not finite or not best first.

    >>> labels, cosines = np.array([[2, 1, 1], [0, 2, 1]]), np.array([[0.9, 0.5, 0.4], [0.8, 0.7, 0.6]])
    >>> vote(labels, None, [1, 3], 3).tolist()
    [[2, 0], [1, 0]]
    >>> vote(labels, cosines, [3], 3, how="softmax").tolist()
    [[2, 0]]
    """
    labels_QK = numbers("labels_QK", labels_QK, 2)
    if labels_QK.dtype.kind == "f":
        raise ArgumentError("labels_QK", "class numbers", f"dtype {labels_QK.dtype}")
    queries, found = labels_QK.shape
    if isinstance(ks, int | np.integer):
        raise ArgumentError("ks", "several k", f"{ks}", f"For one: [{ks}].")
    if not len(ks) or max(whole("ks", k, 1) for k in ks) > found:
        raise ArgumentError("ks", f"numbers from 1 to {found}, the neighbours there are", f"{list(ks)}")
    if labels_QK.size and not 0 <= labels_QK.min() <= labels_QK.max() < classes:
        received = f"{labels_QK.min()} to {labels_QK.max()}"
        raise ArgumentError("labels_QK", f"class numbers from 0 to {classes - 1}", received)
    if score_QK is not None and (score_QK := numbers("score_QK", score_QK, 2)).shape != labels_QK.shape:
        raise ArgumentError("score_QK", f"shape {labels_QK.shape} like labels_QK", f"{score_QK.shape}")
    predicted_KQ = np.empty((len(ks), queries), np.int64)
    rows = max(1, BLOCK_BYTES // (8 * (classes + 4 * found)))
    for start in range(0, queries, rows):
        part = slice(start, start + rows)
        weight_QK = _weights(None if score_QK is None else score_QK[part], how, similarity, temperature)
        predicted_KQ[:, part] = _count(labels_QK[part], weight_QK, ks, classes)
    return predicted_KQ


def majority(labels_QK: Int[np.ndarray, "Q K"], classes: int) -> Int[np.ndarray, " Q"]:
    """The class with most votes among all the neighbours; of tied classes, the one whose first neighbour is nearest.

    >>> majority(np.array([[2, 1, 1], [0, 2, 1]]), 3)
    array([1, 0])
    """
    return vote(labels_QK, None, (labels_QK.shape[1],), classes)[0]


def _weights(score_QK: np.ndarray | None, how: str, similarity: str, temperature: float) -> np.ndarray | None:
    """Weights (Q, K) in float64 up to a factor a row, the largest 1; None: all are 1."""
    if look_up("how", how, HOW) == "majority":
        return None
    look_up("similarity", similarity, SIMILARITIES)
    if score_QK is None:
        raise ArgumentError("score_QK", f"the neighbours' scores, which vote {how!r} weighs by", "none")
    score = score_QK.astype(np.float64)
    if not np.isfinite(score).all():
        raise ArgumentError("score_QK", "finite numbers", "NaN or infinity", "Take them from nearest().")
    falls = (
        1 if similarity == "euclid" else -1
    )  # distances under the name of a similarity would weigh the farthest most
    if (np.diff(score, axis=1) * falls < 0).any():
        kind = "distances that rise" if similarity == "euclid" else "similarities that fall"
        hint = "Name the similarity that they are of."
        raise ArgumentError("score_QK", f"{kind}, best first, with {similarity!r}", "others", hint)
    if how == "softmax":
        if similarity == "euclid":
            raise ArgumentError("similarity", "cosine or inner with softmax votes", repr(similarity))
        if not temperature > 0:
            raise ArgumentError("temperature", "a number above 0", repr(temperature))
        return np.exp(
            (score - score.max(1, keepdims=True)) / temperature
        )  # a common factor changes no vote, and nothing overflows
    if similarity == "inner":
        raise ArgumentError("similarity", "cosine or euclid with votes by distance", repr(similarity))
    distance = score if similarity == "euclid" else np.maximum(1 - score, 0)
    same = distance == 0
    return np.where(same.any(1, keepdims=True), same, distance.min(1, keepdims=True) / np.where(same, 1, distance))


def _count(labels_QK: np.ndarray, weight_QK: np.ndarray | None, ks: Sequence[int], classes: int) -> np.ndarray:
    """Predictions (ks, Q): a running count that is read where a neighbour's number is one of `ks`."""
    rows, predicted = np.arange(len(labels_QK)), np.empty((len(ks), len(labels_QK)), np.int64)
    votes_QC = np.zeros((len(labels_QK), classes))
    for place in range(max(ks)):
        votes_QC[rows, labels_QK[:, place]] += 1 if weight_QK is None else weight_QK[:, place]
        if place + 1 in ks:
            # the classes in the order of their neighbours: argmax takes the first of those that are tied
            seen_QK = labels_QK[:, : place + 1]
            winner_Q = seen_QK[rows, votes_QC[rows[:, None], seen_QK].argmax(1)]
            predicted[[i for i, k in enumerate(ks) if k == place + 1]] = winner_Q
    return predicted
