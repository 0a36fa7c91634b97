"""How alike two embeddings of the same images are: linear CKA and the overlap of nearest neighbours."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Real

from relic_eval.arrays import matrix, whole
from relic_eval.errors import ArgumentError
from relic_eval.metrics.neighbours import nearest
from relic_eval.metrics.spectrum import blocks, column_means

BLOCK_BYTES = 32 << 20  # of any temporary array
SAFE = 24  # exponents of two up to which rows are taken as they are
FEWEST = 4  # rows that the unbiased form needs
EPS = float(np.finfo(np.float64).eps)


def linear_cka(x_ND: Real[np.ndarray, "N D"], y_NE: Real[np.ndarray, "N E"], *, unbiased: bool = True) -> float:
    """Linear centred kernel alignment of two embeddings of the same N rows: HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)).

    Biased (Kornblith et al. 2019), of centred rows: HSIC(x, y) = |x'y|^2 (Frobenius), 0 to 1. Unbiased (Song et al. 2012;
    Nguyen et al. 2021), the same without the pairs of a row with itself: |x'y|^2 - n/(n-2) sum a b + (sum a)(sum b) /
    ((n-1)(n-2)), with a and b the squared lengths of the rows; at most 1, about 0 for unrelated rows, a little below at
    times. Time is O(N D^2) through x'y, in the precision of the rows, and never N x N, unless N is less than D or E.
    Neither a rotation nor a scale of either changes it. NaN where the rows of one are all equal.

    >>> x = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 4.0]])
    >>> round(linear_cka(x, 5 * x[:, ::-1], unbiased=False), 6), round(linear_cka(x, 5 * x[:, ::-1]), 6)
    (1.0, 1.0)
    """
    x_ND, y_NE = _both("x_ND", x_ND, "y_NE", y_NE)
    n = len(x_ND)
    if n < (FEWEST if unbiased else 2):
        raise ArgumentError("x_ND", f"at least {FEWEST if unbiased else 2} rows", f"{n}", "Pass more images.")
    if _all_equal(x_ND) or _all_equal(y_NE):
        return np.nan
    by_rows = n < max(x_ND.shape[1], y_NE.shape[1])
    (xy, xx, yy), a_N, b_N = (_through_rows if by_rows else _through_columns)(x_ND, y_NE)
    if unbiased:
        rounding = 100 * (EPS if by_rows else np.finfo(np.result_type(x_ND, y_NE)).eps)
        least_xx, least_yy = rounding * xx, rounding * yy
        xy, xx, yy = (_without_self(*p) for p in ((xy, a_N, b_N), (xx, a_N, a_N), (yy, b_N, b_N)))
        if xx <= least_xx or yy <= least_yy:  # every row is as far from every other: nothing is left to compare
            return np.nan
    return float(xy / np.sqrt(xx) / np.sqrt(yy))


def mutual_knn(
    x_ND: Real[np.ndarray, "N D"], y_NE: Real[np.ndarray, "N E"], *, k: int = 10, similarity: str = "cosine"
) -> float:
    """Share of the k nearest neighbours (itself excluded) that a row has in both embeddings, averaged over rows (Huh et al. 2024).

    0 to 1; about k / (N - 1) for unrelated embeddings. Raises ArgumentError for k above N - 1, and for rows of zeros with cosine.

    >>> round(mutual_knn(np.array([[0.0], [1.0], [5.0]]), np.array([[0.0], [4.0], [5.0]]), k=1, similarity="euclid"), 4)
    0.6667
    """
    x_ND, y_NE = _both("x_ND", x_ND, "y_NE", y_NE)
    k = whole("k", k, 1)
    found = [nearest(z, z, k, similarity=similarity, exclude_self=True)[0] for z in (x_ND, y_NE)]
    both_N2K = np.sort(np.concatenate(found, 1), axis=1)  # a list holds no row twice: equal neighbours are in both
    return float((both_N2K[:, 1:] == both_N2K[:, :-1]).sum() / (len(x_ND) * k))


def _both(x_name: str, x_ND: np.ndarray, y_name: str, y_NE: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x_ND, y_NE = matrix(x_name, x_ND), matrix(y_name, y_NE)
    if len(x_ND) != len(y_NE):
        raise ArgumentError(y_name, f"{len(x_ND)} rows like {x_name}", f"{len(y_NE)}", "Rows must be the same images.")
    return x_ND, y_NE


def _all_equal(x_ND: np.ndarray) -> bool:
    """Whether all rows are the same: by looking, as the rounding of a mean depends on how many rows there are."""
    return all((x_ND[rows] == x_ND[0]).all() for rows in blocks(*x_ND.shape))


def _mean_and_unit(x_ND: np.ndarray) -> tuple[np.ndarray, float]:
    """The mean row, and a power of two to divide by where squares could overflow or vanish in float32; else 1."""
    largest = max(float(x_ND.max()), -float(x_ND.min())) or 1.0
    exponent = math.floor(math.log2(largest))
    # a sum in float64 of float32 rows is as good as they are
    mean_D = x_ND.mean(0, dtype=np.float64) if x_ND.dtype.itemsize == 4 else column_means(x_ND)
    return mean_D, 1.0 if abs(exponent) <= SAFE else 2.0**exponent


def _through_columns(x_ND: np.ndarray, y_NE: np.ndarray) -> tuple[tuple[float, ...], np.ndarray, np.ndarray]:
    """|x'y|^2, |x'x|^2, |y'y|^2 of centred rows by products of blocks, summed in float64; and squared lengths of the rows."""
    dtype = np.result_type(x_ND, y_NE)
    n, dims = len(x_ND), (x_ND.shape[1], y_NE.shape[1])
    step = max(1, min(n, BLOCK_BYTES // (dtype.itemsize * max(dims))))
    scale = [_mean_and_unit(z) for z in (x_ND, y_NE)]
    # a mean in two parts, large and small, as float32 rows far from the origin lose what a rounded mean would leave
    means = [(high := mean_D.astype(dtype), (mean_D - high).astype(dtype)) for mean_D, _ in scale]
    block = [np.empty((step, d), dtype) for d in dims]
    length = [np.empty(n) for _ in dims]
    pairs = ((0, 1), (0, 0), (1, 1))
    total = [np.zeros((dims[i], dims[j])) for i, j in pairs]
    product = np.empty(max(dims) ** 2, dtype)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        for i, z in enumerate((x_ND, y_NE)):
            part = np.subtract(z[rows], means[i][0], out=block[i][: rows.stop - start])
            part -= means[i][1]
            if scale[i][1] != 1:
                part /= scale[i][1]
            length[i][rows] = np.einsum("nd,nd->n", part, part)
        for (i, j), sum_DE in zip(pairs, total, strict=True):
            out = product[: sum_DE.size].reshape(sum_DE.shape)
            sum_DE += np.matmul(block[i][: rows.stop - start].T, block[j][: rows.stop - start], out=out)
    return tuple(float(np.vdot(t, t)) for t in total), length[0], length[1]


def _through_rows(x_ND: np.ndarray, y_NE: np.ndarray) -> tuple[tuple[float, ...], np.ndarray, np.ndarray]:
    """The same numbers from the N x N products of few rows, in float64."""
    kernel = []
    for z in (x_ND, y_NE):
        mean_D, unit = _mean_and_unit(z)
        k_NN, step = np.zeros((len(z), len(z))), max(1, BLOCK_BYTES // (8 * len(z)))
        for start in range(0, z.shape[1], step):
            columns = slice(start, start + step)
            part = np.subtract(z[:, columns], mean_D[columns], dtype=np.float64)
            part /= unit
            k_NN += part @ part.T
        kernel.append(k_NN)
    k_NN, l_NN = kernel
    return (
        tuple(float(np.vdot(a, b)) for a, b in ((k_NN, l_NN), (k_NN, k_NN), (l_NN, l_NN))),
        np.diag(k_NN).copy(),
        np.diag(l_NN).copy(),
    )


def _without_self(product: float, a_N: np.ndarray, b_N: np.ndarray) -> float:
    """The unbiased HSIC times n (n - 3): of centred rows, the kernels without their diagonals have row sums -a and -b."""
    n = len(a_N)
    return product - n / (n - 2) * float(a_N @ b_N) + float(a_N.sum() * b_N.sum()) / ((n - 1) * (n - 2))
