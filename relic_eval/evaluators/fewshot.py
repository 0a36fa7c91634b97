"""A few labelled images a class: many draws in one batched fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.normalise import normaliser
from relic_eval.evaluators.shared import averaged, best_penalty, by_metric, chosen_by, predictions
from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class FewShot:
    """Logistic regression on `shots` images a class; one penalty for all draws, chosen on the validation rows by the metric of the task."""

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 3  # raise it when the same settings give other numbers
    shots: int = 5
    draws: int = 20
    seed: int = 0
    samples: int = 2000  # of the bootstrap over draws and images
    normalise: str = "none"  # or l2, standardise: by all training rows, whose labels it does not look at

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is the metric of the task averaged over the draws, with an interval over draws and test images."""
        from relic_eval.probes.linear import edge_of
        from relic_eval.probes.logistic import PENALTIES, fit_subsets, predict

        scale = normaliser(self.normalise, train.x_ND)
        path = fit_subsets(scale(train.x_ND), train.y_N, self._rows(train), classes=len(train.classes))
        valid_L = chosen_by(valid, predict(path, scale(valid.x_ND))).mean(0).round(12)
        best = best_penalty(valid_L)
        predicted_SN = predict(path, scale(test.x_ND))[:, best]
        right_SN = predicted_SN == test.y_N
        value, low, high = averaged(test, right_SN, samples=self.samples, seed=self.seed)
        params = {
            "shots": self.shots,
            "draws": self.draws,
            "penalty": float(path.penalties_L[best]),
            "edge": int(edge_of(path.penalties_L, best) != ""),
        }
        if self.draws > 1:
            params["std_over_draws"] = float(by_metric(test.metric, test.y_N, right_SN).std(ddof=1))
        row = Measurement(test.metric, value, low, high, len(test), params, bool(path.converged_SL.all()))
        names = np.repeat([f"validation {valid.metric}"], len(PENALTIES))
        curves = {"name": names, "x": path.penalties_L, "y": valid_L}
        return Cell((row,), drawn_predictions(test, predicted_SN, right_SN), curves)

    def _rows(self, train: Embeddings) -> np.ndarray:
        rng, members = np.random.default_rng(self.seed), []
        for number, name in enumerate(train.classes):
            rows = np.flatnonzero(train.y_N == number)
            if len(rows) < self.shots:
                raise ArgumentError(
                    f"class {name!r}",
                    f"at least {self.shots} training images",
                    f"{len(rows)}",
                    "Leave this protocol or this class out.",
                )
            members.append(rows)
        draw = [[rng.choice(rows, self.shots, replace=False) for rows in members] for _ in range(self.draws)]
        return np.array(draw).reshape(self.draws, -1)


def drawn_predictions(test: Embeddings, predicted_TN: np.ndarray, correct_TN: np.ndarray) -> dict[str, np.ndarray]:
    """The predictions table of T training draws, one after the other, with a column `draw`.

    >>> e = Embeddings(np.zeros((1, 1)), np.array([0]), ("a", "b"))
    >>> drawn_predictions(e, np.array([[0], [1]]), np.array([[1], [0]]))["draw"].tolist()
    [0, 1]
    """
    tables = [
        predictions(test, p_N, c_N, np.full(len(test), np.nan))
        for p_N, c_N in zip(predicted_TN, correct_TN, strict=True)
    ]
    table = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
    table["draw"] = np.repeat(np.arange(len(tables)), len(test))
    return table
