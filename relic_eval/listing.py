"""What `relic-eval list` and `relic-eval doctor` print."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from relic_eval.anchor import anchor_lines
from relic_eval.data.registry import dataset_lines, task_lines
from relic_eval.data.scenes import SCENES
from relic_eval.devices import faiss_flavour, try_faiss, versions
from relic_eval.encoders.load import KNOWN
from relic_eval.errors import RelicError, look_up
from relic_eval.evaluators.table import DEFAULT, PROTOCOLS, describe
from relic_eval.progress import say
from relic_eval.store import find_stores
from relic_eval.tuning.table import PROTOCOLS as TUNED
from relic_eval.tuning.table import describe as describe_tuned


def lines(what: str, out: Path) -> list[str]:
    """The lines of one list, by its name.

    >>> lines("encoders", Path("."))[0]
    'pixels'
    """
    found = look_up("list", what, _LISTS)(out)
    if not found:
        say(f"{what}: none under {out}")
    return found


def _protocols(out: Path) -> list[str]:
    found = []
    for name in (*PROTOCOLS, *TUNED):
        about = describe(name) if name in PROTOCOLS else describe_tuned(name)
        source, run = about.pop("source"), " (run where none is named)" if name in DEFAULT else ""
        settings = ", ".join(f"{k} = {v}" for k, v in about.items() if v != "")
        found.append(f"{name}{run}: {source}; {settings}")
    return found


def _settings(out: Path) -> list[str]:
    from pretrain.presets import explain, names, preset

    return [f"{n}.{setting} = {v} ({source})" for n in names() for setting, v, source, _ in explain(preset(n))]


def _methods(out: Path) -> list[str]:
    from pretrain.presets import names, preset

    return [f"{name}: {(type(preset(name).config).__doc__ or '').splitlines()[0]}" for name in names()]


def _masks(out: Path) -> list[str]:
    from pretrain.saliency.makers import MAKERS

    found = [f"{name}: {(make.__doc__ or '').splitlines()[0]}" for name, make in MAKERS.items()]
    return [*found, "PATH: a folder of PNG masks of your own, one for each picture at the same path"]


def _figures(out: Path) -> list[str]:
    from reports.figures.table import lines as figure_lines

    return figure_lines()


def _results(out: Path) -> list[str]:
    from relic_eval.results import read_results
    from reports.tables import measured_text

    return measured_text(read_results(out) if (out / "cells").is_dir() else []).splitlines()


_LISTS = {
    "protocols": _protocols,
    "settings": _settings,
    "methods": _methods,
    "masks": _masks,
    "figures": _figures,
    "tasks": lambda out: task_lines(),
    "datasets": lambda out: [
        *dataset_lines(),
        *(f"{name}: {kind.title}, with masks ({', '.join(kind.counts)})" for name, kind in SCENES.items()),
    ],
    "anchors": lambda out: anchor_lines(),
    "encoders": lambda out: [*KNOWN, "FILE.npy: embeddings made elsewhere, with --labels"],
    "results": _results,
    "stores": lambda out: [f"{s.encoder}  {s.dataset}  {s.split}  {s.path}" for s in find_stores(out)],
}


def diagnosis() -> tuple[list[str], bool]:
    """What is installed and which search is in use, and whether all is well."""
    found = [f"{name} {version}" for name, version in versions().items()]
    try:
        flavour, state = faiss_flavour(), try_faiss()
    except RelicError as error:
        return [*found, f"FAISS: {error}"], False
    if flavour is None:
        found.append("neighbours: exact blocked search in torch (no FAISS; pip install 'relic-eval[faiss]' for it)")
    else:
        found.append(f"neighbours: {flavour}, which {state}")
    import torch

    found.append(f"devices: cpu ({torch.get_num_threads()} threads){', cuda' if torch.cuda.is_available() else ''}")
    found.append(f"python: {sys.executable}, {os.cpu_count()} cores")
    return found, flavour is None or state == "works"
