"""The value of a cell by the metric of its task, and what it would be on resamples of its test images, all with the same weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relic_eval.cells import Result
from relic_eval.errors import DataError
from relic_eval.files import digest_json
from relic_eval.metrics.bootstrap import paired_bootstrap, paired_class_bootstrap
from relic_eval.metrics.hypotheses import mcnemar_pairs, paired_p
from relic_eval.metrics.precision import mean_average_precision, resampled_precision
from relic_eval.metrics.segmentation import bootstrap_mean_iou, mean_iou_of_counts
from relic_eval.metrics.statistics import interval, wilson
from relic_eval.pairing import answers, metric_of, refuse_others, test_items, training_draws
from relic_eval.tuning.overlaps import aligned

METRICS = ("top1", "mean_per_class", "map11", "miou")  # that can be worked out of the predictions or overlaps of a cell
PRECISION_DRAWS = 1000  # average precision is sorted anew in each resample: fewer, used several times over


@dataclass(frozen=True)
class Scored:
    """The cells of one column: values (M), intervals (M, 2), resampled values (M, B), p of each pair, and whether draws vary."""

    value_M: np.ndarray
    ends_M2: np.ndarray
    sample_MB: np.ndarray
    p_MM: np.ndarray
    drawn: bool  # training draws vary beside the images


def scored(here: Sequence[Result], strata: Mapping[str, np.ndarray], *, draws: int, seed: int) -> Scored:
    """All that the board needs of one column; ArgumentError where the cells are not of the same images and metric."""
    refuse_others(here)
    metric = metric_of(here[0])
    if metric not in METRICS:
        raise DataError(f"{here[0].task}: expected a metric of {', '.join(METRICS)}, received {metric!r}.")
    key = digest_json(test_items(here[0]).tolist())
    stratum_N, seed = strata[key], seed + int(key[:8], 16)
    of = {"map11": _precision, "miou": _overlap}.get(metric, _shares)
    return of(here, stratum_N, draws, seed)


def _shares(here: Sequence[Result], stratum_N: np.ndarray, draws: int, seed: int) -> Scored:
    """Of metrics that are means over images: all images alike, or class by class."""
    right_MTN = np.stack([_right(r) for r in here])
    drawn, plain = right_MTN.shape[1] > 1, metric_of(here[0]) == "top1"
    if plain:
        value_M = np.array([r.cell.rows[0].value for r in here])
        sample_MB = paired_bootstrap(right_MTN, stratum_N, draws=draws, seed=seed)
        ends_M2 = np.array([_ends(r, s) for r, s in zip(here, sample_MB, strict=True)])
    else:
        true_N = _true(here[0])
        value_M = np.array([class_mean(right_TN, true_N) for right_TN in right_MTN])
        sample_MB = paired_class_bootstrap(right_MTN, true_N, stratum_N, draws=draws, seed=seed)
        ends_M2 = np.array([class_ends(v, s, true_N) for v, s in zip(value_M, sample_MB, strict=True)])
    exact_MM = None
    if not drawn and ((right_MTN == 0) | (right_MTN == 1)).all():
        exact_MM = mcnemar_pairs(right_MTN[:, 0])
    if plain and exact_MM is not None:
        return Scored(value_M, ends_M2, sample_MB, exact_MM, drawn)
    p_MM = paired_p(value_M, sample_MB)
    if exact_MM is not None:  # the spread of resamples is nothing where one encoder is right on all of a few images
        p_MM = np.where(p_MM == 0, exact_MM, p_MM)
    return Scored(value_M, ends_M2, sample_MB, p_MM, drawn)


def _precision(here: Sequence[Result], stratum_N: np.ndarray, draws: int, seed: int) -> Scored:
    """Of 11-point mean average precision."""
    count = answers(here[0])
    tables = [r.cell.predictions or {} for r in here]
    true_NC = tables[0]["true"].reshape(-1, count)
    score_MNC = np.stack([t["score"].reshape(-1, count) for t in tables])
    value_M = np.array([mean_average_precision(true_NC, score_NC).mean for score_NC in score_MNC])
    few_MB = resampled_precision(true_NC, score_MNC, stratum_N, draws=min(draws, PRECISION_DRAWS), seed=seed)
    sample_MB = np.tile(few_MB, -(-draws // few_MB.shape[1]))[:, :draws]
    ends_M2 = np.stack(interval(sample_MB), 1)
    return Scored(value_M, ends_M2, sample_MB, paired_p(value_M, few_MB), False)


def _overlap(here: Sequence[Result], stratum_N: np.ndarray, draws: int, seed: int) -> Scored:
    """Of mean IoU, which is of all pixels of a sample of pictures: pictures are resampled, whole."""
    tables = [r.cell.overlaps or {} for r in here]
    classes = 1 + max(int(t["class"].max()) for t in tables)  # what is nowhere adds nothing
    count_M3TNC = aligned(tables, classes)
    value_M = mean_iou_of_counts(count_M3TNC.sum(3).swapaxes(0, 1)).mean(-1)
    sample_MB = bootstrap_mean_iou(count_M3TNC, draws=draws, seed=seed)
    p_MM = paired_p(value_M, sample_MB)
    # of n pictures no test of signs says less than 2^-n, though resamples of a few may have no spread at all
    p_MM = np.maximum(p_MM, 0.5 ** len(stratum_N))
    return Scored(value_M, np.stack(interval(sample_MB), 1), sample_MB, p_MM, count_M3TNC.shape[2] > 1)


def _right(result: Result) -> np.ndarray:
    """Right (1) or wrong (0), training draws x images."""
    return (result.cell.predictions or {})["correct"].reshape(training_draws(result), -1)


def _true(result: Result) -> np.ndarray:
    return (result.cell.predictions or {})["true"][: len(test_items(result))]


def class_mean(right_TN: np.ndarray, true_N: np.ndarray) -> float:
    """Mean over training draws of the mean over classes of the share that is right.

    >>> class_mean(np.array([[1, 0, 1]]), np.array([0, 0, 1]))
    0.75
    """
    _, class_N, size_C = np.unique(true_N, return_inverse=True, return_counts=True)
    return float(np.mean([np.bincount(class_N, weights=right_N) / size_C for right_N in right_TN]))


def _ends(result: Result, sample_B: np.ndarray) -> tuple[float, float]:
    """The interval that the cell has of its top-1, or that of the resamples."""
    row = result.cell.rows[0]
    return interval(sample_B) if row.low is None or row.high is None else (row.low, row.high)


def class_ends(value: float, sample_B: np.ndarray, true_N: np.ndarray) -> tuple[float, float]:
    """95% interval of a mean per class: that of the resamples, or Wilson's where they do not differ (all or none is right).

    Wilson's n is then that of as many images of one class as have the variance of C classes of n_c: C^2 / sum of 1 / n_c.

    >>> tuple(round(float(v), 3) for v in class_ends(1.0, np.ones(9), np.array([0, 0, 1, 1])))
    (0.51, 1.0)
    """
    low, high = interval(sample_B)
    if high - low > 1e-12:  # equal but for rounding
        return float(low), float(high)
    size_C = np.unique(true_N, return_counts=True)[1]
    n = len(size_C) ** 2 / (1 / size_C).sum()
    return wilson(min(max(value, 0.0), 1.0) * n, n)
