"""Two encoders picture by picture: how many only one has right, in which classes they differ, and pictures of either sort."""

from __future__ import annotations

import itertools
import math
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from relic_eval.cells import Result
from relic_eval.contrast import Contrast, Group, contrast, only_over_classes, right_or_wrong
from relic_eval.pairing import test_items
from reports.drawings.board import change_bar
from reports.sections.choose import shown
from reports.sections.section import Material, Section
from reports.sections.sheet import Sheet, view
from reports.style import clipped, short
from reports.tables import to_csv
from reports.words import counted, signed, verb

PROTOCOLS = ("linear-byol", "knn")  # the first that two encoders have on the first task
MOST = 4  # encoders between which one may choose; every two of them are on the page
PICTURES = 12  # a side
CLASSES = 8  # of the largest differences
MOST_ROWS = 100  # classes in the CSV
SURE = 0.05


def differences_section(m: Material) -> Section | None:
    """Every two of the first encoders; None where no two have cells of the same images."""
    here = next((its for p in PROTOCOLS if len(its := comparable(m, p)) > 1), [])
    if not here:
        return None
    chosen = chosen_encoders(here, m.board.baseline)
    content = differences_content(chosen, m)
    others = [short(r.encoder, 40) for r in here if r not in chosen]
    content |= {"others": others, "command": _command(chosen[0])}
    return Section("differences", "Differences", content, {"differences": content["csv"]}, content["data"])


def comparable(m: Material, protocol: str) -> list[Result]:
    """The cells of a protocol on its first task that judge the same images as the first of them, in the order of the board."""
    here = [r for r in shown(m.results, protocol, m.order) if r.encoder in m.order and right_or_wrong(r)]
    if not here:
        return []
    first, items = here[0], np.sort(test_items(here[0]))
    same = ("data", "classes")
    return [
        r
        for r in here
        if all(r.about[name] == first.about[name] for name in same) and np.array_equal(np.sort(test_items(r)), items)
    ]


def chosen_encoders(here: Sequence[Result], baseline: str | None) -> list[Result]:
    """The first MOST of the board, the baseline among them, and first the two that are shown: the leader and the baseline."""
    base = next((r for r in here[1:] if r.encoder == baseline), here[1])
    rest = [r for r in here[1:] if r is not base]
    return [here[0], base, *rest[: MOST - 2]]


def differences_content(chosen: Sequence[Result], m: Material) -> dict[str, Any]:
    """Each two in both orders, and the pictures that they need, each once."""
    pool: dict[str, int] = {}  # id -> number among the pictures on the page
    pairs, rows = {}, []
    for a, b in itertools.combinations(range(len(chosen)), 2):
        c = contrast(chosen[a], chosen[b])
        pairs[f"{a},{b}"] = _pair(chosen[a], chosen[b], c, ("a", "b"), m.sheet, pool)
        pairs[f"{b},{a}"] = _pair(chosen[b], chosen[a], c, ("b", "a"), m.sheet, pool)
        rows += _csv(chosen[a], chosen[b], c, with_classes=(a, b) == (0, 1))
    data: dict[str, Any] = {
        "classes": [clipped(name) for name in chosen[0].about["classes"]],
        "names": list(pool),
        "true": _of(chosen[0], "true", pool),
        "said": [_of(r, "predicted", pool) for r in chosen],
        "places": m.sheet.places(str(chosen[0].about["data"]["test"]), list(pool)),
        "encoders": [short(r.encoder, 40) for r in chosen],
        "pairs": pairs,
    }
    return {
        "data": data,
        "first": pairs["0,1"],
        "classes": [_class_row(its, data, pairs["0,1"]["limit"]) for its in pairs["0,1"]["classes"]],
        "sides": [_side(side, data) for side in (0, 1)],
        "short": [short(r.encoder) for r in chosen],
        "title": chosen[0].about["title"],
        "protocol": chosen[0].protocol,
        "n": len(test_items(chosen[0])),
        "pictures": max(data["places"], default=-1) >= 0,
        "csv": to_csv(rows),
    }


def finding(a: str, b: str, whole: Group) -> str:
    """What a pair shows, in a title.

    >>> finding("A", "B", Group("all", "all", 90, 60.0, 20.0, 5.0, 5.0, 0.1667, 0.06, 0.27, 0.004, True))
    'Only A has 20 images right, only B 5: 16.7 points more for A (95% interval of this pair alone 6.0 to 27.0)'
    >>> finding("A", "B", Group("all", "all", 90, 60.0, 7.0, 5.0, 18.0, 0.022, -0.06, 0.1, 0.6, False))
    'Only A has 7 images right, only B 5: which of them is better is not certain'
    """
    said = f"Only {a} {verb(a, 'has', 'have')} {counted(round(whole.only_a), 'image')} right, only {b} {round(whole.only_b):,}"
    if not sure(whole):
        return f"{said}: which of them is better is not certain"
    better = a if whole.difference > 0 else b
    points, low, high = (100 * v for v in (abs(whole.difference), *sorted((abs(whole.low), abs(whole.high)))))
    return f"{said}: {points:.1f} points more for {better} (95% interval of this pair alone {low:.1f} to {high:.1f})"


def sure(group: Group) -> bool:
    """Whether both the interval and the test say that there is a difference."""
    return group.p < SURE and not group.low <= 0 <= group.high


def _pair(
    first: Result, second: Result, c: Contrast, sides: tuple[str, str], sheet: Sheet, pool: dict[str, int]
) -> dict[str, Any]:
    groups = [g if sides[0] == "a" else _turned(g) for g in c.groups]
    whole, names = groups[0], [short(r.encoder, 40) for r in (first, second)]
    classes = [g for g in groups if g.kind == "class" and g.difference]
    told = sorted(classes, key=lambda g: (not g.certain, g.p, -abs(g.difference), g.name))[:CLASSES]
    limit = 10 * math.ceil(max([10 * max(abs(g.low), abs(g.high)) for g in told], default=1))
    p = "p < 0.001" if whole.p < 0.001 else f"p = {whole.p:.3f}"
    ends = f"{signed(100 * whole.low)} to {signed(100 * whole.high)}"
    return {
        "title": finding(names[0], names[1], whole),
        "counts": [round(v) for v in (whole.both, whole.only_a, whole.only_b, whole.neither)],
        "said": f"{names[0]} {signed(100 * whole.difference)} points against {names[1]} (95% interval {ends}, n = {whole.n:,}; McNemar's {p}).",
        "classes": [_group(g, first.about["classes"]) for g in told],
        "limit": limit,
        "only": [_pictures(c, side, str(first.about["data"]["test"]), sheet, pool) for side in sides],
    }


def _turned(g: Group) -> Group:
    """The same seen from the other side."""
    counts = (g.both, g.only_b, g.only_a, g.neither)
    return Group(g.kind, g.name, g.n, *counts, -g.difference, -g.high, -g.low, g.p, g.certain)


def _group(g: Group, classes: Sequence[str]) -> list[float]:
    """Class, n, only the first, only the second, difference and interval in points, certain."""
    ends = [round(100 * v, 1) for v in (g.difference, g.low, g.high)]
    return [classes.index(g.name), g.n, round(g.only_a), round(g.only_b), *ends, int(g.certain)]


def _pictures(c: Contrast, side: str, data: str, sheet: Sheet, pool: dict[str, int]) -> list[int]:
    """Numbers of the pictures that only this side has right, over many classes; of images without a picture where none has one."""
    items = [str(item) for item in c.pictures["item"][only_over_classes(c.pictures, side)]]
    seen = list(itertools.islice((i for i in items if sheet.place(data, i) >= 0), PICTURES))
    return [pool.setdefault(item, len(pool)) for item in seen or items[:PICTURES]]


def _of(result: Result, name: str, items: Iterable[str]) -> list[int]:
    """A column of the predictions for these images; cells may have them in another order."""
    table = result.cell.predictions or {}
    place = {item: row for row, item in enumerate(table["item"].tolist())}
    return [int(table[name][place[item]]) for item in items]


def _class_row(its: Sequence[float], data: dict[str, Any], limit: float) -> dict[str, Any]:
    where, n, only_a, only_b, value, low, high, certain = its
    return {
        "name": data["classes"][int(where)],
        "n": n,
        "only": (only_a, only_b),
        "value": signed(value),
        "ends": f"{signed(low)} to {signed(high)}",
        "certain": certain,
        "bar": change_bar(value, low, high, limit),
    }


def _side(side: int, data: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "view": view(data["places"][number]),
            "name": data["names"][number],
            "true": data["classes"][data["true"][number]],
            "other": data["classes"][data["said"][1 - side][number]],
        }
        for number in data["pairs"]["0,1"]["only"][side]
    ]


def _csv(first: Result, second: Result, c: Contrast, with_classes: bool) -> list[dict[str, Any]]:
    """All images and superclasses; of classes the MOST_ROWS that differ most."""
    kept = [g for g in c.groups if g.kind != "class"]
    if with_classes:
        kept += sorted((g for g in c.groups if g.kind == "class"), key=lambda g: (g.p, g.name))[:MOST_ROWS]
    counts = ("n", "both", "only_a", "only_b", "neither", "difference", "low", "high", "p", "certain")
    return [
        {
            "a": first.encoder,
            "b": second.encoder,
            "group": g.name,
            **{n: round(v, 4) if isinstance(v := getattr(g, n), float) else v for n in counts},
        }
        for g in kept
    ]


def _command(result: Result) -> str:
    """What compares two others in a terminal."""
    about = ("--task", result.task, "--protocol", result.protocol)
    return f"relic-eval compare A B {shlex.join(about)} --out OUT"
