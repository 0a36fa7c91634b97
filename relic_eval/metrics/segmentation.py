"""Intersection over union of pixel labels, from a confusion matrix that grows image by image, and of foreground masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from relic_eval.arrays import asarray, whole
from relic_eval.errors import ArgumentError
from relic_eval.metrics.bootstrap import resampled

IGNORE = 255  # VOC's borders
BETA2 = 0.3  # weight of recall in the F-measure of masks
BLOCK = 1 << 20  # pixels counted together


def pixel_confusion(
    true: Shaped[np.ndarray, "*pixels"],
    predicted: Shaped[np.ndarray, "*pixels"],
    classes: int,
    *,
    ignore: int | None = IGNORE,
) -> Int[np.ndarray, "C C"]:
    """How many pixels of each class (row) are predicted as each class (column), without those whose true label is `ignore`.

    The sum over images is the matrix of the set: add them one by one. Raises ArgumentError for different shapes, fractions,
    classes out of range on a pixel that counts, or an `ignore` that is a class: its row would be empty, but what is
    predicted as it elsewhere would still count as an IoU of 0.

    >>> pixel_confusion(np.array([[0, 1], [1, 255]]), np.array([[0, 1], [0, 0]]), 2)
    array([[1, 0],
           [1, 1]])
    """
    true, predicted = asarray(true), asarray(predicted)
    if true.shape != predicted.shape:
        raise ArgumentError("predicted", f"shape {true.shape} like true", f"{predicted.shape}")
    whole("classes", classes, 1)
    if ignore is not None and 0 <= ignore < classes:
        hint = "Give the pixels to ignore another number, or pass ignore=None."
        raise ArgumentError("ignore", f"a number that is none of the {classes} classes", f"{ignore}", hint)
    count = np.zeros(classes * classes, np.int64)
    true, predicted = true.reshape(-1), predicted.reshape(-1)
    for start in range(0, len(true), BLOCK):
        true_P, predicted_P = true[start : start + BLOCK], predicted[start : start + BLOCK]
        if ignore is not None:
            kept_P = true_P != ignore
            true_P, predicted_P = true_P[kept_P], predicted_P[kept_P]
        row_P, column_P = _classes("true", true_P, classes), _classes("predicted", predicted_P, classes)
        count += np.bincount(row_P * classes + column_P, minlength=len(count))
    return count.reshape(classes, classes)


def iou(confusion_CC: Shaped[np.ndarray, "C C"]) -> Float[np.ndarray, " C"]:
    """Intersection over union of each class; NaN where it is neither true nor predicted anywhere.

    Pixels of the class that are predicted so, over those that are of it or predicted so (Everingham et al. 2010).

    >>> iou(np.array([[1, 0], [1, 1]]))
    array([0.5, 0.5])
    """
    count_CC = asarray(confusion_CC)
    if count_CC.ndim != 2 or count_CC.shape[0] != count_CC.shape[1] or not (count_CC >= 0).all():
        raise ArgumentError("confusion_CC", "a square matrix of counts", f"shape {count_CC.shape} or negative numbers")
    count_CC = count_CC.astype(np.float64)
    both_C = np.diag(count_CC)
    either_C = count_CC.sum(0) + count_CC.sum(1) - both_C
    return np.divide(both_C, either_C, out=np.full(len(both_C), np.nan), where=either_C > 0)


def mean_iou(confusion_CC: Shaped[np.ndarray, "C C"]) -> float:
    """Mean of `iou` over the classes that are true or predicted somewhere. Raises ArgumentError where there is no pixel.

    >>> mean_iou(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]))  # 2/3 and 1/2
    0.5833333333333333
    """
    iou_C = iou(confusion_CC)
    if np.isnan(iou_C).all():
        raise ArgumentError("confusion_CC", "at least one pixel", "none", "Every pixel may have been ignored.")
    return float(np.nanmean(iou_C))


def picture_counts(
    true_NHW: Shaped[np.ndarray, "N H W"],
    predicted_NHW: Shaped[np.ndarray, "N H W"],
    classes: int,
    *,
    ignore: int | None = IGNORE,
) -> Int[np.ndarray, "3 N C"]:
    """Pixels of each picture and class that are of it and predicted as it, of it, predicted as it; `ignore` counts nowhere.

    All of IoU follows from their sums over pictures, also over resampled ones. Raises ArgumentError as `pixel_confusion`.

    >>> picture_counts(np.array([[[0, 1, 255]]]), np.array([[[0, 0, 0]]]), 2)[:, 0].tolist()
    [[1, 0], [1, 1], [2, 0]]
    """
    true_NHW, predicted_NHW = asarray(true_NHW), asarray(predicted_NHW)
    if true_NHW.shape != predicted_NHW.shape or true_NHW.ndim != 3:
        raise ArgumentError("predicted_NHW", f"(N, H, W) like true_NHW {true_NHW.shape}", f"{predicted_NHW.shape}")
    whole("classes", classes, 1)
    n = len(true_NHW)
    kept = np.ones(true_NHW.shape, bool) if ignore is None else true_NHW != ignore
    picture = np.broadcast_to(np.arange(n)[:, None, None], kept.shape)[kept]
    true_P = _classes("true_NHW", true_NHW[kept], classes) + picture * classes
    predicted_P = _classes("predicted_NHW", predicted_NHW[kept], classes) + picture * classes
    counted = (true_P[true_P == predicted_P], true_P, predicted_P)
    return np.stack([np.bincount(p, minlength=n * classes).reshape(n, classes) for p in counted])


def mean_iou_of_counts(count_3C: Shaped[np.ndarray, "3 *batch C"]) -> Float[np.ndarray, "*batch"]:
    """Mean IoU of `picture_counts` that were summed over pictures, over the classes that are true or predicted somewhere.

    NaN where there is no pixel at all.

    >>> float(mean_iou_of_counts(np.array([[2.0, 1.0], [2.0, 2.0], [3.0, 1.0]])).round(4))  # 2/3 and 1/2
    0.5833
    """
    both, true, predicted = np.asarray(count_3C, np.float64)
    either = true + predicted - both
    there = either > 0
    ratio = np.divide(both, either, out=np.zeros_like(both), where=there)
    number = there.sum(-1)
    return np.divide(ratio.sum(-1), number, out=np.full(number.shape, np.nan), where=number > 0)


def bootstrap_mean_iou(
    count_M3TNC: Shaped[np.ndarray, "M 3 T N C"], *, draws: int = 10_000, seed: int = 0
) -> Float[np.ndarray, "M B"]:
    """Mean IoU of M models on resampled pictures, the same for all models, of `picture_counts` of T trainings each.

    It is the mean over the trainings, which are not resampled: the interval says how other pictures would do.

    >>> counts = np.array([[1, 0], [1, 1], [2, 0]])[None, :, None, None, :].repeat(4, 3)
    >>> bootstrap_mean_iou(counts, draws=3).tolist()  # 1/2 and 0, whatever the sample
    [[0.25, 0.25, 0.25]]
    """
    count_M3TNC = asarray(count_M3TNC)
    models, _, trainings, n, classes = count_M3TNC.shape
    flat_KN = np.moveaxis(count_M3TNC, 3, -1).reshape(-1, n).astype(np.float64)

    def values(count_BN: np.ndarray) -> np.ndarray:
        sums = (flat_KN @ count_BN.T.astype(np.float64)).reshape(models, 3, trainings, classes, -1)
        return mean_iou_of_counts(np.moveaxis(sums, 1, 0).swapaxes(-1, -2)).mean(1)

    return resampled(values, np.zeros(n, int), draws=draws, seed=seed)


def mask_iou(
    true_NHW: Shaped[np.ndarray, "N H W"], predicted_NHW: Shaped[np.ndarray, "N H W"]
) -> Float[np.ndarray, " N"]:
    """Intersection over union of each picture's foreground; 1 where there is none, neither true nor predicted.

    Raises ArgumentError for other than masks of bool of one shape.

    >>> mask_iou(np.array([[[True, True, False]]]), np.array([[[False, True, True]]])).round(3)
    array([0.333])
    """
    both_N, true_N, predicted_N = _overlap(true_NHW, predicted_NHW)
    either_N = true_N + predicted_N - both_N
    return np.divide(both_N, either_N, out=np.ones(len(both_N)), where=either_N > 0)


def mask_f(
    true_NHW: Shaped[np.ndarray, "N H W"], predicted_NHW: Shaped[np.ndarray, "N H W"], beta2: float = BETA2
) -> Float[np.ndarray, " N"]:
    """F-measure of each picture's foreground: (1 + beta2) P R / (beta2 P + R), with P precision and R recall of its pixels.

    beta2 = 0.3 weighs precision more, as is usual for saliency (Achanta et al. 2009). 1 where there is no foreground, neither
    true nor predicted; 0 where the two share no pixel. Raises ArgumentError for other than masks of bool of one shape.

    >>> mask_f(np.array([[[True, True, True, False]]]), np.array([[[True, False, False, False]]])).round(3)  # P = 1, R = 1/3
    array([0.684])
    """
    both_N, true_N, predicted_N = _overlap(true_NHW, predicted_NHW)
    total_N = beta2 * true_N + predicted_N
    return np.divide((1 + beta2) * both_N, total_N, out=np.ones(len(both_N)), where=total_N > 0)


def _overlap(true_NHW: Any, predicted_NHW: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of each picture that are both true and predicted, true, predicted."""
    true_NHW, predicted_NHW = asarray(true_NHW), asarray(predicted_NHW)
    for name, mask_NHW in (("true_NHW", true_NHW), ("predicted_NHW", predicted_NHW)):
        if mask_NHW.dtype != bool or mask_NHW.ndim != 3:
            raise ArgumentError(name, "masks (N, H, W) of bool", f"{mask_NHW.dtype} {mask_NHW.shape}")
    if true_NHW.shape != predicted_NHW.shape:
        raise ArgumentError("predicted_NHW", f"shape {true_NHW.shape} like true_NHW", f"{predicted_NHW.shape}")
    both, true, predicted = (m.sum((1, 2)).astype(float) for m in (true_NHW & predicted_NHW, true_NHW, predicted_NHW))
    return both, true, predicted


def _classes(name: str, label_P: Any, classes: int) -> np.ndarray:
    if label_P.dtype.kind not in "iub":
        raise ArgumentError(name, "whole numbers", f"dtype {label_P.dtype}", "Take the argmax of scores.")
    if len(label_P) and not (label_P.min() >= 0 and label_P.max() < classes):
        out = int(label_P.min()) if label_P.min() < 0 else int(label_P.max())
        raise ArgumentError(name, f"classes from 0 to {classes - 1}", f"{out}", "Is that the label to ignore?")
    return label_P.astype(np.int64)
