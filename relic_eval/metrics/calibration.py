"""Whether probabilities mean what they say: negative log likelihood and expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from relic_eval.arrays import whole
from relic_eval.errors import ArgumentError
from relic_eval.metrics.scores import BLOCK, scored

ROUNDING = 5e-3  # by which a row of float16 or bfloat16 probabilities may miss 1


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error, and what it is the sum of: images, mean confidence and accuracy a bin (NaN: empty)."""

    ece: float
    count_B: np.ndarray
    confidence_B: np.ndarray
    accuracy_B: np.ndarray


def nll(true_N: Int[np.ndarray, " N"], score_NC: Shaped[np.ndarray, "N C"], *, logits: bool = False) -> float:
    """Mean of -ln p of the true class, in nats; infinite where one is given probability 0. From logits none is lost to 0.

    Raises ArgumentError for rows that are no probabilities, labels from C on, NaN or infinity.

    >>> round(nll(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])), 4)  # (ln 2 + ln 4) / 2
    1.0397
    """
    from scipy.special import logsumexp

    if logits:
        true_N, score_NC = scored(true_N, score_NC)
        own_N = np.take_along_axis(score_NC, true_N[:, None], 1)[:, 0].astype(np.float64)
        rows = max(1, BLOCK // score_NC.shape[1])
        parts = (score_NC[start : start + rows].astype(np.float64) for start in range(0, len(true_N), rows))
        return float((np.concatenate([logsumexp(part_BC, axis=1) for part_BC in parts]) - own_N).mean())
    true_N, p_NC = _probabilities(true_N, score_NC)
    own_N = np.take_along_axis(p_NC, true_N[:, None], 1)[:, 0].astype(np.float64)
    return float(-np.log(own_N).mean()) if (own_N > 0).all() else float("inf")


def ece(true_N: Int[np.ndarray, " N"], p_NC: Shaped[np.ndarray, "N C"], bins: int = 15) -> float:
    """Expected calibration error of the top label: see `reliability`.

    >>> ece(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]]))
    0.25
    """
    return reliability(true_N, p_NC, bins).ece


def reliability(true_N: Int[np.ndarray, " N"], p_NC: Shaped[np.ndarray, "N C"], bins: int = 15) -> Reliability:
    """Confidence (the largest probability) against accuracy, in bins (i/bins, (i+1)/bins] of equal width.

    ECE is the mean over images of |accuracy - confidence| of their bin (Naeini et al. 2015; Guo et al. 2017, 15 bins). It
    is 0 for a model that answers the class frequencies: read it beside the accuracy. ArgumentError as `nll`.

    >>> reliability(np.array([0, 1]), np.array([[0.75, 0.25], [1.0, 0.0]]), bins=2).accuracy_B
    array([nan, 0.5])
    """
    true_N, p_NC = _probabilities(true_N, p_NC)
    confidence_N, right_N = p_NC.max(1), p_NC.argmax(1) == true_N
    # edges in the type of the probabilities: 0.2 in float32 is above 0.2 in float64
    edges = np.linspace(0, 1, whole("bins", bins, 1) + 1).astype(p_NC.dtype)
    bin_N = np.searchsorted(edges[1:-1], confidence_N, side="left")
    count_B, right_B, sum_B = (np.bincount(bin_N, w_N, bins) for w_N in (None, right_N, confidence_N))
    confidence_B, accuracy_B = (
        np.divide(a, count_B, out=np.full(bins, np.nan), where=count_B > 0) for a in (sum_B, right_B)
    )
    return Reliability(float(np.abs(right_B - sum_B).sum() / len(true_N)), count_B, confidence_B, accuracy_B)


def _probabilities(true_N: Any, p_NC: Any) -> tuple[np.ndarray, np.ndarray]:
    true_N, p_NC = scored(true_N, p_NC, "p_NC")
    bad_N = (p_NC.min(1) < 0) | (np.abs(p_NC.sum(1, dtype=np.float64) - 1) > ROUNDING)
    if bad_N.any():
        raise ArgumentError(
            "p_NC",
            "rows of probabilities that add up to 1",
            f"{int(bad_N.sum())} others (the first is row {int(bad_N.argmax())})",
            "Pass logits through a softmax.",
        )
    return true_N, p_NC
