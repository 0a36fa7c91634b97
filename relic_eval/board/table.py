"""The board as flat records: what Parquet and DataFrame hold, and CSV and JSON with six digits."""

from __future__ import annotations

from collections.abc import Mapping

from relic_eval.board.costs import Cost
from relic_eval.board.records import Board, Row


def board_table(board: Board, costs: Mapping[str, Cost] | None = None) -> list[dict[str, object]]:
    """One record for each encoder and column; values are fractions, changes per cent, missing numbers None.

    >>> board_table(Board(None, (), (), ()))
    []
    """
    found = []
    for row in board.rows:
        for number, (column, entry) in enumerate(zip(board.columns, row.entries, strict=True)):
            behind = board.behind(row.encoder, number)
            found.append(
                {
                    "encoder": row.encoder,
                    "task": column.task,
                    "protocol": column.protocol,
                    # what is asked for first: a printed table shows its first columns only
                    "value": None if entry is None else entry.value,
                    "low": None if entry is None else entry.low,
                    "high": None if entry is None else entry.high,
                    "change_percent": None if entry is None else entry.change,
                    "rank": row.rank,
                    "n": column.n,
                    "metric": column.metric,
                    "change_low": None if entry is None else entry.change_low,
                    "change_high": None if entry is None else entry.change_high,
                    "tied_with_best": None if entry is None else entry.tied_with_best,
                    "behind_best": None if behind is None else behind.value,
                    "behind_best_low": None if behind is None else behind.low,
                    "behind_best_high": None if behind is None else behind.high,
                    "more_images": None if behind is None else behind.more_images or None,
                    "task_rank": None if entry is None else entry.rank,
                    "task_rank_last": None if entry is None else entry.rank_last,
                    "without_leaks": column.without_leaks,
                    "dropped": column.dropped,
                    **_overall(row, len(board.columns)),
                    **_cost(costs, row.encoder),
                }
            )
    return found


def summary_table(board: Board, costs: Mapping[str, Cost] | None = None) -> list[dict[str, object]]:
    """One record for each encoder: what is said of it over all columns.

    >>> summary_table(Board(None, (), (), ()))
    []
    """
    count = len(board.columns)
    return [{"encoder": r.encoder, **_overall(r, count), **_cost(costs, r.encoder)} for r in board.rows]


def _cost(costs: Mapping[str, Cost] | None, encoder: str) -> dict[str, object]:
    """What stands in files: how fast a machine was stands in none."""
    its = Cost() if costs is None else costs.get(encoder, Cost())
    return {} if costs is None else {"parameters": its.parameters, "gflops": its.gflops, "dims": its.dims}


def _overall(row: Row, columns: int) -> dict[str, object]:
    return {
        "mean_change_percent": row.change,
        "mean_change_low": row.change_low,
        "mean_change_high": row.change_high,
        "other_tasks_low": row.other_low,
        "other_tasks_high": row.other_high,
        "geo_change_percent": row.geo,
        "wins": row.wins,
        "measured": row.measured,
        "columns": columns,
        "rank": row.rank,
        "rank_last": row.rank_last,
        "wilcoxon_p": row.p_tasks,
        "mean_rank": row.mean_rank,
        "borda": row.borda,
    }
