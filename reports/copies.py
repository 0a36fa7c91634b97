"""The board as Markdown and JSON, and all its pairs as CSV: what the page copies, and what lies beside it in tables/."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from relic_eval.board import Board, Cost, Row
from reports.latex import board_latex
from reports.style import title
from reports.tables import board_csv, board_records, heads, leaks_words, left_out_words, six_digits, to_csv
from reports.words import METRICS, percent, signed

HEAD = (
    "Values in %; **bold**: best of its column, or tied with it (the paired 95% interval of the difference includes 0)."
)
# what would be read as a mark, a link, code or a tag
MARKS = {c: f"\\{c}" for c in "\\`*_{}[]<>#|~!"} | {"\n": " ", "\r": " "}


def board_markdown(board: Board) -> str:
    """The board as a table of GitHub's Markdown: values in per cent, mean change with its interval over images, and rank.

    >>> print(board_markdown(Board("pixels", (), (), ())).splitlines()[0])
    | Encoder | Change against Pixels, %, mean (95%) | Rank |
    """
    names = [
        f"{plain(head)}, {METRICS.get(c.metric, c.metric)}"
        for head, c in zip(heads(board.columns), board.columns, strict=True)
    ]
    base = plain(title(board.baseline or ""))
    lines = [["Encoder", *names, f"Change against {base}, %, mean (95%)", "Rank"]]
    lines.append([":--", *["--:"] * (len(names) + 2)])
    for row in board.rows:
        values = [
            "" if e is None else f"**{percent(e.value)}**" if e.tied_with_best else percent(e.value)
            for e in row.entries
        ]
        lines.append([plain(title(row.encoder)), *values, *_over(row, len(board.columns))])
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return table + "".join(
        f"\n{words}\n" for words in (HEAD, plain(left_out_words(board)), plain(leaks_words(board))) if words
    )


def _over(row: Row, columns: int) -> list[str]:
    if row.change is None or row.rank is None:
        return ["", f"{row.measured} of {columns} measured"]
    change = f"{signed(row.change)} ({signed(row.change_low)} to {signed(row.change_high)})"
    return [change, f"{row.rank}" if row.rank == row.rank_last else f"{row.rank} to {row.rank_last}"]


def plain(text: str) -> str:
    r"""Text that Markdown shows as it is, on one line.

    >>> print(plain("a_b | <i>"))
    a\_b \| \<i\>
    """
    return "".join(MARKS.get(c, c) for c in text)


def board_json(board: Board, costs: Mapping[str, Cost] | None = None) -> str:
    """The records of the board as JSON, one a line; what is missing or has no end is null.

    >>> board_json(Board(None, (), (), ()))
    '[\\n]\\n'
    """
    lines = [json.dumps({k: _finite(v) for k, v in r.items()}, ensure_ascii=False) for r in board_records(board, costs)]
    return "[\n" + "".join(f"{line}{',' if i + 1 < len(lines) else ''}\n" for i, line in enumerate(lines)) + "]\n"


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def pairs_csv(board: Board) -> str:
    """Every pair of encoders in every column as CSV, differences as fractions, numbers with six digits.

    >>> pairs_csv(Board(None, (), (), ()))
    ''
    """
    return to_csv(
        [
            six_digits(
                {
                    "task": board.columns[d.column].task,
                    "protocol": board.columns[d.column].protocol,
                    "better": d.better,
                    "worse": d.worse,
                    "difference": d.value,
                    "low": d.low,
                    "high": d.high,
                    "excludes_0": d.sure,
                    "certain": d.certain,
                    "p": d.p,
                    "more_images": d.more_images,
                }
            )
            for d in board.differences
        ]
    )


def board_files(board: Board, costs: Mapping[str, Cost] | None = None) -> dict[str, str]:
    """What lies in tables/ of the board, by name; the page gives the first four out too.

    >>> list(board_files(Board(None, (), (), ())))
    ['board.csv', 'board.json', 'board.md', 'board.tex', 'pairs.csv']
    """
    return {
        "board.csv": board_csv(board, costs),
        "board.json": board_json(board, costs),
        "board.md": board_markdown(board),
        "board.tex": board_latex(board, costs),
        "pairs.csv": pairs_csv(board),
    }
