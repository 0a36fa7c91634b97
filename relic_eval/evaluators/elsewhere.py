"""A linear probe tested on another set than it was fitted on: ImageNetV2, -C, -R, -Sketch, ObjectNet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.shared import predictions
from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class Elsewhere:
    """The probe of `linear-byol`; test rows number their classes as the training rows do, and may have some of them only.

    Where a test picture may have several classes (ObjectNet's map onto ImageNet's), any of them is right. Where the test rows have
    corruptions, the numbers are those of ImageNet-C (evaluators/severities.py).
    """

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    multi_label: ClassVar[bool] = True  # of the test rows
    other_set: ClassVar[bool] = True
    head: Logistic = field(default_factory=Logistic)

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is top-1 among all classes of the training rows; then among those that the test set has."""
        from relic_eval.metrics.statistics import wilson
        from relic_eval.probes.linear import edge_of
        from relic_eval.probes.logistic import probabilities

        if train.labels_NC is not None:
            raise ArgumentError("train", "rows of one class each", "rows that may have several", "Fit on another set.")
        if test.corruptions:
            from relic_eval.evaluators.severities import severities_cell

            return severities_cell(self.head, train, valid, test)
        path, _, best, refit, scale = self.head.fitted(train, valid)
        p_NC = probabilities(refit, scale(test.x_ND))[0, 0]
        label_NC, n = _labels(test, p_NC.shape[1]), len(test)
        present_C = label_NC.any(0)
        all_N = p_NC.argmax(1)
        few_N = np.flatnonzero(present_C)[p_NC[:, present_C].argmax(1)]
        sound = bool(refit.converged_SL.all() and path.converged_SL.all())
        params = {"penalty": path.penalties_L[best].item(), "edge": int(edge_of(path.penalties_L, best) != "")}
        rows = []
        for metric, predicted_N in (("top1", all_N), ("top1_restricted", few_N)):
            hits, classes = int(label_NC[np.arange(n), predicted_N].sum()), p_NC.shape[1]
            about = {**params, "classes": classes if metric == "top1" else int(present_C.sum())}
            rows.append(Measurement(metric, hits / n, *wilson(hits, n), n, about, sound))
        right_N = label_NC[np.arange(n), all_N]
        return Cell(tuple(rows), predictions(test, all_N, right_N, p_NC.max(1)))


def _labels(test: Embeddings, classes: int) -> np.ndarray:
    if test.labels_NC is not None:
        return test.labels_NC
    label_NC = np.zeros((len(test), classes), bool)
    label_NC[np.arange(len(test)), test.y_N] = True
    return label_NC
