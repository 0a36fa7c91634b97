"""Linear probe in closed form: ridge regression onto the classes, the penalty chosen on validation rows, refitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from relic_eval.evaluators.normalise import Normaliser, normaliser
from relic_eval.evaluators.shared import accuracy_rows, best_penalty, chosen_by, predictions, remembered
from relic_eval.records import Cell, Embeddings

if TYPE_CHECKING:
    from relic_eval.probes.ridge import RidgePath


@dataclass(frozen=True)
class Ridge:
    """Fit on train, choose the penalty on valid by the metric of the task, refit on both, test once.

    Penalties are multiples of the mean eigenvalue of the Gram matrix of the training rows (rows x mean variance of a
    column), so that features times a constant are the same problem and meet the same grid.
    """

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    lowest: float = 1e-6
    highest: float = 1e3
    count: int = 37
    normalise: str = "none"  # or l2, standardise: of the rows that are fitted on, in the choice and again in the refit

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is the metric of the task on the test rows, with its interval."""
        from relic_eval.probes.linear import edge_of, scores

        path, valid_L, best, refit, scale = remembered(self, train, valid, self._fit)
        score_NC = scores(refit.weights_LDC, refit.bias_LC, scale(test.x_ND))[0]
        predicted_N = score_NC.argmax(1)
        params = {
            "penalty": path.penalties_L[best].item(),
            "edge": int(edge_of(path.penalties_L, best) != ""),
            "gradient": refit.gradient_L[0].item(),
        }
        rows = accuracy_rows(test, predicted_N, params, bool(refit.converged_L[0] and path.converged_L.all()))
        curves = {
            "name": np.repeat([f"validation {valid.metric}"], self.count),
            "x": path.penalties_L,
            "y": valid_L,
        }
        table = predictions(test, predicted_N, predicted_N == test.y_N, score_NC.max(1))
        return Cell(tuple(rows), table, curves)

    def _fit(self, train: Embeddings, valid: Embeddings) -> tuple[RidgePath, np.ndarray, int, RidgePath, Normaliser]:
        from relic_eval.probes.linear import predict
        from relic_eval.probes.ridge import fit_ridge

        classes, scale = len(train.classes), normaliser(self.normalise, train.x_ND)
        grid = tuple(float(p) for p in np.logspace(np.log10(self.lowest), np.log10(self.highest), self.count))
        path = fit_ridge(scale(train.x_ND), train.y_N, grid, classes=classes, relative=True, loo=False)
        valid_L = chosen_by(valid, predict(path.weights_LDC, path.bias_LC, scale(valid.x_ND)))
        best = best_penalty(valid_L)
        both_x, both_y = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
        scale = normaliser(self.normalise, both_x)
        refit = fit_ridge(scale(both_x), both_y, (path.penalties_L[best].item(),), classes=classes, loo=False)
        return path, valid_L, best, refit, scale
