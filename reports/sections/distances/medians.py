"""Median ratios against a baseline that the reader may choose, and of every task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relic_eval.board import Shift, ratio_shifts, shares_below
from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.drawings.marks import key
from reports.drawings.shift import shift_bar
from reports.sections.choose import in_order
from reports.style import Look
from reports.tables import to_csv
from reports.words import number, percent, signed

EVERY_PAIR = 6  # encoders of which each may be the baseline; of more only the board's is
ROWS = 20  # encoders in the table of tasks
FIRST = 8  # in the table against a baseline: as many as are drawn


def shift_content(results: Sequence[Result], baseline: str | None, look: Mapping[str, Look]) -> dict[str, Any] | None:
    """The table against a baseline (the board's, or the last encoder), and what the script needs for others; None for one encoder."""
    names = [r.encoder for r in results]
    base = baseline if baseline in names else names[-1]
    shifts = ratio_shifts(results, names if len(names) <= EVERY_PAIR else [base])
    first = [s for s in shifts if s.baseline == base]
    if not first:
        return None
    limit = max(abs(v) for s in shifts for v in (s.median_low, s.median_high)) or 1.0
    digits = decimals(limit)
    by = {(s.encoder, s.baseline): s for s in shifts}
    shown = _shown(names, base)
    medians, below = {r.encoder: median_of(r) for r in results}, shares_below(results)
    rows = [
        {
            "title": look[e].title,
            "key": key(look[e]),
            "base": e == base,
            "median": number(medians[e].value, max(2, digits)),
            "below": percent(below[e]),
            "bar": shift_bar(s.median, s.median_low, s.median_high, limit, look[e].colour) if s else None,
            "words": shift_words(s, digits) if s else None,
        }
        for e in shown
        for s in (by.get((e, base)),)
    ]
    bases = list(dict.fromkeys(s.baseline for s in shifts))
    return {
        "finding": finding(first, look, digits),
        "baseline": look[base].title,
        "limit": f"{limit:.{digits}f}",
        "rows": rows,
        "bases": [(shown.index(b), look[b].title) for b in bases if b in shown] if len(bases) > 1 else [],
        "base": shown.index(base),
        "left_out": len(names) - len(shown),
        "n": first[0].n,
        "data": None
        if len(bases) < 2
        else {
            "limit": round(limit, digits + 2),
            "decimals": digits,
            "colours": [look[e].colour for e in shown],
            "of": [[_numbers(by.get((e, b)), digits) for e in shown] for b in shown],
        },
        "csv": to_csv([_record(s) for s in shifts]),
    }


def _shown(names: Sequence[str], base: str) -> list[str]:
    """The encoders in the table: the first ones in order, and the baseline."""
    kept = list(names[:FIRST])
    return kept if base in kept else [*kept[:-1], base]


def decimals(limit: float) -> int:
    """So many decimals that the largest difference has two digits, at least two decimals and at most six.

    >>> decimals(0.4), decimals(0.012), decimals(1e-9)
    (2, 3, 6)
    """
    places = 2
    while places < 6 and limit < 10 ** (1 - places):
        places += 1
    return places


def plus(value: float, places: int) -> str:
    """A difference with its sign and a true minus.

    >>> plus(0.123, 2), plus(-0.004, 2), plus(-0.05, 2)
    ('+0.12', '0.00', '−0.05')
    """
    text = f"{abs(value):.{places}f}"
    return text if float(text) == 0 else ("+" if value > 0 else "−") + text


def shift_words(s: Shift, places: int) -> tuple[str, str, str, str]:
    """Difference of medians, its interval, difference of the shares below 1 in points, its interval."""
    median = f"{plus(s.median_low, places)} to {plus(s.median_high, places)}"
    below = f"{signed(100 * s.below_low)} to {signed(100 * s.below_high)}"
    return plus(s.median, places), median, signed(100 * s.below), below


def finding(shifts: Sequence[Shift], look: Mapping[str, Look], places: int) -> str:
    """What the differences show, in a title: the largest sure gain, or that there is none."""
    base = look[shifts[0].baseline].title
    up, down = ([s for s in shifts if s.sure and sign * s.median > 0] for sign in (1, -1))
    if up:
        s = max(up, key=lambda s: s.median)
        ends = [plus(v, places).removeprefix("+") for v in (s.median_low, s.median_high)]
        return (
            f"The median ratio under {look[s.encoder].title} is {s.median:.{places}f} above that under {base} "
            f"(its own 95% interval {ends[0]} to {ends[1]}, n = {s.n:,})"
        )
    if down:
        some = "every other encoder" if len(down) == len(shifts) else f"{len(down)} of {len(shifts)} others"
        return f"No median ratio lies above that under {base} by its own 95% interval; under {some} it lies below"
    return f"No median ratio differs from that under {base} by its own 95% interval"


def _numbers(s: Shift | None, places: int) -> list[float] | int:
    if s is None:
        return 0
    medians = [round(v, places + 1) for v in (s.median, s.median_low, s.median_high)]
    return [*medians, *(round(100 * v, 2) for v in (s.below, s.below_low, s.below_high))]


def _record(s: Shift) -> dict[str, object]:
    named = {"encoder": s.encoder, "baseline": s.baseline, "n": s.n}
    fields = ("median", "median_low", "median_high", "below", "below_low", "below_high")
    return {
        **named,
        **{f"{name.replace('below', 'share_below_1')}": float(f"{getattr(s, name):.4g}") for name in fields},
    }


def median_of(result: Result) -> Measurement:
    """The median ratio of a cell."""
    return next(m for m in result.cell.rows if m.metric == "distance_ratio_median")


def tasks_table(results: Iterable[Result], order: Sequence[str], look: Mapping[str, Look]) -> dict[str, Any] | None:
    """Medians with their intervals, encoders down and tasks across; None where there is one task."""
    here = in_order([r for r in results if r.protocol == "discriminability"], order)
    tests = {r.task: (r.about["title"], r.cell.rows[0].n) for r in here}
    if len(tests) < 2:
        return None
    tasks = sorted(tests, key=lambda t: (-tests[t][1], t))
    by = {(r.encoder, r.task): median_of(r) for r in here}
    encoders = list(dict.fromkeys(r.encoder for r in here))
    return {
        "columns": [tests[t] for t in tasks],
        "rows": [
            {"key": key(look[e]), "title": look[e].title, "medians": [by.get((e, t)) for t in tasks]}
            for e in encoders[:ROWS]
        ],
        "left_out": max(0, len(encoders) - ROWS),
    }
