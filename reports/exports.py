"""The board for other programs: Parquet, and JSON in the manner of mteb's results."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from relic_eval.board import Board, Cost, board_table
from relic_eval.cells import Result
from relic_eval.errors import ArgumentError
from relic_eval.files import folder_name, write_bytes, write_json

TEXTS = ("encoder", "task", "protocol", "metric")
WHOLE = (
    *("n", "dropped", "more_images", "task_rank", "task_rank_last", "wins", "measured", "columns", "rank", "rank_last"),
    *("parameters", "dims"),
)
MARKS = ("tied_with_best", "without_leaks")


def board_parquet(board: Board, costs: Mapping[str, Cost] | None = None) -> bytes:
    """The table of the board as a Parquet file; missing numbers are null, whatever is missing the types are the same.

    >>> board_parquet(Board(None, (), (), ()))[:4]
    b'PAR1'
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    records = board_table(board, costs)
    names = list(records[0]) if records else list(TEXTS)
    types = {
        n: pa.string() if n in TEXTS else pa.int64() if n in WHOLE else pa.bool_() if n in MARKS else pa.float64()
        for n in names
    }
    table = pa.table({n: pa.array([r[n] for r in records], types[n]) for n in names})
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def task_results(board: Board, results: Iterable[Result]) -> dict[tuple[str, str], dict[str, Any]]:
    """By (encoder, task): what mteb keeps of a task, by its names; a protocol stands where mteb has a subset.

    `main_score` is the value by the metric of the task. There is no duration and no emission: they are no results.

    >>> task_results(Board(None, (), (), ()), [])
    {}
    """
    digests = {(r.encoder, r.task): str(r.about["data"]["test"]) for r in results}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in board.rows:
        for column, entry in zip(board.columns, row.entries, strict=True):
            if entry is None:
                continue
            key = (row.encoder, column.task)
            its = found.setdefault(
                key,
                {
                    "task_name": column.task,
                    "model_name": row.encoder,
                    "dataset_revision": digests.get(key, ""),
                    "scores": {"test": []},
                },
            )
            its["scores"]["test"].append(
                {
                    "hf_subset": column.protocol,
                    "languages": [],
                    "main_score": entry.value,
                    "metric": column.metric,
                    column.metric: entry.value,
                    "low": entry.low,
                    "high": entry.high,
                    "n": column.n,
                    "change_percent": entry.change,
                    "rank": entry.rank,
                    "rank_last": entry.rank_last,
                    "tied_with_best": entry.tied_with_best,
                    "without_leaks": column.without_leaks,
                }
            )
    return found


def write_task_results(board: Board, results: Iterable[Result], folder: Path) -> list[Path]:
    """A file `folder`/ENCODER/TASK.json for each encoder and task, names quoted; returns the files."""
    made = []
    for (encoder, task), content in task_results(board, results).items():
        place = folder / folder_name(encoder) / f"{folder_name(task)}.json"
        write_json(place, content)
        made.append(place)
    return made


def save_board(board: Board, results: Iterable[Result], costs: Mapping[str, Cost] | None, place: Path) -> list[Path]:
    """The board as a file of the kind that its ending says: .csv, .parquet, .tex, or a folder of JSON; returns what was written.

    Raises ArgumentError for another ending.
    """
    from reports.latex import board_latex
    from reports.tables import board_csv

    if not place.suffix:
        return write_task_results(board, results, place)
    makers = {
        ".csv": lambda: board_csv(board, costs).encode(),
        ".tex": lambda: board_latex(board, costs).encode(),
        ".parquet": lambda: board_parquet(board, costs),
    }
    if place.suffix.lower() not in makers:
        hint = "Without an ending it is a folder of JSON, in the manner of mteb."
        raise ArgumentError("--to", f"a file ending in {', '.join(makers)}, or a folder", str(place), hint)
    write_bytes(place, makers[place.suffix.lower()]())
    return [place]
