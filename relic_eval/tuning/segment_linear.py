"""Segmentation by a linear layer on the maps of a frozen encoder: each picture is encoded once, and the layer is fitted exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from relic_eval.records import Cell, Transform
from relic_eval.tuning.overlaps import make_cell
from relic_eval.tuning.scenery import NONE, SceneRows
from relic_eval.tuning.shared import at_edge
from relic_eval.tuning.shown import chosen_places, fits, overlays, shrunk

if TYPE_CHECKING:
    from relic_eval.encoders.load import Encoder
    from relic_eval.probes.logistic import PenaltyPath
    from relic_eval.tuning.maps import Maps

PENALTIES = tuple(float(f"{v:.6g}") for v in np.logspace(-6, 0, 13))
SIDE = 224  # of the square, for encoders that have none of their own


@dataclass(frozen=True)
class SegmentLinear:
    """Fit on pixels of train at each penalty, choose on valid by mean IoU, refit on both, look at the test masks once.

    The model is that of DINOv2's linear segmentation, normalisation of each feature and a linear layer on the last map,
    logits spread bilinearly. What is trained by AdamW there is a convex problem where no augmentation is drawn: it is
    solved, on some pixels of each picture. No normalisation with running statistics is needed: mean and deviation are exact.
    """

    kind: ClassVar[str] = "tune"
    data: ClassVar[str] = "scenes"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    penalties: tuple[float, ...] = PENALTIES  # times half the squared weights, beside the mean loss a pixel
    pixels: int = 128  # drawn of each training picture; those without a label are left out
    side: int = 0  # of the square that whole pictures are squashed to; 0: the encoder's own
    tol: float = 1e-4  # on the way to a choice of the penalty
    refit_tol: float = 3e-5  # of the one model that is reported
    seed: int = 0  # of which pixels are drawn

    def __call__(
        self,
        encoder: Encoder,
        train: SceneRows,
        valid: SceneRows,
        test: SceneRows,
        *,
        device: str = "cpu",
        keep: Path | None = None,
    ) -> Cell:
        """A cell whose first row is the mean IoU on all labelled pixels of the test pictures, at their own size.

        `keep` is not needed: minutes at most are lost. Raises ArgumentError for an encoder that gives no maps.
        """
        from relic_eval.metrics.segmentation import mean_iou_of_counts
        from relic_eval.probes.logistic import fit_path
        from relic_eval.tuning.maps import compute_maps

        own = encoder.transform or Transform(SIDE)
        side = self.side or own.side
        seen = Transform(side, interpolation=own.interpolation, squash=True)
        maps, judged = compute_maps(encoder, train, seen, device), compute_maps(encoder, valid, seen, device)
        classes = len(train.scenes.classes)
        here, there = maps.pixels(self.pixels, self.seed), judged.pixels(self.pixels, self.seed + 1)
        scale = here[0].mean(0), np.maximum(here[0].std(0), 1e-6)
        path = fit_path(
            (here[0] - scale[0]) / scale[1],
            here[1],
            classes=classes,
            penalties=self.penalties,
            mean_form=True,
            tol=self.tol,
            device=maps.device,
        )
        value_L = np.array([mean_iou_of_counts(c.sum(1)) for c in _counts(path, scale, judged, classes)])
        chosen = int(np.flatnonzero(value_L == value_L.max())[-1])  # of ties the largest penalty
        x_ND, y_N = (np.concatenate(both) for both in zip(here, there, strict=True))
        scale = x_ND.mean(0), np.maximum(x_ND.std(0), 1e-6)
        only = (self.penalties[chosen],)
        refit = fit_path(
            (x_ND - scale[0]) / scale[1],
            y_N,
            classes=classes,
            penalties=only,
            mean_form=True,
            tol=self.refit_tol,
            device=maps.device,
        )
        tested = compute_maps(encoder, test, seen, device)
        kept: dict[int, tuple[bytes, bytes, bytes]] = {}
        count_3NC = _counts(refit, scale, tested, classes, kept if fits(classes) else None)[0]
        params: dict[str, Any] = {
            "penalty": self.penalties[chosen],
            "edge": at_edge(self.penalties, self.penalties[chosen]),
            "rows": len(x_ND),
            "dims": x_ND.shape[1],
            "cells": tested.maps_NDhw.shape[2] * tested.maps_NDhw.shape[3],
            "side": side,
            "gradient": refit.gradient_SL[0, 0].item(),
        }
        names = np.repeat(["validation miou", "gradient"], len(self.penalties))
        curves = {
            "name": names,
            "x": np.tile(np.array(self.penalties), 2),
            "y": np.concatenate([value_L, path.gradient_SL[0]]),
        }
        converged = bool(path.converged_SL.all() and refit.converged_SL.all())
        shown = overlays(kept, test.ids)
        return make_cell(count_3NC[:, None], test.ids, train.scenes.classes, params, curves, converged, shown)


def _counts(
    path: PenaltyPath,
    scale: tuple[np.ndarray, np.ndarray],
    judged: Maps,
    classes: int,
    kept: dict[int, tuple[bytes, bytes, bytes]] | None = None,
) -> list[np.ndarray]:
    """Of every penalty: pixels (3, N, C) of each picture, as `picture_counts`; `kept` takes in what the first says of a few."""
    from relic_eval.metrics.segmentation import picture_counts

    made: list[list[np.ndarray]] = [[] for _ in path.penalties_L]
    # the scale is put into the weights: maps are multiplied as they are
    weights_LDC = path.weights_SLDC[0].astype(np.float64) / scale[1][:, None]
    bias_LC = path.bias_SLC[0] - np.einsum("d,ldc->lc", scale[0].astype(np.float64), weights_LDC)
    first, wanted = 0, set() if kept is None else set(chosen_places(len(judged.source)))
    for true_NHW, of_each in judged.predictions(weights_LDC, bias_LC):
        for place, predicted_NHW in enumerate(of_each):
            made[place].append(picture_counts(true_NHW, predicted_NHW, classes, ignore=NONE))
        for n in sorted(wanted & set(range(first, first + len(true_NHW)))):
            if kept is not None:
                kept[n] = _shown(judged, n, true_NHW[n - first], of_each[0][n - first])
        first += len(true_NHW)
    return [np.concatenate(parts, 1) for parts in made]


def _shown(judged: Maps, n: int, true_HW: np.ndarray, predicted_HW: np.ndarray) -> tuple[bytes, bytes, bytes]:
    """One picture with its masks, which lie in the corner of a canvas."""
    picture, mask = judged.source.scenes.read(int(judged.source.rows[n]))
    box = np.s_[: mask.shape[0], : mask.shape[1]]
    return shrunk(picture, true_HW[box], predicted_HW[box])
