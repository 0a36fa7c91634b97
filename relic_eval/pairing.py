"""Which cells judge the same images, and what they would give on resamples of those images, all with the same weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relic_eval.errors import ArgumentError
from relic_eval.files import digest_json
from relic_eval.metrics.bootstrap import paired_bootstrap
from relic_eval.metrics.hypotheses import mcnemar_pairs, paired_p
from relic_eval.progress import warn
from relic_eval.results import Result


def alike(results: Sequence[Result], baseline: str) -> tuple[list[Result], list[dict[str, str]]]:
    """The cells that were made of the same images, task by task and protocol by protocol, and a note on each of the others.

    The images are the baseline's; where it has no cell there, those of most encoders (ties: of the first by name).

    >>> alike([], "pixels")
    ([], [])
    """
    kept: list[Result] = []
    apart: list[dict[str, str]] = []
    images: dict[tuple[str, str], dict[str, str]] = {}
    for r in sorted(results, key=lambda r: r.encoder):
        images.setdefault((r.task, r.protocol), {})[r.encoder] = _images(r)
    for r in results:
        its = images[(r.task, r.protocol)]
        wanted = its.get(baseline) or Counter(its.values()).most_common(1)[0][0]
        if its[r.encoder] == wanted:
            kept.append(r)
            continue
        other = next(e for e, found in its.items() if found == wanted)
        why = (
            f"made of other images or labels than {other}: embed both from the same data set, or choose with --encoder"
        )
        apart.append({"encoder": r.encoder, "task": r.task, "protocol": r.protocol, "error": why})
        warn(f"{r.encoder} on {r.task} is left out, {why}.")
    return kept, apart


def _images(result: Result) -> str:
    """Which files and labels a cell was made of, and which of them could be read."""
    return digest_json([result.about["data"], test_items(result).tolist() if result.cell.predictions else []])


def training_draws(result: Result) -> int:
    """How many training draws the predictions of a cell hold."""
    table = result.cell.predictions or {}
    return 1 if "draw" not in table else int(table["draw"].max()) + 1


def test_items(result: Result) -> np.ndarray:
    """The ids of the images that a cell was tested on, once each."""
    table = result.cell.predictions or {}
    return table["item"][: len(table["item"]) // training_draws(result)]


def finest_strata(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """By test set, the finest labels that any of the cells has: all columns of a test set are resampled alike."""
    finest: dict[str, np.ndarray] = {}
    for result in results:
        items = test_items(result)
        key, true = digest_json(items.tolist()), (result.cell.predictions or {})["true"][: len(items)]
        if key not in finest or len(np.unique(true)) > len(np.unique(finest[key])):
            finest[key] = true
    return finest


def resampled(here: Sequence[Result], strata: Mapping[str, np.ndarray], *, draws: int, seed: int) -> np.ndarray:
    """Accuracies (cells, draws) of one column on resampled images; ArgumentError where the cells are not of the same images."""
    items = test_items(here[0])
    for result in here:
        # equal names are not enough: the files behind them may have been changed in between
        if not np.array_equal(test_items(result), items) or result.about["data"] != here[0].about["data"]:
            raise ArgumentError(
                f"{result.task} / {result.protocol}",
                f"the same images and labels for {here[0].encoder} and {result.encoder}",
                "different ones",
                "Embed both from the same data set as it is now, or compare them on their own boards.",
            )
    values = np.stack([(r.cell.predictions or {})["correct"].reshape(training_draws(r), -1) for r in here])
    key = digest_json(items.tolist())
    return paired_bootstrap(values, strata[key], draws=draws, seed=seed + int(key[:8], 16))


@dataclass(frozen=True)
class Chances:
    """Of one column: its encoders, the p value of each pair, and whether training draws vary beside the images."""

    encoders: tuple[str, ...]
    p_MM: np.ndarray
    drawn: bool


def chances(here: Sequence[Result], sample_MB: np.ndarray) -> Chances:
    """Of the cells of one column: by McNemar's test, or by their resamples where there are several training draws."""
    encoders, drawn = tuple(r.encoder for r in here), any(training_draws(r) > 1 for r in here)
    if drawn:
        value_M = np.array([r.cell.rows[0].value for r in here])
        return Chances(encoders, paired_p(value_M, sample_MB), drawn)
    # exact: the spread of resamples is nothing where one encoder is right on all of a few images
    return Chances(encoders, mcnemar_pairs(np.stack([(r.cell.predictions or {})["correct"] for r in here])), drawn)
