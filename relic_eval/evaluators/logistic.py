"""Linear probe: multinomial logistic regression, 45 penalties, chosen on validation rows, refitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from relic_eval.evaluators.shared import accuracy_rows, best_penalty, predictions, remembered
from relic_eval.records import Cell, Embeddings

if TYPE_CHECKING:
    from relic_eval.probes.logistic import PenaltyPath


@dataclass(frozen=True)
class Logistic:
    """Fit on train, choose the penalty on valid, refit on both, look at the test labels once."""

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 3  # raise it when the same settings give other numbers
    lowest: float = 1e-6
    highest: float = 1e5
    count: int = 45
    tol: float = 1e-4  # on the way to a choice of the penalty
    refit_tol: float = 3e-5  # of the one model that is reported

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is top-1 accuracy on the test rows, with a Wilson interval."""
        from relic_eval.probes.linear import edge_of
        from relic_eval.probes.logistic import probabilities

        path, valid_top1_L, best, refit = remembered(self, train, valid, self._fit)
        p_NC = probabilities(refit, test.x_ND)[0, 0]
        predicted_N = p_NC.argmax(1)
        params = {
            "penalty": path.penalties_L[best].item(),
            "edge": int(edge_of(path.penalties_L, best) != ""),
            "gradient": refit.gradient_SL[0, 0].item(),
        }
        rows = accuracy_rows(test, predicted_N, params, bool(refit.converged_SL[0, 0] and path.converged_SL.all()))
        curves = {
            "name": np.repeat(["validation top1", "gradient"], self.count),
            "x": np.tile(path.penalties_L, 2),
            "y": np.concatenate([valid_top1_L, path.gradient_SL[0]]),
        }
        return Cell(tuple(rows), predictions(test, predicted_N, predicted_N == test.y_N, p_NC.max(1)), curves)

    def _fit(self, train: Embeddings, valid: Embeddings) -> tuple[PenaltyPath, np.ndarray, int, PenaltyPath]:
        from relic_eval.probes.logistic import fit_path, predict

        classes = len(train.classes)
        penalties = tuple(float(p) for p in np.logspace(np.log10(self.lowest), np.log10(self.highest), self.count))
        path = fit_path(train.x_ND, train.y_N, classes=classes, penalties=penalties, tol=self.tol)
        valid_top1_L = (predict(path, valid.x_ND)[0] == valid.y_N).mean(1)
        best = best_penalty(valid_top1_L)
        start = path.weights_SLDC[0, best], path.bias_SLC[0, best]
        both_x, both_y = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
        only = (float(path.penalties_L[best]),)
        refit = fit_path(both_x, both_y, classes=classes, penalties=only, tol=self.refit_tol, start=start)
        return path, valid_top1_L, best, refit
