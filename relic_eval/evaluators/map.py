"""A map of the test rows: two coordinates each, for people to look at, and how far the map can be trusted."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.arrays import over_classes
from relic_eval.errors import DataError
from relic_eval.evaluators.shared import predictions
from relic_eval.records import Cell, Embeddings, Measurement

FEWEST = 4  # rows: fewer make no map


@dataclass(frozen=True)
class Map:
    """The first two principal components (exact), t-SNE or UMAP of at most `most` test rows, the first of each class alike."""

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    method: str = "pca"  # or tsne, umap
    most: int = 1_000
    perplexity: float = 30.0  # of t-SNE; at most a third of the other rows
    neighbours: int = 15  # of UMAP
    min_dist: float = 0.1  # of UMAP
    seed: int = 0  # of t-SNE and UMAP

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is how often the nearest point on the map is of the same class, then the same of the embedding.

        The predictions hold the class of the nearest point, the curve the coordinates, both in the order of the images.
        """
        from relic_eval.metrics.neighbours import nearest
        from relic_eval.metrics.statistics import wilson

        rows = split.take(first_of_each(split.y_N, self.most))
        x_ND, n = np.asarray(rows.x_ND, np.float64), len(rows)
        place_N2, share_2 = _components(x_ND)
        if self.method != "pca":
            place_N2 = _upright(self._tsne(x_ND) if self.method == "tsne" else self._umap(x_ND))
        near = [nearest(z, z, 1, similarity="euclid", exclude_self=True)[0][:, 0] for z in (place_N2, rows.x_ND)]
        measured = []
        for metric, index_N in zip(("map_nearest", "embedding_nearest"), near, strict=True):
            hits = int((rows.y_N[index_N] == rows.y_N).sum())
            measured.append(Measurement(metric, hits / n, *wilson(hits, n), n, self._library()))
        for number, share in enumerate(share_2.tolist(), 1):
            value = share if np.isfinite(share) else None
            measured.append(Measurement("variance_share", value, n=n, params={"component": number}))
        said_N = rows.y_N[near[0]]
        curve = {"name": np.full(n, self.method), "x": place_N2[:, 0], "y": place_N2[:, 1]}
        return Cell(tuple(measured), predictions(rows, said_N, said_N == rows.y_N, np.full(n, np.nan)), curve)

    def _library(self) -> dict[str, str]:
        """The library that is not among those that every cell names."""
        return {"umap-learn": importlib.metadata.version("umap-learn")} if self.method == "umap" else {}

    def _tsne(self, x_ND: np.ndarray) -> np.ndarray:
        from sklearn.manifold import TSNE

        perplexity = min(self.perplexity, (len(x_ND) - 1) / 3)
        return TSNE(2, perplexity=perplexity, init="pca", random_state=self.seed).fit_transform(x_ND.astype(np.float32))

    def _umap(self, x_ND: np.ndarray) -> np.ndarray:
        try:
            from umap import UMAP
        except ImportError as error:
            raise DataError(
                f"expected the library umap-learn for map-umap, received none ({error}). Type: pip install umap-learn."
            ) from None
        count = min(self.neighbours, len(x_ND) - 1)
        made = UMAP(n_neighbors=count, min_dist=self.min_dist, random_state=self.seed, n_jobs=1)
        return made.fit_transform(x_ND.astype(np.float32))


def first_of_each(y_N: np.ndarray, most: int) -> np.ndarray:
    """Rows of the first images of each class, so many of each that all are at most `most`, in the order of the images.

    >>> first_of_each(np.array([0, 0, 0, 1, 1]), 4).tolist(), first_of_each(np.array([0, 0, 0, 1]), 3).tolist()
    ([0, 1, 3, 4], [0, 1, 3])
    """
    return np.sort(over_classes(y_N)[:most])


def _components(x_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along the first two principal components, and the shares of the variance that they hold."""
    unit = 2.0 ** np.floor(np.log2(np.abs(x_ND).max() or 1.0))  # a power of two: squares neither overflow nor vanish
    about_ND = x_ND / unit
    about_ND -= about_ND.mean(0)
    if (x_ND == x_ND[0]).all():
        return np.zeros((len(x_ND), 2)), np.full(2, np.nan)
    tall = len(x_ND) > x_ND.shape[1]
    product = about_ND.T @ about_ND if tall else about_ND @ about_ND.T
    value_R, vector_RR = np.linalg.eigh(product)
    value_2, vector_R2 = value_R[::-1][:2].clip(0), vector_RR[:, ::-1][:, :2]
    place_N2 = about_ND @ vector_R2 if tall else vector_R2 * np.sqrt(value_2)
    if place_N2.shape[1] == 1:  # of one column there is no second direction
        place_N2, value_2 = np.pad(place_N2, ((0, 0), (0, 1))), np.pad(value_2, (0, 1))
    return _upright(place_N2) * unit, value_2 / np.trace(product)


def _upright(place_N2: np.ndarray) -> np.ndarray:
    """Each axis turned so that the image farthest from 0 along it, the first of equally far ones, has a positive place."""
    place_N2 = np.asarray(place_N2, np.float64)
    size_N2 = np.abs(place_N2).round(9)
    far_2 = place_N2[size_N2.argmax(0), np.arange(2)]
    return place_N2 * np.where(far_2 < 0, -1.0, 1.0)
