"""What pointing at a row of the squares shows: its picture and those of its neighbours, and the data that the script needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.coded import front_coded, step_coded
from reports.drawings.blocks import dot_size
from reports.drawings.marks import key
from reports.sections.neighbours.neighbours import Block, decimals, disputed
from reports.sections.sheet import Sheet, view
from reports.style import Look

PICTURES = 450  # places on the sheet that the squares may take


@dataclass(frozen=True)
class Strip:
    """The drawn rows of some encoders, the images that are among them or next to them, and where their pictures lie."""

    blocks: Sequence[Block]
    rows_R: np.ndarray
    labels: Sequence[Mapping[str, Any]]  # of the classes, in the order of the rows: name, rows
    places: Mapping[int, int]  # by image
    first: int  # the row that is shown first

    @property
    def items(self) -> list[str]:
        """Ids of all images."""
        return (self.blocks[0].result.cell.predictions or {})["item"].tolist()

    @property
    def true(self) -> np.ndarray:
        """Class of each image, by its place among the labels."""
        return np.repeat(np.arange(len(self.labels)), [label["rows"] for label in self.labels])

    @property
    def whole(self) -> bool:
        """Are all rows drawn?"""
        return len(self.rows_R) == len(self.true)

    @property
    def pictured(self) -> int:
        """How many drawn rows have their own picture and all their neighbours'."""
        there = np.array([self.places.get(i, -1) >= 0 for i in range(len(self.true))])
        near = [there[b.index_NK[self.rows_R]].all(1) for b in self.blocks]
        return int((there[self.rows_R] & np.all(near, axis=0)).sum())

    def data(self, look: Mapping[str, Look]) -> dict[str, Any]:
        """For the script, which reads from the drawn dots which images are neighbours."""
        items, rows = self.items, self.rows_R
        return {
            "n": len(items),
            "k": self.blocks[0].index_NK.shape[1],
            "classes": [label["name"] for label in self.labels],
            "counts": [label["rows"] for label in self.labels],
            "rows": [] if self.whole else rows.tolist(),
            "items": [] if self.whole else list(self.places),
            "names": front_coded([items[i] for i in self.places]),
            "places": list(self.places.values()),
            "encoders": [look[b.encoder].title for b in self.blocks],
            "decimals": [decimals(b) for b in self.blocks],
            "far": [_far(b, rows) for b in self.blocks],
            "dot": round(dot_size(len(items)), 2),
            "row": self.first,
        }

    def picture(self, image: int) -> dict[str, Any]:
        """Where the picture of an image lies on the sheet, and what it is."""
        its = {"name": self.items[image], "class": self.labels[self.true[image]]["name"], "row": image}
        return its | {"view": view(self.places.get(image, -1))}

    def near(self, b: Block, look: Look) -> dict[str, Any]:
        """The first row's neighbours under an encoder."""
        true, slots = self.true, []
        for image, distance in zip(b.index_NK[self.first].tolist(), b.distance_NK[self.first].tolist(), strict=True):
            other = bool(true[image] != true[self.first])
            slots.append(self.picture(image) | {"distance": f"{distance:.{decimals(b)}f}", "other": other})
        return {"title": look.title, "key": key(look), "slots": slots, "same": sum(not s["other"] for s in slots)}


def make_strip(blocks: Sequence[Block], rows_R: np.ndarray, labels: Sequence[Mapping[str, Any]], sheet: Sheet) -> Strip:
    """Give the pictures of these rows their places: of all images where there is room, else row by row, the most disputed first."""
    predictions, about = blocks[0].result.cell.predictions or {}, blocks[0].result.about
    items, first = predictions["item"].tolist(), disputed(blocks, rows_R)
    used = sorted({*rows_R.tolist(), *(i for b in blocks for i in b.index_NK[rows_R].ravel().tolist())})
    wanted = used if len(used) <= PICTURES else _row_by_row(blocks, first)
    places = dict.fromkeys(used, -1)
    places.update({i: sheet.place(str(about["data"]["test"]), items[i]) for i in wanted})
    return Strip(blocks, rows_R, labels, places, first[0])


def _row_by_row(blocks: Sequence[Block], rows: Sequence[int]) -> list[int]:
    """Images of whole rows, as many as there is room for."""
    wanted: dict[int, None] = {}
    for row in rows:
        more = dict.fromkeys([row, *(i for b in blocks for i in b.index_NK[row].tolist())])
        if len(wanted | more) > PICTURES:
            break
        wanted |= more
    return list(wanted)


def _far(b: Block, rows_R: np.ndarray) -> str:
    return step_coded(np.rint(b.distance_NK[rows_R].astype(float) * 10 ** decimals(b)).astype(int))
