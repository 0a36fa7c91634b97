"""Tables of accuracies -> changes against a baseline, paired intervals, ranks and ties. Reports only draw them.

All encoders of a column are resampled with the same weights: images within classes, and training draws where there are
several. Columns that test the same images share the weights too, so that means over tasks keep their correlation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from relic_eval.errors import ArgumentError, DataError, UnknownNameError
from relic_eval.metrics.hypotheses import holm, images_to_separate, paired_p
from relic_eval.metrics.ranks import ranks
from relic_eval.metrics.statistics import interval
from relic_eval.pairing import Chances, alike, chances, finest_strata, resampled
from relic_eval.results import Result, read_failures, read_results

PROTOCOLS = ("linear-byol", "fewshot-5")  # of the board; others are shown apart
BASELINE = "supervised"


@dataclass(frozen=True)
class Column:
    """A task under a protocol."""

    task: str
    protocol: str
    title: str
    n: int


@dataclass(frozen=True)
class Entry:
    """One accuracy (fraction) with its interval, its change against the baseline in per cent, and ties."""

    value: float
    low: float
    high: float
    change: float | None
    change_low: float | None
    change_high: float | None
    tied_with_best: bool  # the 95% interval of the difference to the best of the column includes 0, or it is the best


@dataclass(frozen=True)
class Row:
    """One encoder: an entry a column (None where the cell is missing), mean change in per cent, and rank."""

    encoder: str
    entries: tuple[Entry | None, ...]
    change: float | None  # mean over the columns that the baseline has (above 0); None unless the row has them all
    change_low: float | None
    change_high: float | None
    rank: int | None  # 1 + number of encoders whose mean change is certainly larger
    rank_last: int | None  # number of encoders that are not certainly worse, itself included
    wins: int  # columns with a higher value than the baseline
    tied_with_best: bool


@dataclass(frozen=True)
class Difference:
    """Accuracy of `better` less that of `worse` in one column (fractions).

    `sure`: its own 95% interval excludes 0. `certain`: so it does, and the pair differs after Holm's correction for all
    pairs of the board, of which one in twenty would be sure by chance alone; p is McNemar's exact mid-p, or that of the
    resamples where there are several training draws. `more_images`: about so many more test images would make the pair
    sure at least four times in five, were the difference as it is here (80% for n + N images drawn anew, more if the n
    are kept). 0 where it is sure, None where there is no difference, or where training draws vary: images do not help that.
    """

    column: int
    better: str
    worse: str
    value: float
    low: float
    high: float
    certain: bool = False
    more_images: int | None = None

    @property
    def sure(self) -> bool:
        """Whether the paired 95% interval excludes 0."""
        return self.low > 0


@dataclass(frozen=True)
class Board:
    """Rows from the best mean change down; `differences` holds each pair of encoders in each column once."""

    baseline: str | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]

    def difference(self, one: str, other: str, column: int) -> Difference | None:
        """The pair in this column, whichever of the two is better; None where a cell is missing."""
        found = (d for d in self.differences if d.column == column and {d.better, d.worse} == {one, other})
        return next(found, None)


def make_board(
    results: Iterable[Result],
    *,
    baseline: str | None = None,
    protocols: Sequence[str] = PROTOCOLS,
    draws: int = 10_000,
    seed: int = 0,
) -> Board:
    """The board of all cells with these protocols. The baseline is `supervised` where there is one, else the first encoder.

    Raises DataError where no cell has one of the protocols, UnknownNameError for a baseline that is not there.

    >>> make_board([])
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected cells of linear-byol or fewshot-5, received none. Evaluate with one of these protocols first.
    """
    results = list(results)
    known = {*PROTOCOLS, *(r.protocol for r in results)}
    for name in protocols:
        if name not in known:
            raise UnknownNameError("protocol", name, known)
    chosen = [r for r in results if r.protocol in protocols and r.cell.predictions is not None]
    measures = sorted({r.protocol for r in chosen if r.cell.rows[0].metric != "top1"})
    if measures:
        raise ArgumentError("protocol", "protocols of accuracy, such as linear-byol, fewshot-5 or knn", measures[0])
    if not chosen:
        raise DataError(
            f"expected cells of {' or '.join(protocols)}, received none. Evaluate with one of these protocols first."
        )
    encoders = sorted({r.encoder for r in chosen})
    if baseline is None:
        baseline = BASELINE if BASELINE in encoders else encoders[0]
    elif baseline not in encoders:
        raise UnknownNameError("baseline", baseline, encoders)
    order = {name: number for number, name in enumerate(protocols)}
    tests = {r.task: r.cell.rows[0].n for r in chosen}  # the largest test sets first
    keys = sorted({(order[r.protocol], r.task) for r in chosen}, key=lambda key: (key[0], -tests[key[1]], key[1]))
    cells = {(r.encoder, order[r.protocol], r.task): r for r in chosen}
    columns, samples, values, by_chance, strata = [], {}, {}, [], finest_strata(chosen)
    for number, (protocol, task) in enumerate(keys):
        here = [cells[(e, protocol, task)] for e in encoders if (e, protocol, task) in cells]
        columns.append(Column(task, protocols[protocol], here[0].about.get("title", task), here[0].cell.rows[0].n))
        sample_MB = resampled(here, strata, draws=draws, seed=seed)
        for result, sample in zip(here, sample_MB, strict=True):
            samples[(result.encoder, number)] = sample
            values[(result.encoder, number)] = result.cell.rows[0].value
        by_chance.append(chances(here, sample_MB))
    differences = _differences(columns, values, samples, by_chance)
    entries = {
        e: _entries(e, encoders, baseline, [cells.get((e, *key)) for key in keys], values, samples, differences)
        for e in encoders
    }
    rows = _ranked(encoders, entries, baseline, samples, values, len(columns))
    return Board(baseline, tuple(columns), tuple(rows), tuple(differences))


def read_board(
    out: Path,
    *,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = PROTOCOLS,
    baseline: str | None = None,
) -> tuple[Board, list[Result], list[dict[str, str]]]:
    """The board of the cells under `out`, of these encoders and tasks or of all; those cells; and why others are missing.

    Where there is no linear probe, nearest neighbours stand on the board. Missing are those that failed, and those that were
    made of other images than the baseline's (or than most).

    >>> read_board(Path("/nowhere"))
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    found = read_results(out, encoders, tasks)
    results, apart = alike(found, baseline or BASELINE)
    failed = [
        f
        for f in read_failures(out)
        if (not encoders or f["encoder"] in encoders) and (not tasks or f["task"] in tasks)
    ]
    if not any(r.protocol in protocols for r in results) and tuple(protocols) == PROTOCOLS:
        protocols = [p for p in ("knn",) if any(r.protocol == p for r in results)] or protocols
    return make_board(results, baseline=baseline, protocols=tuple(protocols)), results, [*failed, *apart]


def _differences(columns, values, samples, by_chance: Sequence[Chances]) -> list[Difference]:
    found: list[Difference] = []
    p: list[float] = []
    for column, (its, chance) in enumerate(zip(columns, by_chance, strict=True)):
        for i, one in enumerate(chance.encoders):
            for j, other in enumerate(chance.encoders[i + 1 :], i + 1):
                a, b = (one, other) if values[(one, column)] >= values[(other, column)] else (other, one)
                sample = samples[(a, column)] - samples[(b, column)]
                low, high = interval(sample)
                value = values[(a, column)] - values[(b, column)]
                more = 0 if low > 0 else images_to_separate(value, float(sample.std()) * its.n**0.5, its.n)
                if more and chance.drawn:
                    more = None
                found.append(Difference(column, a, b, value, float(low), float(high), more_images=more))
                p.append(chance.p_MM[i, j])
    return [replace(d, certain=bool(c) and d.sure) for d, c in zip(found, holm(np.array(p)), strict=True)]


def _entries(encoder, encoders, baseline, cells, values, samples, differences) -> tuple[Entry | None, ...]:
    entries: list[Entry | None] = []
    for column, result in enumerate(cells):
        if result is None:
            entries.append(None)
            continue
        best = max((e for e in encoders if (e, column) in values), key=lambda e: values[(e, column)])
        surely_worse = any(
            d.column == column and d.better == best and d.worse == encoder and d.sure for d in differences
        )
        row = result.cell.rows[0]
        change: tuple[float | None, float | None, float | None] = (None, None, None)
        if _has_base(samples, baseline, column):
            low, high = interval(_change(samples, baseline, encoder, column))
            point = 100 * (row.value - values[(baseline, column)]) / values[(baseline, column)]
            change = (point, float(low), float(high))
        entries.append(Entry(row.value, row.low, row.high, *change, tied_with_best=not surely_worse))
    return tuple(entries)


def _has_base(samples: dict, baseline: str, column: int) -> bool:
    """Whether changes can be taken against the baseline here: not where one of its resamples is 0, as on a handful of images."""
    return (baseline, column) in samples and bool(samples[(baseline, column)].min() > 0)


def _change(samples: dict, baseline: str, encoder: str, column: int) -> np.ndarray:
    return 100 * (samples[(encoder, column)] / samples[(baseline, column)] - 1)


def _ranked(encoders, entries, baseline, samples, values, count) -> list[Row]:
    based = [c for c in range(count) if _has_base(samples, baseline, c)]
    complete = [e for e in encoders if based and all(entries[e][c] is not None for c in based)]
    mean = {e: float(np.mean([entries[e][c].change for c in based])) for e in complete}
    sample = {e: np.mean([_change(samples, baseline, e, c) for c in based], axis=0) for e in complete}
    rank: dict[str, tuple] = {}
    if complete:
        value_M = np.array([mean[e] for e in complete])
        its = ranks(value_M, paired_p(value_M, np.array([sample[e] for e in complete])))
        found = zip(its.first_M.tolist(), its.last_M.tolist(), its.tied_M.tolist(), strict=True)
        rank = dict(zip(complete, found, strict=True))
    rows = []
    for e in sorted(encoders, key=lambda e: (-mean.get(e, -np.inf), e)):
        low, high = interval(sample[e]) if e in mean else (None, None)
        wins = sum(
            x is not None and (baseline, c) in values and x.value > values[(baseline, c)]
            for c, x in enumerate(entries[e])
        )
        first, last, tied = rank.get(e, (None, None, False))
        rows.append(
            Row(
                e,
                entries[e],
                mean.get(e),
                None if low is None else float(low),
                None if high is None else float(high),
                first,
                last,
                wins,
                tied,
            )
        )
    return rows


def board_table(board: Board) -> list[dict[str, object]]:
    """One flat record for each encoder and column: what the CSV and the DataFrame hold.

    >>> board_table(Board(None, (), (), ()))
    []
    """
    return [
        {
            "encoder": row.encoder,
            "task": column.task,
            "protocol": column.protocol,
            "n": column.n,
            "top1": None if entry is None else entry.value,
            "low": None if entry is None else entry.low,
            "high": None if entry is None else entry.high,
            "change_percent": None if entry is None else entry.change,
            "change_low": None if entry is None else entry.change_low,
            "change_high": None if entry is None else entry.change_high,
            "tied_with_best": None if entry is None else entry.tied_with_best,
            "mean_change_percent": row.change,
            "mean_change_low": row.change_low,
            "mean_change_high": row.change_high,
            "rank": row.rank,
            "rank_last": row.rank_last,
        }
        for row in board.rows
        for column, entry in zip(board.columns, row.entries, strict=True)
    ]
