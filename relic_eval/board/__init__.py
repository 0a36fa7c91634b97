"""Cells -> values, changes against a baseline, paired intervals, ranks and ties. Reports only draw them."""

from relic_eval.board.make import BASELINE, PROTOCOLS, make_board, read_board
from relic_eval.board.records import Board, Column, Difference, Entry, Row
from relic_eval.board.table import board_table, summary_table

__all__ = [
    "BASELINE",
    "PROTOCOLS",
    "Board",
    "Column",
    "Difference",
    "Entry",
    "Row",
    "board_table",
    "make_board",
    "read_board",
    "summary_table",
]
