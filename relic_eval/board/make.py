"""Cells -> board. All encoders of a column are resampled with the same weights: images within classes, and training draws
where there are several. Columns that test the same images share the weights too, so that means over tasks keep their correlation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from relic_eval.board.changes import Values, differences, entries, rows
from relic_eval.board.records import Board, Column, Row
from relic_eval.cells import Result, read_failures
from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.pairing import alike, finest_strata, metric_of
from relic_eval.progress import warn
from relic_eval.results import results_and_unread
from relic_eval.scoring import METRICS, scored

PROTOCOLS = ("linear-byol", "fewshot-5")  # of the board; others are shown apart
BASELINE = "supervised"


def make_board(
    results: Iterable[Result],
    *,
    baseline: str | None = None,
    protocols: Sequence[str] = PROTOCOLS,
    draws: int = 10_000,
    seed: int = 0,
) -> Board:
    """The board of all cells with these protocols. The baseline is `supervised` where there is one, else the first encoder by name.

    A column is judged by the metric of its task. Raises DataError where no cell has one of the protocols, UnknownNameError for
    a baseline that is not there.

    >>> make_board([])
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected cells of linear-byol or fewshot-5, received none. Evaluate with one of these protocols first.
    """
    results = sorted(results, key=lambda r: (r.encoder, r.task, r.protocol))  # no number depends on their order
    known = {*PROTOCOLS, *(r.protocol for r in results)}
    for name in protocols:
        if name not in known:
            raise UnknownNameError("protocol", name, known)
    chosen = [r for r in results if r.protocol in protocols and (r.cell.predictions or r.cell.overlaps) is not None]
    measures = sorted({r.protocol for r in chosen if r.cell.rows[0].metric not in METRICS})
    if measures:
        raise ArgumentError("protocol", "protocols of accuracy, such as linear-byol, fewshot-5 or knn", measures[0])
    if not chosen:
        raise DataError(f"expected cells of {' or '.join(protocols)}, received {_others(results)}")
    encoders = sorted({r.encoder for r in chosen})
    if baseline is None:
        baseline = BASELINE if BASELINE in encoders else encoders[0]
    elif baseline not in encoders:
        raise UnknownNameError("baseline", baseline, encoders)
    order = {name: number for number, name in enumerate(protocols)}
    tests = {r.task: r.cell.rows[0].n for r in chosen}  # the largest test sets first
    keys = sorted({(order[r.protocol], r.task) for r in chosen}, key=lambda key: (key[0], -tests[key[1]], key[1]))
    cells = {(r.encoder, order[r.protocol], r.task): r for r in chosen}
    columns, values, strata = [], Values(baseline, encoders), finest_strata(chosen)
    for number, (protocol, task) in enumerate(keys):
        here = [cells[(e, protocol, task)] for e in encoders if (e, protocol, task) in cells]
        columns.append(_column(here[0]))
        values.add(number, [r.encoder for r in here], scored(here, strata, draws=draws, seed=seed))
    found = differences(columns, values)
    its = entries(values, found)
    return Board(baseline, tuple(columns), tuple(rows(its, columns, values)), tuple(found))


def _others(results: Sequence[Result]) -> str:
    """What cells there are in place of those of a board's protocols, and what to type for them."""
    if not results:
        return "none. Evaluate with one of these protocols first."
    there = sorted({r.protocol for r in results})
    fit = sorted({r.protocol for r in results if _fits(r)})
    if fit:
        return f"some of {', '.join(there)}. For a board of these type --protocol {fit[0]}, or evaluate with one of the former first."
    return (
        f"some of {', '.join(there)}, which are no accuracies and stand on no board: 'relic-eval list results' prints "
        "their numbers."
    )


def _fits(result: Result) -> bool:
    """Whether a board can judge a cell: it keeps what was answered for each picture, and its metric is one of a task."""
    cell = result.cell
    return (cell.predictions or cell.overlaps) is not None and cell.rows[0].metric in METRICS


def _without_columns(results: Sequence[Result]) -> Board:
    rows = [Row(name, (), None, None, None, None, None, 0, False) for name in sorted({r.encoder for r in results})]
    return Board(None, (), tuple(rows), ())


def _column(result: Result) -> Column:
    about = result.about
    dataset = about.get("task_settings", {}).get("dataset", result.task)
    title, n = about.get("title", result.task), result.cell.rows[0].n
    leaks = bool(about["data"].get("dropped")), about.get("counts", {}).get("dropped")
    return Column(result.task, result.protocol, title, n, metric_of(result), dataset, *leaks)


def _warn_of_leaks(board: Board) -> None:
    """Name the tasks of which some columns were made without leaks, and others with them."""
    for task in board.mixed_leaks:
        its = [c for c in board.columns if c.task == task]
        without, others = ([c.protocol for c in its if c.without_leaks == way] for way in (True, False))
        warn(
            f"{task}: {', '.join(without)} made without training pictures that are tested too, and {', '.join(others)} with "
            "them: evaluate all with --drop-leaks, or all without it."
        )


def read_board(
    out: Path,
    *,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = PROTOCOLS,
    baseline: str | None = None,
    needed: bool = True,
) -> tuple[Board, list[Result], list[dict[str, str]]]:
    """The board of the cells under `out`, of these encoders and tasks or of all; those cells; and why others are missing.

    Where there is no linear probe, nearest neighbours stand on the board. Missing are those that failed, those that were made
    of other images than the baseline's (or than most), and those that cannot be read. Where the cells hold no accuracy there
    is a DataError, or, where the board is not `needed`, one without columns.

    >>> read_board(Path("/nowhere"))
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    found, unread = results_and_unread(out, encoders, tasks)
    results, apart = alike(found, baseline or BASELINE)
    failed = [
        f
        for f in read_failures(out)
        if (not encoders or f["encoder"] in encoders) and (not tasks or f["task"] in tasks)
    ]
    if not any(r.protocol in protocols for r in results) and tuple(protocols) == PROTOCOLS:
        protocols = [p for p in ("knn",) if any(r.protocol == p for r in results)] or protocols
    if not needed and not any(r.protocol in protocols and _fits(r) for r in results):
        return _without_columns(results), results, [*failed, *apart, *unread]
    board = make_board(results, baseline=baseline, protocols=tuple(protocols))
    _warn_of_leaks(board)
    return board, results, [*failed, *apart, *unread]
