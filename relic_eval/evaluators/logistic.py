"""Linear probe: logistic regression, 45 penalties, chosen on validation rows, refitted; one class or several a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from relic_eval.evaluators.normalise import Normaliser, normaliser
from relic_eval.evaluators.shared import accuracy_rows, best_penalty, chosen_by, predictions, remembered
from relic_eval.records import Cell, Embeddings

if TYPE_CHECKING:
    from relic_eval.probes.logistic import PenaltyPath


@dataclass(frozen=True)
class Logistic:
    """Fit on train, choose the penalty on valid by the metric of the task, refit on both, look at the test labels once.

    Pictures with several classes get one yes-or-no model a class (evaluators/multilabel.py).
    """

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 3  # raise it when the same settings give other numbers
    multi_label: ClassVar[bool] = True
    lowest: float = 1e-6
    highest: float = 1e5
    count: int = 45
    tol: float = 1e-4  # on the way to a choice of the penalty
    refit_tol: float = 3e-5  # of the one model that is reported
    normalise: str = "none"  # or l2, standardise: of the rows that are fitted on, in the choice and again in the refit

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is the metric of the task on the test rows, with its interval."""
        from relic_eval.probes.logistic import probabilities

        if train.labels_NC is not None:
            from relic_eval.evaluators.multilabel import multilabel_cell

            return multilabel_cell(self, train, valid, test)
        path, valid_L, best, refit, scale = self.fitted(train, valid)
        p_NC = probabilities(refit, scale(test.x_ND))[0, 0]
        predicted_N = p_NC.argmax(1)
        sound = bool(refit.converged_SL[0, 0] and path.converged_SL.all())
        rows = accuracy_rows(test, predicted_N, about_fit(path, best, refit), sound)
        table = predictions(test, predicted_N, predicted_N == test.y_N, p_NC.max(1))
        return Cell(tuple(rows), table, curves_of(path, valid_L, valid.metric))

    def fitted(
        self, train: Embeddings, valid: Embeddings
    ) -> tuple[PenaltyPath, np.ndarray, int, PenaltyPath, Normaliser]:
        """All penalties on the training rows, their validation scores, the place of the best, the refit, and its normaliser."""
        return remembered(self, train, valid, self._fit)

    def penalties(self) -> tuple[float, ...]:
        """The penalties, in rising order."""
        return tuple(float(p) for p in np.logspace(np.log10(self.lowest), np.log10(self.highest), self.count))

    def _fit(
        self, train: Embeddings, valid: Embeddings
    ) -> tuple[PenaltyPath, np.ndarray, int, PenaltyPath, Normaliser]:
        from relic_eval.probes.logistic import fit_path, predict

        classes, scale = len(train.classes), normaliser(self.normalise, train.x_ND)
        path = fit_path(scale(train.x_ND), train.y_N, classes=classes, penalties=self.penalties(), tol=self.tol)
        valid_L = chosen_by(valid, predict(path, scale(valid.x_ND))[0])
        best = best_penalty(valid_L)
        start = path.weights_SLDC[0, best], path.bias_SLC[0, best]
        both_x, both_y = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
        only, scale = (float(path.penalties_L[best]),), normaliser(self.normalise, both_x)
        refit = fit_path(scale(both_x), both_y, classes=classes, penalties=only, tol=self.refit_tol, start=start)
        return path, valid_L, best, refit, scale


def about_fit(path: PenaltyPath, best: int, refit: PenaltyPath) -> dict[str, float | int]:
    """What a row says of the fit behind it: the chosen penalty, whether it is at an end of the grid, and the gradient reached."""
    from relic_eval.probes.linear import edge_of

    return {
        "penalty": path.penalties_L[best].item(),
        "edge": int(edge_of(path.penalties_L, best) != ""),
        "gradient": refit.gradient_SL[0, 0].item(),
    }


def curves_of(path: PenaltyPath, valid_L: np.ndarray, metric: str) -> dict[str, np.ndarray]:
    """The curves of a cell over the penalties: what chose among them, and the gradient that each fit reached."""
    return {
        "name": np.repeat([f"validation {metric}", "gradient"], len(valid_L)),
        "x": np.tile(path.penalties_L, 2),
        "y": np.concatenate([valid_L, path.gradient_SL[0]]),
    }
