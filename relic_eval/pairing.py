"""Which cells judge the same images, and how these are divided into strata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from relic_eval.cells import Result
from relic_eval.errors import ArgumentError
from relic_eval.files import digest_json
from relic_eval.progress import warn


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
        why = _why_apart(r, next(o for o in results if (o.encoder, o.task, o.protocol) == (other, r.task, r.protocol)))
        apart.append({"encoder": r.encoder, "task": r.task, "protocol": r.protocol, "error": why})
        warn(f"{r.encoder} on {r.task} is left out, {why}.")
    return kept, apart


def _why_apart(result: Result, other: Result) -> str:
    mine, its = ({k: v for k, v in r.about["data"].items() if k != "dropped"} for r in (result, other))
    if mine == its and np.array_equal(test_items(result), test_items(other)):
        ways = ["without leaks" if r.about["data"].get("dropped") else "with leaks" for r in (result, other)]
        if ways[0] == ways[1]:
            return f"made without other leaks than {other.encoder}: evaluate both again with --drop-leaks"
        return f"made {ways[0]}, and {other.encoder} {ways[1]}: evaluate both with --drop-leaks, or both without it"
    return (
        f"made of other images or labels than {other.encoder}: embed both from the same data set, or choose with "
        "--encoder"
    )


def _images(result: Result) -> str:
    """Which files and labels a cell was made of, and which of them could be read."""
    return digest_json([result.about["data"], test_items(result).tolist()])


def first_task(places: Sequence[tuple[str, int]]) -> str | None:
    """Of a task and its number of test images for each cell: the task of most cells, then of most images, then by name.

    >>> first_task([("a", 5), ("b", 9), ("a", 5)]), first_task([])
    ('a', None)
    """
    counts, tests = Counter(name for name, _ in places), dict(places)
    return min(counts, key=lambda n: (-counts[n], -tests[n], n)) if counts else None


def metric_of(result: Result) -> str:
    """The metric of the task of a cell: top1, mean_per_class, map11 or miou."""
    return str(result.about.get("task_settings", {}).get("metric", "top1"))


def training_draws(result: Result) -> int:
    """How many training draws the predictions of a cell hold."""
    table = result.cell.predictions or {}
    return 1 if "draw" not in table else int(table["draw"].max()) + 1


def test_items(result: Result) -> np.ndarray:
    """The ids of the images that a cell was tested on, once each; of segmentation those that have a pixel with a label."""
    table = result.cell.predictions
    if table is None:
        item_R = (result.cell.overlaps or {}).get("item", np.array([], str))
        return item_R[np.sort(np.unique(item_R, return_index=True)[1])]
    return table["item"][: len(table["item"]) // training_draws(result) : answers(result)]


def places_of(item_N: np.ndarray, known_N: np.ndarray) -> np.ndarray | None:
    """Where each of these ids stands among others, which are in any order; None where one is missing.

    >>> places_of(np.array(["a", "b"]), np.array(["b", "c", "a"])).tolist(), places_of(np.array(["d"]), np.array(["a"]))
    ([2, 0], None)
    """
    order = np.argsort(known_N, kind="stable")
    place_N = order[np.minimum(np.searchsorted(known_N[order], item_N), len(known_N) - 1)]
    return place_N if (known_N[place_N] == item_N).all() else None


def answers(result: Result) -> int:
    """How many rows of the predictions an image has in each training draw: one a class where it may be of several."""
    table = result.cell.predictions or {}
    return int(table["class"].max()) + 1 if "class" in table else 1


def strata_of(result: Result) -> np.ndarray:
    """What the images of a cell are resampled within: their class, of several the first; pictures with masks are all alike."""
    if result.cell.predictions is None:
        return np.zeros(len(test_items(result)), np.int64)
    true, count = (result.cell.predictions or {})["true"], answers(result)
    n = len(test_items(result))
    return true[:n] if count == 1 else true[: n * count].reshape(n, count).argmax(1)


def finest_strata(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """By test set, the finest labels that any of the cells has: all columns of a test set are resampled alike."""
    finest: dict[str, np.ndarray] = {}
    for result in results:
        items = test_items(result)
        key, true = digest_json(items.tolist()), strata_of(result)
        if key not in finest or len(np.unique(true)) > len(np.unique(finest[key])):
            finest[key] = true
    return finest


def refuse_others(here: Sequence[Result]) -> None:
    """An ArgumentError where the cells of one column are not of the same images, or not judged by the same metric."""
    items, metric = test_items(here[0]), metric_of(here[0])
    for result in here:
        # equal names are not enough: the files behind them may have been changed in between
        if not np.array_equal(test_items(result), items) or result.about["data"] != here[0].about["data"]:
            raise ArgumentError(
                f"{result.task} / {result.protocol}",
                f"the same images and labels for {here[0].encoder} and {result.encoder}",
                "different ones",
                "Embed both from the same data set as it is now, or compare them on their own boards.",
            )
        if metric_of(result) != metric:
            raise ArgumentError(
                f"{result.task} / {result.protocol}",
                f"one metric for {here[0].encoder} and {result.encoder}",
                f"{metric} and {metric_of(result)}",
                "Embed both from the same data set as it is now, and evaluate again.",
            )
