"""The sheet of small pictures, where each lies on it, and the heights of the rows' labels."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

THUMB = 32  # side of a picture on the sheet
ACROSS = 20  # pictures in a row of the sheet


def picture(item: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """Where a picture lies on the sheet, and what it is."""
    x, y = item % ACROSS * THUMB, item // ACROSS * THUMB
    return {
        "name": data["names"][item],
        "class": data["classes"][data["true"][item]],
        "view": f"{x} {y} {THUMB} {THUMB}" if data["shown"][item] else f"0 -{THUMB} {THUMB} {THUMB}",
        "row": item,
    }


def sprite(items: list[str], thumbnails: Mapping[str, bytes]) -> str:
    """All pictures on one sheet, 20 a row, in the order of the items, as a data URI; empty where there are none."""
    if not any(item in thumbnails for item in items):
        return ""
    from PIL import Image

    sheet = Image.new("RGB", (ACROSS * THUMB, -(-len(items) // ACROSS) * THUMB))
    for place, item in enumerate(items):
        if item in thumbnails:
            with Image.open(io.BytesIO(thumbnails[item]), formats=["WEBP"]) as picture:
                small = picture.convert("RGB").resize((THUMB, THUMB))
                sheet.paste(small, (place % ACROSS * THUMB, place // ACROSS * THUMB))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def row_rules(labels: Sequence[Mapping[str, Any]]) -> str:
    """Style rules that give each class name the height of its rows.

    >>> row_rules([{"rows": 50}, {"rows": 30}])
    '.rows-50{flex:50}.rows-30{flex:30}'
    """
    return "".join(f".rows-{n}{{flex:{n}}}" for n in dict.fromkeys(int(label["rows"]) for label in labels))
