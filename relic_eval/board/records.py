"""What a board says: frozen records, values as fractions, changes in per cent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A task under a protocol, and the metric that the task is judged by."""

    task: str
    protocol: str
    title: str
    n: int  # test images
    metric: str = "top1"  # or mean_per_class, map11, miou
    dataset: str = ""  # tasks of one data set are one sample of what other data sets would say; empty: the task's name
    without_leaks: bool = False  # training pictures that are tested too were left out
    dropped: int | None = None  # how many; None where there are none, or where it was not noted


@dataclass(frozen=True)
class Entry:
    """One value (fraction) with its interval, its change against the baseline in per cent, ties, and its rank in the column."""

    value: float
    low: float
    high: float
    change: float | None
    change_low: float | None
    change_high: float | None  # inf where the baseline is 0 in more than 2.5% of resamples
    tied_with_best: bool  # the 95% interval of the difference to the best of the column includes 0, or it is the best
    rank: int | None = None  # 1 + number of encoders that are significantly better here (Holm over the column's pairs)
    rank_last: int | None = None  # number of encoders that are not significantly worse here, itself included


@dataclass(frozen=True)
class Row:
    """One encoder: an entry a column (None where the cell is missing), mean change in per cent, and rank.

    All after `wins` is None unless the row has every column that the baseline has: nothing is averaged over different tasks.
    """

    encoder: str
    entries: tuple[Entry | None, ...]
    change: float | None  # mean over the columns that the baseline has above 0; None unless the row has them all
    change_low: float | None  # 95% interval over images: how it would do on other images of these tasks
    change_high: float | None  # inf where the baseline is 0 in more than 2.5% of resamples
    rank: int | None  # 1 + number of encoders whose mean change is certainly larger
    rank_last: int | None  # number of encoders that are not certainly worse, itself included
    wins: int  # columns with a higher value than the baseline
    tied_with_best: bool
    other_low: float | None = (
        None  # 95% interval over tasks: how it would do on other such tasks (two data sets at least)
    )
    other_high: float | None = None
    geo: float | None = None  # change of the geometric mean, in per cent
    p_tasks: float | None = None  # Wilcoxon's signed ranks over data sets, against the baseline
    mean_rank: float | None = None  # over the same columns, among the encoders that have them all
    borda: float | None = None

    @property
    def measured(self) -> int:
        """In how many columns there is an entry."""
        return sum(e is not None for e in self.entries)


@dataclass(frozen=True)
class Difference:
    """Value of `better` less that of `worse` in one column (fractions).

    `sure`: its own 95% interval excludes 0. `certain`: so it does, and the pair differs after Holm's correction for all
    pairs of the board, of which one in twenty would be sure by chance alone; p is McNemar's exact mid-p, or that of the
    resamples where there are several training draws or the metric is no accuracy. `more_images`: about so many more test
    images would make the pair sure at least four times in five, were the difference as it is here (80% for n + N images
    drawn anew, more if the n are kept). 0 where it is sure, None where there is no difference, or where training draws vary:
    images do not help that.
    """

    column: int
    better: str
    worse: str
    value: float
    low: float
    high: float
    certain: bool = False
    more_images: int | None = None
    p: float = 1.0  # of the pair alone, before any correction

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

    def _repr_html_(self) -> str:
        from relic_eval.board.notebook import board_html

        return board_html(self)

    @property
    def without_change(self) -> tuple[int, ...]:
        """Columns that are left out of the mean change: the baseline has no value there, or 0.

        >>> Board("a", (Column("t", "p", "T", 9),), (Row("a", (None,), None, None, None, None, None, 0, False),), ()).without_change
        (0,)
        """
        base = next((r for r in self.rows if r.encoder == self.baseline), None)
        its = (None,) * len(self.columns) if base is None else base.entries
        return tuple(number for number, entry in enumerate(its) if entry is None or entry.value <= 0)

    @property
    def mixed_leaks(self) -> tuple[str, ...]:
        """Tasks of which some columns were made without leaks and others with them.

        >>> columns = (Column("t", "knn", "T", 9, without_leaks=True), Column("t", "ridge", "T", 9), Column("u", "knn", "U", 9))
        >>> Board(None, columns, (), ()).mixed_leaks
        ('t',)
        """
        tasks = dict.fromkeys(c.task for c in self.columns)
        return tuple(t for t in tasks if len({c.without_leaks for c in self.columns if c.task == t}) > 1)

    def difference(self, one: str, other: str, column: int) -> Difference | None:
        """The pair in this column, whichever of the two is better; None where a cell is missing."""
        found = (d for d in self.differences if d.column == column and {d.better, d.worse} == {one, other})
        return next(found, None)

    def best(self, column: int) -> str | None:
        """The encoder with the highest value of a column, of equals the first by name; None where there is none.

        >>> Board(None, (), (), ()).best(0) is None
        True
        """
        there = [(-e.value, r.encoder) for r in self.rows if column < len(r.entries) and (e := r.entries[column])]
        return min(there)[1] if there else None

    def behind(self, encoder: str, column: int) -> Difference | None:
        """The difference to the best of a column; None for the best itself, or where a cell is missing."""
        best = self.best(column)
        return None if best is None or best == encoder else self.difference(best, encoder, column)
