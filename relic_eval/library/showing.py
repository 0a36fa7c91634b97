"""What shows: the board as a table, the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from relic_eval.arrays import several

if TYPE_CHECKING:
    import pandas as pd


def leaderboard(
    out: str | Path,
    *,
    protocols: Sequence[str] = ("linear-byol", "fewshot-5"),
    baseline: str | None = None,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
) -> pd.DataFrame:
    """One row an encoder and column: value by the metric of the task, interval, change against the baseline, rank.

    >>> leaderboard("/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    import pandas as pd

    from relic_eval.board import board_table, read_board, read_costs

    board, _, _ = read_board(
        Path(out),
        protocols=several("protocols", protocols),
        baseline=baseline,
        encoders=several("encoders", encoders),
        tasks=several("tasks", tasks),
    )
    return pd.DataFrame(board_table(board, read_costs(Path(out))))


def report(
    out: str | Path, *, baseline: str | None = None, encoders: Sequence[str] = (), tasks: Sequence[str] = ()
) -> Path:
    """Write the page with its figures and tables; returns the page.

    >>> report("/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    from relic_eval.alike import make_alike
    from reports.write import write_report

    return write_report(
        Path(out),
        baseline=baseline,
        encoders=several("encoders", encoders),
        tasks=several("tasks", tasks),
        measure=make_alike,
    )
