"""The board: values, bars, changes, ranks, and why a cell is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relic_eval.board import Board, Column, Cost, Difference, Entry, Row, costs_of
from reports.drawings.board import change_bar, interval_bar
from reports.drawings.marks import key
from reports.sections.section import Material, Section
from reports.style import Look, looks, title
from reports.tables import board_csv, cost_words, leaks_words, left_out_words
from reports.words import METRICS, counted

PROTOCOLS = {"linear-byol": "linear probe", "fewshot-5": "20 draws", "knn": "nearest neighbours"}


def board_section(m: Material) -> Section:
    """The board, with what each encoder costs."""
    content = board_content(m.board, m.failures, costs_of(m.stores), m.look)
    return Section("board", "Board", content, {"board": content["csv"]})


def board_content(
    board: Board,
    failures: Sequence[Mapping[str, str]],
    costs: Mapping[str, Cost] | None = None,
    look: Mapping[str, Look] | None = None,
) -> dict[str, Any]:
    """Columns, rows with their small drawings, what is said over all of them, and all pairs."""
    costs = costs or {}
    look = look or looks(r.encoder for r in board.rows)
    changes = [e.change for r in board.rows for e in r.entries if e and e.change is not None]
    limit = max([abs(c) for c in changes] + [1.0])
    scales = [_scale(board, place) for place in range(len(board.columns))]
    reasons = {(f["encoder"], f["task"], f["protocol"]): f["error"] for f in failures}
    return {
        "finding": finding(board),
        "columns": [column(c) for c in board.columns],
        "rows": [_row(r, board, look[r.encoder], scales, limit, reasons) for r in board.rows],
        "baseline": title(board.baseline or ""),
        "limit": limit,
        "over": [_over(r, board, costs.get(r.encoder, Cost())) for r in board.rows],
        "differences": [_difference(board, d) for d in board.differences],
        "csv": board_csv(board, costs),
        "left_out": left_out_words(board),
        "leaks": leaks_words(board),
        "measured": any(r.rank is not None for r in board.rows),
    }


def finding(board: Board) -> str:
    """What the board shows, in a title.

    >>> finding(Board(None, (), (), ()))
    'Nothing has been measured'
    """
    counts = {r.encoder: sum(e is not None and e.tied_with_best for e in r.entries) for r in board.rows}
    if not counts:
        return "Nothing has been measured"
    most = max(counts.values())
    first = next(r.encoder for r in board.rows if counts[r.encoder] == most)
    others = [title(r.encoder) for r in board.rows if counts[r.encoder] == most and r.encoder != first]
    also = f", as often as {others[0]}" if len(others) == 1 else f", as often as {len(others)} others" if others else ""
    return f"{title(first)}: best of its column, or tied with the best, in {most} of {counted(len(board.columns), 'column')}{also}"


def column(c: Column) -> dict[str, Any]:
    """The head of a column."""
    how, metric = PROTOCOLS.get(c.protocol, c.protocol), METRICS.get(c.metric, c.metric)
    how += ", without leaks" if c.without_leaks else ""
    return {"title": c.title, "how": how, "n": c.n, "metric": "" if c.metric == "top1" else metric}


def _scale(board: Board, place: int) -> tuple[float, float]:
    ends = [v for r in board.rows if (e := r.entries[place]) is not None for v in (e.low, e.high)]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _row(
    r: Row, board: Board, look: Look, scales: Sequence[tuple[float, float]], limit: float, reasons: Mapping
) -> dict[str, Any]:
    cells = []
    for c, entry, scale in zip(board.columns, r.entries, scales, strict=True):
        if entry is None:
            cells.append({"entry": None, "why": _why(r.encoder, c, reasons)})
        else:
            cells.append(_cell(entry, look, scale, limit, r.encoder == board.baseline))
    mean = None if r.change is None else change_bar(r.change, r.change_low, r.change_high, limit)
    return {
        "title": look.title,
        "key": key(look),
        "row": r,
        "cells": cells,
        "bar": mean,
        "base": r.encoder == board.baseline,
    }


def _cell(entry: Entry, look: Look, scale: tuple[float, float], limit: float, base: bool) -> dict[str, Any]:
    change = None
    if entry.change is not None and not base:
        change = change_bar(entry.change, entry.change_low, entry.change_high, limit)
    return {
        "entry": entry,
        "bar": interval_bar(entry.value, entry.low, entry.high, look.colour, scale),
        "change": change,
    }


def _why(encoder: str, c: Column, reasons: Mapping[tuple[str, str, str], str]) -> str:
    error = reasons.get((encoder, c.task, c.protocol))
    if error:
        return f"Missing: {error}"
    return f"Not measured: there is no cell of {title(encoder)} for task {c.task}, protocol {c.protocol}."


def _over(r: Row, board: Board, cost: Cost) -> dict[str, Any]:
    return {
        "title": title(r.encoder),
        "row": r,
        "base": r.encoder == board.baseline,
        "measured": f"{r.measured} of {len(board.columns)}",
        "cost": cost_words(cost),
    }


def _difference(board: Board, d: Difference) -> dict[str, Any]:
    c = board.columns[d.column]
    return {
        "task": f"{c.title}, {PROTOCOLS.get(c.protocol, c.protocol)}",
        "better": title(d.better),
        "worse": title(d.worse),
        "difference": d,
    }
