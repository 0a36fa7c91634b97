"""How alike many embeddings of the same images are, each two of them: linear CKA and shared neighbours from one product each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Real

from relic_eval.arrays import matrix, whole
from relic_eval.errors import ArgumentError
from relic_eval.metrics.similarity import EPS, FEWEST


def likeness(
    rows: Sequence[Real[np.ndarray, "_ _"]], *, k: int = 10
) -> tuple[Float[np.ndarray, "M M"], Float[np.ndarray, "M M"]]:
    """Of each two of M embeddings of the same N rows: unbiased `linear_cka`, and `mutual_knn` by cosine, of k neighbours.

    Each embedding costs one N x N product in float64, whatever its width, and each two of them one pass over N x N numbers:
    pass a sample of about a thousand rows. CKA is NaN where the rows of one are all equal, the share of neighbours where one
    has a row of zeros.

    >>> x = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> cka_MM, overlap_MM = likeness([x, -x, 0 * x], k=1)
    >>> cka_MM.round(6).tolist(), overlap_MM.tolist()
    ([[1.0, 1.0, nan], [1.0, 1.0, nan], [nan, nan, nan]], [[1.0, 1.0, nan], [1.0, 1.0, nan], [nan, nan, nan]])
    """
    n, many, k = _count(rows), len(rows), whole("k", k, 1)
    if n < FEWEST or k >= n:
        raise ArgumentError("rows", f"more than {max(FEWEST - 1, k)} images", f"{n}", "Pass more images.")
    pair_MP, length_MN = np.empty((many, n * (n - 1) // 2)), np.empty((many, n))
    near_MNN = np.zeros((many, n, n), bool)
    above_NN = np.triu(np.ones((n, n), bool), 1)
    for place, x_ND in enumerate(rows):
        about_NN, cosine_NN = _products(np.asarray(x_ND))
        pair_MP[place], length_MN[place] = about_NN[above_NN], np.diag(about_NN)
        if cosine_NN is not None:
            near_MNN[place] = _nearest(cosine_NN, k)
    overlap_MM = np.full((many, many), np.nan)
    for i, j in zip(*np.tril_indices(many), strict=True):
        if near_MNN[i, 0].any() and near_MNN[j, 0].any():
            overlap_MM[i, j] = overlap_MM[j, i] = np.count_nonzero(near_MNN[i] & near_MNN[j]) / (n * k)
    return _cka(pair_MP, length_MN), overlap_MM


def _count(rows: Sequence[np.ndarray]) -> int:
    counts = {len(matrix("rows", x_ND)) for x_ND in rows}
    if len(counts) != 1:
        raise ArgumentError("rows", "embeddings of the same images", f"{sorted(counts)} rows")
    return counts.pop()


def _products(x_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Products of the centred rows, in a unit in which none overflows; and cosines, where no row is 0."""
    unit = 2.0 ** np.floor(np.log2(np.abs(x_ND).max() or 1.0))
    about_ND = np.divide(x_ND, unit, dtype=np.float64)
    mean_D = about_ND.mean(0)
    about_ND -= mean_D
    if (x_ND == x_ND[0]).all():
        about_ND[:] = 0  # not the rounding of a mean
    about_NN = about_ND @ about_ND.T
    if not x_ND.any(1).all():
        return about_NN, None
    along_N = about_ND @ mean_D  # the rows as they are have these products and two terms more
    cosine_NN = about_NN + along_N[:, None] + along_N + mean_D @ mean_D
    length_N = np.sqrt(np.diag(cosine_NN))
    cosine_NN /= length_N[:, None]
    cosine_NN /= length_N
    return about_NN, cosine_NN


def _nearest(cosine_NN: np.ndarray, k: int) -> np.ndarray:
    """Which k others are nearest to each row; of equally near ones the first."""
    np.fill_diagonal(cosine_NN, -np.inf)
    last_N1 = np.partition(cosine_NN, -k, 1)[:, -k, None]
    near_NN, equal_NN = cosine_NN > last_N1, cosine_NN == last_N1
    return near_NN | (equal_NN & (equal_NN.cumsum(1) <= k - near_NN.sum(1, keepdims=True)))


def _cka(pair_MP: np.ndarray, length_MN: np.ndarray) -> np.ndarray:
    """From products of pairs of centred rows, each pair once, and squared lengths: HSIC without the pairs of a row with itself."""
    n, total_M = length_MN.shape[1], length_MN.sum(1)
    hsic_MM = 2 * (pair_MP @ pair_MP.T) - 2 / (n - 2) * (length_MN @ length_MN.T)
    hsic_MM += np.outer(total_M, total_M) / ((n - 1) * (n - 2))
    self_M = np.diag(hsic_MM).copy()
    self_M[self_M <= 100 * EPS * (length_MN**2).sum(1)] = (
        np.nan
    )  # every row is as far from every other, but for rounding
    root_M = np.sqrt(self_M)
    return hsic_MM / np.outer(root_M, root_M)
