"""Augmented views of a set's pictures: how they are made, and where their embeddings lie beside those of the whole pictures.

Each view is a store of its own, with the rows of the whole pictures in their order. `views.json` beside the stores names,
for each store of whole pictures, those of its views that were asked for last.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relic_eval.data.beside import beside, not_of, read_beside, use_beside
from relic_eval.data.pictures import Pictures, as_transform
from relic_eval.files import digest_json
from relic_eval.records import Embeddings, Transform
from relic_eval.store import read_store

if TYPE_CHECKING:
    from relic_eval.views import Recipe

NOTE = "views.json"
GROUP = 64  # pictures of the listing that are augmented together, whatever the batch of the encoder


def augmented(source: Pictures, view: int, seed: int = 0) -> Pictures:
    """The same pictures as one augmented view of each: BYOL's crop, flip, colours, blur and solarisation (views.Recipe).

    The random numbers are those of (seed, view, place in the listing): neither batches nor other views change a picture.

    >>> from relic_eval.data.pictures import from_array
    >>> p = from_array("toy", "test", np.full((3, 8, 8), 90, np.uint8), np.array([0, 1, 1]), ("a", "b"), digest="d")
    >>> both, last = (augmented(p, 1).read(np.array(rows), 8)[0] for rows in ([0, 2], [2]))
    >>> both.shape, bool((both[1] == last[0]).all())
    ((2, 8, 8, 1), True)
    """

    def read(rows: np.ndarray, asked_side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        import torch

        from relic_eval.views import Draw, make_view

        side = as_transform(asked_side).side  # a view is a crop of its own, of the whole square
        out, problems = np.empty((len(rows), side, side, source.channels), np.uint8), {}
        asked = set(rows.tolist())
        for group in np.unique(rows // GROUP).tolist():
            members = np.arange(group * GROUP, min((group + 1) * GROUP, len(source)))
            pixels, wrong = source.read(members, side)
            x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
            generator = torch.Generator().manual_seed(int(digest_json([seed, view, group])[:15], 16))
            made = (
                (make_view(x, recipe(side), Draw(generator, len(x))) * 255).round().byte().permute(0, 2, 3, 1).numpy()
            )
            here = rows // GROUP == group
            out[here] = made[rows[here] - members[0]]
            problems.update({row: text for row, text in wrong.items() if row in asked})
        return out, problems

    return dataclasses.replace(source, read=read)


def recipe_digest() -> str:
    """Digest of how views are made; the side of the pictures is in the key of the whole pictures already.

    >>> len(recipe_digest())
    64
    """
    return digest_json([dataclasses.asdict(recipe(0)), GROUP])


def recipe(side: int) -> Recipe:
    """BYOL's recipe; the blur is its own at 224 pixels, and as much weaker on smaller pictures, down to half.

    >>> recipe(224).sigma, recipe(28).sigma
    (2.0, 1.0)
    """
    from relic_eval.views import Recipe

    return Recipe(side, sigma=2.0 * min(1.0, max(side / 224, 0.5)))


def use_views(stores: Mapping[Path, Sequence[Path]]) -> None:
    """Note, for stores of whole pictures of one encoder and set, the stores of their views as those in use, in order."""
    use_beside(NOTE, stores)


def views_of(path: Path) -> list[Path]:
    """The stores of views in use beside a store of whole pictures, in order; none where none were made, or one is not complete.

    >>> views_of(Path("/nowhere/test.0"))
    []
    """
    return beside(NOTE, path)


def read_views(path: Path) -> Embeddings:
    """The rows of a store of whole pictures with the views in use beside it; `views` is empty where there are none.

    Raises DataError for views of other rows, or made beside a store of another key.
    """
    rows, views = read_store(path), []
    for place in views_of(path):
        view = read_beside(place, path)
        # pictures may have been mended or lost between the two, where unreadable ones are left out
        if not np.array_equal(_ids(view), _ids(rows)):
            raise not_of(place, path)
        views.append(view.x_ND)
    return dataclasses.replace(rows, views=tuple(views))


def _ids(rows: Embeddings) -> np.ndarray:
    return np.empty(0, str) if rows.ids is None else rows.ids
