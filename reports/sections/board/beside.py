"""Published numbers beside the board: a row a method and source, in the columns of the same task, protocol, metric and images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relic_eval.board import Board, Cost
from relic_eval.published import Published, published_beside
from reports.published import networks_of
from reports.tables import heads

MOST = 40  # rows at most


@dataclass(frozen=True)
class Beside:
    """Numbers and heads of the columns that have counterparts, and the rows; how many more rows there are."""

    columns: list[int]
    heads: list[str]
    rows: list[dict[str, object]]
    more: int
    recalled: bool  # whether any is not verified


def beside(board: Board, costs: Mapping[str, Cost]) -> Beside | None:
    """What others published of the networks on the board (of all where none is known); None where there is nothing."""
    found = published_beside(board, networks_of(costs))
    if not found:
        return None
    columns = sorted(found)
    groups: dict[tuple[str, str, str, str], dict[int, list[Published]]] = {}
    for number in columns:
        for p in found[number]:
            groups.setdefault((p.method, p.network, p.pretraining, p.source), {}).setdefault(number, []).append(p)
    # those with the most columns first: a row of one number says little beside a board
    order = sorted(groups, key=lambda key: (-len(groups[key]), key))
    rows = [_row(key, groups[key], columns) for key in order[:MOST]]
    recalled = any(not p.verified for key in order[:MOST] for its in groups[key].values() for p in its)
    return Beside(columns, [heads(board.columns)[i] for i in columns], rows, len(order) - len(rows), recalled)


def _row(key: tuple[str, str, str, str], its: Mapping[int, list[Published]], columns: list[int]) -> dict[str, object]:
    method, network, pretraining, source = key
    notes = dict.fromkeys(p.note for found in its.values() for p in found if p.note)
    return {
        "method": method,
        "about": f"{network}, {pretraining}",
        "source": "; ".join([source, *notes]),
        "values": [" / ".join(map(said, its.get(i, []))) for i in columns],
    }


def said(p: Published) -> str:
    """A published number in per cent, in parentheses where it is only recalled."""
    return f"{p.value:.1f}" if p.verified else f"({p.value:.1f})"
