"""What a run came to: counts, what failed, and the end of its text with what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relic_eval.board import PROTOCOLS as BOARD
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.tuning.table import PROTOCOLS as TUNED

OF_PAIRS = ("embed", "leaks")  # work on an encoder and data set that comes before their cells
SHOWN = 5


@dataclass(frozen=True)
class Failure:
    """What failed: a cell, or with `work` of OF_PAIRS all cells of an encoder and data set; `error` is one line."""

    encoder: str
    task: str
    work: str
    error: str


@dataclass(frozen=True)
class Outcome:
    """How many cells were made, were there already, and how much failed: cells, or pairs of encoder and data set."""

    made: int = 0
    skipped: int = 0
    failed: int = 0
    failures: tuple[Failure, ...] = field(default=(), compare=False)

    def __add__(self, other: Outcome) -> Outcome:
        counts = (self.made + other.made, self.skipped + other.skipped, self.failed + other.failed)
        return Outcome(*counts, self.failures + other.failures)


def failed(encoder: str, task: str, work: str, error: str) -> Outcome:
    """The outcome of one that failed.

    >>> failed("pixels", "birds", "knn", "no room").failed
    1
    """
    return Outcome(failed=1, failures=(Failure(encoder, task, work, error),))


def counts_text(done: Outcome) -> str:
    """The counts in one line.

    >>> counts_text(Outcome(1, 2)), counts_text(failed("pixels", "birds", "embed", "no room"))
    ('1 cell made, 2 already there, 0 failed', '0 cells made, 0 already there, 1 pair of encoder and data set failed')
    """
    pairs = sum(f.work in OF_PAIRS for f in done.failures)
    cells = done.failed - pairs
    parts = [_counted(cells, "cell", "cells")] if cells else []
    parts += [_counted(pairs, "pair of encoder and data set", "pairs of encoder and data set")] if pairs else []
    lost = f"{' and '.join(parts) or '0'} failed"
    return f"{_counted(done.made, 'cell', 'cells')} made, {done.skipped:,} already there, {lost}"


def _counted(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def failures_text(done: Outcome, out: Path) -> str:
    """What failed, a line each and at most five, and where all reasons are; empty where nothing did.

    >>> print(failures_text(failed("pixels", "birds", "embed", "no room"), Path("o")))
    failed: pixels on birds, embed: no room
    all reasons: o/failures
    """
    if not done.failures:
        return ""
    lines = [
        f"failed: {f.encoder} on {f.task}, {f.work}: {(f.error.splitlines() or [''])[0]}" for f in done.failures[:SHOWN]
    ]
    more = len(done.failures) - SHOWN
    lines += [f"and {more:,} more"] if more > 0 else []
    return "\n".join([*lines, f"all reasons: {out / 'failures'}"])


def on_board(protocols: Sequence[str]) -> list[str]:
    """Which of these protocols may stand on a board; where none is named, those of the board.

    >>> on_board(["knn", "spectrum"]), on_board([])
    (['knn'], ['linear-byol', 'fewshot-5'])
    """
    return [p for p in protocols if p in TUNED or PROTOCOLS[p].kind == "probe"] if protocols else list(BOARD)


def next_command(protocols: Sequence[str], out: Path) -> str:
    """What shows the cells of these protocols under `out`, those that are run by default where none is named.

    >>> next_command([], Path("o")), next_command(["robust"], Path("o"))
    ('relic-eval leaderboard --out o', 'relic-eval leaderboard --protocol robust --out o')
    >>> next_command(["spectrum"], Path("o"))
    'relic-eval list results --out o'
    """
    shown = on_board(protocols)
    if not shown:
        return shlex.join(["relic-eval", "list", "results", "--out", str(out)])
    named = [] if set(shown) <= set(BOARD) else [word for p in shown for word in ("--protocol", p)]
    return shlex.join(["relic-eval", "leaderboard", *named, "--out", str(out)])
