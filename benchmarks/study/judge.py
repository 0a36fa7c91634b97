"""What an encoder of the pretraining study is judged by: votes, probes, changed test pictures, distances and blocks."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from benchmarks.features import pictures_of
from relic_eval.devices import float32
from relic_eval.evaluators.blocks import Blocks
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.records import Embeddings, Measurement

SIDE = 32
TRAIN, VALID, TEST = 10_000, 2_000, 10_000
Function = Callable[[Tensor], Tensor]


@cache
def cifar(split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Pictures (N, 32, 32, 3), class numbers and names: `train` and `valid` are drawn with seed 0 from the set's own
    training pictures, `rest` is all but `valid`, and `test` are its test pictures."""
    files = pictures_of("cifar10-full", "test" if split == "test" else "train")
    order = np.random.default_rng(0).permutation(len(files))
    order = {
        "train": order[:TRAIN],
        "valid": order[TRAIN : TRAIN + VALID],
        "rest": np.delete(order, slice(TRAIN, TRAIN + VALID)),
        "test": order[:TEST],
    }[split]
    return _decoded([files[i] for i in order], tuple(sorted({c for c, _ in files})))


@cache
def pets() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The 200 test pictures of pets4, made smaller to 32 pixels."""
    files = pictures_of("pets4", "test")
    return _decoded(files, tuple(sorted({c for c, _ in files})))


def _decoded(
    files: list[tuple[str, bytes]], classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    pictures = (Image.open(io.BytesIO(data)).convert("RGB") for _, data in files)
    square = [
        np.asarray(p if p.size == (SIDE, SIDE) else p.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for p in pictures
    ]
    return np.stack(square), np.array([classes.index(c) for c, _ in files]), classes


def shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture moved by up to 4 pixels both ways, the gap black."""
    reach = 4
    padded = torch.nn.functional.pad(x, (reach,) * 4)
    down, right = torch.randint(0, 2 * reach + 1, (2, len(x)), generator=generator)
    line = torch.arange(x.shape[-1])
    rows, columns = (down[:, None] + line)[:, :, None], (right[:, None] + line)[:, None, :]
    return padded.permute(0, 2, 3, 1)[torch.arange(len(x))[:, None, None], rows, columns].permute(0, 3, 1, 2)


# each of a strength at which a person still names the picture
CHANGES: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "shifted": shifted,
    "noise": lambda x, g: x + 0.08 * torch.randn(x.shape, generator=g),
    "blur": lambda x, g: tv.gaussian_blur(x, [7, 7], [1.0, 1.0]),
    "contrast": lambda x, g: tv.adjust_contrast(x, 0.4),
    "brightness": lambda x, g: x + 0.25,
}


def judged(function: Function, device: str = "cpu") -> dict[str, dict[str, Any]]:
    """Every figure of an encoder, by name: value, low, high, n.

    `linear` and `knn` fit on the training pictures that it was trained on, choose on others and test on the test pictures,
    untouched and changed; the distance ratio is of the test pictures, the purity of pets4.
    """
    train, valid, test = (_embedded(function, device, *cifar(split)) for split in ("train", "valid", "test"))
    found: dict[str, Measurement] = {}
    for name, protocol in (("linear", "linear-byol"), ("knn", "knn")):
        found[name] = PROTOCOLS[protocol](train, valid, test).rows[0]
    for number, (name, change) in enumerate(CHANGES.items()):
        rows = _embedded(function, device, *cifar("test"), change=change, seed=number)
        found[f"linear {name}"] = PROTOCOLS["linear-byol"](train, valid, rows).rows[0]
    found["distance ratio"] = PROTOCOLS["discriminability"](test).rows[0]
    found["effective rank"] = next(r for r in PROTOCOLS["spectrum"](test).rows if r.metric == "effective_rank")
    blocks = {row.metric: row for row in Blocks(preset="pets4")(_embedded(function, device, *pets())).rows}
    found |= {
        "purity": blocks["purity"],
        "purity by chance": blocks["purity_null"],
        "cat or dog": blocks["superclass_purity"],
    }
    return {name: _short(row) for name, row in found.items()}


def validated(function: Function, device: str = "cpu") -> dict[str, dict[str, Any]]:
    """What settings are chosen by: a linear probe fitted and chosen on the training pictures, tested on `valid`."""
    train, valid = (_embedded(function, device, *cifar(split)) for split in ("train", "valid"))
    fit, choose = train.take(np.arange(TRAIN) < TRAIN - VALID), train.take(np.arange(TRAIN) >= TRAIN - VALID)
    return {
        name: _short(PROTOCOLS[p](fit, choose, valid).rows[0])
        for name, p in (("linear", "linear-byol"), ("knn", "knn"))
    }


def _short(row: Measurement) -> dict[str, Any]:
    numbers = {"value": row.value, "low": row.low, "high": row.high}
    return {**{name: None if v is None else round(v, 5) for name, v in numbers.items()}, "n": row.n}


def _embedded(
    function: Function,
    device: str,
    pixels: np.ndarray,
    y_N: np.ndarray,
    classes: tuple[str, ...],
    change: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    seed: int = 0,
) -> Embeddings:
    generator, parts = torch.Generator().manual_seed(seed), []
    with torch.inference_mode(), float32():
        for some in torch.from_numpy(pixels).split(500):
            x = some.permute(0, 3, 1, 2).float() / 255
            if change:
                x = (change(x, generator).clamp(0, 1) * 255).round() / 255  # as a file would keep it
            parts.append(function(x.to(device)).float().cpu().numpy())
    return Embeddings(np.concatenate(parts), y_N, classes)
