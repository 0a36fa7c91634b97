"""The tables of published numbers, checked row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources

from relic_eval.errors import DataError

SURE = ("seen", "seen-2nd")  # read at the stated place; read in another's table
MARKS = (*SURE, "mem hi", "mem med-hi", "mem med", "mem", "mem lo")  # recalled, from sure to not so sure
METRICS = ("top1", "top5", "mean_per_class", "map11", "miou", "mce", "relative_mce")
ERRORS = ("mce", "relative_mce")  # lower is better, and above 100 is possible
HEAD = (
    "method",
    "network",
    "parameters_m",
    "pretraining",
    "task",
    "protocol",
    "metric",
    "n",
    "value",
    "source",
    "mark",
    "verified",
    "note",
)


@dataclass(frozen=True)
class Published:
    """One published number, in per cent as it was printed."""

    method: str
    network: str
    parameters_m: float | None  # millions
    pretraining: str
    task: str
    protocol: str
    metric: str
    n: int | None  # test images, where they are known: another number of images is another task
    value: float
    source: str
    mark: str
    verified: bool  # read where it stands, or in another's table; shown as hollow or in parentheses otherwise
    note: str = ""


def published(*, verified: bool = False) -> tuple[Published, ...]:
    """All published numbers, or only the verified ones. Raises DataError for a table that is damaged.

    >>> [p.value for p in published() if (p.method, p.network, p.metric, p.mark) == ("RELICv2", "resnet50", "top1", "seen")]
    [77.1]
    """
    return tuple(p for p in _all() if p.verified or not verified)


@cache
def _all() -> tuple[Published, ...]:
    found: list[Published] = []
    for file in sorted(resources.files(__package__).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".csv"):
            found += parse(file.read_text(encoding="utf-8"), file.name)
    refuse_twice(found)
    return tuple(found)


def parse(text: str, name: str) -> list[Published]:
    """The rows of one table; a DataError that names the line for a row that is not as it should be.

    >>> parse("method,value", "t.csv")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: t.csv: expected the columns method, network, ..., received method, value.
    """
    reader = csv.reader(io.StringIO(text))
    head = next(reader, [])
    if tuple(head) != HEAD:
        raise DataError(f"{name}: expected the columns {', '.join(HEAD)}, received {', '.join(head)}.")
    return [_row(cells, f"{name}, line {number}") for number, cells in enumerate(reader, 2)]


def refuse_twice(rows: Iterable[Published]) -> None:
    """A DataError where two rows say the same thing of the same source.

    >>> refuse_twice(())
    """
    seen = set()
    for p in rows:
        key = (p.method, p.network, p.pretraining, p.task, p.protocol, p.metric, p.source)
        if key in seen:
            raise DataError(f"published numbers: expected one row for {', '.join(key)}, received two.")
        seen.add(key)


def _row(cells: list[str], place: str) -> Published:
    if len(cells) != len(HEAD):
        raise DataError(f"{place}: expected {len(HEAD)} cells, received {len(cells)}.")
    said = dict(zip(HEAD, cells, strict=True))
    for name in ("method", "network", "pretraining", "task", "protocol", "source"):
        if not said[name].strip():
            raise DataError(f"{place}: expected a {name}, received none.")
    if said["metric"] not in METRICS:
        raise DataError(f"{place}: expected a metric of {', '.join(METRICS)}, received {said['metric']!r}.")
    if said["mark"] not in MARKS:
        raise DataError(f"{place}: expected a mark of {', '.join(MARKS)}, received {said['mark']!r}.")
    verified = said["mark"] in SURE
    if said["verified"] != str(verified).lower():
        raise DataError(f"{place}: expected verified = {str(verified).lower()} for {said['mark']!r}, received another.")
    value = _number(said["value"], place)
    if not 0 < value <= (100 if said["metric"] not in ERRORS else 1000):
        raise DataError(f"{place}: expected a value in per cent, received {value}.")
    return Published(
        said["method"],
        said["network"],
        _number(said["parameters_m"], place) if said["parameters_m"] else None,
        said["pretraining"],
        said["task"],
        said["protocol"],
        said["metric"],
        int(_number(said["n"], place)) if said["n"] else None,
        value,
        said["source"],
        said["mark"],
        verified,
        said["note"],
    )


def _number(text: str, place: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{place}: expected a number, received {text!r}.") from None
