"""How much of a linear probe's accuracy is left on corrupted pictures: the head never sees one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.evaluators.logistic import Logistic
from relic_eval.evaluators.shared import averaged, by_metric, predictions
from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class Robust:
    """The probe of `linear-byol`, fitted and chosen on clean rows, tested on each kind and strength of corruption."""

    kind: ClassVar[str] = "probe"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    needs_corruptions: ClassVar[bool] = True
    head: Logistic = field(default_factory=Logistic)
    samples: int = 2000  # of the bootstrap over images
    seed: int = 0

    def __call__(self, train: Embeddings, valid: Embeddings, test: Embeddings) -> Cell:
        """A cell whose first row is the metric of the task averaged over all kinds and strengths; then each kind and strength,
        clean pictures, and the relative drop. The predictions hold, an image, the share of corruptions under which it is right.

        `test` has the corrupted pictures of its rows as `views`; an ArgumentError where it has none.
        """
        from relic_eval.probes.linear import predict

        if not test.corruptions or len(test.corruptions) != len(test.views):
            expected, hint = (
                "embeddings of corrupted pictures",
                "Make them by --corruptions of 'relic-eval embed' or 'transfer'.",
            )
            raise ArgumentError("robust", expected, f"{len(test.corruptions) or 'none'}", hint)
        path, _, best, refit, scale = self.head.fitted(train, valid)
        model = refit.weights_SLDC[0], refit.bias_SLC[0]
        clean_N = predict(*model, scale(test.x_ND))[0]
        predicted_VN = np.stack([predict(*model, scale(view_ND))[0] for view_ND in test.views])
        right_VN, right_N = (predicted_VN == test.y_N).astype(np.float64), (clean_N == test.y_N).astype(np.float64)
        kind_V = np.array([name.split()[0] for name in test.corruptions])
        strength_V = np.array([int(name.split()[1]) for name in test.corruptions])
        sound = bool(refit.converged_SL.all() and path.converged_SL.all())
        kinds, strengths = list(dict.fromkeys(kind_V.tolist())), np.unique(strength_V).tolist()
        about = {"kinds": len(kinds), "strengths": " ".join(map(str, strengths))}
        about["penalty"] = path.penalties_L[best].item()

        def row(metric: str, value_VN: np.ndarray, **params: Any) -> Measurement:
            value, low, high = averaged(test, value_VN.mean(0)[None], samples=self.samples, seed=self.seed)
            return Measurement(metric, value, low, high, len(test), params, sound)

        rows = [row(test.metric, right_VN, **about)]
        rows += [row(test.metric, right_VN[kind_V == kind], kind=kind) for kind in kinds]
        rows += [row(test.metric, right_VN[strength_V == s], strength=s) for s in strengths]
        rows.append(row(f"clean_{test.metric}", right_N[None]))
        rows.append(self._drop(test, right_VN.mean(0), right_N))
        each_V = by_metric(test.metric, test.y_N, right_VN)
        curves = {"name": kind_V, "x": strength_V.astype(float), "y": each_V}
        nothing = np.full(len(test), np.nan)
        return Cell(tuple(rows), predictions(test, clean_N, right_VN.mean(0), nothing), curves)

    def _drop(self, test: Embeddings, right_N: np.ndarray, clean_N: np.ndarray) -> Measurement:
        """1 - corrupted / clean accuracy, with an interval over the same images for both; missing where clean is 0."""
        from relic_eval.metrics.bootstrap import paired_bootstrap, paired_class_bootstrap
        from relic_eval.metrics.statistics import interval

        both_2N, y_N = np.stack([right_N, clean_N]), test.y_N
        after, before = by_metric(test.metric, y_N, both_2N)
        if before == 0:
            return Measurement("relative_drop", None, n=len(test))
        if test.metric == "top1":
            after_B, before_B = paired_bootstrap(both_2N[:, None], y_N, draws=self.samples, seed=self.seed)
        else:
            after_B, before_B = paired_class_bootstrap(both_2N, y_N, draws=self.samples, seed=self.seed)
        there = before_B > 0
        low, high = interval(1 - after_B[there] / before_B[there])
        return Measurement("relative_drop", float(1 - after / before), float(low), float(high), len(test))
