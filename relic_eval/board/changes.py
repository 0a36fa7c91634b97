"""Values of all columns -> differences of pairs, entries with their changes, and ranked rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    found = [d for column, its in enumerate(columns) for d in _pairs(column, its.n, values)]
    rejected = holm(np.array([d.p for d in found]))
    return [replace(d, certain=bool(c) and d.sure) for d, c in zip(found, rejected, strict=True)]


def _pairs(column: int, n: int, values: Values) -> Iterator[Difference]:
    """Of one column, the better of each two first; each encoder is set against all after it at once."""
    its, here = values.scored[column], values.here[column]
    for i, one in enumerate(here[:-1]):
        side_M = np.where(its.value_M[i] >= its.value_M[i + 1 :], 1, -1)
        value_M = side_M * (its.value_M[i] - its.value_M[i + 1 :])
        sample_MB = side_M[:, None] * (its.sample_MB[i] - its.sample_MB[i + 1 :])
        low_M, high_M = interval(sample_MB)
        for m, other in enumerate(here[i + 1 :]):
            a, b = (one, other) if side_M[m] > 0 else (other, one)
            value, low, high = float(value_M[m]), float(low_M[m]), float(high_M[m])
            more = 0 if low > 0 else images_to_separate(value, float(sample_MB[m].std()) * n**0.5, n)
            told = None if more and its.drawn else more
            yield Difference(column, a, b, value, low, high, more_images=told, p=float(its.p_MM[i, i + 1 + m]))


def entries(values: Values, found: Sequence[Difference]) -> dict[str, tuple[Entry | None, ...]]:
    """By encoder what it has in each column; None where its cell is missing.

    >>> entries(Values("a", ["a"]), [])
    {'a': ()}
    """
    pairs: list[list[Difference]] = [[] for _ in values.here]
    for d in found:
        pairs[d.column].append(d)
    made: dict[str, list[Entry | None]] = {e: [None] * len(pairs) for e in values.encoders}
    for column, (here, its) in enumerate(zip(values.here, pairs, strict=True)):
        best = max(here, key=lambda e: values.value[(e, column)])
        behind = {d.worse for d in its if d.better == best and d.sure}
        place = _ranks_here(column, values, its)
        for m, encoder in enumerate(here):
            span = int(place.first_M[m]), int(place.last_M[m])
            made[encoder][column] = _entry(encoder, column, values, encoder not in behind, span)
    return {encoder: tuple(its) for encoder, its in made.items()}


def _entry(encoder: str, column: int, values: Values, tied: bool, span: tuple[int, int]) -> Entry:
    change: tuple[float | None, float | None, float | None] = (None, None, None)
    if values.based(column):
        change = (values.change(encoder, column), *bounds_interval(*values.changes(encoder, column)))
    ends = values.ends[(encoder, column)]
    return Entry(values.value[(encoder, column)], *ends, *change, tied_with_best=tied, rank=span[0], rank_last=span[1])


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
