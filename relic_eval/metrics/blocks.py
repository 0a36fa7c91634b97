"""Neighbour block matrix: the nearest neighbours of images of some classes, or of all, among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.sparse import csr_array

from relic_eval.arrays import labels, matrix, paired, whole
from relic_eval.errors import ArgumentError, look_up
from relic_eval.metrics.distances import class_count
from relic_eval.metrics.neighbours import nearest

BLOCK_BYTES = 16 << 20
_VIZSLA, _SIAMESE = ("n02100583", "vizsla", "dog"), ("n02123597", "Siamese cat", "cat")
_EGYPTIAN = ("n02124075", "Egyptian cat", "cat")


@dataclass(frozen=True)
class Preset:
    """Classes of a figure in its order, superclass by superclass, and the images of each."""

    ids: tuple[str, ...]  # names of the classes in the data
    titles: tuple[str, ...]
    superclasses: tuple[str, ...]
    per_class: int


def _preset(*entries: tuple[str, str, str]) -> Preset:
    ids, titles, superclasses = zip(*entries, strict=True)
    return Preset(ids, titles, superclasses, 50)


# RELICv2's figure shows a vizsla, a setter, a Siamese and an Egyptian cat and does not say which setter
PRESETS = {
    "imagenet-dogs-cats": _preset(_VIZSLA, ("n02100877", "Irish setter", "dog"), _SIAMESE, _EGYPTIAN),
    "imagenet-dogs-cats-english": _preset(_VIZSLA, ("n02100735", "English setter", "dog"), _SIAMESE, _EGYPTIAN),
    "imagenet-dogs-cats-gordon": _preset(_VIZSLA, ("n02101006", "Gordon setter", "dog"), _SIAMESE, _EGYPTIAN),
    "pets4": _preset(
        ("cat_egyptian", "Egyptian cat", "cat"),
        ("cat_persian", "Persian cat", "cat"),
        ("dog_golden_retriever", "golden retriever", "dog"),
        ("dog_labrador_retriever", "Labrador retriever", "dog"),
    ),
}


@dataclass(frozen=True)
class Blocks:
    """Neighbours of N images among themselves. Shares are of the k neighbours; each row of a confusion sums to 1."""

    index_NK: np.ndarray
    distance_NK: np.ndarray  # Euclidean, in the units of the embedding
    purity_N: np.ndarray  # share of the k neighbours that are of the image's own class
    confusion_CC: np.ndarray  # from the class of the image to the class of its neighbours


@dataclass(frozen=True)
class Null:
    """Purity by chance: the lists of neighbours stay as they are, the labels change places among all images."""

    mean: float  # exact: sum over classes of n (n - 1) / (N (N - 1))
    low: float  # 95% range over permutations
    high: float
    p: float  # (1 + permutations that are at least as pure) / (1 + permutations)
    purity_B: np.ndarray


def neighbour_blocks(
    x_ND: Shaped[np.ndarray, "N D"], y_N: Shaped[np.ndarray, " N"], *, k: int = 5, classes: int | None = None
) -> Blocks:
    """The k nearest neighbours (Euclidean, self excluded) of each row, and where they fall (RELICv2, figure of 5-NN).

    Memory grows with the rows times k, and with the square of the classes.

    >>> b = neighbour_blocks(np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1]), k=1)
    >>> b.purity_N, b.confusion_CC
    (array([1., 1., 1., 1.]), array([[1., 0.],
           [0., 1.]]))
    """
    x_ND, y_N = paired(matrix("x_ND", x_ND), labels("y_N", y_N))
    classes = class_count(y_N, classes)
    index_NK, distance_NK = nearest(x_ND, x_ND, k, similarity="euclid", exclude_self=True)
    found_NK = y_N[index_NK]
    return Blocks(index_NK, distance_NK, (found_NK == y_N[:, None]).mean(1), confusion(y_N, found_NK, classes))


def confusion(y_N: Int[np.ndarray, " N"], found_NK: Int[np.ndarray, "N K"], classes: int) -> Float[np.ndarray, "C C"]:
    """Share of the neighbours of each class that are of each class; NaN rows where a class has no image.

    >>> confusion(np.array([0, 1]), np.array([[0, 1], [1, 1]]), 2)
    array([[0.5, 0.5],
           [0. , 1. ]])
    """
    count_CC = confusion_counts(y_N, found_NK, classes).toarray().astype(np.float64)
    total_C = count_CC.sum(1, keepdims=True)
    return np.divide(count_CC, total_C, out=np.full_like(count_CC, np.nan), where=total_C > 0)


def confusion_counts(y_N: Int[np.ndarray, " N"], found_NK: Int[np.ndarray, "N K"], classes: int) -> Any:
    """How many neighbours of each class are of each class, a sparse matrix: no more numbers than neighbours.

    >>> confusion_counts(np.array([0, 1]), np.array([[0, 1], [1, 1]]), 2).toarray().tolist()
    [[1, 1], [0, 2]]
    """
    largest = max(class_count(y_N, classes), class_count(found_NK.ravel(), classes))
    pairs = np.repeat(y_N, found_NK.shape[1]), found_NK.ravel()
    return csr_array((np.ones(found_NK.size, np.int64), pairs), shape=(largest, largest))


def purity_null(
    y_N: Int[np.ndarray, " N"], index_NK: Int[np.ndarray, "N K"], *, draws: int = 2000, seed: int = 0
) -> Null:
    """What purity would be if labels had nothing to do with the embedding, and how often it would be what it is.

    The same seed permutes in the same way, whatever the labels: classes and their superclasses go together. Labels of
    superclasses change places image by image too, so that a small p says that images lie by superclass, which classes
    that lie apart suffice for; it does not say that classes of one superclass lie together. Raises ArgumentError for a
    single image and for neighbours that are no rows.

    >>> n = purity_null(np.array([0, 0, 1, 1]), np.array([[1], [0], [3], [2]]), draws=300)
    >>> round(n.mean, 3), round(n.p, 1)
    (0.333, 0.3)
    """
    y_N, (n, k) = labels("y_N", y_N, len(index_NK)), index_NK.shape
    if n < 2:
        raise ArgumentError("y_N", "at least two images", f"{n}", "A single image has no neighbour.")
    if not 0 <= index_NK.min() <= index_NK.max() < n:  # -1 would be the last row
        raise ArgumentError("index_NK", f"rows from 0 to {n - 1}", f"{index_NK.min()} to {index_NK.max()}")
    rng, same_B = np.random.default_rng(seed), np.empty(whole("draws", draws, 1), np.int64)
    y_N = np.unique(y_N, return_inverse=True)[1].astype(np.int32)
    step = max(1, BLOCK_BYTES // (8 * n))
    for start in range(0, draws, step):
        order_BN = rng.permuted(np.tile(np.arange(n, dtype=np.int32), (min(step, draws - start), 1)), axis=1)
        y_BN = y_N[order_BN]
        same_B[start : start + step] = sum((y_BN[:, index_NK[:, j]] == y_BN).sum(1) for j in range(k))
    found = int((y_N[index_NK] == y_N[:, None]).sum())
    count_C = np.bincount(y_N)
    purity_B = same_B / (n * k)
    low, high = np.percentile(purity_B, [2.5, 97.5])
    mean, p = (count_C * (count_C - 1)).sum() / (n * (n - 1)), (1 + (same_B >= found).sum()) / (1 + draws)
    return Null(float(mean), float(low), float(high), float(p), purity_B)


def chosen(classes: Sequence[str], y_N: Int[np.ndarray, " N"], preset: str) -> Int[np.ndarray, " R"]:
    """Rows of a preset's images, class after class in its order: the first of each, as many as the preset says.

    `classes` names the class numbers, by the preset's ids or titles. Raises ArgumentError for a class or images that are not
    there.

    >>> names = PRESETS["pets4"].ids
    >>> chosen(names, np.repeat([3, 2, 1, 0], 60), "pets4")[[0, 49, 50, 199]]
    array([180, 229, 120,  49])
    """
    wanted, y_N, rows = look_up("preset", preset, PRESETS), labels("y_N", y_N), []
    for number in class_numbers_of(classes, preset):
        found = np.flatnonzero(y_N == number)
        if len(found) < wanted.per_class:
            raise ArgumentError(
                f"class {classes[number]!r}", f"{wanted.per_class} images for {preset}", f"{len(found)}"
            )
        rows.append(found[: wanted.per_class])
    return np.concatenate(rows)


def class_numbers_of(classes: Sequence[str], preset: str) -> list[int]:
    """The class numbers of a preset's classes, in its order, where `classes` names them by its ids (and more, after a space) or titles.

    >>> class_numbers_of(["Persian cat", "x", *PRESETS["pets4"].ids], "pets4")
    [2, 3, 4, 5]
    """
    wanted = look_up("preset", preset, PRESETS)
    by_id = {name.split(" ")[0]: name for name in reversed(classes)}  # ImageNet's classes are called by wnid and name
    names = [by_id.get(i, t) for i, t in zip(wanted.ids, wanted.titles, strict=True)]
    absent = [f"{i} ({t})" for i, t, n in zip(wanted.ids, wanted.titles, names, strict=True) if n not in classes]
    if absent:
        raise ArgumentError(
            "classes", f"those of the preset {preset}", f"none called {', '.join(absent)}", "Choose another preset."
        )
    return [list(classes).index(n) for n in names]
