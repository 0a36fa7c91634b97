"""What evaluators share: the predictions table, the rows of a classifier, the choice of a penalty, and fits that are remembered."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from relic_eval.arrays import digest_array
from relic_eval.errors import look_up
from relic_eval.files import digest_bytes
from relic_eval.records import Embeddings, Measurement

_fitted: OrderedDict[str, Any] = OrderedDict()  # by content: tasks that differ only in their test rows share a fit
REMEMBERED = 2


def predictions(test: Embeddings, predicted_N: np.ndarray, correct_N: np.ndarray, score_N: np.ndarray) -> dict:
    """The predictions table of a cell, one row a test image.

    >>> e = Embeddings(np.zeros((1, 1)), np.array([0]), ("a",), ids=np.array(["x"]))
    >>> predictions(e, np.array([0]), np.array([True]), np.array([0.5]))["item"].tolist()
    ['x']
    """
    ids = np.arange(len(test)).astype(str) if test.ids is None else test.ids
    return {
        "item": ids,
        "true": test.y_N,
        "predicted": predicted_N.astype(np.int64),
        "correct": correct_N.astype(np.float32),
        "score": score_N.astype(np.float32),
    }


def accuracy_rows(
    test: Embeddings, predicted_N: np.ndarray, params: Mapping[str, Any], converged: bool | None = None
) -> list[Measurement]:
    """Top-1 accuracy with a Wilson interval, and the mean of the classes' accuracies; the metric of the task stands first.

    Where that is the mean per class it has an interval: a bootstrap over the test images of each class, 2000 samples.

    >>> e = Embeddings(np.zeros((2, 1)), np.array([0, 1]), ("a", "b"))
    >>> [row.value for row in accuracy_rows(e, np.array([0, 0]), {})]
    [0.5, 0.5]
    """
    from relic_eval.metrics.scores import accuracy, mean_per_class
    from relic_eval.metrics.statistics import wilson

    n, about = len(test), dict(params)
    low, high = wilson((predicted_N == test.y_N).sum(), n)
    top1 = Measurement("top1", accuracy(test.y_N, predicted_N), low, high, n, about, converged)
    each = mean_per_class(test.y_N, predicted_N)
    if test.metric != "mean_per_class":
        return [top1, Measurement("mean_per_class", each, n=n, params=about, converged=converged)]
    low, high = class_interval(test.y_N, predicted_N)
    return [Measurement("mean_per_class", each, low, high, n, about, converged), top1]


def class_interval(true_N: np.ndarray, predicted_N: np.ndarray) -> tuple[float, float]:
    """95% interval of the mean of the classes' accuracies: test images resampled within classes, 2000 samples, seed 0.

    >>> class_interval(np.array([0, 0, 1]), np.array([0, 0, 1]))
    (1.0, 1.0)
    """
    from relic_eval.metrics.bootstrap import paired_class_bootstrap
    from relic_eval.metrics.statistics import interval

    low, high = interval(paired_class_bootstrap((predicted_N == true_N)[None], true_N, draws=2000)[0])
    return float(low), float(high)


def by_metric(metric: str, y_N: np.ndarray, value_XN: np.ndarray) -> np.ndarray:
    """Mean of the images' values (..., N): over all images (top1), or over each class and then over classes (mean_per_class).

    >>> by_metric("mean_per_class", np.array([0, 0, 1]), np.array([[1, 0, 1], [1, 1, 0]]))
    array([0.75, 0.5 ])
    """
    if metric == "top1" or not len(y_N):
        return value_XN.mean(-1)
    look_up("metric", metric, {"top1": None, "mean_per_class": None})
    return np.mean([value_XN[..., y_N == c].mean(-1) for c in np.unique(y_N)], 0)


def chosen_by(valid: Embeddings, predicted_XN: np.ndarray) -> np.ndarray:
    """The metric of the task for each list of predictions of the validation rows (..., N): what chooses.

    >>> e = Embeddings(np.zeros((3, 1)), np.array([0, 0, 1]), ("a", "b"), metric="mean_per_class")
    >>> chosen_by(e, np.array([[0, 0, 0], [1, 0, 1]]))
    array([0.5 , 0.75])
    """
    score_X = by_metric(valid.metric, valid.y_N, predicted_XN == valid.y_N)
    # a mean of means is rounded, so that its last digit makes no difference where there is none
    return score_X if valid.metric == "top1" else score_X.round(12)


def averaged(test: Embeddings, value_TN: np.ndarray, *, samples: int, seed: int) -> tuple[float, float, float]:
    """The metric of the task averaged over T training draws, and its 95% interval: draws and test images are resampled.

    >>> e = Embeddings(np.zeros((2, 1)), np.array([0, 1]), ("a", "b"))
    >>> averaged(e, np.ones((3, 2)), samples=4, seed=0)
    (1.0, 1.0, 1.0)
    """
    from relic_eval.metrics.bootstrap import paired_bootstrap, paired_class_bootstrap
    from relic_eval.metrics.statistics import interval

    value = float(by_metric(test.metric, test.y_N, value_TN).mean())
    if test.metric == "top1":
        sample_B = paired_bootstrap(value_TN[None], test.y_N, draws=samples, seed=seed)[0]
    else:
        sample_TB = paired_class_bootstrap(value_TN, test.y_N, draws=samples, seed=seed)
        many = len(sample_TB)
        times_BT = np.random.default_rng([seed, 1]).multinomial(many, np.full(many, 1 / many), samples)
        sample_B = (sample_TB * times_BT.T).sum(0) / many
    low, high = interval(sample_B)
    return value, float(low), float(high)


def best_penalty(valid_top1_L: np.ndarray) -> int:
    """Place of the penalty with the highest validation score, penalties in rising order; of ties the largest.

    >>> best_penalty(np.array([0.5, 0.9, 0.9, 0.2]))
    2
    """
    return int(np.flatnonzero(valid_top1_L == valid_top1_L.max())[-1])


def remembered(evaluator: Any, train: Embeddings, valid: Embeddings, fit: Callable[..., Any]) -> Any:
    """`fit(train, valid)`, or what it was when the same evaluator last met the same rows.

    >>> e = Embeddings(np.zeros((1, 1)), np.array([0]), ("a",))
    >>> remembered(e, e, e, lambda train, valid: [])  is remembered(e, e, e, None)
    True
    """
    given = [a for e in (train, valid) for a in (e.x_ND, e.y_N, e.labels_NC) if a is not None]
    about = [type(evaluator).__name__, dataclasses.asdict(evaluator), len(train.classes), valid.metric]
    about += [(a.shape, str(a.dtype), digest_array(a)) for a in given]
    key = digest_bytes(repr(about).encode())
    if key not in _fitted:
        _fitted[key] = fit(train, valid)
        while len(_fitted) > REMEMBERED:
            _fitted.popitem(last=False)
    return _fitted[key]
