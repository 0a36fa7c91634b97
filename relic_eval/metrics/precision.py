"""Average precision: how far ahead of the rest the images of a class stand when all are sorted by its score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from relic_eval.arrays import asarray, matrix
from relic_eval.errors import ArgumentError, look_up
from relic_eval.metrics.bootstrap import resampled


@dataclass(frozen=True)
class ClassPrecision:
    """Average precision a class (NaN where no image of it is left), and its mean over the others."""

    mean: float
    ap_C: np.ndarray


def average_precision(
    true_N: Shaped[np.ndarray, " N"],
    score_N: Shaped[np.ndarray, " N"],
    *,
    ignore_N: Shaped[np.ndarray, " N"] | None = None,
    kind: str = "11-point",
) -> float:
    """Average precision of one class; with R the recall and P the precision down to each score:

    "11-point": mean over t = 0, 0.1, ..., 1 of the largest P where R >= t (VOC2007: Everingham et al. 2010, section 4.2);
    "all-point": area under the curve of the largest P at R or above (VOC from 2010 on);
    "step": sum of P times the gain in R, nothing filled up (scikit-learn's).
    Images of equal score come in together, so their order does not matter. Ignored images (VOC's "difficult") count neither
    way. Raises ArgumentError where no image of the class is left, or true is anything but 0 and 1.

    >>> true, score = np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7])  # P = 1, 1/2, 2/3 at R = 1/2, 1/2, 1
    >>> [round(average_precision(true, score, kind=k), 4) for k in ("11-point", "all-point", "step")]
    [0.8485, 0.8333, 0.8333]
    """
    true_N, score_N = asarray(true_N), asarray(score_N)
    ignore_N1 = None if ignore_N is None else asarray(ignore_N)[:, None]
    return mean_average_precision(true_N[:, None], score_N[:, None], ignore_NC=ignore_N1, kind=kind).mean


def mean_average_precision(
    true_NC: Shaped[np.ndarray, "N C"],
    score_NC: Shaped[np.ndarray, "N C"],
    *,
    ignore_NC: Shaped[np.ndarray, "N C"] | None = None,
    kind: str = "11-point",
) -> ClassPrecision:
    """`average_precision` of each class and its mean over the classes that have images; an image may be of several.

    >>> mean_average_precision(np.eye(2), np.array([[0.9, 0.1], [0.2, 0.7]])).mean
    1.0
    """
    area, score_NC = look_up("kind", kind, KINDS), matrix("score_NC", score_NC)
    true_NC = _marks("true_NC", true_NC, score_NC.shape)
    ignore_NC = None if ignore_NC is None else _marks("ignore_NC", ignore_NC, score_NC.shape)
    ap_C = np.full(score_NC.shape[1], np.nan)
    for c in range(len(ap_C)):
        true_N, score_N = true_NC[:, c], score_NC[:, c]
        if ignore_NC is not None:
            true_N, score_N = true_N[~ignore_NC[:, c]], score_N[~ignore_NC[:, c]]
        if true_N.any():
            ap_C[c] = area(*_hits(true_N, score_N))
    if np.isnan(ap_C).all():
        raise ArgumentError("true_NC", "an image of one class at least", "none that is not ignored")
    return ClassPrecision(float(np.nanmean(ap_C)), ap_C)


def resampled_precision(
    true_NC: Shaped[np.ndarray, "N C"],
    score_MNC: Shaped[np.ndarray, "M N C"],
    strata_N: Shaped[np.ndarray, " N"] | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Float[np.ndarray, "M B"]:
    """11-point mean average precision of M models on bootstrap samples of the images, the same samples for all models.

    Images are resampled within `strata_N`, by default those of the same first class. An image that a sample has twice counts
    twice; the mean is over the classes that the sample has.

    >>> resampled_precision(np.eye(2), np.array([[[0.9, 0.1], [0.2, 0.7]]]), draws=3).tolist()
    [[1.0, 1.0, 1.0]]
    """
    score_MNC = np.stack([matrix("score_MNC", score_NC) for score_NC in asarray(score_MNC)])
    true_NC = _marks("true_NC", true_NC, score_MNC.shape[1:])
    strata_N = true_NC.argmax(1) if strata_N is None else strata_N
    columns = [[_sorted(true_NC[:, c], score_NC[:, c]) for c in range(true_NC.shape[1])] for score_NC in score_MNC]

    def statistic(count_BN: np.ndarray) -> np.ndarray:
        means = []
        for column in columns:
            ap_CB = np.stack([_weighted_eleven(count_BN, *its) for its in column])
            there_CB = ~np.isnan(ap_CB)
            means.append(np.where(there_CB, ap_CB, 0.0).sum(0) / np.maximum(there_CB.sum(0), 1))
        return np.stack(means)

    return resampled(statistic, strata_N, draws=draws, seed=seed)


def _sorted(true_N: np.ndarray, score_N: np.ndarray) -> tuple[np.ndarray, ...]:
    """Images from the highest score down to the last of the class, those of the class among them, and where stretches begin.

    Precision is looked at where the class has a hit: a stretch ends with the last image of such a score.
    """
    order_N = np.argsort(score_N)[::-1]
    score_N, true_N = score_N[order_N], true_N[order_N]
    group_N = np.append(0, np.cumsum(score_N[1:] != score_N[:-1]))
    hit_P = np.flatnonzero(true_N)
    kept_S, first_S = np.unique(group_N[hit_P], return_index=True)  # the groups with hits, and the first hit of each
    end_S = np.searchsorted(group_N, kept_S, side="right")  # one past each stretch
    start_S = np.append(0, end_S[:-1])
    return (order_N[: end_S[-1]] if len(end_S) else order_N[:0]), start_S[: len(end_S)], order_N[hit_P], first_S


def _weighted_eleven(
    count_BN: np.ndarray, order_R: np.ndarray, start_S: np.ndarray, hit_P: np.ndarray, first_S: np.ndarray
) -> np.ndarray:
    """`_eleven` of images that count so many times (B, N), for each row of counts; NaN where no image of the class is left."""
    if not len(start_S):
        return np.full(len(count_BN), np.nan)
    all_BS = np.cumsum(np.add.reduceat(count_BN.take(order_R, 1), start_S, 1), 1)
    hit_BS = np.cumsum(np.add.reduceat(count_BN.take(hit_P, 1), first_S, 1), 1)
    precision_BS = hit_BS / np.maximum(all_BS, 1)
    filled_BS = np.maximum.accumulate(precision_BS[:, ::-1], 1)[:, ::-1]
    area_B = np.zeros(len(count_BN))
    for tenth in range(11):
        first_B1 = (10 * hit_BS < tenth * hit_BS[:, -1:]).sum(1, keepdims=True)
        area_B += np.take_along_axis(filled_BS, first_B1, 1)[:, 0]
    return np.where(hit_BS[:, -1] > 0, area_B / 11, np.nan)


def _hits(true_N: np.ndarray, score_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Down to each different score: how many images of the class, and the precision."""
    order_N = np.argsort(score_N)[::-1]
    score_N = score_N[order_N]
    last_U = np.append(np.flatnonzero(score_N[1:] != score_N[:-1]), len(order_N) - 1)
    hit_U = np.cumsum(true_N[order_N])[last_U]
    return hit_U, hit_U / (last_U + 1)


def _filled(precision_U: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(precision_U[::-1])[::-1]


def _eleven(hit_U: np.ndarray, precision_U: np.ndarray) -> float:
    # in whole numbers: 3 of 10 images are a recall of 0.3, which 3 * 0.1 in floats exceeds
    first = np.searchsorted(10 * hit_U, np.arange(11) * hit_U[-1])
    return float(_filled(precision_U)[first].mean())


def _step(hit_U: np.ndarray, precision_U: np.ndarray) -> float:
    return float(np.diff(hit_U, prepend=0) @ precision_U / hit_U[-1])


KINDS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "11-point": _eleven,
    "all-point": lambda hit_U, precision_U: _step(hit_U, _filled(precision_U)),
    "step": _step,
}


def _marks(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    mark_NC = asarray(value)
    if mark_NC.shape != shape:
        raise ArgumentError(name, f"shape {shape} like the scores", f"{mark_NC.shape}")
    if not ((mark_NC == 0) | (mark_NC == 1)).all():
        hint = "Of VOC's 1, 0 and -1, true is label == 1 and ignore is label == 0."
        raise ArgumentError(name, "0 and 1 only", "other values", hint)
    return mark_NC.astype(bool, copy=False)
