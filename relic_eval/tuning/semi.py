"""Semi-supervised learning: a whole network tuned on the labels of a small share of the training pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from relic_eval.errors import DataError
from relic_eval.records import Cell
from relic_eval.tuning.grid import best, noted, shown
from relic_eval.tuning.lists import check_list, rows_of_names
from relic_eval.tuning.shared import at_edge, curves_of, make_cell
from relic_eval.tuning.shots import Shots, joined

if TYPE_CHECKING:
    from relic_eval.encoders.load import Encoder
    from relic_eval.tuning.descent import Descent

LISTED = "imagenet"  # the set whose labelled pictures are published


@dataclass(frozen=True)
class Semi:
    """Train a copy on the labelled share at each point of the grid, choose on valid, look at the test labels once.

    The defaults are those of BYOL's appendix C.1; the cosine to 0 is that of RELICv2's code for linear evaluation, and the
    head's start too. The model that is tested is the chosen one: no validation picture is trained on.
    """

    kind: ClassVar[str] = "tune"
    data: ClassVar[str] = "pictures"
    version: ClassVar[int] = 1  # raise it when the same settings give other numbers
    share: float = 0.01
    learning_rates: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.005)
    epochs: tuple[int, ...] = (30, 50)
    batch: int = 1024  # all labelled pictures, where there are fewer
    momentum: float = 0.9  # Nesterov's
    schedule: str = "cosine"
    norm_weight: float = 0.1  # of a batch in the running statistics: the decay of 0.9 of the published networks
    area: tuple[float, float] = (0.08, 1.0)
    ratio: float = 4 / 3
    flip: float = 0.5
    seed: int = 0  # of which pictures are labelled, the head, the order of the pictures, and their crops

    def __call__(
        self,
        encoder: Encoder,
        train: Shots,
        valid: Shots,
        test: Shots,
        *,
        listed: Sequence[str] = (),
        device: str = "cpu",
        keep: Path | None = None,
    ) -> Cell:
        """A cell whose first row is the task's metric on the test pictures; `keep` as in FineTune.

        `listed` are the file names of ImageNet's published list (`lists.read_list`), needed there and nowhere else.
        """
        from relic_eval.tuning.classify import Crops, about, begin, fit, scores, value_of
        from relic_eval.tuning.feed import Feed

        metric = test.pictures.metric
        few, valid = self.labelled(train, valid, listed)
        start, crops = begin(encoder, few, device), Crops(self.area, self.ratio, self.flip)
        feed, judged = Feed(few, start.cropped), Feed(valid, start.whole)
        all_rows, where = np.arange(len(few)), f"{encoder.name} {few.pictures.dataset}, {len(few)} labelled"

        def run(point: dict[str, float]) -> dict[str, Any]:
            plan, batch = self._plan(point, len(few))
            model, loss = fit(start, feed, all_rows, plan, batch, crops, f"{where}, {shown(point)}")
            value = None if loss is None else value_of(valid, scores(start, model, judged))
            return {"valid": value, "loss": loss}

        points = [{"learning_rate": r, "epochs": float(e)} for e in self.epochs for r in self.learning_rates]
        key = about(encoder, few, self._settings(), valid=valid.digest, metric=metric)
        found = [noted(keep, {**key, "point": p}, lambda p=p: run(p)) for p in points]  # type: ignore[misc]
        chosen = points[best(points, [f["valid"] for f in found], ["learning_rate", "epochs"])]
        plan, batch = self._plan(chosen, len(few))
        model, loss = fit(start, feed, all_rows, plan, batch, crops, f"{where}, final")  # the chosen run once more
        params = {
            **chosen,
            "labelled": len(few),
            "steps": plan.steps,
            "batch": batch,
            "diverged": sum(f["valid"] is None for f in found),
            "edge": at_edge(self.learning_rates, chosen["learning_rate"]),
        }
        score_NC = scores(start, model, Feed(test, start.whole))
        return make_cell(test, score_NC, params, curves_of(points, found, metric, "learning_rate", loss or []))

    def labelled(self, train: Shots, valid: Shots, listed: Sequence[str] = ()) -> tuple[Shots, Shots]:
        """The pictures whose labels are trained on, and those that choose: never the same.

        Of ImageNet the published list, which may name validation rows: these are trained on and choose nothing.
        """
        if train.pictures.dataset != LISTED:
            return draw_share(train, self.share, self.seed), valid
        check_list(listed, self.share)
        both = joined(train, valid)
        chosen = both.take(rows_of_names(both, listed))
        return chosen, valid.take(~np.isin(valid.rows, chosen.rows))

    def _plan(self, point: dict[str, float], rows: int) -> tuple[Descent, int]:
        from relic_eval.tuning.descent import Descent

        batch = min(self.batch, rows)
        steps = max(1, int(point["epochs"]) * rows // batch)
        rate = point["learning_rate"]
        return Descent(steps, rate, momentum=self.momentum, norm=self.norm_weight, seed=self.seed), batch

    def _settings(self) -> dict[str, Any]:
        """All but the grid, whose points are noted one by one."""
        mine = {**dataclasses.asdict(self), "version": self.version, "protocol": type(self).__name__}
        return {name: value for name, value in mine.items() if name not in ("learning_rates", "epochs")}


def draw_share(shots: Shots, share: float, seed: int) -> Shots:
    """That share of each class, rounded, at least one picture, drawn without replacement.

    >>> from relic_eval.data.pictures import from_array
    >>> y = np.repeat([0, 1], [30, 4])
    >>> p = from_array("toy", "train", np.zeros((34, 2, 2), np.uint8), y, ("a", "b"), digest="d")
    >>> np.bincount(draw_share(Shots(p, np.arange(34), y, p.classes), 0.1, seed=0).y_N)
    array([3, 1])
    """
    rng, places = np.random.default_rng(seed), []
    for label in range(len(shots.classes)):
        its = np.flatnonzero(shots.y_N == label)
        if not len(its):
            raise DataError(f"class {shots.classes[label]!r}: expected a training picture, received none.")
        places.append(rng.permutation(its)[: max(1, round(share * len(its)))])
    return shots.take(np.sort(np.concatenate(places)))
