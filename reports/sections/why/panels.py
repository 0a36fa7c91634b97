"""Small multiples over tasks: which tasks and encoders are drawn, and how a figure says what it leaves out.

A reader cannot switch the task of a figure: every drawing of every task would be too many bytes. The tasks of most encoders are drawn
beside each other, the numbers of the others stand in the tables beside the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.frame import Frame, limits
from reports.drawings.lines import Series
from reports.sections.choose import in_order
from reports.style import Look, looks, short
from reports.words import METRICS, several

LINES = 8  # in one drawing: more cannot be told apart
MOST = 24  # lines in one figure
TASKS = 6  # in one figure
Looks = Mapping[str, Look]


@dataclass(frozen=True)
class Choice:
    """The cells of each drawn task by encoder, in the order of the board, and which encoders are drawn."""

    cells: Mapping[str, Mapping[str, Result]]  # task -> encoder -> cell
    drawn: tuple[str, ...]
    left_out: tuple[str, ...]
    tasks: int  # how many there are

    @property
    def first(self) -> Mapping[str, Result]:
        """The drawn cells of the first task, which a title is about."""
        return {r.encoder: r for r in self.shown(next(iter(self.cells)))}

    @property
    def among(self) -> str:
        """What must stand beside a superlative where not all are drawn."""
        return " of those drawn" if self.left_out else ""

    def head(self, task: str) -> Result:
        """The cell that says what a task is about."""
        return next(iter(self.cells[task].values()))

    def shown(self, task: str) -> list[Result]:
        """The cells of a task that are drawn."""
        return [r for name, r in self.cells[task].items() if name in self.drawn]


def choose(
    results: Iterable[Result], order: Sequence[str], most: int = MOST, ahead: Iterable[str] = ()
) -> Choice | None:
    """Tasks of most encoders, then of most test images, come first; those named by `ahead` before them. None of no cell."""
    by_task: dict[str, list[Result]] = {}
    for r in results:
        by_task.setdefault(r.task, []).append(r)
    if not by_task:
        return None
    early = set(ahead)
    names = sorted(by_task, key=lambda t: (t not in early, -len(by_task[t]), -by_task[t][0].about["counts"]["test"], t))
    everyone = {r.encoder for its in by_task.values() for r in its}
    kept = names[: max(1, min(TASKS, most // min(len(everyone), LINES)))]
    cells = {t: {r.encoder: r for r in in_order(by_task[t], order)} for t in kept}
    here = [r.encoder for r in in_order([r for its in cells.values() for r in its.values()], order)]
    there = tuple(dict.fromkeys(here))
    drawn = there[:LINES]
    return Choice({t: its for t, its in cells.items() if set(its) & set(drawn)}, drawn, there[LINES:], len(names))


def scope(choice: Choice) -> str:
    """The task of a figure that has one panel, which then has no heading of its own."""
    return f"{heading(choice.head(next(iter(choice.cells))))}. " if len(choice.cells) == 1 else ""


def left_out(choice: Choice, look: Looks, rest: str = "tables/measurements.csv beside the page has the others") -> str:
    """What is not drawn, in a sentence; empty where all is."""
    said = []
    if choice.tasks > len(choice.cells):
        said.append(f"{len(choice.cells)} of {choice.tasks} tasks, those of most encoders, then of most test images")
    if choice.left_out:
        names = several([short(name) for name in choice.left_out])
        said.append(f"the {len(choice.drawn)} encoders that the board has first, without {names}")
    return f" Drawn: {', and '.join(said)}; {rest}." if said else ""


def task_title(result: Result) -> str:
    """The task alone, without what its protocol adds, and never longer than a line."""
    return short(str(result.about.get("task_settings", {}).get("title") or result.about["title"]), 60)


def heading(result: Result) -> str:
    """What stands above a panel."""
    return f"{task_title(result)} (n = {result.cell.rows[0].n:,})"


def metric_axis(result: Result) -> str:
    """The title upwards of a cell whose first row is a share."""
    metric = result.cell.rows[0].metric
    return f"{METRICS.get(metric, metric.replace('_', ' '))}, %"


def all_looks(results: Iterable[Result], look: Looks | None) -> Looks:
    """The page's looks, or those of these cells alone."""
    return look or looks(r.encoder for r in results)


def panel_frame(x: tuple[float, float], y: tuple[float, float], log_x: bool = False) -> Frame:
    """The frame of a small multiple: three stand beside each other."""
    return Frame(x, y, 360, 236, left=54, right=122, top=10, bottom=42, log_x=log_x)


def ends_of(m: Measurement) -> tuple[float, float] | None:
    """An interval in per cent.

    >>> ends_of(Measurement("top1", 0.5, 0.25, 0.75)), ends_of(Measurement("top1", 0.5))
    ((25.0, 75.0), None)
    """
    return None if m.low is None or m.high is None else (100 * m.low, 100 * m.high)


def curve_of(look: Look, points: Sequence[tuple[float, Measurement]], *, apart: bool = False) -> Series:
    """Measurements of one encoder as a line with intervals, in per cent, its mark at the last."""
    y = [100 * (m.value or 0) for _, m in points]
    ends = [ends_of(m) for _, m in points]
    return Series(look, short(look.name, 11), [x for x, _ in points], y, (len(y) - 1,), ends, apart)


def reach(series: Iterable[Series]) -> tuple[float, float]:
    """Limits upwards that hold all lines and their intervals."""
    return limits([v for s in series for e in (*s.ends, *zip(s.y, s.y, strict=True)) if e for v in e])


def rounded(value: float | None) -> float | str:
    """Four decimals of a share for a file; nothing for a missing number.

    >>> rounded(0.23456), rounded(None)
    (0.2346, '')
    """
    return "" if value is None else round(value, 4)
