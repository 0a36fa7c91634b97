"""A few labelled images a class: many draws in one batched fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.shared import best_penalty, predictions
from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class FewShot:
    """Logistic regression on `shots` images a class; one penalty for all draws, chosen on the validation rows."""

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 3  # raise it when the same settings give other numbers
    shots: int = 5
    draws: int = 20
    seed: int = 0
    samples: int = 2000  # of the bootstrap over draws and images

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is top-1 averaged over the draws, with an interval over draws and test images."""
        from relic_eval.metrics.bootstrap import paired_bootstrap
        from relic_eval.metrics.statistics import interval
        from relic_eval.probes.linear import edge_of
        from relic_eval.probes.logistic import PENALTIES, fit_subsets, predict

        path = fit_subsets(train.x_ND, train.y_N, self._rows(train), classes=len(train.classes))
        valid_top1_L = (predict(path, valid.x_ND) == valid.y_N).mean((0, 2))
        best = best_penalty(valid_top1_L)
        predicted_SN = predict(path, test.x_ND)[:, best]
        right_SN = predicted_SN == test.y_N
        low, high = interval(paired_bootstrap(right_SN[None], test.y_N, draws=self.samples, seed=self.seed)[0])
        params = {
            "shots": self.shots,
            "draws": self.draws,
            "penalty": float(path.penalties_L[best]),
            "edge": int(edge_of(path.penalties_L, best) != ""),
        }
        if self.draws > 1:
            params["std_over_draws"] = float(right_SN.mean(1).std(ddof=1))
        row = Measurement(
            "top1", float(right_SN.mean()), float(low), float(high), len(test), params, bool(path.converged_SL.all())
        )
        tables = [
            predictions(test, p_N, r_N, np.full(len(test), np.nan))
            for p_N, r_N in zip(predicted_SN, right_SN, strict=True)
        ]
        table = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
        table["draw"] = np.repeat(np.arange(self.draws), len(test))
        curves = {"name": np.repeat(["validation top1"], len(PENALTIES)), "x": path.penalties_L, "y": valid_top1_L}
        return Cell((row,), table, curves)

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
