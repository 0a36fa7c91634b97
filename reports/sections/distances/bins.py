"""Bins of the images' distance ratios that all encoders share, and what lies in each: classes and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from relic_eval.cells import Result
from reports.drawings.marks import key
from reports.drawings.outlines import Outline, panels
from reports.sections.sheet import Sheet, view
from reports.style import Look
from reports.words import counted

FINEST = 40  # bins at most
PICTURES = 120  # places on the sheet
SLOTS = 6  # pictures of a bin
NAMED = 3  # classes of a bin, the others counted
SEED = 0


@dataclass(frozen=True)
class Bins:
    """Edges at round numbers, and to how many decimals a ratio is rounded before it is put between them, and printed."""

    edges_E: np.ndarray
    decimals: int

    def place(self, ratio_N: np.ndarray) -> np.ndarray:
        """The bin of each ratio: 0 lies below the first edge, E from the last one on; -1 for none.

        >>> Bins(np.array([1.0, 1.5]), 2).place(np.array([0.99, 0.999, 1.5, np.nan])).tolist()
        [0, 1, 2, -1]
        """
        found_N = np.searchsorted(self.edges_E, np.round(ratio_N, self.decimals), side="right")
        return np.where(np.isfinite(ratio_N), found_N, -1)

    def name(self, place: int) -> str:
        """What a bin holds, in words.

        >>> [Bins(np.array([1.0, 1.5]), 2).name(place) for place in range(3)]
        ['below 1.0', '1.0 to 1.5', '1.5 and above']
        """
        edges = [f"{edge:.{max(self.decimals - 1, 0)}f}" for edge in self.edges_E]
        if place == 0:
            return f"below {edges[0]}"
        return f"{edges[-1]} and above" if place == len(edges) else f"{edges[place - 1]} to {edges[place]}"


def ratios(result: Result) -> np.ndarray:
    """The ratio of each test image of a cell; not finite for one that has none."""
    return np.asarray((result.cell.predictions or {})["score"], np.float64)


def shared_bins(results: Sequence[Result]) -> Bins:
    """Bins from the 0.5% point of all encoders' ratios to the 99.5% point, each as wide as a round number."""
    every = np.concatenate([ratios(r) for r in results])
    low, high = np.percentile(every[np.isfinite(every)], [0.5, 99.5])
    span = max(float(high - low), 1e-3 * abs(float(high)), 1e-9)
    power = int(np.floor(np.log10(span / FINEST)))
    step, shown = next(
        (f * 10.0**p, max(0, -p)) for p in (power, power + 1) for f in (1, 2, 5) if span / (f * 10.0**p) <= FINEST - 2
    )
    first, last = int(np.floor(low / step + 1e-9)), int(np.floor(high / step + 1e-9)) + 1
    return Bins(np.round(np.arange(first, last + 1) * step, shown + 1), shown + 1)


def bin_counts(result: Result, bins: Bins) -> np.ndarray:
    """How many test images lie in each bin."""
    place_N = bins.place(ratios(result))
    return np.bincount(place_N[place_N >= 0], minlength=len(bins.edges_E) + 1)


def chosen_pictures(place_MN: np.ndarray, most: int = PICTURES) -> list[int]:
    """Images, one after the other the one that helps most: a picture for a bin without one counts four times one more.

    `place_MN` holds the bin of each image (column) under each encoder, or -1. Of equals the first in a drawn order.

    >>> sorted(chosen_pictures(np.array([[0, 0, 0, 1], [0, 0, 1, 0]]), most=2))
    [2, 3]
    """
    models, n = place_MN.shape
    order_N = np.random.default_rng(SEED).permutation(n)
    held_MB, rows = np.zeros((models, int(place_MN.max(initial=0)) + 1), int), np.arange(models)
    taken: list[int] = []
    worth = np.append(4.0 ** -np.arange(SLOTS), 0.0)
    free_N: np.ndarray = np.any(place_MN >= 0, axis=0)[order_N]
    its_MN = place_MN[:, order_N]
    while len(taken) < most:
        gain_N = np.where(its_MN >= 0, worth[held_MB[rows[:, None], its_MN]], 0).sum(0) * free_N
        best = int(gain_N.argmax()) if n else 0
        if not n or gain_N[best] == 0:
            break
        free_N[best] = False
        inside = its_MN[:, best] >= 0
        held_MB[rows[inside], its_MN[inside, best]] = np.minimum(held_MB[rows[inside], its_MN[inside, best]] + 1, SLOTS)
        taken.append(int(order_N[best]))
    return taken


def pointing(
    results: Sequence[Result], shown: Sequence[Outline], bins: Bins, sheet: Sheet, look: Mapping[str, Look]
) -> dict[str, Any]:
    """What pointing at a bin shows, as data for the script and, of one bin, for the page without it."""
    place_MN = np.stack([bins.place(ratios(r)) for r in results])
    names, most = _classes(results, place_MN, len(bins.edges_E) + 1)
    first, second = panels(shown, 1.0)
    data = {
        "edges": bins.edges_E.tolist(),
        "decimals": bins.decimals,
        "bins": [bins.name(place) for place in range(len(bins.edges_E) + 1)],
        "x": [round(first.at(float(edge), 0)[0], 1) for edge in bins.edges_E],
        "y": [first.top, first.floor, second.top, second.floor],
        "left": first.left,
        "right": first.end,
        "wide": first.width,
        "encoders": [look[r.encoder].title for r in results],
        "counts": [bin_counts(r, bins).tolist() for r in results],
        "classes": names,
        "most": most,
        "pictures": _pictures(results, place_MN, bins, sheet),
        "bin": _first_bin(place_MN, bins),
    }
    return data | {"rows": [_row(r, e, look[r.encoder], data) for e, r in enumerate(results)]}


def _classes(results: Sequence[Result], place_MN: np.ndarray, size: int) -> tuple[list[str], list[list[Any]]]:
    """Names of the classes that are named, and of each encoder and bin: place, count, place, count, ..., and how many others."""
    every, used = results[0].about["classes"], dict[int, int]()
    made = []
    for result, place_N in zip(results, place_MN, strict=True):
        true_N = (result.cell.predictions or {})["true"]
        line: list[Any] = []
        for place in range(size):
            found = Counter(true_N[place_N == place].tolist())
            ordered = sorted(found.items(), key=lambda c: (-c[1], c[0]))
            flat = [v for c, n in ordered[:NAMED] for v in (used.setdefault(c, len(used)), n)]
            line.append([*flat, len(ordered) - NAMED] if len(ordered) > NAMED else flat or 0)
        made.append(line)
    return [every[c] for c in used], made


def _pictures(results: Sequence[Result], place_MN: np.ndarray, bins: Bins, sheet: Sheet) -> dict[str, Any]:
    table, data = results[0].cell.predictions or {}, str(results[0].about["data"]["test"])
    items = table["item"].tolist()
    there_N = np.array([sheet.has(data, item) for item in items], bool)
    taken = sorted(chosen_pictures(np.where(there_N, place_MN, -1)))
    placed = [(n, place) for n in taken if (place := sheet.place(data, items[n])) >= 0]
    rows, classes = [n for n, _ in placed], results[0].about["classes"]
    ratio_MP = np.stack([np.round(ratios(r)[rows], bins.decimals) for r in results])
    kinds = dict.fromkeys(classes[c] for c in table["true"][rows].tolist())
    number = {name: place for place, name in enumerate(kinds)}
    return {
        "names": [items[n] for n in rows],
        "kinds": list(kinds),
        "class": [number[classes[c]] for c in table["true"][rows].tolist()],
        "places": [place for _, place in placed],
        "ratios": [[v if np.isfinite(v) else None for v in ratio_P.tolist()] for ratio_P in ratio_MP],
    }


def _first_bin(place_MN: np.ndarray, bins: Bins) -> int:
    """The bin shown first: that just below 1 where images are, else the leftmost with any."""
    below = int(np.searchsorted(bins.edges_E, 1.0, side="left"))
    return below if (place_MN == below).any() else int(place_MN[place_MN >= 0].min(initial=len(bins.edges_E)))


def _row(result: Result, e: int, look: Look, data: Mapping[str, Any]) -> dict[str, Any]:
    """One encoder's line beneath the figure, for the bin that is shown first."""
    place, its, edges = data["bin"], data["pictures"], np.array(data["edges"])
    inside = [
        p
        for p, ratio in enumerate(its["ratios"][e])
        if ratio is not None and np.searchsorted(edges, ratio, side="right") == place
    ]
    slots = [
        {
            "view": view(its["places"][p]),
            "name": its["names"][p],
            "class": its["kinds"][its["class"][p]],
            "ratio": f"{its['ratios'][e][p]:.{data['decimals']}f}",
        }
        for p in inside[:SLOTS]
    ]
    return {
        "key": key(look),
        "title": look.title,
        "count": counted(data["counts"][e][place], "image"),
        "classes": class_words(data["most"][e][place], data["classes"]),
        "slots": slots,
    }


def class_words(most: Sequence[int] | int, names: Sequence[str]) -> str:
    """The classes of a bin with their counts.

    >>> class_words([0, 9, 1, 2], ["cat", "dog"]), class_words([0, 9, 1, 2, 0, 1, 4], ["cat", "dog"]), class_words(0, [])
    ('cat 9, dog 2', 'cat 9, dog 2, cat 1 and 4 other classes', '')
    """
    flat = [] if isinstance(most, int) else list(most)
    others = flat.pop() if len(flat) % 2 else 0
    words = ", ".join(f"{names[c]} {n}" for c, n in zip(flat[::2], flat[1::2], strict=True))
    return f"{words} and {counted(others, 'other class', 'other classes')}" if others else words
