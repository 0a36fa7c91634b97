"""Cells -> values, changes against a baseline, paired intervals, ranks and ties. Reports only draw them."""

from relic_eval.board.costs import Cost, costs_of, read_costs
from relic_eval.board.make import BASELINE, PROTOCOLS, make_board, read_board
from relic_eval.board.records import Board, Column, Difference, Entry, Row
from relic_eval.board.shifts import Shift, ratio_shifts, shares_below
from relic_eval.board.table import board_table, summary_table

__all__ = [
    "BASELINE",
    "PROTOCOLS",
    "Board",
    "Column",
    "Cost",
    "Difference",
    "Entry",
    "Row",
    "Shift",
    "board_table",
    "costs_of",
    "make_board",
    "ratio_shifts",
    "read_board",
    "read_costs",
    "shares_below",
    "summary_table",
]
