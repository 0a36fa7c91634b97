"""A contact sheet: some pictures, and beside each what a method makes of it."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from relic_eval.files import write_bytes

PICTURES = 8
GAP = 2  # pixels of white between
CELL = 96  # pixels that a picture of a sheet of masks has at least, by enlarging small ones


def draw_views(pictures: Tensor, crops: list[Tensor], file: Path) -> None:
    """A PNG with a row a picture, (N, C, H, W) in [0, 1]: the picture, then its crops, at one scale.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "views.png"
    >>> draw_views(torch.rand(2, 1, 8, 8), [torch.rand(2, 1, 6, 6)], place)
    >>> from PIL import Image; Image.open(io.BytesIO(place.read_bytes())).size  # two columns of 8 and two rows, a gap around each
    (22, 22)
    """
    from PIL import Image

    columns = [x[:PICTURES].detach().cpu().clamp(0, 1) for x in (pictures, *crops)]
    high, wide = (max(x.shape[axis] for x in columns) for axis in (2, 3))
    # every cell has room for the largest; a small crop lies in its corner as small as the encoder sees it
    rows = max(len(x) for x in columns)
    cells = [
        F.pad(x, (0, wide - x.shape[3] + GAP, 0, high - x.shape[2] + GAP, 0, 0, 0, rows - len(x)), value=1.0)
        for x in columns
    ]
    sheet = torch.cat([F.pad(torch.cat(list(x), 1), (0, 0, GAP, 0), value=1.0) for x in cells], 2)
    sheet = F.pad(sheet, (GAP, 0, 0, 0), value=1.0)
    sheet = sheet[:3] if len(sheet) > 2 else sheet[:1]  # of two channels, or more than three, what a picture can show
    pixels = (sheet * 255).round().byte().expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, content.getvalue())


def draw_masks(pictures: Tensor, masks: Tensor, file: Path, across: int = 6) -> None:
    """A PNG of pictures (N, C, H, W) in [0, 1], each beside itself with its background in grey; `across` pairs a row, PICTURES rows.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "saliency.png"
    >>> draw_masks(torch.rand(3, 1, 96, 96), torch.ones(3, 1, 96, 96, dtype=torch.bool), place, across=1)
    >>> from PIL import Image; Image.open(io.BytesIO(place.read_bytes())).size
    (198, 296)
    """
    larger = max(1, CELL // pictures.shape[2])
    both = [
        x[: across * PICTURES].repeat_interleave(larger, 2).repeat_interleave(larger, 3)
        for x in (pictures, torch.where(masks, pictures, 0.5))
    ]
    draw_views(both[0][::across], [x[start::across] for start in range(across) for x in both][1:], file)
