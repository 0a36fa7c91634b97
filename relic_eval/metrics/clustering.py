"""Whether clusters found without labels are the classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from relic_eval.arrays import labels, matrix, whole
from relic_eval.errors import ArgumentError


@dataclass(frozen=True)
class Clustering:
    """Agreement of clusters and classes, 1 if they are the same; adjusted: 0 on average for clusters by chance."""

    nmi: float  # mutual information over the mean of both entropies (Strehl and Ghosh 2002, arithmetic mean)
    ari: float  # pairs of images that are together or apart in both, adjusted (Hubert and Arabie 1985)
    ami: float  # mutual information, adjusted (Vinh, Epps and Bailey 2010): NMI grows with the number of clusters by itself
    cluster_N: np.ndarray
    clusters: int  # that have an image: fewer than asked for where there are fewer different rows
    inertia: float  # summed squared distance to the centres
    converged: bool


def matched(y_N: Int[np.ndarray, " N"], cluster_N: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """The class that stands for each row's cluster: one class a cluster, so that most rows are right (Kuhn 1955).

    Where there are more clusters than classes, those that are left over stand for none: -1.

    >>> matched(np.array([0, 0, 1, 1]), np.array([5, 5, 5, 2]))
    array([0, 0, 0, 1])
    """
    from scipy.optimize import linear_sum_assignment

    y_N, cluster_N = labels("y_N", y_N), labels("cluster_N", cluster_N, len(y_N))
    class_C, y_N = np.unique(y_N, return_inverse=True)
    _, place_N = np.unique(cluster_N, return_inverse=True)
    count_KC = np.zeros((place_N.max() + 1, len(class_C)), np.int64)
    np.add.at(count_KC, (place_N, y_N), 1)
    cluster, its = linear_sum_assignment(count_KC, maximize=True)
    class_K = np.full(len(count_KC), -1)
    class_K[cluster] = class_C[its]
    return class_K[place_N]


def kmeans_scores(
    x_ND: Shaped[np.ndarray, "N D"],
    y_N: Int[np.ndarray, " N"],
    *,
    clusters: int | None = None,
    seed: int = 0,
    starts: int = 10,
    iterations: int = 300,
) -> Clustering:
    """NMI, ARI and AMI of k-means (scikit-learn's, the best of `starts` by inertia) with the classes of y_N.

    As many clusters as classes unless `clusters` is given. Euclidean: divide rows by their length for cosine. The seed
    fixes the starts; another number of threads adds up in another order, so that the last digits of the inertia, and
    an image midway between two centres, may come out otherwise. Raises ArgumentError for fewer than two classes, more
    clusters than rows, NaN or infinity.

    >>> kmeans_scores(np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([1, 1, 0, 0])).ari
    1.0
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score

    x_ND = matrix("x_ND", x_ND)
    y_N = labels("y_N", y_N, len(x_ND))
    classes = len(np.unique(y_N))
    if classes < 2:
        raise ArgumentError("y_N", "at least two classes", f"{classes}", "One class agrees with anything.")
    clusters = whole("clusters", classes if clusters is None else clusters, 1)
    if clusters > len(x_ND):
        raise ArgumentError("clusters", f"at most {len(x_ND)}, the rows", f"{clusters}")
    search = KMeans(
        clusters, n_init=whole("starts", starts, 1), max_iter=whole("iterations", iterations, 1), random_state=seed
    )
    with warnings.catch_warnings():  # fewer different rows than clusters: the result says how many there are
        warnings.simplefilter("ignore", ConvergenceWarning)
        cluster_N = search.fit_predict(x_ND)
    return Clustering(
        float(normalized_mutual_info_score(y_N, cluster_N)),
        float(adjusted_rand_score(y_N, cluster_N)),
        float(adjusted_mutual_info_score(y_N, cluster_N)),
        cluster_N,
        len(np.unique(cluster_N)),
        float(search.inertia_),
        bool(search.n_iter_ < iterations),
    )
