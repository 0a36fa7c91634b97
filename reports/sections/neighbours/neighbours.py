"""Neighbours of the same images under several encoders, in one order of rows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relic_eval.cells import Result
from relic_eval.records import Measurement
from reports.sections.choose import in_order


@dataclass(frozen=True)
class Block:
    """Neighbours of one encoder, indices into the order that all share: class after class, superclass after superclass."""

    encoder: str
    index_NK: np.ndarray
    distance_NK: np.ndarray
    result: Result  # the rows of its predictions in that order too

    @property
    def relative_NK(self) -> np.ndarray:
        """Distances over the encoder's median, which makes encoders comparable."""
        return self.distance_NK / (np.median(self.distance_NK) or 1.0)

    @property
    def purity(self) -> Measurement:
        """The share of neighbours of the image's own class."""
        return self.result.cell.rows[0]


def read_blocks(results: Sequence[Result], order: Sequence[str]) -> list[Block]:
    """Blocks of all encoders that looked at the same images."""
    return sort_out(results, order)[0]


def sort_out(results: Sequence[Result], order: Sequence[str]) -> tuple[list[Block], list[tuple[str, str]]]:
    """Blocks of the encoders that looked at the same images, and the others with the reason why they are no such.

    The same are those of most encoders: of the same data (ids alone do not say that pictures are), rows and number of neighbours.
    """
    whole = [r for r in in_order(results, order) if r.cell.predictions is not None and r.cell.neighbours is not None]
    if not whole:
        return [], []
    counts = Counter(_looked_at(r) for r in whole)
    usual = max(counts, key=lambda asked: counts[asked])  # of equals the one that comes first
    same = [r for r in whole if _looked_at(r) == usual]
    others = [(r.encoder, _why(_looked_at(r), usual)) for r in whole if _looked_at(r) != usual]
    return [_block(r) for r in same], others


def _looked_at(r: Result) -> tuple[str, tuple[str, ...], int]:
    near, items = r.cell.neighbours or {}, (r.cell.predictions or {})["item"]
    return str(r.about["data"]["test"]), tuple(items.tolist()), int(near["rank"].max()) + 1


def _why(its: tuple, usual: tuple) -> str:
    if its[0] != usual[0]:
        return "judged on other pictures: the digest of the data differs"
    return "it looked at other images of the task" if its[1] != usual[1] else f"{its[2]} neighbours an image"


def _block(r: Result) -> Block:
    predictions, near = r.cell.predictions or {}, r.cell.neighbours or {}
    order = _grouped(predictions["true"], r.about["superclasses"])
    new = np.empty_like(order)
    new[order] = np.arange(len(order))
    place = {item: int(new[row]) for row, item in enumerate(predictions["item"].tolist())}
    k = int(near["rank"].max()) + 1
    index_NK = np.array([place[item] for item in near["item"].tolist()]).reshape(-1, k)[order]
    cell = dataclasses.replace(r.cell, predictions={name: column[order] for name, column in predictions.items()})
    distance_NK = np.maximum.accumulate(near["distance"].reshape(-1, k)[order], axis=1)
    return Block(r.encoder, index_NK, distance_NK, dataclasses.replace(r, cell=cell))


def _grouped(true_N: np.ndarray, above: Sequence[str] | None) -> np.ndarray:
    """Rows so ordered that each class, and each superclass, lies together; both in the order in which they first come."""
    classes = {c: place for place, c in enumerate(dict.fromkeys(true_N.tolist()))}
    groups = {a: place for place, a in enumerate(dict.fromkeys(above[c] for c in classes))} if above else {}
    group_N = [groups[above[c]] if above else 0 for c in true_N.tolist()]
    return np.lexsort(([classes[c] for c in true_N.tolist()], group_N))


def colour_scale(blocks: Sequence[Block]) -> tuple[float, float]:
    """Limits of the colours that all squares share: where nine of ten distances lie, to one decimal.

    >>> import types
    >>> colour_scale([types.SimpleNamespace(relative_NK=np.linspace(0, 2, 101))])
    (0.1, 1.9)
    """
    low, high = np.percentile(np.concatenate([b.relative_NK.ravel() for b in blocks]), [5, 95])
    low, high = float(np.floor(low * 10 + 1e-6)) / 10, float(np.ceil(high * 10 - 1e-6)) / 10
    return low, max(high, round(low + 0.1, 1))


def decimals(block: Block) -> int:
    """So many decimals that the median distance has three digits.

    >>> import types
    >>> decimals(types.SimpleNamespace(distance_NK=np.array([[0.5, 2.0, 3.0]])))
    2
    """
    median = float(np.median(block.distance_NK))
    return max(0, 2 - int(np.floor(np.log10(median)))) if median > 0 else 2


def ends_of(block: Block) -> tuple[list[int], list[int]]:
    """Where classes end in the rows, and which of these ends superclasses too."""
    true, above = (block.result.cell.predictions or {})["true"], block.result.about["superclasses"]
    ends = (np.flatnonzero(np.diff(true)) + 1).tolist()
    if above is None:
        return ends, []
    return ends, [e for e in ends if above[true[e - 1]] != above[true[e]]]


def disputed(blocks: Sequence[Block], rows_R: np.ndarray) -> list[int]:
    """These rows, first those that encoders disagree about most, by how many neighbours are of its class; with one encoder, its worst.

    >>> import types
    >>> def made(*share):
    ...     cell = types.SimpleNamespace(predictions={"correct": np.array(share)})
    ...     return types.SimpleNamespace(result=types.SimpleNamespace(cell=cell))
    >>> disputed([made(1.0, 1.0, 0.2), made(0.8, 0.0, 0.0)], np.arange(3))
    [1, 2, 0]
    """
    share_ER = np.stack([(b.result.cell.predictions or {})["correct"][rows_R] for b in blocks])
    if len(blocks) == 1:
        return rows_R[np.argsort(share_ER[0], kind="stable")].tolist()
    return rows_R[np.argsort(-(np.ptp(share_ER, 0) + 1e-3 * share_ER.std(0)), kind="stable")].tolist()
