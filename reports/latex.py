"""The board as a LaTeX table (booktabs): the best of a column bold, those tied with it underlined."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping

from relic_eval.board import Board, Cost, Row
from reports.style import title
from reports.tables import cost_cells, cost_heads, heads, leaks_words, left_out_words
from reports.words import METRICS

SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # at the start of a row it would be an option of the row before
    "*": "{*}",
    "\u2013": "--",
    "\u2014": "---",
    "\u2026": r"\dots{}",
    "\u2212": r"$-$",
    "\u00d7": r"$\times$",
}
ABOUT = (
    "% \\usepackage{booktabs}",
    "% Bold: best of its column; underlined: tied with the best (the paired 95% interval of the difference includes 0).",
)


def board_latex(board: Board, costs: Mapping[str, Cost] | None = None) -> str:
    r"""The board as a tabular: values in per cent, mean change with its interval over images, and rank.

    >>> print(board_latex(Board(None, (), (), ())).splitlines()[-1])
    \end{tabular}
    """
    extra = cost_heads(costs)
    names = [escaped(h) for h in heads(board.columns)]
    metrics = [escaped(METRICS.get(c.metric, c.metric)) for c in board.columns]
    over = [f"Change against {escaped(title(board.baseline or ''))}, \\%", "Rank", *map(escaped, extra)]
    lines = [
        *ABOUT,
        "\\begin{tabular}{l" + "r" * (len(names) + 2 + len(extra)) + "}",
        "\\toprule",
        " & ".join(["Encoder", *names, *over]) + r" \\",
        " & ".join(["", *metrics, "mean (95\\%)", "", *[""] * len(extra)]) + r" \\",
        "\\midrule",
        *[
            " & ".join([escaped(title(r.encoder)), *_values(r, board), *_over(r, board), *_cost(costs, r)]) + r" \\"
            for r in board.rows
        ],
        "\\bottomrule",
        "\\end{tabular}",
        *[f"% {words}" for words in (left_out_words(board), leaks_words(board)) if words],
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    r"""Text that LaTeX prints as it is; letters that its fonts lack by their number.

    >>> print(escaped("a_b & 50%"), escaped("\\x^2"), escaped("\u4e2d"))
    a\_b \& 50\% \textbackslash{}x\textasciicircum{}2 {[}U+4E2D]
    """
    return "".join(SIGNS.get(c) or (c if _plain(c) else f"{{[}}U+{ord(c):04X}]") for c in text)


def _plain(c: str) -> bool:
    """Whether pdfLaTeX has the letter: ASCII, and the accented letters of Latin-1 but those of Icelandic."""
    return " " <= c <= "~" or (c <= "\u00ff" and c not in "ÐðÞþµ" and unicodedata.category(c) in ("Ll", "Lu"))


def _values(row: Row, board: Board) -> list[str]:
    cells = []
    for number, entry in enumerate(row.entries):
        text = "--" if entry is None else f"{100 * entry.value:.1f}"
        if entry is not None and board.best(number) == row.encoder:
            text = f"\\textbf{{{text}}}"
        elif entry is not None and entry.tied_with_best:
            text = f"\\underline{{{text}}}"
        cells.append(text)
    return cells


def _over(row: Row, board: Board) -> list[str]:
    if row.change is None or row.rank is None or row.change_low is None or row.change_high is None:
        return ["--", f"{row.measured} of {len(board.columns)}"]
    high = "+\\infty" if math.isinf(row.change_high) else f"{row.change_high:+.1f}"
    change = f"${row.change:+.1f}$ (${row.change_low:+.1f}$ to ${high}$)"
    return [change, f"{row.rank}" if row.rank == row.rank_last else f"{row.rank} to {row.rank_last}"]


def _cost(costs: Mapping[str, Cost] | None, row: Row) -> list[str]:
    return [escaped(c) if c != "-" else "--" for c in cost_cells(costs, row.encoder)]
