"""Linear probe: multinomial logistic regression, 45 penalties, chosen on validation rows, refitted."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from relic_eval.files import digest_bytes
from relic_eval.records import Cell, Embeddings, Measurement

if TYPE_CHECKING:
    from relic_eval.probes.logistic import PenaltyPath

_fitted: OrderedDict[str, tuple] = OrderedDict()  # by content: tasks that differ only in their test rows share a fit
REMEMBERED = 2


@dataclass(frozen=True)
class Logistic:
    """Fit on train, choose the penalty on valid, refit on both, look at the test labels once."""

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 2  # raise it when the same settings give other numbers
    lowest: float = 1e-6
    highest: float = 1e5
    count: int = 45
    tol: float = 1e-4  # on the way to a choice of the penalty
    refit_tol: float = 3e-5  # of the one model that is reported

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is top-1 accuracy on the test rows, with a Wilson interval."""
        from relic_eval.metrics.scores import accuracy, mean_per_class
        from relic_eval.metrics.statistics import wilson
        from relic_eval.probes.logistic import probabilities

        path, valid_top1_L, refit = self._fit(train, valid)
        best = int(np.flatnonzero(valid_top1_L == valid_top1_L.max())[-1])  # ties: the larger penalty
        p_NC = probabilities(refit, test.x_ND)[0, 0]
        predicted_N = p_NC.argmax(1)
        right_N = predicted_N == test.y_N
        params = {
            "penalty": path.penalties_L[best].item(),
            "edge": int(best in (0, self.count - 1)),
            "gradient": refit.gradient_SL[0, 0].item(),
        }
        n, converged = len(test), bool(refit.converged_SL[0, 0] and path.converged_SL.all())
        low, high = wilson(right_N.sum(), n)
        rows = (
            Measurement("top1", accuracy(test.y_N, predicted_N), low, high, n, params, converged),
            Measurement(
                "mean_per_class", mean_per_class(test.y_N, predicted_N), n=n, params=params, converged=converged
            ),
        )
        curves = {
            "name": np.repeat(["validation top1", "gradient"], self.count),
            "x": np.tile(path.penalties_L, 2),
            "y": np.concatenate([valid_top1_L, path.gradient_SL[0]]),
        }
        return Cell(rows, predictions(test, predicted_N, right_N, p_NC.max(1)), curves)

    def _fit(self, train: Embeddings, valid: Embeddings) -> tuple[PenaltyPath, np.ndarray, PenaltyPath]:
        from relic_eval.probes.logistic import fit_path, predict

        content = (np.ascontiguousarray(a).tobytes() for e in (train, valid) for a in (e.x_ND, e.y_N))
        key = digest_bytes(
            b"".join([repr((self, len(train.classes))).encode(), *(digest_bytes(c).encode() for c in content)])
        )
        if key not in _fitted:
            classes = len(train.classes)
            penalties = tuple(float(p) for p in np.logspace(np.log10(self.lowest), np.log10(self.highest), self.count))
            path = fit_path(train.x_ND, train.y_N, classes=classes, penalties=penalties, tol=self.tol)
            valid_top1_L = (predict(path, valid.x_ND)[0] == valid.y_N).mean(1)
            place = int(np.flatnonzero(valid_top1_L == valid_top1_L.max())[-1])
            best, start = float(path.penalties_L[place]), (path.weights_SLDC[0, place], path.bias_SLC[0, place])
            both_x, both_y = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
            refit = fit_path(both_x, both_y, classes=classes, penalties=(best,), tol=self.refit_tol, start=start)
            _fitted[key] = (path, valid_top1_L, refit)
            while len(_fitted) > REMEMBERED:
                _fitted.popitem(last=False)
        return _fitted[key]


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
