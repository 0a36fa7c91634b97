"""Measures of arrays that are at hand; nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relic_eval.arrays import class_numbers, matrix, whole
from relic_eval.records import Cell, Embeddings

if TYPE_CHECKING:
    from relic_eval.metrics.blocks import Blocks
    from relic_eval.metrics.discriminability import Discriminability


def linear_probe(x: Any, labels: Any, *, seed: int = 0) -> Cell:
    """The linear-byol protocol on rows divided 60 / 20 / 20; `cell.rows[0]` is top-1 with its interval.

    >>> import numpy as np
    >>> linear_probe(np.repeat(np.eye(2), 10, 0), [0] * 10 + [1] * 10).rows[0].value
    1.0
    """
    return _probe("linear-byol", x, labels, seed)


def knn(x: Any, labels: Any, *, seed: int = 0) -> Cell:
    """The knn protocol on rows divided 60 / 20 / 20.

    >>> import numpy as np
    >>> knn(np.repeat(np.eye(2), 10, 0), [0] * 10 + [1] * 10).rows[0].value
    1.0
    """
    return _probe("knn", x, labels, seed)


def _probe(protocol: str, x: Any, labels: Any, seed: int) -> Cell:
    from relic_eval.data.tasks import Task, split_task
    from relic_eval.evaluators.table import PROTOCOLS

    x_ND = matrix("x", x)
    y_N, classes = class_numbers("labels", labels, len(x_ND))
    rows = Embeddings(x_ND, y_N, classes)
    return PROTOCOLS[protocol](
        *split_task(Task("mine", "mine", "mine", "all", "all", seed=whole("seed", seed, 0)), rows, rows)
    )


def blocks(x: Any, labels: Any, *, k: int = 5) -> Blocks:
    """Nearest neighbours of all rows among themselves, purity and confusion.

    >>> float(blocks([[0.0], [1.0], [5.0], [6.0]], ["a", "a", "b", "b"], k=1).purity_N.mean())
    1.0
    """
    from relic_eval.metrics.blocks import neighbour_blocks

    x_ND = matrix("x", x)
    y_N, classes = class_numbers("labels", labels, len(x_ND))
    return neighbour_blocks(x_ND, y_N, k=whole("k", k, 1), classes=len(classes))


def distances(x: Any, labels: Any, *, reading: str = "mean", metric: str | None = None) -> Discriminability:
    """Ratio of inter- to intra-class distance per image, per class and over all; readings and metrics: docs/measures.md.

    >>> distances([[0.0], [2.0], [10.0], [12.0]], ["a", "a", "b", "b"]).ratio
    5.0
    """
    from relic_eval.metrics.discriminability import discriminability

    x_ND = matrix("x", x)
    y_N = class_numbers("labels", labels, len(x_ND))[0]
    return discriminability(x_ND, y_N, reading=reading, metric=metric)
