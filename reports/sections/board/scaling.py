"""Accuracy over the size of networks: the encoders of the board, and on ImageNet beside what others published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from relic_eval.board import Board, Cost, costs_of
from relic_eval.cells import Result
from relic_eval.published import Own, larger_networks
from reports.drawings.among import among
from reports.drawings.sizes import Upward, across, sizes, upward
from reports.published import larger_csv
from reports.sections.section import Material, Section
from reports.style import title
from reports.tables import cost_words, heads, to_csv
from reports.words import METRICS, PROTOCOLS, counted, percent, verb

IMAGENET = ("imagenet", "linear-imagenet", 50_000)  # task, protocol and images of the published numbers


@dataclass(frozen=True)
class Choice:
    """What is drawn upwards: its name, its finding, and of each encoder value, low and high as fractions, and whether tied."""

    name: str
    values: Sequence[tuple[float, float | None, float | None, bool] | None]
    beaten: bool = False  # by an encoder of unknown size, which is not drawn


def scaling_section(m: Material) -> Section | None:
    """Nothing where fewer than two encoders of the board have a known number of parameters."""
    costs = costs_of(m.stores)
    names = [e for e in m.order if costs.get(e, Cost()).parameters]
    own = own_on_imagenet(m.results, costs)
    figure = _figure(m, names, costs) if len(names) > 1 else None
    if figure is None and not own:
        return None
    said = among(own, m.look) if own else Markup("")
    content = {"figure": figure, "among": said, "larger": larger_networks(own) if own else [], "own": len(own)}
    csv = {"sizes": figure["csv"]} if figure else {}
    return Section(
        "scaling", "Size", content, csv | ({"larger": larger_csv(own)} if own else {}), figure and figure["data"]
    )


def own_on_imagenet(results: Sequence[Result], costs: Mapping[str, Cost]) -> tuple[Own, ...]:
    """Encoders with ImageNet's linear probe on the images of the published numbers, and a known number of parameters.

    >>> own_on_imagenet([], {})
    ()
    """
    found = []
    for r in results:
        its, count = r.cell.rows[0], costs.get(r.encoder, Cost()).parameters
        if (r.task, r.protocol, its.n) == IMAGENET and its.metric == "top1" and its.value is not None and count:
            found.append(Own(r.encoder, count / 1e6, 100 * its.value))
    return tuple(found)


def choices(board: Board, names: Sequence[str]) -> list[Choice]:
    """Of each protocol with several columns their mean over the encoders that have all, then each column; none without two marks."""
    rows = {r.encoder: r for r in board.rows}
    found, titles = [], heads(board.columns)
    for protocol in dict.fromkeys(c.protocol for c in board.columns):
        places = [i for i, c in enumerate(board.columns) if c.protocol == protocol]
        if len(places) > 1:
            found.append(_mean(board, protocol, places, names))
    for i, c in enumerate(board.columns):
        its = [(e.value, e.low, e.high, e.tied_with_best) if (e := rows[n].entries[i]) else None for n in names]
        name = titles[i] + ("" if c.metric == "top1" else f", {METRICS[c.metric]}")
        every = [e.value for r in board.rows if (e := r.entries[i])]
        found.append(Choice(name, its, _beaten(its, every)))
    return [c for c in found if sum(v is not None for v in c.values) > 1]


def _beaten(its: Sequence[tuple | None], every: Sequence[float]) -> bool:
    return max(every, default=0.0) > max([v[0] for v in its if v], default=0.0)


def _mean(board: Board, protocol: str, places: Sequence[int], names: Sequence[str]) -> Choice:
    of = {
        r.encoder: sum(e.value for i in places if (e := r.entries[i])) / len(places)
        for r in board.rows
        if all(r.entries[i] for i in places)
    }
    means = [of.get(n) for n in names]
    most = max([v for v in means if v is not None], default=0.0)
    its = [None if v is None else (v, None, None, v == most) for v in means]
    name = f"Mean of {counted(len(places), 'task')}, {PROTOCOLS.get(protocol, protocol)}"
    return Choice(name, its, _beaten(its, list(of.values())))


def finding(choice: Choice, names: Sequence[str], costs: Mapping[str, Cost]) -> str:
    """The best and its size, and the smallest that cannot be told apart from the best of all."""
    there = [(v, n) for v, n in zip(choice.values, names, strict=True) if v is not None]
    size = {n: costs[n].parameters or 0 for _, n in there}
    value, best = max(((v[0], n) for v, n in there), key=lambda pair: (pair[0], -size[pair[1]]))
    said = (
        f"{title(best)} {verb(title(best), 'reaches', 'reach')} {percent(value)}% with {_size(costs[best])} parameters"
    )
    if all(v[1] is None for v, _ in there):
        return f"{choice.name}: {said}, the highest{' of known size' if choice.beaten else ''}"
    small = min((n for v, n in there if v[3] and size[n] < size[best]), key=lambda n: size[n], default=None)
    if small is not None:
        return f"{choice.name}: {said}; {title(small)} with {_size(costs[small])} cannot be told apart from the best"
    smaller = sum(size[n] < size[best] for _, n in there)
    if choice.beaten:  # who is tied, is so with the best of all
        said += ", the highest of known size"
        return f"{choice.name}: {said}" + ("; every smaller one is surely worse than the best" if smaller else "")
    return f"{choice.name}: {said}" + ("; every smaller one is surely worse" if smaller else "; none is smaller")


def _size(cost: Cost) -> str:
    return cost_words(cost)[0]


def _figure(m: Material, names: Sequence[str], costs: Mapping[str, Cost]) -> dict[str, Any] | None:
    every = choices(m.board, names)
    if not every:
        return None
    looks = [m.look[n] for n in names]
    parameters = [(costs[n].parameters or 0) / 1e6 for n in names]
    gflops = [costs[n].gflops for n in names]
    sides = [("Parameters, millions", across(parameters, len(names)))]
    sides += (
        [("GFLOPs a picture", across(gflops, len(names)))] if sum(g is not None and g > 0 for g in gflops) > 1 else []
    )
    ups = [upward(Upward([None if v is None else _hundred(v) for v in c.values])) for c in every]
    titles = [finding(c, names, costs) for c in every]
    drawing = sizes(looks, sides[0][1], ups[0], (sides[0][0], "Accuracy, %"), titles[0])
    return {
        "title": titles[0],
        "drawing": drawing,
        "choices": [c.name for c in every],
        "sides": [name for name, _ in sides],
        "unknown": [title(e) for e in m.order if e not in names],
        "csv": _csv(every, names, costs),
        "data": {"x": [{"title": name, **at} for name, at in sides], "y": ups, "titles": titles},
    }


def _hundred(v: tuple[float, float | None, float | None, bool]) -> tuple[float, float | None, float | None]:
    return 100 * v[0], None if v[1] is None else 100 * v[1], None if v[2] is None else 100 * v[2]


def _csv(every: Sequence[Choice], names: Sequence[str], costs: Mapping[str, Cost]) -> str:
    """Sizes and means: the values of each column are in the board's own table."""
    means = [c for c in every if c.name.startswith("Mean of")]
    rows: list[dict[str, object]] = []
    for i, n in enumerate(names):
        its = {c.name: (c.values[i] or (None,))[0] for c in means}
        rows.append({"encoder": n, "parameters": costs[n].parameters, "gflops": costs[n].gflops, **its})
    return to_csv(rows)
