"""Who is certainly above whom: those whose 95% intervals do not touch. Nothing finer is claimed in the title of a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relic_eval.records import Measurement
from reports.style import short
from reports.words import several, verb


@dataclass(frozen=True)
class Standing:
    """The encoder with the highest value, those surely below it, and those that its interval does not part from it."""

    best: str
    below: tuple[str, ...]
    near: tuple[str, ...]


def above(one: Measurement, other: Measurement) -> bool:
    """Whether the whole interval of the one lies above that of the other; of a missing interval nothing is sure.

    >>> above(Measurement("top1", 0.6, 0.5, 0.7), Measurement("top1", 0.4, 0.3, 0.45)), above(Measurement("top1", 0.6), Measurement("top1", 0.4))
    (True, False)
    """
    return one.low is not None and other.high is not None and one.low > other.high


def standing(values: Mapping[str, Measurement]) -> Standing | None:
    """Of measurements that are there; None of none.

    >>> standing({"a": Measurement("top1", 0.4, 0.3, 0.45), "b": Measurement("top1", 0.6, 0.5, 0.7), "c": Measurement("top1", None)})
    Standing(best='b', below=('a',), near=())
    """
    there = {n: m.value for n, m in values.items() if m.value is not None}
    if not there:
        return None
    best, *rest = sorted(there, key=lambda n: -there[n])
    below = tuple(n for n in rest if above(values[best], values[n]))
    return Standing(best, below, tuple(n for n in rest if n not in below))


def names(encoders: Sequence[str]) -> str:
    """Encoders in a sentence, long names cut.

    >>> names(["byol", "x" * 30])
    'BYOL and xxxxxxxxxxxx…xxxxxxxxxxx'
    """
    return several([short(n) for n in encoders])


def said(s: Standing, value: str) -> str:
    """The standing as a title: who has the highest value, and how surely.

    >>> said(Standing("byol", ("pixels",), ("relic",)), "top-1")
    'BYOL has the highest top-1, surely above Pixels; not told apart from RELIC'
    """
    text = f"{short(s.best)} {verb(short(s.best), 'has', 'have')} the highest {value}"
    if s.below:
        text += f", surely above {names(s.below)}"
    return text + (f"{';' if s.below else ','} not told apart from {names(s.near)}" if s.near else "")


SURELY = "Surely: the 95% intervals do not touch."
