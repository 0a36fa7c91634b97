"""Two representations of the same labelled images, side by side."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relic_eval.alike import make_alike
from relic_eval.arrays import class_numbers, matrix
from relic_eval.board import Board, make_board
from relic_eval.cells import Result, read_failures
from relic_eval.errors import ArgumentError, DataError
from relic_eval.intake import import_arrays, zero_rows
from relic_eval.metrics.similarity import linear_cka, mutual_knn
from relic_eval.results import read_results
from relic_eval.run import evaluate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


TASK = "compared"
SEARCHED = 10_000


@dataclass(frozen=True)
class Comparison:
    """A board of two encoders with the cells behind it; shows itself in a notebook."""

    board: Board
    results: tuple[Result, ...]
    out: Path
    cka: float  # unbiased linear CKA of the two, on all rows: 1 where one is the other rotated; NaN where rows are all equal
    overlap: float  # share of the 10 nearest neighbours (cosine) that a row has in both, on at most SEARCHED rows

    @property
    def table(self) -> pd.DataFrame:
        """One row an encoder and task."""
        import pandas as pd

        from relic_eval.board import board_table

        return pd.DataFrame(board_table(self.board))

    def figures(self) -> dict[str, Figure]:
        """Every figure by name."""
        from reports.figures.table import figures
        from reports.sections.section import Material

        return figures(Material(self.results, self.board))

    def report(self) -> Path:
        """Write the page beside the cells; returns it."""
        from reports.write import write_report

        names = [row.encoder for row in self.board.rows]
        return write_report(self.out, baseline=self.board.baseline, encoders=names, tasks=[TASK], measure=make_alike)

    def __repr__(self) -> str:
        from reports.tables import board_text

        return f"{board_text(self.board)}{self._alike()}\n"

    def _repr_html_(self) -> str:
        from relic_eval.board.notebook import board_html
        from relic_eval.markup import listed
        from reports.summary import sentences

        return listed([*sentences(self.board, []), self._alike()]) + board_html(self.board)

    def _alike(self) -> str:
        return f"How alike the two are: CKA {self.cka:.3f}; {100 * self.overlap:.0f}% of nearest neighbours in both."


def compare(
    a: Any, b: Any, labels: Any, *, names: tuple[str, str] = ("a", "b"), out: str | Path | None = None
) -> Comparison:
    """Every measure for two embeddings of the same images, divided 60 / 20 / 20 alike; the first is the baseline.

    `a` and `b` are (N, D) arrays, tensors or DataFrames, of any D each; `labels` N numbers or names. Cells go to `out`, or
    to a temporary folder. Raises ArgumentError for NaN, infinity, rows of zeros and a single class, DataError where a measure fails.

    >>> import numpy as np
    >>> x = np.repeat(np.eye(2), 30, 0)
    >>> both = compare(x, 2 * x, ["ant"] * 30 + ["bee"] * 30)
    >>> [round(row.change, 1) for row in both.board.rows]
    [0.0, 0.0]
    >>> round(both.cka, 6), both.overlap
    (1.0, 1.0)
    """
    if len(names) != 2 or len(set(names)) < 2:
        raise ArgumentError("names", "two different names", repr(names))
    if len(class_numbers("labels", labels)[1]) < 2:
        raise ArgumentError("labels", "at least two classes", "one", "There is nothing to tell apart.")
    for name, x in zip(names, (a, b), strict=True):
        rows = zero_rows(matrix(name, x))
        if len(rows):  # said here, where rows still have the numbers that they were given with
            received = f"{len(rows)} (the first is row {rows[0]})"
            raise ArgumentError(name, "no row of zeros, which has no cosine", received, "Leave it out of both.")
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="relic-eval-"))
    for name, x in zip(names, (a, b), strict=True):
        import_arrays(folder, name, TASK, x, labels, called=name)
    done = evaluate(folder, names, [TASK])
    if done.failed:
        first = next(f for f in read_failures(folder) if f["encoder"] in names and f["task"] == TASK)
        many = "1 cell" if done.failed == 1 else f"{done.failed} cells"
        raise DataError(f"{many} failed, first {first['protocol']} of {first['encoder']}: {first['error']}")
    results = read_results(folder, names, [TASK])
    return Comparison(make_board(results, baseline=names[0]), tuple(results), folder, *_similarity(a, b))


def _similarity(a: Any, b: Any) -> tuple[float, float]:
    x_ND, y_NE = matrix("a", a), matrix("b", b)
    rows = np.sort(np.random.default_rng(0).permutation(len(x_ND))[:SEARCHED])  # a search takes the square of them
    overlap = mutual_knn(x_ND[rows], y_NE[rows], k=min(10, len(rows) - 1))
    return linear_cka(x_ND, y_NE), overlap
