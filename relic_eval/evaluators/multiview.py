"""How much of an embedding tells images apart, and how much only their views: LiDAR and alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from relic_eval.records import Cell, Embeddings, Measurement


@dataclass(frozen=True)
class MultiView:
    """LiDAR and alignment over the augmented views of the test images; the whole pictures are no part of it."""

    kind: ClassVar[str] = "measure"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    multi_label: ClassVar[bool] = True  # no label is looked at
    needs_views: ClassVar[bool] = True
    delta: float = 1e-4

    def __call__(self, split: Embeddings) -> Cell:
        """A cell whose first row is LiDAR. Raises ArgumentError without at least two views of each image."""
        from relic_eval.metrics.multiview import alignment, lidar, needs_views
        from relic_eval.metrics.spectrum import lengths

        if len(split.views) < 2:
            raise needs_views(f"{len(split.views) or 'none'}")
        x_NVD, n = np.stack(split.views, axis=1), len(split)
        rank, params = lidar(x_NVD, delta=self.delta), {"views": len(split.views)}
        zeros = int(sum((lengths(v_ND) == 0).sum() for v_ND in split.views))  # they have no direction
        together = params | ({"rows_of_zeros": zeros} if zeros else {})
        rows = (
            Measurement("lidar", rank if np.isfinite(rank) else None, n=n, params=params),
            Measurement("alignment", None if zeros else alignment(x_NVD), n=n, params=together),
        )
        return Cell(rows)
