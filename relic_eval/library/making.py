"""What is made: embeddings, stores of other people's, pretrained encoders, converted checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relic_eval.arrays import class_numbers, whole
from relic_eval.errors import ArgumentError
from relic_eval.records import Embeddings

if TYPE_CHECKING:
    from relic_eval.data.own import OwnTask
    from relic_eval.encoders.load import Encoder


def embed(
    encoder: str | Callable[[Any], Any],
    data: str | OwnTask,
    out: str | Path,
    *,
    name: str | None = None,
    version: str = "1",
    side: int | None = None,
    channels: int | None = None,
    device: str | None = None,
    batch: int = 256,
    on_error: str = "fail",
    views: int = 0,
    corruptions: int | None = None,
) -> list[Path]:
    """Embed a data set (`fashion`, `digits` or a folder of class folders) into stores under `out`; returns their paths.

    `encoder` is a name or any function from pictures (N, C, H, W) in [0, 1] to features (N, D), of `channels` channels (by
    default what the set has) and `side` pixels a side. `name` is what the board calls it. A torch module is known by its
    layers and weights, any other function by its code and what it refers to; `version` is yours to change when something else
    changes what is computed (an attribute, a file that is read). A module runs in evaluation mode, on its device, and is
    given back as it was; a named encoder runs on `device`, by default CUDA where there is one. `on_error="skip"` leaves
    unreadable pictures out. `views` augmented views of each picture that may be tested go into stores of their own, and so do
    corrupted copies of so many test pictures (0: of all).

    >>> import tempfile
    >>> [p.parent.name for p in embed(lambda x: x.mean((2, 3)), "digits", tempfile.mkdtemp(), name="mean")]
    ['digits']
    """
    for title, value, least in (("side", side, 8), ("channels", channels, 1), ("batch", batch, 1), ("views", views, 0)):
        if value is not None:
            whole(title, value, least)
    from relic_eval.data.corruptions import asked_for
    from relic_eval.encode import embed as encode
    from relic_eval.encoders.modes import evaluating

    found = encoder_of(encoder, name, version=version, side=side, channels=channels, device=device)
    with evaluating(encoder):
        return encode(
            found,
            str(data) if isinstance(data, Path) else data,
            Path(out),
            device=device or "auto",
            batch=batch,
            on_error=on_error,
            views=views,
            corruptions=asked_for(corruptions),
        )


def encoder_of(
    encoder: Any, name: str | None, *, version: str, side: int | None, channels: int | None, device: str | None
) -> Encoder:
    """The encoder that somebody hands over: a name, a module (which runs where it is), or a function (on the CPU).

    >>> encoder_of(abs, "size", version="1", side=None, channels=None, device=None).name
    'size'
    """
    from relic_eval.encoders.identity import identity
    from relic_eval.encoders.load import find_encoder, from_callable, from_module, renamed
    from relic_eval.files import digest_json

    if isinstance(encoder, type):
        raise ArgumentError(
            "encoder", "a module, a function or a name", f"the class {encoder.__name__}", "Make one of it."
        )
    if isinstance(encoder, str):
        return renamed(find_encoder(encoder), name)
    if not callable(encoder):
        raise ArgumentError("encoder", "a name, a module or a function", type(encoder).__name__)
    if not hasattr(encoder, "state_dict"):
        known = digest_json([version, identity(encoder)])
        found = from_callable(name or "mine", encoder, digest=known, side=side, channels=channels)
        return replace(found, device=device or "cpu")
    found, where = from_module(name or "mine", encoder, digest=version, side=side, channels=channels)
    return replace(found, device=device or where)


def save_embeddings(
    x: Any,
    labels: Any,
    out: str | Path,
    *,
    name: str,
    dataset: str = "mine",
    superclasses: dict[str, str] | None = None,
) -> Path:
    """Make a store from embeddings computed elsewhere, one label (number or name) a row; returns its path.

    >>> import tempfile
    >>> load(save_embeddings([[0.0], [1.0]], ["a", "b"], tempfile.mkdtemp(), name="mine")).classes
    ('a', 'b')
    """
    from relic_eval.intake import import_arrays

    return import_arrays(Path(out), name, dataset, x, labels, superclasses=superclasses)


def load(path: str | Path) -> Embeddings:
    """The embeddings of a store: x_ND, y_N, classes, superclasses, ids.

    >>> import tempfile
    >>> load(save_embeddings([[0.0], [1.0]], [3, 4], tempfile.mkdtemp(), name="m")).x_ND.shape
    (2, 1)
    """
    from relic_eval.store import read_store

    return read_store(Path(path))


def pretrain(method: str, images: Any, labels: Any, out: str | Path, **settings: Any) -> Path:
    """Train an encoder on uint8 pictures (N, H, W) or (N, H, W, C); returns its last checkpoint.

    >>> import numpy as np, tempfile
    >>> pictures = np.random.default_rng(0).integers(0, 255, (32, 28, 28)).astype(np.uint8)
    >>> pretrain("byol", pictures, None, tempfile.mkdtemp(), steps=1, batch=16).name
    'step-00000001'
    """
    from pretrain.presets import changed, preset
    from pretrain.train import pretrain as train
    from relic_eval.arrays import asarray
    from relic_eval.files import digest_bytes

    pixels = asarray(images)
    y_N = None if labels is None else class_numbers("labels", labels, len(pixels))[0]
    config = changed(preset(method), settings).config
    digest = digest_bytes(pixels.tobytes() + (b"" if y_N is None else y_N.tobytes()))
    return train(config, pixels, y_N, Path(out), data={"name": "arrays", "digest": digest})


def convert(checkpoint: str | Path, out: str | Path | None = None) -> Path:
    """An official Haiku checkpoint (RELICv2, BYOL) as a .safetensors file, which `file:` takes; nothing in it is run.

    >>> convert("/nowhere/pretrain.pkl")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: expected a file /nowhere/pretrain.pkl, received nothing there.
    """
    from relic_eval.encoders.convert import convert as made

    return made(Path(checkpoint).expanduser(), None if out is None else Path(out)).target
