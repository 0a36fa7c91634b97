"""Which representation is better, and why? Public functions, loaded on first use: importing this imports nothing heavy."""

from __future__ import annotations

import importlib
import os
from typing import Any

__version__ = "0.1.0"

# Threads that wait for each other by spinning starve one another on a busy machine: a fit of half a second then took 45.
# They sleep after a short while instead (at once would slow training on an idle machine by half). OpenMP reads this when
# torch or FAISS is first imported; whoever has set it, or imported them before, decides.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "100000")

_PUBLIC = {
    "compare": "relic_eval.comparison",
    "embed": "relic_eval.library",
    "save_embeddings": "relic_eval.library",
    "evaluate": "relic_eval.library",
    "transfer": "relic_eval.library",
    "leaderboard": "relic_eval.library",
    "report": "relic_eval.library",
    "pretrain": "relic_eval.library",
    "linear_probe": "relic_eval.library",
    "knn": "relic_eval.library",
    "blocks": "relic_eval.library",
    "distances": "relic_eval.library",
    "load": "relic_eval.library",
    "task": "relic_eval.data.own",
    "Encoder": "relic_eval.encoders.load",
    "Monitor": "relic_eval.monitor",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'relic_eval' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
