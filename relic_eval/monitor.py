"""The measures of an encoder while it trains, in anyone's loop: three lines.

watch = relic_eval.Monitor("runs/mine", pictures, labels, every=500)
for step, batch in enumerate(batches):
    ...
    watch(step, encoder, images=step * 256)

In Lightning the last one stands in `on_train_batch_end` of the module: self.watch(self.global_step, self.encoder).
"""

from __future__ import annotations

import csv
import io
import math
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.arrays import asarray, class_numbers, whole
from relic_eval.data.tasks import Task, split_task
from relic_eval.devices import float32
from relic_eval.efficiency import reached
from relic_eval.encoders.modes import evaluating
from relic_eval.errors import ArgumentError, DataError
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.files import write_bytes
from relic_eval.progress import warn
from relic_eval.records import Embeddings

__all__ = ["Monitor", "divided", "measure", "reached", "read_monitor", "write_monitor"]
COLLAPSED = {"spread": 0.02, "effective_rank": 1.5}  # below, an encoder tells hardly anything apart
MEASURED = ("knn", "linear", "spread", "effective_rank")


class Monitor:
    """Embeds some labelled pictures at chosen steps and writes what it measures to `OUT/monitor.csv`.

    `pictures` are uint8 (N, H, W) or (N, H, W, C), or floats (N, C, H, W) in [0, 1]; they are divided 60 / 20 / 20 into rows to
    fit on, to choose on and to test on (`n` of them). Where TensorBoard is installed it gets the numbers too. A run that is
    taken up at an earlier step writes those rows anew.
    """

    def __init__(
        self, out: str | Path, pictures: Any, labels: Any, *, every: int = 1000, batch: int = 256, seed: int = 0
    ):
        self.file = Path(out) / "monitor.csv"
        self.pictures = _channels_first(asarray(pictures))
        self.y_N, self.classes = class_numbers("labels", labels, len(self.pictures))
        if len(self.classes) < 2:
            raise ArgumentError("labels", "two classes or more", f"{len(self.classes)}")
        self.every, self.batch, self.seed = whole("every", every, 1), whole("batch", batch, 1), whole("seed", seed, 0)
        # too few of a class: said now
        parts = divided(np.zeros((len(self.y_N), 1), np.float32), self.y_N, self.classes, self.seed)
        self.tested = len(parts[-1])
        self.rows = read_monitor(self.file) if self.file.exists() else []
        self._writer: Any = None

    def __call__(self, step: int, encoder: Callable[[Any], Any], **counts: float) -> dict[str, float] | None:
        """Measure at every so manieth step, and return the row; None at others. `counts` (images, flops, loss, ...) stand beside.

        `encoder` takes float pictures (n, C, H, W) to features (n, D); a module runs in evaluation mode on its device and
        is given back as it was.
        """
        if step % self.every:
            return None
        found = measure(self._embed(encoder), self.y_N, self.classes, self.seed)
        row = {"step": step, **counts, **found, "n": self.tested}
        for name, least in COLLAPSED.items():
            if row[name] < least:
                warn(f"step {step}: {name} is {row[name]:.3g}, below {least}: the encoder has collapsed")
        self.rows = [*(r for r in self.rows if r["step"] < step), row]
        write_monitor(self.file, self.rows)
        self._to_tensorboard(row)
        return row

    def _embed(self, encoder: Callable[[Any], Any]) -> np.ndarray:
        import torch

        tensors = [*encoder.parameters(), *encoder.buffers()] if isinstance(encoder, torch.nn.Module) else []
        device = tensors[0].device if tensors else torch.device("cpu")
        parts = []
        with evaluating(encoder), torch.inference_mode(), float32():
            for start in range(0, len(self.pictures), self.batch):
                x = torch.from_numpy(self.pictures[start : start + self.batch]).to(device)
                parts.append(
                    encoder(x.float().div_(255) if x.dtype == torch.uint8 else x.float()).float().cpu().numpy()
                )
        x_ND = np.concatenate(parts)
        if x_ND.ndim != 2 or len(x_ND) != len(self.pictures):
            raise ArgumentError("encoder", f"features ({len(self.pictures)}, D)", f"{x_ND.shape}")
        return x_ND

    def _to_tensorboard(self, row: dict[str, float]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        if self._writer is None:  # what a run that was stopped had measured at this step and later is taken back
            folder = self.file.parent / "tensorboard"
            # TensorBoard reads its files in the order of their names, which count whole seconds
            while any(folder.glob(f"events.out.tfevents.{int(time.time()):010d}.*")):
                time.sleep(0.05)
            self._writer = SummaryWriter(str(folder), purge_step=int(row["step"]))
            weakref.finalize(self, self._writer.close)
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()


def measure(x_ND: np.ndarray, y_N: np.ndarray, classes: tuple[str, ...], seed: int = 0) -> dict[str, float]:
    """Top-1 of the protocols knn and linear-byol, the spread of unit rows, and the effective rank.

    The spread is the deviation of the columns of unit rows times sqrt(D): 1 where rows lie evenly around 0, 0 where all are alike
    (Chen and He 2021). Where rows are alike or not finite nothing is voted on: accuracies are NaN then.

    >>> x = np.repeat(np.eye(2), 20, 0)
    >>> found = measure(x, np.repeat([0, 1], 20), ("a", "b")); found["knn"], found["linear"], round(found["spread"], 3)
    (1.0, 1.0, 0.707)
    """
    from relic_eval.metrics.spectrum import spectrum

    lengths_N = np.linalg.norm(x_ND.astype(np.float64), axis=1)
    missing = dict.fromkeys(MEASURED, math.nan)
    if not np.isfinite(lengths_N).all():
        return missing
    unit_ND = x_ND / np.maximum(lengths_N, 1e-30)[:, None]
    spread = float(unit_ND.std(0).mean() * x_ND.shape[1] ** 0.5)
    rank = spectrum(x_ND).effective_rank
    found = {**missing, "spread": spread, "effective_rank": rank if math.isfinite(rank) else 0.0}
    if math.isfinite(rank) and (lengths_N > 0).all():
        parts = divided(x_ND, y_N, classes, seed)
        for name, protocol in (("knn", "knn"), ("linear", "linear-byol")):
            found[name] = float(PROTOCOLS[protocol](*parts).rows[0].value)
    return found


def divided(x_ND: np.ndarray, y_N: np.ndarray, classes: tuple[str, ...], seed: int) -> tuple[Embeddings, ...]:
    """Rows to fit on, to choose on and to test on, 60 / 20 / 20; DataError where a class has too few.

    >>> [len(part) for part in divided(np.zeros((10, 1)), np.arange(10) % 2, ("a", "b"), 0)]
    [6, 2, 2]
    """
    rows = Embeddings(x_ND, y_N, classes)
    return split_task(Task("monitor", "monitor", "monitor", "all", "all", seed=seed), rows, rows)


def write_monitor(file: Path, rows: list[dict[str, float]]) -> None:
    """All rows as CSV, whole or not at all; a number that is missing is empty.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "m.csv"
    >>> write_monitor(place, [{"step": 0, "knn": 0.5}, {"step": 9, "knn": math.nan}]); place.read_text().split()
    ['step,knn', '0,0.5', '9,']
    """
    names = list(dict.fromkeys(name for row in reversed(rows) for name in row))  # a checkpoint's rows are in no order
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(names)
    for row in rows:
        table.writerow(["" if math.isnan(v := row.get(name, math.nan)) else v for name in names])
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, text.getvalue().encode())


def read_monitor(file: str | Path) -> list[dict[str, float]]:
    """The rows of a `monitor.csv`; what is missing is NaN.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "m.csv"
    >>> write_monitor(place, [{"step": 7, "loss": 0.25}]); read_monitor(place)
    [{'step': 7, 'loss': 0.25}]
    """
    try:
        with open(file, newline="") as text:
            found = [{n: _number(v) for n, v in row.items()} for row in csv.DictReader(text)]
        return [{**row, "step": int(row["step"])} for row in found]
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DataError(
            f"{file}: expected rows of numbers with a column step, received another file. Move it away."
        ) from None


def _number(text: str) -> float:
    return math.nan if text == "" else float(text) if not text.lstrip("-").isdigit() else int(text)


def _channels_first(pictures: np.ndarray) -> np.ndarray:
    if pictures.dtype == np.uint8 and pictures.ndim in (3, 4):
        return np.ascontiguousarray(pictures[:, None] if pictures.ndim == 3 else pictures.transpose(0, 3, 1, 2))
    if pictures.dtype.kind == "f" and pictures.ndim == 4:
        return pictures
    raise ArgumentError(
        "pictures", "uint8 (N, H, W) or (N, H, W, C), or floats (N, C, H, W)", f"{pictures.dtype} {pictures.shape}"
    )
