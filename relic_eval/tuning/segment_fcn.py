"""Segmentation by a fully convolutional network: the encoder dilated, everything trained, the learning rate chosen."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from relic_eval.records import Cell
from relic_eval.tuning.grid import best, noted
from relic_eval.tuning.overlaps import make_cell
from relic_eval.tuning.scenery import SceneRows
from relic_eval.tuning.shared import at_edge, curves_of
from relic_eval.tuning.shown import chosen_places, fits, inside, overlays, packed, shrunk, unpacked

if TYPE_CHECKING:
    from torch import Tensor, nn

    from relic_eval.encoders.load import Encoder
    from relic_eval.tuning.canvas import Canvases
    from relic_eval.tuning.descent import Descent
    from relic_eval.tuning.fcn import Fcn

RATES = tuple(float(f"{v:.6g}") for v in np.logspace(-3, -1, 5))
SHOWN = 8  # pictures that are judged together


@dataclass(frozen=True)
class SegmentFcn:
    """Train on train at each learning rate, choose on valid, train on both from several seeds, look at the test masks once.

    The defaults are those of BYOL's appendix D.4 for PASCAL VOC 2012. That intercepts and norms do not decay, and that the
    last stage is dilated as torchvision does it, is this project's.
    """

    kind: ClassVar[str] = "tune"
    data: ClassVar[str] = "scenes"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    learning_rates: tuple[float, ...] = RATES
    steps: int = 30_000
    batch: int = 16
    momentum: float = 0.9
    decay: float = 1e-4
    drops: tuple[float, ...] = (0.7, 0.9)  # shares of the steps after which the rate is a tenth
    scales: tuple[float, float] = (0.5, 2.0)
    crop: int = 513  # side of the square that is trained on, in pixels
    view: int = 513  # side of the square in the middle that is judged; 0: all of the picture
    flip: float = 0.5
    shorter: int = 0  # pictures are first resized to this shorter side; 0: as they are
    width: int = 256
    dilation: int = 6
    norm_weight: float = 0.1  # of a batch in the running statistics
    trainings: int = 5  # seeds of the final training
    seed: int = 0  # the first of them, and that of the sweep

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
        """A cell whose first row is the mean IoU on the test pictures.

        Trainings that are done are noted in the folder `keep`. Raises ArgumentError for an encoder that is no ResNet.
        """
        from relic_eval.tuning.canvas import Canvases

        network, device = _network(encoder, device)
        both, judged = Canvases([train, valid], self.shorter), Canvases([valid], self.shorter)
        classes, of_train = train.scenes.classes, np.arange(len(train))
        name = f"{encoder.name} {train.scenes.name}"

        def run(rate: float) -> dict[str, Any]:
            plan = self._plan(rate, self.seed)
            model, loss = self._fit(network, both, of_train, len(classes), plan, device, f"{name}, rate {rate:g}")
            return {
                "valid": None if loss is None else _miou(self._counts(model, judged, len(classes), device)),
                "loss": loss,
            }

        def final(rate: float, seed: int) -> dict[str, Any]:
            plan, every = self._plan(rate, seed), np.arange(len(both))
            model, loss = self._fit(network, both, every, len(classes), plan, device, f"{name}, final {seed}")
            if loss is None:
                raise ArithmeticError(f"learning rate {rate:g}: expected a loss that stays finite, received NaN.")
            kept: dict[int, tuple[bytes, bytes, bytes]] = {}
            wanted = seed == self.seed and fits(len(classes))  # of the first training only
            counts = self._counts(model, tested, len(classes), device, kept if wanted else None)
            return {"counts": counts.tolist(), "loss": loss, "shown": packed(kept)}

        points = [{"learning_rate": rate} for rate in self.learning_rates]
        key = {"encoder": encoder.digest, "train": train.digest, "valid": valid.digest, "settings": self._settings()}
        found = [noted(keep, {**key, "point": p}, lambda p=p: run(p["learning_rate"])) for p in points]  # type: ignore[misc]
        chosen = points[best(points, [f["valid"] for f in found], ["learning_rate"])]
        rate, last, tested = chosen["learning_rate"], [], Canvases([test], self.shorter)
        for seed in range(self.seed, self.seed + self.trainings):
            point = {**key, "test": test.digest, "rate": rate, "final": seed}
            last.append(noted(keep, point, lambda seed=seed: final(rate, seed)))  # type: ignore[misc]
        params = {
            **chosen,
            "steps": self.steps,
            "batch": min(self.batch, len(both)),
            "diverged": sum(f["valid"] is None for f in found),
            "edge": at_edge(self.learning_rates, rate),
        }
        counts_3TNC = np.stack([np.array(its["counts"], np.int64) for its in last], 1)
        curves = curves_of(points, found, "miou", "learning_rate", last[0]["loss"])
        shown = overlays(unpacked(last[0].get("shown", {})), test.ids)
        return make_cell(counts_3TNC, test.ids, classes, params, curves, shown=shown)

    def _fit(
        self,
        network: nn.Module,
        source: Canvases,
        places: np.ndarray,
        classes: int,
        plan: Descent,
        device: str,
        text: str,
    ) -> tuple[Fcn, list[list[float]] | None]:
        """Train a copy of the network on crops of those places; the losses are None where they diverged."""
        from relic_eval.tuning.canvas import on_device, scaled_crops
        from relic_eval.tuning.descent import descend
        from relic_eval.tuning.fcn import pixel_loss
        from relic_eval.tuning.feed import ahead, batches, generator
        from relic_eval.views import Draw

        model = self._model(network, classes, plan.seed, device)
        order = batches(len(places), min(self.batch, len(places)), plan.steps, plan.seed)

        def make(step: int) -> tuple[Tensor, Tensor]:
            fill = _fill(network)
            x, y, sizes = on_device(source.take(places[order[step]]), fill, device)
            draw = Draw(generator(plan.seed, step), len(x))
            x, y = scaled_crops(x, y, sizes, self.crop, self.scales, self.flip, draw)
            return x + fill.view(1, 3, 1, 1), y

        def losses() -> Iterator[Tensor]:
            for x, y in ahead(make, range(plan.steps), wait=source.held is not None):
                yield pixel_loss(model(x), y)

        return model, descend(model, losses(), plan, text)

    def _counts(
        self,
        model: Fcn,
        source: Canvases,
        classes: int,
        device: str,
        kept: dict[int, tuple[bytes, bytes, bytes]] | None = None,
    ) -> np.ndarray:
        """Pixels (3, N, C) of each picture, as `picture_counts`; `kept` takes in what is said of a few."""
        import torch

        from relic_eval.devices import float32
        from relic_eval.metrics.segmentation import picture_counts
        from relic_eval.tuning.canvas import middles, on_device
        from relic_eval.tuning.scenery import NONE

        model.eval()
        high, wide = (self.view, self.view) if self.view else (source.high, source.wide)
        fill, made = _fill(model.encoder), []
        places = set() if kept is None else set(chosen_places(len(source)))
        with torch.inference_mode(), float32():
            for first in range(0, len(source), SHOWN):
                batch = source.take(np.arange(first, min(first + SHOWN, len(source))))
                x, y = middles(*on_device(batch, fill, device), high, wide)
                predicted = model(x + fill.view(1, 3, 1, 1)).max(1).indices  # argmax over channels is ten times slower
                made.append(picture_counts(y.cpu().numpy(), predicted.cpu().numpy(), classes, ignore=NONE))
                for n in sorted(places & set(range(first, first + len(x)))):
                    box = inside(source.sizes_N2[n], high, wide)
                    pixels = (255 * (x[n - first] + fill.view(3, 1, 1))).round().clamp(0, 255).byte()
                    its = (pixels.permute(1, 2, 0), y[n - first], predicted[n - first])
                    kept |= {n: shrunk(*(part.cpu().numpy()[box] for part in its))}  # type: ignore[operator]
        return np.concatenate(made, 1)

    def _model(self, network: nn.Module, classes: int, seed: int, device: str) -> Fcn:
        import torch

        from relic_eval.tuning.fcn import Fcn, maps_of

        with torch.no_grad():
            side = min(self.crop, 128)
            dims = maps_of(network, torch.zeros(1, 3, side, side, device=device)).shape[1]
        return Fcn(copy.deepcopy(network), dims, classes, self.width, self.dilation, seed).to(device)

    def _plan(self, rate: float, seed: int) -> Descent:
        from relic_eval.tuning.descent import Descent

        return Descent(
            self.steps,
            rate,
            self.decay,
            self.momentum,
            nesterov=False,
            drops=self.drops,
            norm=self.norm_weight,
            seed=seed,
        )

    def _settings(self) -> dict[str, Any]:
        """All but the grid and the number of trainings, which are noted one by one."""
        mine = {**dataclasses.asdict(self), "version": self.version, "protocol": type(self).__name__}
        return {name: value for name, value in mine.items() if name not in ("learning_rates", "trainings")}


def _network(encoder: Encoder, device: str) -> tuple[nn.Module, str]:
    """The encoder's network for RGB, dilated, on a device."""
    from relic_eval.devices import device as find_device
    from relic_eval.errors import ArgumentError
    from relic_eval.tuning.descent import network_of
    from relic_eval.tuning.dilate import dilate

    if encoder.channels not in (None, 3):
        raise ArgumentError("encoder", "a network for RGB pictures", f"one for {encoder.channels} channel")
    device = find_device(device)
    return dilate(copy.deepcopy(network_of(encoder.build(3, device), encoder.name))), device


def _fill(encoder: nn.Module) -> Tensor:
    """The colour outside of a picture: what the encoder takes for zero, where it says so; else grey."""
    import torch

    mean = getattr(encoder, "mean", None)
    if isinstance(mean, torch.Tensor):
        return mean.detach().flatten().float().expand(3)
    return next(encoder.parameters()).new_full((3,), 0.5)


def _miou(count_3NC: np.ndarray) -> float:
    from relic_eval.metrics.segmentation import mean_iou_of_counts

    return float(mean_iou_of_counts(count_3NC.sum(1)))
