"""A board as a notebook shows it: narrow, without script or colours of its own, names read as text."""

from __future__ import annotations

from relic_eval.board.records import Board, Column, Entry

MOST = 60  # lines
NAMES = {"top1": "top-1", "mean_per_class": "mean per class", "map11": "11-point mAP", "miou": "mean IoU"}


def board_html(board: Board, most: int = MOST) -> str:
    """Two tables: what is said of each encoder over all columns, and of each encoder and column; longer ones are cut and say so.

    >>> "<table" in board_html(Board(None, (), (), ()))
    False
    """
    from relic_eval.markup import listed, table

    if not board.rows:
        return listed(["Nothing has been measured."])
    over = [
        [
            r.encoder,
            "" if r.change is None else f"{_signed(r.change)}{_ends(r.change_low, r.change_high, _signed)}",
            "" if r.rank is None else f"{r.rank}" if r.rank == r.rank_last else f"{r.rank} to {r.rank_last}",
            f"{r.wins} of {len(board.columns)}",
        ]
        for r in board.rows
    ]
    cells = [
        [_column(c), r.encoder, _percent(e.value) + ("*" if e.tied_with_best else ""), *_rest(e, c)]
        for place, c in enumerate(board.columns)
        for r in board.rows
        if (e := r.entries[place]) is not None
    ]
    cut = len(cells) - most
    said = [
        f"In %; changes in % against {board.baseline}; 95% intervals; * best of its column or tied with it.",
        *([f"The first {most} of {len(cells)} values; a DataFrame of the board has all."] if cut > 0 else []),
    ]
    head = ["column", "encoder", "value", "95% interval", "change", "n"]
    first = table(["encoder", "mean change", "rank", "wins"], over[:most])
    return first + table(head, cells[:most]) + listed(said)


def _column(c: Column) -> str:
    metric = "" if c.metric == "top1" else f", {NAMES.get(c.metric, c.metric)}"
    return f"{c.title}, {c.protocol}{metric}{', without leaks' if c.without_leaks else ''}"


def _rest(e: Entry, c: Column) -> list[str]:
    change = "" if e.change is None else _signed(e.change)
    return [f"{_percent(e.low)} to {_percent(e.high)}", change, f"{c.n:,}"]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−").replace("inf", "∞")


def _ends(low: float | None, high: float | None, words) -> str:
    return "" if low is None or high is None else f" ({words(low)} to {words(high)})"
