"""The readings of "inter over intra" that have closed forms, O(N D C), by centroids; RELICv2's own goes by tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from relic_eval.arrays import labels, matrix, paired, whole
from relic_eval.errors import ArgumentError, look_up
from relic_eval.metrics.centroids import Moments, moments, others, squares_to, table_squares, to_classes, unit
from relic_eval.metrics.distances import MOST_CLASSES, class_count, points

READINGS = {
    "mean": "mean distance to all images of other classes / to the other images of its own",
    "nearest-class": "mean distance to the images of the nearest other class / to the other images of its own",
    "other-centroids": "mean distance to the centroids of other classes / to that of its own without the image",
    "fisher": "mean |own mean - other mean|^2 / sum over all ordered pairs of its own images of |a - b|^2",
    "fisher-mean": "mean |own mean - other mean|^2 / mean over all pairs of two of its own images of |a - b|^2",
}
METRICS = {"euclid": "|a - b|", "squared": "|a - b|^2", "cosine": "1 - cos(a, b)"}
NOUGHT = 1e-12  # length of a mean of rows of unit length that cancel: what is left is rounding, and no direction
EQUAL = 8 * float(np.finfo(np.float64).eps)  # of the largest entry: rows of a class that differ by less are equal
NEAR = 1e-20  # of a mean's squared length: rows as near to it might all be equal, and the mean rounded
Distances = tuple[np.ndarray | None, np.ndarray, np.ndarray]  # of images: to classes, inter and intra


def checked(
    x_ND: Any, y_N: Any, reading: str, metric: str | None, classes: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Rows, labels, images of each class and the metric, or an ArgumentError.

    >>> checked([[1.0], [2.0]], [0, 2], "fisher", None, None)[2:]
    (array([1, 0, 1]), 'squared')
    """
    look_up("reading", reading, READINGS)
    metric = metric or ("squared" if reading.startswith("fisher") else "euclid")
    look_up("metric", metric, METRICS)
    if reading.startswith("fisher") and metric == "euclid":
        raise ArgumentError(
            "metric", "squared or cosine with Fisher's ratio", "'euclid'", "It is of squared distances."
        )
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    if classes is not None and whole("classes", classes, 1) > MOST_CLASSES:
        raise ArgumentError("classes", f"at most {MOST_CLASSES:,}", f"{classes:,}")
    return x_ND, y_N, np.bincount(y_N, minlength=class_count(y_N, classes)), metric


def scaled_moments(x_ND: Float[np.ndarray, "N D"], y_N: Int[np.ndarray, " N"], metric: str) -> tuple[Moments, float]:
    """The moments of the classes, and what their squared distances are multiplied by to be those of `metric`.

    >>> scaled_moments(np.array([[3.0], [4.0]]), np.array([0, 1]), "cosine")[1]
    0.5
    """
    if metric == "cosine":
        return moments(unit(x_ND), y_N), 0.5
    given, factor = points(x_ND)
    return moments(given, y_N), factor**-2.0


def by_centroids(m: Moments, scale: float, reading: str, metric: str, to_all: bool) -> Distances:
    """Distance of each image to each class (N, K), inter and intra; the first only if asked for or needed.

    Each class has a point, a weight and a spread, and an image's distance to it is scale (|x - point|^2 + spread), so that
    the weighted mean over other classes is scale (|x - P|^2 + S), with P the weighted mean of their points and S that of
    |point - P|^2 + spread. Only a root, or the nearest class, needs the N x K distances themselves.

    >>> m, scale = scaled_moments(np.array([[0.0], [2.0], [7.0]]), np.array([0, 0, 1]), "squared")
    >>> [a.tolist() for a in by_centroids(m, scale, "mean", "squared", True)]
    [[[4.0, 49.0], [4.0, 25.0], [37.0, nan]], [49.0, 25.0, 37.0], [4.0, 4.0, nan]]
    """

    means, root = reading in ("mean", "nearest-class"), metric == "euclid"
    directed = metric == "cosine" and reading == "other-centroids"
    n_N, count_K = m.count_K[m.own_N], m.count_K.astype(float)
    point_KD, weight_K = m.mean_KD, count_K if means else np.ones(len(count_K))
    if directed:
        point_KD, weight_K = _directions(m)
    rest_KD = others(point_KD, weight_K, m.middle_D)
    square_N, to_rest_N = own_squares(m, rest_KD)
    spread_K = np.bincount(m.own_N, square_N) / count_K
    # the mean over a class holds the image itself, at distance 0, and a centroid holds it too: n / (n - 1) leaves it out
    out_N = divide(n_N, n_N - 1)
    about_N, without_N = scale * (square_N + spread_K[m.own_N]), scale * square_N * out_N**2
    if directed:
        # an image that is the mean of its class lies along that of the others
        without_N = np.where((square_N == 0) & (n_N > 1), 0.0, scale * _to_direction_without(m))
    own_N = about_N * out_N if means else np.sqrt(without_N) if root else without_N
    spread_K = spread_K if means else np.zeros(len(count_K))
    left_K = weight_K.sum() - weight_K
    value_NK = inter_N = None
    if to_all or root or reading == "nearest-class":
        value_NK, sum_N = to_classes(m, point_KD, spread_K, scale, root, own_N, weight_K)
        value_NK[:, weight_K == 0] = np.nan
        value_NK[np.arange(len(n_N)), m.own_N] = own_N
        inter_N = divide(sum_N, left_K[m.own_N])
    if not root:
        inter_N = scale * (to_rest_N + divide(_around(rest_KD, point_KD, spread_K, weight_K), left_K)[m.own_N])
    if reading.startswith("fisher"):
        own_N = about_N * n_N * n_N if reading == "fisher" else about_N * out_N
    assert inter_N is not None  # either way above has set it
    return value_NK, inter_N, own_N


def own_squares(m: Moments, *tables_KD: Any) -> list[Float[np.ndarray, " N"]]:
    """Squared distance of each row to the mean of its class (0 where its rows are all equal), and to its row of other tables.

    >>> m, _ = scaled_moments(np.full((7, 1), 0.1), np.zeros(7, int), "squared")
    >>> own_squares(m)[0].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    squares_N = squares_to(m.given, (m.mean_KD, *tables_KD), m.own_N)
    spread_K = np.bincount(m.own_N, squares_N[0]) / m.count_K
    near_K = (spread_K > 0) & (spread_K <= NEAR * m.mean_KD.square().sum(1).numpy())
    for number in np.flatnonzero(near_K):
        rows = np.flatnonzero(m.own_N == number)
        if _all_equal(m, rows):
            squares_N[0][rows] = 0
    return squares_N


def every_class(value_K: np.ndarray, m: Moments, classes: int) -> np.ndarray:
    """Values of the classes with images (along the last axis) among those of all classes: NaN for the others.

    >>> m, _ = scaled_moments(np.array([[0.0], [7.0]]), np.array([0, 2]), "squared")
    >>> every_class(np.array([5.0, 6.0]), m, 3)
    array([ 5., nan,  6.])
    """
    if value_K.shape[-1] == classes:
        return value_K
    value_C = np.full((*value_K.shape[:-1], classes), np.nan)
    value_C[..., m.class_K] = value_K
    return value_C


def divide(a: Any, b: Any) -> np.ndarray:
    """a / b, NaN where b is not above 0.

    >>> divide([1.0, 1.0], [2.0, 0.0])
    array([0.5, nan])
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 0)


def _all_equal(m: Moments, rows: np.ndarray) -> bool:
    """Whether these rows are the same but for rounding: one at unit length may differ in the last digit from its multiple."""
    first = m.given.take(rows[:1])
    bound = EQUAL * float(first.abs().max())
    return all(
        float(m.given.take(rows[start:stop]).sub_(first).abs().max()) <= bound
        for start, stop in m.given.blocks(len(rows))
    )


def _directions(m: Moments) -> tuple[Any, np.ndarray]:
    """The means of rows of unit length, at unit length, and weights: 0 for a mean that has no direction."""
    import torch

    length = torch.linalg.vector_norm(m.mean_KD, dim=1, keepdim=True)
    return m.mean_KD / length.masked_fill(length <= NOUGHT, 1.0), (length[:, 0] > NOUGHT).double().numpy()


def _around(rest_KD: Any, point_KD: Any, spread_K: np.ndarray, weight_K: np.ndarray) -> np.ndarray:
    """For each class, the weighted sum over the others of |point - rest|^2 + spread, with rest the mean of their points."""
    sum_K = np.empty(len(weight_K))
    for start, block_RK in table_squares(rest_KD, point_KD):
        rows = np.arange(start, start + len(block_RK))
        block_RK += spread_K
        block_RK[rows - start, rows] = 0
        sum_K[rows] = block_RK @ weight_K
    return sum_K


def _to_direction_without(m: Moments) -> np.ndarray:
    """Squared distance of each row of unit length to the direction of the mean of the others of its class."""
    import torch

    square_N = np.empty(len(m.own_N))
    for start, stop in m.given.blocks():
        own_N = m.own_N[start:stop]
        u = m.given.take(slice(start, stop))
        rest = m.mean_KD[torch.from_numpy(own_N)].mul_(torch.from_numpy(m.count_K[own_N, None])).sub_(u)
        length = torch.linalg.vector_norm(rest, dim=1)
        # without the image, nothing is left of a class of one; what is of others is that many times as long as their mean
        length[length <= torch.from_numpy(NOUGHT * m.count_K[own_N])] = torch.nan
        square_N[start:stop] = torch.linalg.vector_norm(rest.div_(length[:, None]).sub_(u), dim=1).square_()
    return square_N
