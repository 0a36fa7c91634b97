"""The figures for papers by name; each is a function of what the page is made of, and None where the cells do not allow it."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from relic_eval.efficiency import round_value
from reports.figures.discriminability import discriminability_figure
from reports.figures.leaderboard import leaderboard_figure
from reports.figures.losses import losses_figure
from reports.figures.neighbour_blocks import neighbour_blocks_figure
from reports.figures.sample_efficiency import sample_efficiency_figure
from reports.sections.blocks import read_blocks
from reports.sections.choose import shown_blocks, with_ratio
from reports.sections.efficiency import monitored
from reports.sections.section import Material
from reports.sections.training import training_records


def _leaderboard(m: Material) -> Figure | None:
    return leaderboard_figure(m.board)


def _neighbour_blocks(m: Material) -> Figure | None:
    blocks = read_blocks(shown_blocks(m.results, m.order), m.order)
    return neighbour_blocks_figure(blocks) if blocks else None


def _discriminability(m: Material) -> Figure | None:
    ratios = with_ratio(m.results, m.order)
    return discriminability_figure(ratios, m.board.baseline) if ratios else None


def _losses(m: Material) -> Figure | None:
    training = training_records(m.first_stores)
    return losses_figure(training) if training else None


def _sample_efficiency(m: Material) -> Figure | None:
    runs = monitored(m.first_stores)
    return sample_efficiency_figure(runs, level=round_value(runs, "linear"), look=m.look) if runs else None


FIGURES: dict[str, Callable[[Material], Figure | None]] = {
    "leaderboard": _leaderboard,
    "neighbour_blocks": _neighbour_blocks,
    "discriminability": _discriminability,
    "losses": _losses,
    "sample_efficiency": _sample_efficiency,
}


def figures(m: Material) -> dict[str, Figure]:
    """Every figure that the cells allow, by name."""
    return {name: made for name, make in FIGURES.items() if (made := make(m)) is not None}
