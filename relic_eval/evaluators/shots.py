"""Accuracy over the number of labelled images a class: 1, 2, 4, 8, 16, many draws of each in one batched fit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.fewshot import drawn_predictions
from relic_eval.evaluators.normalise import normaliser
from relic_eval.evaluators.shared import averaged, best_penalty, by_metric, chosen_by
from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class Shots:
    """Logistic regression on each number of images a class; one penalty a number, chosen on the validation rows.

    The draws are nested: the images of 2 a class are those of 1 and one more. Features times a constant are the same problem,
    since penalties are multiples of their variance; smaller ones than these all give the model that just separates the images.
    """

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    numbers: tuple[int, ...] = (1, 2, 4, 8, 16)  # of images a class; those that a class does not have are left out
    draws: tuple[int, ...] = (10, 10, 10, 10, 10)  # of each number
    seed: int = 0
    samples: int = 2000  # of the bootstrap over draws and images
    penalties: tuple[float, ...] = (1e-2, 1e-1, 1.0, 10.0, 100.0)  # times the total variance of the training rows
    tol: float = 1e-3  # as `logistic`: of 1e-4, few predictions are others, and it takes twice as long
    normalise: str = "none"  # or l2, standardise: by all training rows, whose labels it does not look at

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is the mean over the numbers of images, then a row for each; `left_out` names the others.

        The numbers double from one to the next, so the mean is the area under the curve over their logarithm. Its predictions
        hold, a draw and image, the share of the numbers at which the image was right, and what was predicted at the largest.
        """
        order_SCK = self._order(train)
        numbers = [k for k in self.numbers if k <= order_SCK.shape[2]]
        left_out = " ".join(str(k) for k in self.numbers if k not in numbers)
        made = [self._fit(order_SCK, place, train, valid, test) for place in range(len(numbers))]
        # a number with fewer draws meets each of its own again
        predicted_KSN = np.stack([np.resize(p_SN, (max(self.draws), len(test))) for p_SN, *_ in made])
        share_SN = (predicted_KSN == test.y_N).mean(0)
        rows = [
            self._row(
                test,
                share_SN,
                {"shots": "mean", "over": " ".join(map(str, numbers)), "left_out": left_out, "draws": max(self.draws)},
            )
        ]
        for predicted_SN, about, _ in made:
            rows.append(self._row(test, predicted_SN == test.y_N, about))
        sound = [all(m[2] for m in made), *(m[2] for m in made)]
        rows = [dataclasses.replace(row, converged=s) for row, s in zip(rows, sound, strict=True)]
        curves = {
            "name": np.repeat([test.metric], len(numbers)),
            "x": np.array(numbers, float),
            "y": np.array([row.value for row in rows[1:]]),
        }
        return Cell(tuple(rows), drawn_predictions(test, predicted_KSN[-1], share_SN), curves)

    def _row(self, test: Embeddings, value_SN: np.ndarray, about: dict[str, Any]) -> Measurement:
        value, low, high = averaged(test, value_SN, samples=self.samples, seed=self.seed)
        if len(value_SN) > 1:
            about = {**about, "std_over_draws": float(by_metric(test.metric, test.y_N, value_SN).std(ddof=1))}
        return Measurement(test.metric, value, low, high, len(test), about)

    def _order(self, train: Embeddings) -> np.ndarray:
        """Training rows of each class in the order in which each draw takes them (S, C, K), K the least that a class has."""
        members = [np.flatnonzero(train.y_N == c) for c in range(len(train.classes))]
        least = min((len(rows) for rows in members), default=0)
        if least < min(self.numbers):
            name = train.classes[int(np.argmin([len(rows) for rows in members]))]
            expected = f"at least {min(self.numbers)} training images"
            raise ArgumentError(f"class {name!r}", expected, f"{least}", "Leave this protocol or this class out.")
        rng, most = np.random.default_rng(self.seed), min(least, max(self.numbers))
        return np.array([[rng.permutation(rows)[:most] for rows in members] for _ in range(max(self.draws))])

    def _fit(
        self, order_SCK: np.ndarray, place: int, train: Embeddings, valid: Embeddings, test: Embeddings
    ) -> tuple[np.ndarray, dict[str, Any], bool]:
        """Predictions of the test rows by each draw (S, N) under the chosen penalty, what to say of the fit, and if it converged."""
        from relic_eval.probes import linear
        from relic_eval.probes.logistic import fit_subsets, predict

        shots, draws, scale = self.numbers[place], self.draws[place], normaliser(self.normalise, train.x_ND)
        x_ND = scale(train.x_ND)
        total = float(x_ND.var(0, dtype=np.float64).sum()) or 1.0
        # where a class has no more images than this, draws are the same: each is fitted once
        rows_SM = np.sort(order_SCK[:draws, :, :shots].reshape(draws, -1), 1)
        subsets, draw_S = np.unique(rows_SM, axis=0, return_inverse=True)
        grid = tuple(p * total for p in self.penalties)
        path = fit_subsets(x_ND, train.y_N, subsets, classes=len(train.classes), penalties=grid, tol=self.tol)
        valid_L = chosen_by(valid, predict(path, scale(valid.x_ND)))[draw_S].mean(0).round(12)
        best = best_penalty(valid_L)
        about = {
            "shots": shots,
            "draws": draws,
            "penalty": float(path.penalties_L[best]),
            "edge": int(linear.edge_of(path.penalties_L, best) != ""),
        }
        predicted_SN = linear.predict(path.weights_SLDC[:, best], path.bias_SLC[:, best], scale(test.x_ND))
        return predicted_SN[draw_S], about, bool(path.converged_SL.all())
