"""Whether clusters that are found without labels are the classes: k-means with as many clusters as classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.evaluators.normalise import normaliser
from relic_eval.evaluators.shared import predictions
from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class Cluster:
    """k-means (scikit-learn's, the best of `starts`) on the rows of the split; labels name the clusters, and nothing else."""

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    normalise: str = "l2"
    starts: int = 10
    iterations: int = 300
    seed: int = 0

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is accuracy under the best matching of clusters and classes, then NMI, AMI and ARI."""
        from relic_eval.metrics.clustering import kmeans_scores, matched
        from relic_eval.metrics.statistics import wilson

        x_ND, n = normaliser(self.normalise, split.x_ND)(split.x_ND), len(split)
        about = {"seed": self.seed, "starts": self.starts, "iterations": self.iterations}
        found = kmeans_scores(x_ND, split.y_N, **about)
        predicted_N = matched(split.y_N, found.cluster_N)
        right_N = predicted_N == split.y_N
        params = {"clusters": found.clusters, "inertia": found.inertia}
        hits, sound = int(right_N.sum()), found.converged
        rows = [Measurement("cluster_accuracy", hits / n, *wilson(hits, n), n, params, sound)]
        for name in ("nmi", "ami", "ari"):
            rows.append(Measurement(name, getattr(found, name), n=n, params=params, converged=sound))
        return Cell(tuple(rows), predictions(split, predicted_N, right_N, np.full(n, np.nan)))
