"""The sheet of small pictures: one image on the page, on which each picture has a place."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

from relic_eval.progress import warn

THUMB = 64  # side of a picture on the sheet
ACROSS = 20  # pictures in a row of the sheet
MOST = 600  # pictures on it: about 1.5 MB of photographs

Pictures = Mapping[tuple[str, str], bytes]  # WebP by digest of the data and id: ids alone are not the same in every set


class Sheet:
    """Gives a picture its place when a figure asks for it, so that the page holds those it shows and each once.

    >>> sheet = Sheet({("digest", "a"): b"", ("digest", "b"): b""})
    >>> sheet.place("digest", "b"), sheet.place("digest", "a"), sheet.place("digest", "b"), sheet.place("other", "a")
    (0, 1, 0, -1)
    """

    def __init__(self, pictures: Pictures, most: int = MOST):
        self._pictures, self._most = pictures, most
        self._places: dict[tuple[str, str], int] = {}

    def place(self, data: str, item: str) -> int:
        """Where the picture of this data (digest) and id lies, from 0; -1 where there is none, or no room left."""
        key = (data, item)
        if key in self._pictures and key not in self._places and len(self._places) < self._most:
            self._places[key] = len(self._places)
        return self._places.get(key, -1)

    def known(self, data: str, item: str) -> int:
        """Where it lies already; -1 where no figure has asked for it."""
        return self._places.get((data, item), -1)

    def has(self, data: str, item: str) -> bool:
        """Whether there is a picture of this data (digest) and id, on the sheet or not."""
        return (data, item) in self._pictures

    def places(self, data: str, items: Sequence[str]) -> list[int]:
        """Where these lie."""
        return [self.place(data, item) for item in items]

    @property
    def height(self) -> int:
        """Of the sheet in pixels; 0 where nothing is on it."""
        return -(-len(self._places) // ACROSS) * THUMB

    def uri(self) -> str:
        """All pictures that have a place, as a data URI; empty where there are none."""
        if not self._places:
            return ""
        from PIL import Image

        sheet = Image.new("RGB", (ACROSS * THUMB, self.height))
        for key, place in self._places.items():
            at = (_left(place), _top(place))
            try:
                with Image.open(io.BytesIO(self._pictures[key]), formats=["WEBP"]) as picture:
                    sheet.paste(picture.convert("RGB").resize((THUMB, THUMB)), at)
            except (OSError, SyntaxError, ValueError):
                warn(f"{key[1]}: expected a small picture, received a damaged one. The page shows a grey square.")
                sheet.paste((140, 140, 140), (*at, at[0] + THUMB, at[1] + THUMB))
        file = io.BytesIO()
        sheet.save(file, "WEBP", quality=75, method=4)
        return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def view(place: int) -> str:
    """The part of the sheet that holds a picture, as a viewBox; one above it, where nothing is, for -1.

    >>> view(21), view(-1)
    ('64 64 64 64', '0 -64 64 64')
    """
    return f"{_left(place)} {_top(place)} {THUMB} {THUMB}" if place >= 0 else f"0 -{THUMB} {THUMB} {THUMB}"


def _left(place: int) -> int:
    return place % ACROSS * THUMB


def _top(place: int) -> int:
    return place // ACROSS * THUMB
