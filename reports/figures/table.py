"""The figures for papers by name; each is a function of what the page is made of, and None where the cells do not allow it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from relic_eval.board import costs_of
from relic_eval.board.steps import histories
from relic_eval.efficiency import round_value
from relic_eval.errors import DataError, UnknownNameError
from relic_eval.published import own_models
from reports.figures.change import change_figure
from reports.figures.confusion import confusion_figure
from reports.figures.discriminability import discriminability_figure
from reports.figures.few_shot import few_shot_figure
from reports.figures.history import history_figure
from reports.figures.leaderboard import leaderboard_figure
from reports.figures.losses import losses_figure
from reports.figures.neighbour_blocks import neighbour_blocks_figure
from reports.figures.penalty_path import penalty_path_figure
from reports.figures.robustness import robustness_figure
from reports.figures.sample_efficiency import sample_efficiency_figure
from reports.figures.scaling import scaling_figure
from reports.figures.spectrum import spectrum_figure
from reports.figures.style import WIDTH
from reports.sections.choose import shown_blocks, with_ratio
from reports.sections.neighbours.neighbours import read_blocks
from reports.sections.section import Material
from reports.sections.training.efficiency import monitored
from reports.sections.training.training import training_records

Make = Callable[[Material, float], Figure | None]
ASK = "'relic-eval evaluate --protocol {} --out OUT' makes them."


@dataclass(frozen=True)
class Kind:
    """One figure: how it is made (of some inches), what it shows, what it needs, and what to type where that is missing."""

    make: Make
    shows: str
    needs: str
    ask: str


def _neighbour_blocks(m: Material, width: float) -> Figure | None:
    blocks = read_blocks(shown_blocks(m.results, m.order), m.order)
    return neighbour_blocks_figure(blocks, m.look, width) if blocks else None


def _discriminability(m: Material, width: float) -> Figure | None:
    ratios = with_ratio(m.results, m.order)
    return discriminability_figure(ratios, m.board.baseline, m.look, width) if ratios else None


def _losses(m: Material, width: float) -> Figure | None:
    training = training_records(m.first_stores)
    return losses_figure(training, m.look, width) if training else None


def _sample_efficiency(m: Material, width: float) -> Figure | None:
    runs = monitored(m.first_stores)
    if not runs:
        return None
    return sample_efficiency_figure(runs, level=round_value(runs, "linear"), look=m.look, width=width)


def _history(m: Material, width: float) -> Figure | None:
    runs = histories(m.board, m.stores)
    return history_figure(m.board, runs, width=width) if runs else None


def _scaling(m: Material, width: float) -> Figure:
    return scaling_figure(own_models(m.board, costs_of(m.stores)), width=width)


FIGURES: dict[str, Kind] = {
    "leaderboard": Kind(
        lambda m, width: leaderboard_figure(m.board, m.look, width) if m.board.columns else None,
        "the board: each task's metric with its interval, a panel a task",
        "linear-byol, fewshot-5, or what --protocol names",
        ASK.format("linear-byol"),
    ),
    "change": Kind(
        lambda m, width: change_figure(m.board, m.look, width),
        "changes against the baseline task by task as bars, a panel an encoder, as in RELICv2's paper",
        "two encoders with linear-byol, fewshot-5, or what --protocol names",
        "'relic-eval transfer ENCODER BASELINE --data DATA --out OUT' makes them.",
    ),
    "neighbour-blocks": Kind(
        _neighbour_blocks,
        "nearest neighbours of the same images as a matrix an encoder, coloured by distance",
        "blocks, or blocks-PRESET",
        ASK.format("blocks"),
    ),
    "discriminability": Kind(
        _discriminability,
        "distance to other classes over that to the own class: medians, histograms and ECDFs",
        "discriminability",
        ASK.format("discriminability"),
    ),
    "few-shot": Kind(
        lambda m, width: few_shot_figure(m.results, m.order, m.look, width),
        "accuracy over the number of labelled images a class",
        "fewshot",
        ASK.format("fewshot"),
    ),
    "robustness": Kind(
        lambda m, width: robustness_figure(m.results, m.order, m.look, width),
        "accuracy over the strength of corruptions",
        "robust",
        "'relic-eval transfer ENCODER --data DATA --protocol robust --corruptions 100 --out OUT' makes them.",
    ),
    "penalty-path": Kind(
        lambda m, width: penalty_path_figure(m.results, m.order, m.look, width),
        "validation accuracy of the linear probe over its penalty, the chosen one marked",
        "linear-byol",
        ASK.format("linear-byol"),
    ),
    "confusion": Kind(
        lambda m, width: confusion_figure(m.results, m.order, width),
        "which classes the linear probe takes for which, a matrix an encoder",
        "linear-byol",
        ASK.format("linear-byol"),
    ),
    "spectrum": Kind(
        lambda m, width: spectrum_figure(m.results, m.order, m.look, width),
        "eigenvalues of the covariance over their ranks: how many directions are used",
        "spectrum",
        ASK.format("spectrum"),
    ),
    "losses": Kind(
        _losses,
        "terms of the loss over steps, a panel an encoder",
        "an encoder that 'relic-eval pretrain' made",
        "'relic-eval pretrain byol --out OUT' trains one; 'relic-eval embed' what it prints.",
    ),
    "sample-efficiency": Kind(
        _sample_efficiency,
        "accuracy while encoders trained, over steps, images, views and FLOPs",
        "an encoder that was measured while 'relic-eval pretrain' made it",
        "'relic-eval pretrain byol --set monitor_every=100 --out OUT' trains one; 'relic-eval embed' what it prints.",
    ),
    "history": Kind(
        _history,
        "values of each task over the training steps of checkpoints of one run",
        "two checkpoints of one run of 'relic-eval pretrain', each embedded under a name of its own",
        "'relic-eval embed RUN/step-00000500,name=mine-500 --data DATA --out OUT' embeds one.",
    ),
    "scaling": Kind(
        _scaling,
        "published ImageNet accuracies over parameters, with one's own models that have imagenet's linear-imagenet",
        "nothing; own models need linear-imagenet of imagenet",
        "",
    ),
}


def check_name(name: str) -> str:
    """The name as the table has it, whichever signs are between its words; UnknownNameError for one that it lacks.

    >>> check_name("neighbour_blocks")
    'neighbour-blocks'
    """
    known = name.replace("_", "-").lower()
    if known not in FIGURES:
        raise UnknownNameError("figure", name, FIGURES)
    return known


def draw(m: Material, name: str, width: float = WIDTH, out: str | Path = "OUT") -> Figure:
    """The figure of that name; `out` is what the error names as the folder.

    Raises UnknownNameError for another name, DataError where the cells do not allow it.
    """
    kind = FIGURES[check_name(name)]
    made = kind.make(m, width)
    if made is None:
        protocols = sorted({r.protocol for r in m.results})
        its = f"cells of {', '.join(protocols)}" if protocols else "none"
        raise DataError(f"figure {name}: expected {kind.needs}, received {its}. {kind.ask.replace('OUT', str(out))}")
    return made


def figures(m: Material, width: float = WIDTH) -> dict[str, Figure]:
    """Every figure that the cells allow, by name; published numbers alone are none of them."""
    named = [n for n in FIGURES if n != "scaling" or own_models(m.board, costs_of(m.stores))]
    return {name: made for name in named if (made := FIGURES[name].make(m, width)) is not None}


def lines() -> list[str]:
    """A line a figure, for `relic-eval list figures`."""
    return [f"{name}: {kind.shows} (needs {kind.needs})" for name, kind in FIGURES.items()]
