"""Fine-tuning of a whole network on all labels, its learning rate and decay chosen on validation pictures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from relic_eval.records import Cell
from relic_eval.tuning.grid import best, noted, shown
from relic_eval.tuning.shared import at_edge, curves_of, make_cell
from relic_eval.tuning.shots import Shots, joined

if TYPE_CHECKING:
    from relic_eval.encoders.load import Encoder
    from relic_eval.tuning.descent import Descent

RATES = tuple(float(f"{v:.6g}") for v in np.logspace(-4, -1, 7))
DECAYS = (0.0, *(float(f"{v:.6g}") for v in np.logspace(-6, -3, 7)))


@dataclass(frozen=True)
class FineTune:
    """Train a copy on train at each point of the grid, choose on valid, train on both, look at the test labels once.

    The defaults are those of Kornblith et al. 2019 as BYOL's appendix D.3 has them. The cosine is from memory, and that
    weights decay and intercepts and norms do not is this project's; so is the head's start.
    """

    kind: ClassVar[str] = "tune"
    data: ClassVar[str] = "pictures"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    learning_rates: tuple[float, ...] = RATES
    decays: tuple[float, ...] = DECAYS  # divided by the learning rate
    steps: int = 20_000
    epochs: int = 0  # above 0: as many steps as these passes over the training pictures take, in place of `steps`
    batch: int = 256  # all pictures, where there are fewer
    momentum: float = 0.9  # Nesterov's
    schedule: str = "cosine"
    area: tuple[float, float] = (0.08, 1.0)
    ratio: float = 4 / 3
    flip: float = 0.5
    seed: int = 0  # of the head, the order of the pictures, and their crops

    def __call__(
        self,
        encoder: Encoder,
        train: Shots,
        valid: Shots,
        test: Shots,
        *,
        device: str = "cpu",
        keep: Path | None = None,
    ) -> Cell:
        """A cell whose first row is the task's metric on the test pictures.

        Points that are done are noted in the folder `keep`, and not computed again. Raises ArgumentError for an encoder
        without weights, or a grid on which every point diverges; DataError for a picture that cannot be read.
        """
        from relic_eval.tuning.classify import Crops, about, begin, fit, scores, value_of
        from relic_eval.tuning.feed import Feed

        start, both = begin(encoder, train, device), joined(train, valid)
        crops, metric = Crops(self.area, self.ratio, self.flip), test.pictures.metric
        # training pictures come first in `both`, so that one feed serves the grid and the final run
        feed, judged = Feed(both, start.cropped), Feed(valid, start.whole)

        def run(point: dict[str, float]) -> dict[str, Any]:
            plan, batch = self._plan(point, len(train))
            text = f"{encoder.name} {train.pictures.dataset}, {shown(point)}"
            model, loss = fit(start, feed, np.arange(len(train)), plan, batch, crops, text)
            value = None if loss is None else value_of(valid, scores(start, model, judged))
            return {"valid": value, "loss": loss}

        points = [{"learning_rate": r, "decay": d} for d in self.decays for r in self.learning_rates]
        key = about(encoder, train, self._settings(), valid=valid.digest, metric=metric)
        found = [noted(keep, {**key, "point": p}, lambda p=p: run(p)) for p in points]  # type: ignore[misc]
        chosen = points[best(points, [f["valid"] for f in found], ["learning_rate", "-decay"])]
        plan, batch = self._plan(chosen, len(both))
        name = f"{encoder.name} {train.pictures.dataset}, final"
        model, loss = fit(start, feed, np.arange(len(both)), plan, batch, crops, name)
        if loss is None:
            raise ArithmeticError(f"{shown(chosen)}: expected a loss that stays finite on all rows too, received NaN.")
        params = {
            **chosen,
            "steps": plan.steps,
            "batch": batch,
            "norm_weight": plan.norm,
            "diverged": sum(f["valid"] is None for f in found),
            "edge": at_edge(self.learning_rates, chosen["learning_rate"]),
        }
        score_NC = scores(start, model, Feed(test, start.whole))
        return make_cell(test, score_NC, params, curves_of(points, found, metric, "learning_rate", loss))

    def _plan(self, point: dict[str, float], rows: int) -> tuple[Descent, int]:
        from relic_eval.tuning.descent import Descent, norm_weight

        batch = min(self.batch, rows)
        steps = max(1, self.epochs * rows // batch) if self.epochs else self.steps
        rate = point["learning_rate"]
        norm = norm_weight(rows, batch)
        return Descent(steps, rate, point["decay"] / rate, self.momentum, norm=norm, seed=self.seed), batch

    def _settings(self) -> dict[str, Any]:
        """All but the grid, whose points are noted one by one."""
        mine = {**dataclasses.asdict(self), "version": self.version, "protocol": type(self).__name__}
        return {name: value for name, value in mine.items() if name not in ("learning_rates", "decays")}
