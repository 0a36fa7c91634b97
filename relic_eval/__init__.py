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

_MODULES = {
    "relic_eval.library.making": ("embed", "save_embeddings", "load", "pretrain", "convert"),
    "relic_eval.library.judging": ("evaluate", "transfer", "leaks", "merge"),
    "relic_eval.library.showing": ("leaderboard", "report", "figure"),
    "relic_eval.library.comparing": ("history",),
    "relic_eval.library.stores": ("stores",),
    "relic_eval.library.measures": ("linear_probe", "knn", "blocks", "distances"),
    "relic_eval.atlas": ("export",),
    "relic_eval.comparison": ("compare",),
    "relic_eval.revisions": ("changes",),
    "relic_eval.duel": ("disagreements",),
    "relic_eval.anchor": ("rerun",),
    "relic_eval.data.own": ("task",),
    "relic_eval.encoders.load": ("Encoder",),
    "relic_eval.monitor": ("Monitor",),
}
_PUBLIC = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'relic_eval' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
