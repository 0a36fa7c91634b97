"""Corrupted pictures: the kinds and strengths of ImageNet-C from the library `imagecorruptions`, for the pictures of any set.

A corruption changes a square of one side, the same for all encoders, which is then brought to the side that an encoder sees. Its random numbers are those of (seed,
kind, strength, picture): neither batches nor other pictures change one. Importing this imports no library.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import io
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relic_eval.data.beside import beside, read_beside
from relic_eval.data.pictures import Pictures, as_transform, resize
from relic_eval.errors import ArgumentError, DataError, look_up
from relic_eval.files import digest_json
from relic_eval.records import Embeddings, Transform
from relic_eval.store import read_manifest

NOTE = "corruptions.json"
KINDS = (  # as ImageNet-C orders them: noise, blur, weather, digital
    *("gaussian_noise", "shot_noise", "impulse_noise"),
    *("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    *("snow", "frost", "fog", "brightness"),
    *("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
)
STRENGTHS = (1, 2, 3, 4, 5)
SEEDED = ("impulse_noise", "glass_blur")  # take a seed; the others draw from numpy's global generator
LEAST = 32  # pixels a side that the library takes
HELD = 1 << 30  # bytes of pictures that are kept between corruptions
PACKAGE = "imagecorruptions-imaug"
_one_at_a_time = threading.Lock()  # the generator is global


@dataclass(frozen=True)
class Corruptions:
    """What is made of the test pictures of a set: kinds, strengths, and of how many pictures (0: of all)."""

    kinds: tuple[str, ...] = KINDS
    strengths: tuple[int, ...] = STRENGTHS
    most: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for kind in self.kinds:
            look_up("corruption", kind, dict.fromkeys(KINDS))
        strange = [s for s in self.strengths if s not in STRENGTHS]
        if strange or not self.kinds or not self.strengths:
            raise ArgumentError("corruptions", "kinds, and strengths from 1 to 5", repr(strange or "none"))


def asked_for(most: int | None, kinds: Sequence[str] | None = None) -> Corruptions | None:
    """What a command line asks for: None where no number of pictures is named.

    >>> asked_for(None), asked_for(20, ["fog"]).kinds
    (None, ('fog',))
    """
    if most is None:
        if kinds:
            raise ArgumentError("--kind", "--corruptions beside it", "none", "For example --corruptions 100.")
        return None
    return Corruptions(tuple(kinds or KINDS), most=most)


def corrupted(source: Pictures, kind: str, strength: int, seed: int = 0) -> Pictures:
    """The same pictures, each corrupted: ImageNet-C's `kind` at `strength` 1 to 5.

    Each is corrupted at one side (`corrupted_at`), whatever side an encoder sees, and then brought to that: all encoders are
    shown the same pictures. Squares below 32 pixels are continued by their mirror image to 32, corrupted and cut again; of grey pictures the green
    channel of what becomes of them in colour is kept. Raises DataError where the library is not installed.
    """
    library = _library()

    def read(rows: np.ndarray, side: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        pixels, problems = source.read(rows, source.corrupted_at)
        made = [
            _corrupt(library, picture, kind, strength, digest_json([seed, kind, strength, str(source.ids[row])]))
            for picture, row in zip(pixels, rows.tolist(), strict=True)
        ]
        return resize(np.stack(made) if made else pixels, side), problems

    return dataclasses.replace(source, read=read)


def _library():
    try:
        import imagecorruptions
    except ImportError as error:
        raise DataError(
            f"expected the library {PACKAGE} for corruptions, received none ({error}). pip install 'relic-eval[robust]'; beside "
            f"[saliency], whose OpenCV it would overwrite: pip install --no-deps {PACKAGE} numba llvmlite."
        ) from None
    return imagecorruptions


def library_version() -> str:
    """Name and version of the library; a DataError where it is not installed, or where another of its name is."""
    try:  # not by importing it, which takes a second
        return f"{PACKAGE} {importlib.metadata.version(PACKAGE)}"
    except importlib.metadata.PackageNotFoundError:
        _library()
        raise DataError(
            f"expected {PACKAGE}, received another package with the module imagecorruptions, which takes no seeds. "
            f"pip uninstall imagecorruptions; pip install {PACKAGE}."
        ) from None


def _corrupt(library, picture_HWC: np.ndarray, kind: str, strength: int, digest: str) -> np.ndarray:
    side, seed = len(picture_HWC), int(digest[:8], 16)
    before = max(0, LEAST - side) // 2
    after = max(0, LEAST - side) - before
    wide_HWC = np.pad(picture_HWC, ((before, after), (before, after), (0, 0)), mode="symmetric")
    more = {"seed": seed} if kind in SEEDED else {}
    with _one_at_a_time, contextlib.redirect_stdout(io.StringIO()):  # zoom_blur prints what it rounds
        state = np.random.get_state()  # noqa: NPY002
        try:
            np.random.seed(seed)  # noqa: NPY002
            made_HWC = library.corrupt(wide_HWC, severity=strength, corruption_name=kind, **more)
        finally:
            np.random.set_state(state)  # noqa: NPY002
    made_HWC = made_HWC[before : before + side, before : before + side]
    return made_HWC[..., 1:2] if picture_HWC.shape[2] == 1 else made_HWC


def held(source: Pictures, side: int | Transform) -> Pictures:
    """The same pictures, read once at this size and kept, where they take at most HELD bytes: each is corrupted many times.

    >>> from relic_eval.data.pictures import from_array
    >>> p = from_array("toy", "test", np.full((2, 8, 8), 9, np.uint8), np.array([0, 1]), ("a", "b"), digest="d")
    >>> held(p, 8).read(np.array([1]), 8)[0].shape
    (1, 8, 8, 1)
    """
    if len(source) * as_transform(side).side ** 2 * source.channels > HELD:
        return source
    kept: list[tuple[np.ndarray, Mapping[int, str]]] = []

    def read(rows: np.ndarray, asked: int | Transform) -> tuple[np.ndarray, Mapping[int, str]]:
        if as_transform(asked) != as_transform(side):
            return source.read(rows, asked)
        if not kept:
            kept.append(source.read(np.arange(len(source)), side))
        pixels, problems = kept[0]
        return pixels[rows], {row: problems[row] for row in rows.tolist() if row in problems}

    return dataclasses.replace(source, read=read)


def first_of_each(y_N: np.ndarray, most: int) -> np.ndarray:
    """Rows, in their order: the first of each class, as many of each as fit into `most` and at least one; all where it is 0.

    >>> first_of_each(np.array([0, 0, 1, 1, 0]), 3)
    array([0, 2])
    """
    if not most:
        return np.arange(len(y_N))
    classes = np.unique(y_N)
    each = max(1, most // max(1, len(classes)))
    return np.sort(np.concatenate([np.flatnonzero(y_N == c)[:each] for c in classes]))


def corruptions_of(path: Path) -> list[Path]:
    """The stores of corrupted pictures in use beside a store of whole pictures; none where none were made.

    >>> corruptions_of(Path("/nowhere/test.0"))
    []
    """
    return beside(NOTE, path)


def with_corruptions(test: Embeddings, path: Path) -> Embeddings:
    """The test rows whose corrupted pictures lie beside the store that they come from, with these as `views`.

    `corruptions` names each view, kind and strength. Raises DataError for stores of other pictures than each other's.
    """
    if test.ids is None:
        raise DataError(f"{path}: expected ids of the test pictures, received none. Embed again.")
    views: list[np.ndarray] = []
    names: list[str] = []
    kept_N = np.arange(0)
    for place in corruptions_of(path):
        rows, about = read_beside(place, path), read_manifest(place)["request"]
        order = {name: i for i, name in enumerate(() if rows.ids is None else rows.ids.tolist())}
        its_N = np.array([i for i, name in enumerate(test.ids.tolist()) if name in order], int)
        if views and not np.array_equal(its_N, kept_N):
            raise DataError(
                f"{place}: expected the pictures of the other corruptions, received others. Delete it and embed again."
            )
        kept_N = its_N
        views.append(np.asarray(rows.x_ND)[[order[name] for name in test.ids[its_N].tolist()]])
        names.append(f"{about['kind']} {about['strength']}")
    return dataclasses.replace(test.take(kept_N), views=tuple(views), corruptions=tuple(names))
