"""The board: values, bars, changes, ranks, and why a cell is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relic_eval.board import Board, Column, Cost, Entry, Row, costs_of
from reports.copies import board_markdown
from reports.drawings.board import cell_bars, mean_bar, rank_bar
from reports.drawings.marks import key
from reports.latex import board_latex
from reports.letters import column_letters
from reports.sections.board.beside import beside
from reports.sections.board.fields import fields
from reports.sections.board.pairs import pairs
from reports.sections.board.relative import axis_limit, relative
from reports.sections.board.shades import legend, shades
from reports.sections.section import Material, Section
from reports.style import Look, looks, on_screen, title
from reports.tables import board_records, cost_words, leaks_words, left_out_words
from reports.words import METRICS, PROTOCOLS, counted

MANY = 14  # columns: where there are more, the page begins with those of one protocol


def board_section(m: Material) -> Section:
    """The board, with what each encoder costs."""
    costs = costs_of(m.stores)
    content = board_content(m.board, m.failures, costs, m.look)
    colours = "".join(f".e{i}{{--its:{on_screen(m.look[r.encoder].colour)}}}" for i, r in enumerate(m.board.rows))
    return Section("board", "Board", content, data=board_data(m.board, costs), style=colours)


def board_data(board: Board, costs: Mapping[str, Cost]) -> dict[str, Any]:
    """What the script sorts by, and what it makes the files of."""
    return {
        "fields": fields(board_records(board, costs), len(board.rows), len(board.columns)),
        "rows": len(board.rows),
        "columns": len(board.columns),
        "many": len(board.columns) > MANY,
        "tex": board_latex(board, costs),
        "md": board_markdown(board),
    }


def board_content(
    board: Board,
    failures: Sequence[Mapping[str, str]],
    costs: Mapping[str, Cost] | None = None,
    look: Mapping[str, Look] | None = None,
) -> dict[str, Any]:
    """Columns, rows with their small drawings, what is said over all of them, and pairs."""
    costs = costs or {}
    look = look or looks(r.encoder for r in board.rows)
    limit = axis_limit(board)
    return {
        "finding": finding(board),
        "columns": [column(c) for c in board.columns],
        "protocols": protocols(board),
        "rows": _rows(board, look, limit, failures),
        "baseline": title(board.baseline or ""),
        "limit": f"{limit:g}",
        "over": [_over(r, board, costs.get(r.encoder, Cost())) for r in board.rows],
        "pairs": pairs(board),
        "relative": relative(board, look),
        "shades": shades(board, limit),
        "legend": legend(limit),
        "beside": beside(board, costs),
        "left_out": left_out_words(board),
        "leaks": leaks_words(board),
        "measured": any(r.rank is not None for r in board.rows),
        "ranked": _ranked(board),
    }


def _ranked(board: Board) -> int:
    return sum(r.rank is not None for r in board.rows)


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
    return {
        "title": c.title,
        "how": how,
        "n": c.n,
        "metric": "" if c.metric == "top1" else metric,
        "protocol": c.protocol,
    }


def protocols(board: Board) -> list[tuple[str, str]]:
    """The protocols of the columns in their order, each with its words."""
    return [(p, PROTOCOLS.get(p, p)) for p in dict.fromkeys(c.protocol for c in board.columns)]


def _scale(board: Board, place: int) -> tuple[float, float]:
    ends = [v for r in board.rows if (e := r.entries[place]) is not None for v in (e.low, e.high)]
    return (min(ends), max(ends)) if ends else (0.0, 1.0)


def _rows(
    board: Board, look: Mapping[str, Look], limit: float, failures: Sequence[Mapping[str, str]]
) -> list[dict[str, Any]]:
    places = range(len(board.columns))
    scales, signs = [_scale(board, p) for p in places], [column_letters(board, p) for p in places]
    reasons = {(f["encoder"], f["task"], f["protocol"]): f["error"] for f in failures}
    found = []
    for r in board.rows:
        base, cells = r.encoder == board.baseline, []
        for c, entry, scale, its in zip(board.columns, r.entries, scales, signs, strict=True):
            if entry is None:
                cells.append({"entry": None, "why": _why(r.encoder, c, reasons)})
            else:
                cells.append(_cell(entry, scale, limit, base) | {"letters": its.get(r.encoder, "")})
        found.append(_row(r, look[r.encoder], limit, _ranked(board)) | {"cells": cells, "base": base})
    return found


def _row(r: Row, look: Look, limit: float, ranked: int) -> dict[str, Any]:
    mean = None if r.change is None else mean_bar(r.change, r.change_low, r.change_high, limit)
    ranks = None if r.rank is None or r.rank_last is None else rank_bar(r.rank, r.rank_last, ranked)
    return {"title": look.title, "key": key(look), "row": r, "bar": mean, "ranks": ranks}


def _cell(entry: Entry, scale: tuple[float, float], limit: float, base: bool) -> dict[str, Any]:
    change = None
    if entry.change is not None and not base:
        change = entry.change, entry.change_low, entry.change_high
    bars = cell_bars(entry.value, entry.low, entry.high, scale, change, limit)
    return {"entry": entry, "bars": bars, "change": None if change is None else entry.change}


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
