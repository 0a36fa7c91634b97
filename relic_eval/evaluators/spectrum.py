"""How many directions the test rows use, and how evenly: measures that look at no label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class Spectrum:
    """RankMe and its kin over the test rows. No intervals: a rank of a bootstrap sample is biased downwards."""

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    multi_label: ClassVar[bool] = True  # no label is looked at

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is RankMe; its curve is the eigenvalues of the covariance over their ranks, from 1."""
        from relic_eval.metrics.spectrum import FIRST, LAST, lengths, spectrum, uniformity

        s, n = spectrum(split.x_ND), len(split)
        zeros = int((lengths(split.x_ND) == 0).sum())
        even = np.nan if zeros else uniformity(split.x_ND)
        rows = (
            _row("rankme", s.rankme, n, most=len(s.eigenvalue_R)),
            _row("effective_rank", s.effective_rank, n),
            _row("participation_ratio", s.participation_ratio, n),
            _row("alpha_req", s.alpha_req, n, first=FIRST, last=min(LAST, int((s.eigenvalue_R > 0).sum()))),
            _row("uniformity", even, n, **({"rows_of_zeros": zeros} if zeros else {})),
            _row("collapse", s.collapse, n),
            _row("dead_columns", s.dead, n),
        )
        rank_R = np.arange(1.0, len(s.eigenvalue_R) + 1)
        curve = {"name": np.full(len(rank_R), "eigenvalues"), "x": rank_R, "y": s.eigenvalue_R}
        return Cell(rows, None, curve)


def _row(metric: str, value: float, n: int, **params: int) -> Measurement:
    return Measurement(metric, float(value) if np.isfinite(value) else None, n=n, params=params)
