"""Made-up results of any size, for pages that no real run would show."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from relic_eval.board import make_board
from relic_eval.cells import Result
from relic_eval.evaluators.blocks import Blocks
from relic_eval.records import Cell, Embeddings, Measurement
from reports.sections.section import Material
from reports.sections.sheet import Sheet


def embeddings(encoder: int, classes: int, per_class: int, supers: int = 0, seed: int = 0) -> Embeddings:
    """Classes on a line, so that those beside each other mix; superclasses come in turn, so that they must be grouped."""
    rng, y = np.random.default_rng([seed, encoder]), np.repeat(np.arange(classes), per_class)
    x = rng.normal(0, 0.5 + 0.1 * encoder, (len(y), 8))
    x[:, 0] += y
    names = tuple(f"class {c:03}" for c in range(classes))
    above = tuple(f"group {c % supers}" for c in range(classes)) if supers else None
    ids = np.array([f"test/{c:03}/{i:04}.jpg" for c in range(classes) for i in range(per_class)])
    return Embeddings(x.astype(np.float32), y, names, above, ids)


def about(e: Embeddings, task: str, data: str) -> dict:
    return {
        "classes": list(e.classes),
        "superclasses": list(e.superclasses) if e.superclasses else None,
        "title": task.title(),
        "data": {"train": "train digest", "test": data},
        "counts": {"test": len(e), "train": len(e), "valid": len(e)},
        "task_settings": {
            "test": "test",
            "train": "train",
            "dataset": task,
            "level": "class",
            "valid_share": 0.2,
            "seed": 0,
            "drop": "",
            "title": task.title(),
            "name": task,
            "metric": "top1",
            "splits": [],
            "trains_on": "",
            "block_classes": [],
        },
        "settings": {"source": "made up"},
        "versions": {},
        "unreadable": [],
        "key": "k",
        "stores": {},
    }


def blocks_result(
    encoder: int, classes: int, per_class: int, k: int = 5, supers: int = 0, task: str = "made", data: str = "digest"
) -> Result:
    """The neighbour blocks of one encoder."""
    e = embeddings(encoder, classes, per_class, supers)
    cell = Blocks(k=k, per_class=per_class, permutations=50, draws=50)(e)
    return Result(f"encoder-{encoder:02}", task, "blocks", cell, about(e, task, data))


def probe_result(
    encoder: int, classes: int, per_class: int, right: float, task: str = "made", data: str = "digest"
) -> Result:
    """Predictions of a linear probe that is right so often and else says a class nearby."""
    e, rng = embeddings(encoder, classes, per_class), np.random.default_rng([encoder, 7])
    moved = rng.integers(1, min(4, classes) if classes > 1 else 2, len(e))
    predicted = np.where(rng.random(len(e)) < right, e.y_N, (e.y_N + moved) % classes)
    correct = predicted == e.y_N
    table = {
        "item": e.ids,
        "true": e.y_N,
        "predicted": predicted,
        "correct": correct.astype(float),
        "score": correct.astype(float),
    }
    low, high = max(0.0, correct.mean() - 0.02), min(1.0, correct.mean() + 0.02)
    rows = (Measurement("top1", float(correct.mean()), float(low), float(high), len(e), {"penalty": 1.0, "edge": 0}),)
    return Result(f"encoder-{encoder:02}", task, "linear-byol", Cell(rows, table), about(e, task, data))


def thumbnail(key: tuple[str, str]) -> bytes:
    """A picture of one colour that follows from its name."""
    colour = np.frombuffer("/".join(key).encode().rjust(64, b"\0"), np.uint8).astype(int)
    code = int((colour * np.arange(1, len(colour) + 1)).sum()) * 2654435761 % 2**24
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (code >> 16, code >> 8 & 255, code & 255)).save(file, "WEBP", lossless=True)
    return file.getvalue()


def material(results: list[Result], pictures: bool = False) -> Material:
    """What a page of these results is made of."""
    held = {}
    if pictures:
        for r in results:
            for item in (r.cell.predictions or {})["item"].tolist():
                key = (str(r.about["data"]["test"]), item)
                held[key] = held.get(key) or thumbnail(key)
    return Material(results, make_board(results), sheet=Sheet(held))
