"""How far other classes are, compared with one's own: ratios of inter- to intra-class distance for each image, each class, all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from relic_eval.arrays import whole
from relic_eval.errors import ArgumentError
from relic_eval.metrics.distances import class_distance_sums
from relic_eval.metrics.fisher import between
from relic_eval.metrics.readings import Distances, by_centroids, checked, divide, every_class, scaled_moments

BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class Discriminability:
    """Inter- over intra-class distances of one reading. Missing (NaN): no second image, no other class, or intra is 0."""

    ratio: float
    ratio_C: np.ndarray  # mean of inter_N over mean of intra_N of the images of a class (Fisher's: mean of F over k')
    ratio_N: np.ndarray  # inter_N / intra_N
    inter_N: np.ndarray
    intra_N: np.ndarray
    mean_NC: np.ndarray | None  # distance of each image to each class: its images or centroid (own: without itself)
    count_C: np.ndarray  # images of each class
    reading: str = "mean"
    metric: str = "euclid"

    @property
    def singletons(self) -> int:
        """How many classes have one image: no distance within them, so no ratio; they count as other classes."""
        return int((self.count_C == 1).sum())

    @property
    def empty(self) -> int:
        """How many classes below the number of classes have no image; they count nowhere."""
        return int((self.count_C == 0).sum())


def discriminability(
    x_ND: Shaped[np.ndarray, "N D"],
    y_N: Shaped[np.ndarray, " N"],
    *,
    reading: str = "mean",
    metric: str | None = None,
    classes: int | None = None,
    to_classes: bool = True,
) -> Discriminability:
    """Ratio of inter- to intra-class distances per image, per class and over all; never an N x N array.

    `reading` is one of READINGS, `metric` of METRICS (None: "euclid", and "squared" for Fisher's, which has no other but
    "cosine", on rows of unit length). Over all: of "mean", all pairs; of "nearest-class" and "other-centroids", the mean of
    inter over the mean of intra of the images that have both; of Fisher's, the mean over ordered pairs of classes.
    "mean" by "euclid" is RELICv2's figure (arXiv 2201.05119). Its products cost N^2 D, as those of "nearest-class" by
    "euclid"; the others N D C, or N D alone without the distances `to_classes` where neither a root nor the nearest class
    needs them.
    Raises ArgumentError for unknown names, labels of `classes` or more, and rows of zeros with "cosine".

    >>> d = discriminability(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1]))
    >>> d.ratio, d.ratio_N.tolist()
    (5.0, [5.5, 4.5, 4.5, 5.5])
    """
    x_ND, y_N, count_C, metric = checked(x_ND, y_N, reading, metric, classes)
    m = None
    if metric == "euclid" and reading in ("mean", "nearest-class"):
        mean_NC, inter_N, intra_N = _by_tiles(x_ND, y_N, count_C)
    else:
        m, scale = scaled_moments(x_ND, y_N, metric)
        mean_NC, inter_N, intra_N = by_centroids(m, scale, reading, metric, to_classes)
        mean_NC = every_class(mean_NC, m, len(count_C)) if mean_NC is not None else None
    if reading == "nearest-class":
        assert mean_NC is not None
        inter_N = nearest_class(mean_NC, y_N)[1]
    inter, inter_C, intra, intra_C = _means(inter_N, intra_N, y_N, count_C, reading)
    ratio, ratio_C = float(divide(inter, intra)), divide(inter_C, intra_C)
    if m is not None and reading.startswith("fisher"):
        ratio_C = divide(every_class(scale * between(m), m, len(count_C)), intra_C)
        known = ratio_C[np.isfinite(ratio_C)]
        ratio = float(known.mean()) if len(known) else float("nan")
    ratio_N, mean_NC = divide(inter_N, intra_N), mean_NC if to_classes else None
    return Discriminability(ratio, ratio_C, ratio_N, inter_N, intra_N, mean_NC, count_C, reading, metric)


def nearest_class(
    mean_NC: Float[np.ndarray, "N C"], y_N: Int[np.ndarray, " N"] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The class at the smallest distance from each image, and that distance; with `y_N`, among the other classes.

    >>> nearest_class(np.array([[1.0, 3.0, np.nan]]), np.array([0]))
    (array([1]), array([3.]))
    """
    class_N, distance_N = np.empty(len(mean_NC), np.int64), np.empty(len(mean_NC))
    step = max(1, BLOCK_BYTES // (8 * mean_NC.shape[1]))
    for start in range(0, len(mean_NC), step):
        part = slice(start, start + step)
        block = np.where(np.isnan(mean_NC[part]), np.inf, mean_NC[part])
        rows = np.arange(len(block))
        if y_N is not None:
            block[rows, y_N[part]] = np.inf
        class_N[part] = block.argmin(1)
        distance_N[part] = block[rows, class_N[part]]
    return class_N, np.where(np.isfinite(distance_N), distance_N, np.nan)


@dataclass(frozen=True)
class Histogram:
    """How many values lie in each bin, and how many were left out."""

    edges_E: np.ndarray  # one more than there are bins
    count_B: np.ndarray
    below: int
    above: int
    missing: int  # NaN or infinity


def histogram(value_N: Float[np.ndarray, " N"], *, bins: int = 60, cut: float | int = 0.5) -> Histogram:
    """Histogram of ratios in even bins that leave out at most `cut` per cent at either end; about the value where it is one.

    >>> h = histogram(np.array([1.0, 2.0, 2.0, 3.0, np.nan]), bins=2, cut=0)
    >>> h.edges_E.tolist(), h.count_B.tolist(), h.missing
    ([1.0, 2.0, 3.0], [1, 3], 1)
    """
    bins = whole("bins", bins, 1)
    if not 0 <= cut < 50:
        raise ArgumentError("cut", "a per cent from 0 to below 50", repr(cut))
    finite = value_N[np.isfinite(value_N)].astype(np.float64)
    if len(finite) == 0:
        raise ArgumentError("value_N", "at least one finite value", f"none in {len(value_N)}")
    # values that are there: points between two of them would leave out an end of any few
    low, high = np.percentile(finite, cut, method="lower"), np.percentile(finite, 100 - cut, method="higher")
    if not high > low:
        around = max(abs(low), 1.0) / 2
        low, high = low - around, high + around
    count_B, edges_E = np.histogram(finite, np.linspace(low, high, bins + 1))
    below, above = int((finite < edges_E[0]).sum()), int((finite > edges_E[-1]).sum())
    return Histogram(edges_E, count_B, below, above, len(value_N) - len(finite))


def _by_tiles(x_ND: np.ndarray, y_N: np.ndarray, count_C: np.ndarray) -> Distances:
    """Mean Euclidean distances of each image to each class, to other classes, and to the others of its own."""
    rows, n_N = np.arange(len(y_N)), count_C[y_N]
    sum_NC = class_distance_sums(x_ND, y_N, len(count_C))
    intra_N = divide(sum_NC[rows, y_N], n_N - 1)
    sum_NC[rows, y_N] = 0
    inter_N = divide(sum_NC.sum(1), len(y_N) - n_N)
    with np.errstate(invalid="ignore"):
        sum_NC /= count_C  # in place: as large as the rows where there are many classes
    sum_NC[rows, y_N] = intra_N
    return sum_NC, inter_N, intra_N


def _means(
    inter_N: np.ndarray, intra_N: np.ndarray, y_N: np.ndarray, count_C: np.ndarray, reading: str
) -> list[np.ndarray]:
    """Mean inter over all and per class, and mean intra: of all pairs, or of the images that have both."""
    both_N = (np.isfinite(inter_N) & np.isfinite(intra_N)).astype(float)
    weights = (len(y_N) - count_C[y_N], count_C[y_N] - 1) if reading == "mean" else (both_N, both_N)
    means = []
    for value_N, weight_N in zip((inter_N, intra_N), weights, strict=True):
        sum_N = np.where(weight_N > 0, value_N, 0) * weight_N
        means.append(divide(sum_N.sum(), weight_N.sum()))
        means.append(divide(*(np.bincount(y_N, w, len(count_C)) for w in (sum_N, weight_N))))
    return means
