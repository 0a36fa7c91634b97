"""The published linear protocol: softmax regression by SGD, the learning rate chosen on validation rows, refitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.normalise import Normaliser, normaliser
from relic_eval.evaluators.shared import accuracy_rows, chosen_by, predictions, remembered
from relic_eval.records import Cell, Embeddings, Measurement

if TYPE_CHECKING:
    from relic_eval.probes.sgd import SgdFit

TOP = 5  # classes; the second score of ImageNet, where there are more


@dataclass(frozen=True)
class Sgd:
    """Fit on train at every learning rate in one pass, choose on valid by the metric of the task, refit on both, test once.

    The defaults are those of RELICv2's code (batch, epochs, momentum) and of BYOL's appendix C.1 (learning rates; 80 epochs
    there): times batch / 256, cosine to 0. With fewer rows than `batch` all of them are one batch.
    """

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    learning_rates: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1, 0.05)
    batch: int = 1024
    epochs: int = 100
    momentum: float = 0.9
    seed: int = 0  # of the order of the rows
    normalise: str = "none"  # or l2, standardise: of the rows that are fitted on, in the choice and again in the refit

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is the metric of the task on the test rows, with its interval."""
        from scipy.special import softmax

        from relic_eval.metrics.scores import classes_before
        from relic_eval.metrics.statistics import wilson
        from relic_eval.probes.linear import edge_of, scores

        sweep, valid_L, best, refit, scale = remembered(self, train, valid, self._fit)
        score_NC = scores(refit.weights_LDC, refit.bias_LC, scale(test.x_ND))[0]
        predicted_N, n = score_NC.argmax(1), len(test)
        right_N = predicted_N == test.y_N
        params = {
            "learning_rate": self.learning_rates[best],
            "edge": int(edge_of(np.array(self.learning_rates), best) != ""),
            "diverged": int(sweep.diverged_L.sum()),
            "batch": min(self.batch, len(train) + len(valid)),
            "steps": refit.loss_LT.shape[1],
        }
        rows = accuracy_rows(test, predicted_N, params)
        if score_NC.shape[1] > TOP:
            hits = int((classes_before(test.y_N, score_NC) < TOP).sum())
            rows.append(Measurement(f"top{TOP}", hits / n, *wilson(hits, n), n, params))
        parts = np.array_split(refit.loss_LT[0], min(self.epochs, refit.loss_LT.shape[1]))
        sound_L = ~sweep.diverged_L
        curves = {
            "name": np.repeat([f"validation {valid.metric}", "loss"], [sound_L.sum(), len(parts)]),
            "x": np.concatenate([np.array(self.learning_rates)[sound_L], np.arange(1.0, len(parts) + 1)]),
            "y": np.concatenate([valid_L[sound_L], [part.mean() for part in parts]]),
        }
        table = predictions(test, predicted_N, right_N, softmax(score_NC, axis=1).max(1))
        return Cell(tuple(rows), table, curves)

    def _fit(self, train: Embeddings, valid: Embeddings) -> tuple[SgdFit, np.ndarray, int, SgdFit, Normaliser]:
        from relic_eval.probes.linear import predict

        scale = normaliser(self.normalise, train.x_ND)
        sweep = self._run(scale(train.x_ND), train.y_N, len(train.classes), self.learning_rates)
        if sweep.diverged_L.all():
            raise ArgumentError(
                "x_ND",
                "features on which a learning rate stays finite",
                f"none of {self.learning_rates} does",
                "Divide the features by a constant.",
            )
        sound_L = ~sweep.diverged_L
        predicted_LN = predict(sweep.weights_LDC, sweep.bias_LC, scale(valid.x_ND))
        valid_L = np.where(sound_L, chosen_by(valid, predicted_LN), np.nan)
        near = np.flatnonzero(valid_L == np.nanmax(valid_L))
        best = int(near[np.argmin(np.array(self.learning_rates)[near])])  # ties: the smaller step
        both_x, both_y = np.concatenate([train.x_ND, valid.x_ND]), np.concatenate([train.y_N, valid.y_N])
        scale = normaliser(self.normalise, both_x)
        refit = self._run(scale(both_x), both_y, len(train.classes), (self.learning_rates[best],))
        if refit.diverged_L.any():
            raise ArgumentError(
                "x_ND", "features on which the refit stays finite", "ones on which it diverges", "Divide them."
            )
        return sweep, valid_L, best, refit, scale

    def _run(self, x_ND: np.ndarray, y_N: np.ndarray, classes: int, rates: tuple[float, ...]) -> SgdFit:
        from relic_eval.probes.sgd import batches_of, fit_sgd, step_count

        batch = min(self.batch, len(x_ND))
        return fit_sgd(
            batches_of(x_ND, y_N, batch, self.epochs, self.seed),
            classes,
            x_ND.shape[1],
            [rate * batch / 256 for rate in rates],
            step_count(len(x_ND), batch, self.epochs),
            momentum=self.momentum,
        )
