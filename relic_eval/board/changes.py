"""Values of all columns -> differences of pairs, entries with their changes, and ranked rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from relic_eval.board.records import Column, Difference, Entry, Row
from relic_eval.metrics.hypotheses import counted_p, holm, images_to_separate, paired_p, wilcoxon
from relic_eval.metrics.ranks import Ranks, borda, geometric_change, mean_rank, ranks
from relic_eval.metrics.statistics import bounds_interval, grouped_t_interval, interval, relative_changes
from relic_eval.scoring import Scored


class Values:
    """What was scored, column by column, by encoder."""

    def __init__(self, baseline: str, encoders: Sequence[str]):
        self.baseline, self.encoders = baseline, list(encoders)
        self.here: list[list[str]] = []  # of each column: the encoders that have a cell
        self.scored: list[Scored] = []
        self.value: dict[tuple[str, int], float] = {}
        self.ends: dict[tuple[str, int], tuple[float, float]] = {}
        self.sample: dict[tuple[str, int], np.ndarray] = {}

    def add(self, column: int, encoders: Sequence[str], its: Scored) -> None:
        """Take in the next column."""
        self.here.append(list(encoders))
        self.scored.append(its)
        for place, encoder in enumerate(encoders):
            self.value[(encoder, column)] = float(its.value_M[place])
            self.ends[(encoder, column)] = (float(its.ends_M2[place][0]), float(its.ends_M2[place][1]))
            self.sample[(encoder, column)] = its.sample_MB[place]

    def based(self, column: int) -> bool:
        """Whether changes can be taken against the baseline: where it has a value, and one above 0."""
        return self.value.get((self.baseline, column), 0.0) > 0

    def change(self, encoder: str, column: int) -> float:
        """Change against the baseline in per cent."""
        base = self.value[(self.baseline, column)]
        return 100 * (self.value[(encoder, column)] - base) / base

    def changes(self, encoder: str, column: int) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest change in each resample, numerator and baseline on the same images; they differ where both are 0."""
        if encoder == self.baseline:
            nothing_B = np.zeros_like(self.sample[(encoder, column)])
            return nothing_B, nothing_B
        return relative_changes(self.sample[(encoder, column)], self.sample[(self.baseline, column)])

    def lead(self, one: str, other: str, columns: Sequence[int]) -> np.ndarray:
        """By how much the mean change of one is larger in each resample: inf with its sign where a baseline is 0, NaN where unknown."""
        lead_B = np.zeros_like(self.sample[(one, columns[0])])
        for c in columns:
            base_B, more_B = self.sample[(self.baseline, c)], self.sample[(one, c)] - self.sample[(other, c)]
            with np.errstate(divide="ignore", invalid="ignore"):  # more / 0 is inf, 0 / 0 and inf - inf are NaN
                lead_B = lead_B + 100 * more_B / base_B
        return lead_B / len(columns)


def differences(columns: Sequence[Column], values: Values) -> list[Difference]:
    """Each pair of encoders in each column once; Holm's correction is over all of them.

    >>> differences([], Values("a", ["a"]))
    []
    """
    found: list[Difference] = []
    for column, its in enumerate(columns):
        scored, here = values.scored[column], values.here[column]
        for i, one in enumerate(here):
            for j, other in enumerate(here[i + 1 :], i + 1):
                ahead = values.value[(one, column)] >= values.value[(other, column)]
                a, b = (one, other) if ahead else (other, one)
                sample_B = values.sample[(a, column)] - values.sample[(b, column)]
                low, high = interval(sample_B)
                value = values.value[(a, column)] - values.value[(b, column)]
                more = 0 if low > 0 else images_to_separate(value, float(sample_B.std()) * its.n**0.5, its.n)
                if more and scored.drawn:
                    more = None
                p = float(scored.p_MM[i, j])
                found.append(Difference(column, a, b, value, float(low), float(high), more_images=more, p=p))
    rejected = holm(np.array([d.p for d in found]))
    return [replace(d, certain=bool(c) and d.sure) for d, c in zip(found, rejected, strict=True)]


def entries(encoder: str, count: int, values: Values, found: Sequence[Difference]) -> tuple[Entry | None, ...]:
    """What one encoder has in each of `count` columns; None where its cell is missing.

    >>> entries("a", 2, Values("a", ["a"]), [])
    (None, None)
    """
    return tuple(
        _entry(encoder, column, values, [d for d in found if d.column == column])
        if (encoder, column) in values.value
        else None
        for column in range(count)
    )


def _entry(encoder: str, column: int, values: Values, pairs: Sequence[Difference]) -> Entry:
    here = values.here[column]
    best = max(here, key=lambda e: values.value[(e, column)])
    surely_worse = any(d.better == best and d.worse == encoder and d.sure for d in pairs)
    change: tuple[float | None, float | None, float | None] = (None, None, None)
    if values.based(column):
        change = (values.change(encoder, column), *bounds_interval(*values.changes(encoder, column)))
    its = _ranks_here(column, values, pairs)
    place = here.index(encoder)
    return Entry(
        values.value[(encoder, column)],
        *values.ends[(encoder, column)],
        *change,
        tied_with_best=not surely_worse,
        rank=int(its.first_M[place]),
        rank_last=int(its.last_M[place]),
    )


def _ranks_here(column: int, values: Values, pairs: Sequence[Difference]) -> Ranks:
    """Ranks within a column: Holm over its pairs, and a pair whose paired interval reaches 0 is a tie whatever its p."""
    here = values.here[column]
    p_MM = np.ones((len(here), len(here)))
    for d in pairs:
        i, j = here.index(d.better), here.index(d.worse)
        p_MM[i, j] = p_MM[j, i] = d.p if d.sure else 1.0
    return ranks(np.array([values.value[(e, column)] for e in here]), p_MM)


def rows(its: Mapping[str, tuple[Entry | None, ...]], columns: Sequence[Column], values: Values) -> list[Row]:
    """The rows from the best mean change down; those that lack a column come last, by name.

    >>> [row.encoder for row in rows({"b": (), "a": ()}, [], Values("a", ["a", "b"]))]
    ['a', 'b']
    """
    based = [c for c in range(len(columns)) if values.based(c)]
    complete = [e for e in its if based and all(its[e][c] is not None for c in based)]
    whole = _over_tasks(complete, based, columns, values) if complete else {}
    made = [_row(e, its[e], whole.get(e), values) for e in its]
    return sorted(made, key=lambda r: (np.inf if r.change is None else -r.change, r.encoder))


def _row(encoder: str, its: tuple[Entry | None, ...], whole: dict | None, values: Values) -> Row:
    base = values.baseline
    wins = sum(
        x is not None and (base, c) in values.value and x.value > values.value[(base, c)] for c, x in enumerate(its)
    )
    none = {
        "change": None,
        "change_low": None,
        "change_high": None,
        "rank": None,
        "rank_last": None,
        "tied_with_best": False,
    }
    return Row(encoder, its, wins=wins, **(whole or none))


def _over_tasks(complete: list[str], based: list[int], columns: Sequence[Column], values: Values) -> dict[str, dict]:
    """Of the encoders that have all columns that changes can be taken in: what is said of them over these columns."""
    change_MT = np.array([[values.change(e, c) for c in based] for e in complete])
    value_MT = np.array([[values.value[(e, c)] for c in based] for e in complete])
    bound_M2B = np.array([np.mean([values.changes(e, c) for c in based], axis=0) for e in complete])
    groups = [columns[c].dataset or columns[c].task for c in based]
    mean_M = change_MT.mean(1)
    place, order = ranks(mean_M, _p_of_means(mean_M, bound_M2B, complete, based, values)), mean_rank(value_MT)
    points, base_T = borda(value_MT), value_MT[complete.index(values.baseline)]
    found = {}
    for m, encoder in enumerate(complete):
        low, high = bounds_interval(*bound_M2B[m])
        other = grouped_t_interval(change_MT[m], groups) if len(set(groups)) > 1 else (None, None)
        by_set = [change_MT[m][[g == name for g in groups]].mean() for name in sorted(set(groups))]
        found[encoder] = {
            "change": float(mean_M[m]),
            "change_low": low,
            "change_high": high,
            "rank": int(place.first_M[m]),
            "rank_last": int(place.last_M[m]),
            "tied_with_best": bool(place.tied_M[m]),
            "other_low": other[0],
            "other_high": other[1],
            "geo": float(geometric_change(value_MT[[m]], base_T)[0]) if (value_MT[m] > 0).all() else None,
            "p_tasks": None if encoder == values.baseline else wilcoxon(np.array(by_set)),
            "mean_rank": float(order[m]),
            "borda": float(points[m]),
        }
    return found


def _p_of_means(
    mean_M: np.ndarray, bound_M2B: np.ndarray, encoders: list[str], based: list[int], values: Values
) -> np.ndarray:
    """p of each two mean changes: by the spread of their resamples, or by counting these where a baseline of 0 leaves them none."""
    if np.isfinite(bound_M2B).all():
        return paired_p(mean_M, bound_M2B[:, 0])
    p_MM = np.ones((len(encoders), len(encoders)))
    for i, j in zip(*np.triu_indices(len(encoders), 1), strict=True):
        a, b = (i, j) if mean_M[i] >= mean_M[j] else (j, i)
        p_MM[i, j] = p_MM[j, i] = counted_p(values.lead(encoders[a], encoders[b], based))
    return p_MM
