"""What evaluators share: the predictions table, the rows of a classifier, the choice of a penalty, and fits that are remembered."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

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
    """Top-1 accuracy with a Wilson interval, then the mean of the classes' accuracies.

    >>> e = Embeddings(np.zeros((2, 1)), np.array([0, 1]), ("a", "b"))
    >>> [row.value for row in accuracy_rows(e, np.array([0, 0]), {})]
    [0.5, 0.5]
    """
    from relic_eval.metrics.scores import accuracy, mean_per_class
    from relic_eval.metrics.statistics import wilson

    n, about = len(test), dict(params)
    low, high = wilson((predicted_N == test.y_N).sum(), n)
    each = mean_per_class(test.y_N, predicted_N)
    return [
        Measurement("top1", accuracy(test.y_N, predicted_N), low, high, n, about, converged),
        Measurement("mean_per_class", each, n=n, params=about, converged=converged),
    ]


def best_penalty(valid_top1_L: np.ndarray) -> int:
    """Place of the penalty with the highest validation accuracy, penalties in rising order; of ties the largest.

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
    content = [np.ascontiguousarray(a) for e in (train, valid) for a in (e.x_ND, e.y_N)]
    about = [type(evaluator).__name__, dataclasses.asdict(evaluator), len(train.classes)]
    about += [(a.shape, str(a.dtype), digest_bytes(a.tobytes())) for a in content]
    key = digest_bytes(repr(about).encode())
    if key not in _fitted:
        _fitted[key] = fit(train, valid)
        while len(_fitted) > REMEMBERED:
            _fitted.popitem(last=False)
    return _fitted[key]
