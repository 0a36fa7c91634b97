"""Whether two models differ: p values of pairs, what is left of them among many pairs, and how many images would tell."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Shaped

from relic_eval.arrays import asarray, numbers
from relic_eval.errors import ArgumentError

POWER = 0.8
EXACT = 50  # tasks: all signs of as many are counted without rounding


def two_sided_p(value: float, samples_B: Float[np.ndarray, " B"]) -> float:
    """How likely a difference at least as large is by chance, from the spread of its resamples (normal approximation).

    >>> round(two_sided_p(1.96, np.array([-1.0, 1.0])), 3)
    0.05
    """
    spread = float(samples_B.std())
    if spread == 0:
        return 1.0 if value == 0 else 0.0
    return math.erfc(abs(value) / spread / 2**0.5)


def counted_p(lead_B: Float[np.ndarray, " B"]) -> float:
    """Two-sided p of a lead by counting its resamples, where some have no size (inf) or are not known (NaN: against it).

    2 (1 + those that are not above 0) / (1 + B), at most 1 (Davison and Hinkley 1997, Bootstrap Methods, 4.2).

    >>> counted_p(np.array([1.0] * 98 + [np.inf])), counted_p(np.array([1.0] * 98 + [np.nan]))
    (0.02, 0.04)
    """
    return min(1.0, 2 * (1 + int((~(lead_B > 0)).sum())) / (1 + len(lead_B)))


def paired_p(value_M: Float[np.ndarray, " M"], sample_MB: Float[np.ndarray, "M B"]) -> Float[np.ndarray, "M M"]:
    """`two_sided_p` of the difference of each two of M models that were resampled together; 1 on the diagonal.

    >>> paired_p(np.array([0.0, 1.96]), np.array([[0.0, 0.0], [-1.0, 1.0]])).round(3).tolist()
    [[1.0, 0.05], [0.05, 1.0]]
    """
    p_MM = np.ones((len(value_M), len(value_M)))
    for i, j in zip(*np.triu_indices(len(value_M), 1), strict=True):
        p_MM[i, j] = p_MM[j, i] = two_sided_p(float(value_M[i] - value_M[j]), sample_MB[i] - sample_MB[j])
    return p_MM


def mcnemar(first: Shaped[np.ndarray, "*P"], second: Shaped[np.ndarray, "*P"]) -> Float[np.ndarray, "*P"]:
    """Exact mid-p of pairs of models, from how many images only the first and only the second has right.

    Of both equally extreme outcomes half is counted: 2 P(X < m) + P(X = m) for X ~ Binomial(first + second, 1/2) and m the
    smaller of the two; 1 - P(X = m) / 2 where they are equal, 1 where there is no such image
    (Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91). Raises ArgumentError for negative or broken counts.

    >>> mcnemar(np.array([3, 1, 0]), np.array([0, 1, 0])).round(12).tolist()
    [0.125, 0.75, 1.0]
    """
    from scipy.stats import binom

    first, second = asarray(first), asarray(second)
    for name, count in (("first", first), ("second", second)):
        if not ((count >= 0) & (count < np.inf) & (count == np.floor(count))).all():
            raise ArgumentError(name, "counts from 0 on", "fractions or negative numbers", "Sum right answers.")
    low, n = np.minimum(first, second).astype(np.float64), first.astype(np.float64) + second
    exact, equal = binom.pmf(low, n, 0.5), first == second
    return np.where(n == 0, 1.0, np.where(equal, 1 - exact / 2, 2 * binom.cdf(low, n, 0.5) - exact))


def mcnemar_pairs(right_MN: Shaped[np.ndarray, "M N"]) -> Float[np.ndarray, "M M"]:
    """Exact McNemar mid-p of each two of M models on the same N images; 1 on the diagonal.

    Raises ArgumentError for anything but right and wrong, or no images.

    >>> mcnemar_pairs(np.array([[1, 1, 1, 0], [0, 0, 0, 0]])).round(12).tolist()
    [[1.0, 0.125], [0.125, 1.0]]
    """
    right_MN = numbers("right_MN", right_MN, 2)
    if not right_MN.size or not ((right_MN == 0) | (right_MN == 1)).all():
        raise ArgumentError(
            "right_MN", "right (1) or wrong (0) for at least one image", "other values", "For shares: paired_p."
        )
    right_MN = right_MN.astype(np.float64)
    both_MM = right_MN @ right_MN.T
    only_MM = np.diag(both_MM)[:, None] - both_MM
    return mcnemar(only_MM, only_MM.T)


def wilcoxon(difference_T: Float[np.ndarray, " T"]) -> float:
    """Two-sided p of Wilcoxon's signed ranks over tasks; differences of 0 are left out, and 1 if nothing is left.

    Exact up to 50 tasks, ties too: the share of all signs whose sum of ranks is as far from the middle. Beyond, SciPy's normal
    approximation. The smallest p at 11 tasks is 0.00098 (Hollander, Wolfe and Chicken 2014, Nonparametric Stat. Methods, 3.1).

    >>> wilcoxon(np.arange(1.0, 12.0))
    0.0009765625
    """
    from scipy import stats

    difference_T = numbers("difference_T", difference_T, 1)
    if not np.isfinite(difference_T).all():
        raise ArgumentError("difference_T", "finite numbers", "NaN or infinity", "Compare models on the same tasks.")
    left = difference_T[difference_T != 0]
    if len(left) > EXACT:
        return float(stats.wilcoxon(left).pvalue)
    twice_T = np.rint(2 * stats.rankdata(np.abs(left))).astype(np.int64)  # tied ranks are halves
    ways = np.ones(1)  # in how many ways the ranks so far sum to each number
    for rank in twice_T:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    seen = int(twice_T[left > 0].sum())
    return min(1.0, 2 * float(min(ways[: seen + 1].sum(), ways[seen:].sum())) / 2.0 ** len(left))


def holm(p_M: Float[np.ndarray, " M"], level: float = 0.05) -> Shaped[np.ndarray, " M"]:
    """Which of M hypotheses are rejected so that one false rejection among all is no likelier than `level` (Holm 1979).

    >>> holm(np.array([0.04, 0.001, 0.02])).tolist()
    [True, True, True]
    >>> holm(np.array([0.04, 0.001, 0.03])).tolist()
    [False, True, False]
    """
    p_M = numbers("p_M", p_M, 1)
    if not ((p_M >= 0) & (p_M <= 1)).all():
        raise ArgumentError("p_M", "p values from 0 to 1", "others, or NaN")
    order = np.argsort(p_M, kind="stable")
    passed = p_M[order] <= level / np.arange(len(p_M), 0, -1)
    rejected = np.empty(len(p_M), bool)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected


def images_to_separate(
    difference: float, spread: float, n: int, *, level: float = 0.05, power: float = POWER
) -> int | None:
    """About how many more test images would tell two models apart; 0 where n is enough, None if they do not differ.

    `difference` is the mean and `spread` the standard deviation over images of the paired difference. Taken for true, it is
    found by a test at `level` with chance `power` on ((z(1 - level/2) + z(power)) spread / difference)^2 images drawn anew;
    if the n that showed it are among them, the chance is larger. At a power of 50% the difference just equals its margin.
    Raises ArgumentError for no images, a negative spread, or numbers that are not finite.

    >>> images_to_separate(0.01, 0.5, 2000)  # (2.80 * 50)^2 = 19622
    17623
    >>> images_to_separate(0.01, 0.5, 2000, power=0.5)  # (1.96 * 50)^2 = 9604
    7604
    """
    from scipy.special import ndtri

    if n < 1 or not spread >= 0 or not 0 < level < 1 or not 0.5 <= power < 1:
        raise ArgumentError(
            "images_to_separate",
            "n >= 1, spread >= 0, 0 < level < 1 and 0.5 <= power < 1",
            f"n={n}, spread={spread}, level={level}, power={power}",
        )
    if not math.isfinite(difference) or not math.isfinite(spread):
        raise ArgumentError("difference", "a finite difference and spread", f"{difference} and {spread}")
    if difference == 0:
        return None
    z = float(ndtri(1 - level / 2)) + float(ndtri(power))
    return max(0, math.ceil((z * spread / difference) ** 2 - n))
