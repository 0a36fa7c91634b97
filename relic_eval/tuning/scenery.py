"""Pictures with a class for every pixel: their division, and batches of them on canvases of one size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from relic_eval.arrays import digest_array
from relic_eval.errors import ArgumentError
from relic_eval.files import digest_json

if TYPE_CHECKING:
    from relic_eval.data.scenes import Scenes

NONE = -1  # the class of pixels that are neither trained nor judged, and of those outside of a picture


@dataclass(frozen=True)
class SceneRows:
    """Some pictures of one split."""

    scenes: Scenes
    rows: np.ndarray  # (N,) int64

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ids(self) -> np.ndarray:
        """(N,) str."""
        return self.scenes.ids[self.rows]

    @property
    def sizes_N2(self) -> np.ndarray:
        """Height and width in pixels."""
        return self.scenes.sizes_N2[self.rows]

    @property
    def digest(self) -> str:
        """Of pictures and masks, which of them, and their order."""
        rows = digest_array(np.asarray(self.rows, np.int64))
        return digest_json([self.scenes.digest, self.scenes.split, rows, self.scenes.ignore, self.scenes.classes])

    def take(self, places: np.ndarray) -> SceneRows:
        """Those at these places."""
        return replace(self, rows=self.rows[places])


def divide_scenes(
    train: Scenes, test: Scenes, valid: Scenes | None = None, *, share: float = 0.2, seed: int = 0
) -> tuple[SceneRows, SceneRows, SceneRows]:
    """Training, validation and test pictures; where the set keeps none for validation, a share of the training pictures."""
    if len({s.classes for s in (train, test, *([valid] if valid else []))}) > 1:
        raise ArgumentError("test", f"the classes of {train.split}", "others")
    order = np.random.default_rng(seed).permutation(len(train))
    count = 0 if valid is not None else max(1, round(share * len(train)))
    chosen = SceneRows(train, np.sort(order[:count])) if valid is None else SceneRows(valid, np.arange(len(valid)))
    return SceneRows(train, np.sort(order[count:])), chosen, SceneRows(test, np.arange(len(test)))


def scaled_sizes(sizes_N2: np.ndarray, shorter: int) -> np.ndarray:
    """Sizes whose shorter side is `shorter` pixels; 0 leaves them.

    >>> scaled_sizes(np.array([[128, 200], [90, 60]]), 64).tolist()
    [[64, 100], [96, 64]]
    """
    if not shorter:
        return sizes_N2
    return np.maximum(np.round(sizes_N2 * shorter / sizes_N2.min(1, keepdims=True)), shorter).astype(np.int64)
