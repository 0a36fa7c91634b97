"""Frozen typed records that pass between the stages. Tables are mappings from column names to arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.errors import DataError, NewerError
from relic_eval.files import Shape, digest_json, read_record

FORMAT = 1  # of stores, cells and checkpoints; raise it when a field changes, and add a step to read_versioned
OLDEST = 1  # that can be read

CLEAN = "clean 0"  # of `Embeddings.corruptions`: the view of the pictures as they were

Table = Mapping[str, np.ndarray]  # columns of one length


def read_versioned(file: Path, shape: Shape) -> dict[str, Any]:
    """A record with a format number, in today's format; steps from older formats stand here.

    Raises NewerError for a newer one, DataError for a missing or damaged one.

    >>> import tempfile; place = Path(tempfile.mkdtemp()) / "x.json"; _ = place.write_text('{"format": 1, "a": 2}')
    >>> read_versioned(place, {"a": int})["a"]
    2
    """
    number = read_record(file, {"format": int})["format"]
    if number > FORMAT:
        raise NewerError(
            f"{file}: expected format {FORMAT} or older, received {number}, made by a newer relic-eval. "
            "Update relic-eval; it is left as it is."
        )
    if number < OLDEST:
        raise DataError(
            f"{file}: expected format {OLDEST} to {FORMAT}, received {number}, which no relic-eval reads. Make it again."
        )
    return read_record(file, shape)


@dataclass(frozen=True)
class Embeddings:
    """Rows of one split, with their labels: what evaluators take. No file, no picture.

    >>> e = Embeddings(np.zeros((2, 3), np.float32), np.array([0, 1]), ("ant", "bee"))
    >>> len(e), e.take(np.array([1])).y_N
    (2, array([1]))
    """

    x_ND: np.ndarray  # (N, D), finite
    y_N: np.ndarray  # (N,) int64, index into `classes`
    classes: tuple[str, ...]
    superclasses: tuple[str, ...] | None = None  # of each class, len(classes)
    ids: np.ndarray | None = None  # (N,) str: the same picture has the same id in every encoder's store
    absent_M2: np.ndarray | None = None  # place in the whole listing and class number of pictures that were left out
    views: tuple[np.ndarray, ...] = ()  # (N, D) each: the same images, augmented; only where a measure asked for them
    corruptions: tuple[str, ...] = ()  # where the views are corrupted pictures: the kind and strength of each, or CLEAN
    valid_N: np.ndarray | None = (
        None  # (N,) bool: of training rows, those that the data set itself keeps for validation
    )
    labels_NC: np.ndarray | None = None  # (N, C) bool, of a set whose pictures may have several classes
    metric: str = "top1"  # of their task: what chooses on validation rows and stands first: top1, mean_per_class, map11

    def __len__(self) -> int:
        return len(self.x_ND)

    def take(self, rows: np.ndarray) -> Embeddings:
        """The rows with these indices (or this mask), in this order."""
        their: dict[str, Any] = {
            n: None if (a := getattr(self, n)) is None else a[rows] for n in ("ids", "valid_N", "labels_NC")
        }
        views = tuple(v_ND[rows] for v_ND in self.views)
        return dataclasses.replace(self, x_ND=self.x_ND[rows], y_N=self.y_N[rows], absent_M2=None, views=views, **their)


@dataclass(frozen=True)
class Transform:
    """How a picture becomes the square that an encoder sees: shorter side to `resize`, then the centre of `side` pixels.

    >>> Transform(224, resize=256).shorter, Transform(224).shorter
    (256, 224)
    """

    side: int
    resize: int = 0  # 0: `side`, so that nothing but the longer side is cut
    interpolation: str = "bicubic"  # a name of Pillow's: nearest, bilinear, bicubic, lanczos, box or hamming
    squash: bool = False  # both sides to `resize`, whatever the proportion
    offset: str = "round"  # of the square where `resize` is given: half of what is cut, by torchvision rounded, by transformers floored

    @property
    def shorter(self) -> int:
        """Pixels of the shorter side before the square is cut."""
        return self.resize or self.side


@dataclass(frozen=True)
class Measurement:
    """One row of the results table. A number that is missing is None, never 0."""

    metric: str  # "top1", "distance_ratio", ...; the protocol stands in cell.json
    value: float | None
    low: float | None = None  # 95% interval
    high: float | None = None
    n: int = 0  # images behind the number
    params: Mapping[str, int | float | str] = field(default_factory=dict)
    converged: bool | None = None  # None where nothing is fitted


@dataclass(frozen=True)
class Cell:
    """What one (encoder, task, protocol) produced. Tables that do not apply are None.

    predictions: item (str), true, predicted (int64), correct (float32: 0 or 1, or the mean over what a protocol averages),
        score (float32), and, where a protocol has several training draws, draw (int64); of pictures with several classes one
        row a picture and class: class (int64), true and predicted 0 or 1
    curves:      name (str), x, y (float64)
    neighbours:  query, item (str ids), rank (int64, from 0), distance (float32)
    overlaps:    of segmentation: item (str), class, both, true, predicted (int64: pixels of the item that are of the class and
        predicted as it, of it, predicted as it), and, where there are several trainings, draw (int64)
    overlays:    of segmentation, a few items to be looked at: item (str), picture (bytes, WebP), true and predicted by the first
        training (bytes, PNG: class numbers, 255 for no label), 96 pixels a side at most
    """

    rows: tuple[Measurement, ...]
    predictions: Table | None = None
    curves: Table | None = None
    neighbours: Table | None = None
    overlaps: Table | None = None
    overlays: Table | None = None


def setting(changes_numbers: bool, **kwargs: Any) -> Any:
    """A dataclass field that says whether it changes the numbers: only those that do are part of the key.

    >>> @dataclass(frozen=True)
    ... class Request:
    ...     size: int = setting(True)
    ...     workers: int = setting(False, default=1)
    >>> settings_key(Request(28)) == settings_key(Request(28, workers=8))
    True
    """
    return field(metadata={"changes_numbers": changes_numbers}, **kwargs)


def settings_key(request: Any) -> str:
    """Digest of the name of a settings dataclass and of each of its fields that changes the numbers, of nothing else.

    A field that does not say which it is raises TypeError: unclassified settings are how caches go wrong.

    >>> len(settings_key(EncodeRequest("pixels", "", "fashion", "test", "d", 28)))
    64
    """
    key: dict[str, Any] = {"": type(request).__name__}
    for entry in dataclasses.fields(request):
        if "changes_numbers" not in entry.metadata:
            raise TypeError(f"{type(request).__name__}.{entry.name}: say with setting() whether it changes the numbers")
        if entry.metadata["changes_numbers"]:
            key[entry.name] = getattr(request, entry.name)
    return digest_json(key)


@dataclass(frozen=True)
class EncodeRequest:
    """Everything that decides the bytes of an embedding store, and what does not, told apart."""

    encoder: str = setting(False)  # the name people see; what it computes is in the digest
    weights: str = setting(True)  # digest of weights, architecture and preprocessing; of nothing else
    dataset: str = setting(False)  # the name people see
    split: str = setting(True)  # "train", "test", ...
    data: str = setting(True)  # digest of the pictures and labels
    resolution: int = setting(True)  # side of the square that the encoder sees, in pixels
    precision: str = setting(True, default="float32")  # of the stored embeddings
    version: int = setting(
        True, default=1
    )  # of the way from file to feature; raise it when the same settings give other numbers
    batch: int = setting(False, default=256)
    device: str = setting(False, default="auto")
    on_error: str = setting(True, default="fail")  # an unreadable picture: "fail" or "skip" it
    thumbnails: int = setting(False, default=50)  # small pictures a class kept for reports (0: none)


@dataclass(frozen=True)
class ViewRequest:
    """What decides the bytes of a store of one augmented view, beside all that decides those of the whole pictures."""

    whole: str = setting(
        True
    )  # key of the store of the whole pictures: its EncodeRequest, which knows nothing of views
    view: int = setting(True)  # from 1; so ten views begin with the five that are there
    recipe: str = setting(True)  # digest of the augmentations
    seed: int = setting(True, default=0)
    version: int = setting(True, default=2)  # of the augmentations' code; raise it when a recipe gives other pictures


@dataclass(frozen=True)
class CorruptionRequest:
    """What decides the bytes of a store of corrupted pictures, beside all that decides those of the whole pictures."""

    whole: str = setting(True)  # key of the store of the whole pictures
    kind: str = setting(True)  # of corruption
    strength: int = setting(True)  # 1 to 5
    most: int = setting(True)  # pictures, the first of each class alike; 0: all that are tested
    seed: int = setting(True, default=0)
    library: str = setting(True, default="")  # its name and version
    version: int = setting(True, default=2)  # of what stands around the library; raise it when it gives other pictures
