"""Linear probe in closed form: ridge regression onto the classes, the penalty chosen on validation rows, refitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from relic_eval.evaluators.shared import accuracy_rows, best_penalty, predictions, remembered
from relic_eval.records import Cell, Embeddings

if TYPE_CHECKING:
    from relic_eval.probes.ridge import RidgePath


@dataclass(frozen=True)
class Ridge:
    """Fit on train, choose the penalty on valid, refit on both, look at the test labels once.

    Penalties are multiples of the mean eigenvalue of the Gram matrix of the training rows (rows x mean variance of a
    column), so that features times a constant are the same problem and meet the same grid.
    """

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    lowest: float = 1e-6
    highest: float = 1e3
    count: int = 37

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is top-1 accuracy on the test rows, with a Wilson interval."""
        from relic_eval.probes.linear import edge_of, scores

        path, valid_top1_L, best, refit = remembered(self, train, valid, self._fit)
        score_NC = scores(refit.weights_LDC, refit.bias_LC, test.x_ND)[0]
        predicted_N = score_NC.argmax(1)
        params = {
            "penalty": path.penalties_L[best].item(),
            "edge": int(edge_of(path.penalties_L, best) != ""),
            "gradient": refit.gradient_L[0].item(),
        }
        rows = accuracy_rows(test, predicted_N, params, bool(refit.converged_L[0] and path.converged_L.all()))
        curves = {
            "name": np.repeat(["validation top1"], self.count),
            "x": path.penalties_L,
            "y": valid_top1_L,
        }
        table = predictions(test, predicted_N, predicted_N == test.y_N, score_NC.max(1))
        return Cell(tuple(rows), table, curves)

    def _fit(self, train: Embeddings, valid: Embeddings) -> tuple[RidgePath, np.ndarray, int, RidgePath]:
        from relic_eval.probes.linear import predict
        from relic_eval.probes.ridge import fit_ridge

        classes = len(train.classes)
        grid = tuple(float(p) for p in np.logspace(np.log10(self.lowest), np.log10(self.highest), self.count))
        path = fit_ridge(train.x_ND, train.y_N, grid, classes=classes, relative=True, loo=False)
        valid_top1_L = (predict(path.weights_LDC, path.bias_LC, valid.x_ND) == valid.y_N).mean(1)
        best = best_penalty(valid_top1_L)
        both_x, both_y = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
        refit = fit_ridge(both_x, both_y, (path.penalties_L[best].item(),), classes=classes, loo=False)
        return path, valid_top1_L, best, refit
