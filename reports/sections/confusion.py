"""Which classes the linear probe takes for which, counted in the predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relic_eval.cells import Result
from reports.drawings.heat import heat
from reports.sections.choose import shown
from reports.sections.figure import Figure
from reports.style import title
from reports.tables import to_csv
from reports.words import counted

MOST = 12  # classes drawn; of more, those that are right least often


def shares(result: Result) -> np.ndarray:
    """Share of each true class (row) that was taken for each class (column)."""
    table, size = result.cell.predictions or {}, len(result.about["classes"])
    count_CC = np.zeros((size, size))
    np.add.at(count_CC, (table["true"], table["predicted"]), 1)
    with np.errstate(invalid="ignore"):
        return count_CC / count_CC.sum(1, keepdims=True)


def confusion_figure(results: Sequence[Result], order: Sequence[str]) -> Figure | None:
    """The confusion of the first two encoders of the board, the others folded away."""
    here = [r for r in shown(results, "linear-byol", order) if r.cell.predictions is not None]
    if not here:
        return None
    every = {r.encoder: shares(r) for r in here}
    first, classes = here[0], here[0].about["classes"]
    right = np.nan_to_num(np.diag(every[first.encoder]), nan=2.0)
    kept = sorted(np.argsort(right, kind="stable")[:MOST].tolist())
    names = [classes[i] for i in kept]
    drawn = [
        (title(r.encoder), heat(names, every[r.encoder][np.ix_(kept, kept)], f"Confusion of {title(r.encoder)}"))
        for r in here
    ]
    left_out = len(classes) - len(kept)
    rows = [
        {"encoder": e, "true": classes[i], "predicted": classes[j], "share": round(float(share), 6)}
        for e, share_CC in every.items()
        for (i, j), share in np.ndenumerate(share_CC)
        if share > 0
    ]
    return Figure(
        "confusion",
        _finding(title(first.encoder), classes, every[first.encoder]),
        drawn[0][1],
        "Rows are true classes, columns what the probe said, numbers per cent of the row: blue on the diagonal is right, "
        "orange beside it wrong, an empty place less than 0.5%.",
        f"{first.about['title']}; protocol linear-byol, n = {first.cell.rows[0].n:,}; no intervals."
        + (
            f" Shown are the {counted(len(kept), 'class', 'classes')} that {title(first.encoder)} gets right least often."
            if left_out
            else ""
        ),
        to_csv(rows),
        drawn[:2],
        drawn[2:],
    )


def _finding(name: str, classes: Sequence[str], share_CC: np.ndarray) -> str:
    wrong_CC = np.nan_to_num(share_CC) * (1 - np.eye(len(classes)))
    row, column = divmod(int(wrong_CC.argmax()), len(classes))
    if wrong_CC[row, column] == 0:
        return f"{name}: no test image is taken for another class"
    share = 100 * wrong_CC[row, column]
    return f"{name} errs most on {classes[row]}: {share:.0f}% of it is taken for {classes[column]}"
