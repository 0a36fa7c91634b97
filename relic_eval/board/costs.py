"""What an encoder costs: parameters, GFLOPs and dimensions from its stores, pictures a second from the notes of durations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relic_eval.store import find_stores, read_manifest
from relic_eval.timings import read_times


@dataclass(frozen=True)
class Cost:
    """Of one encoder; None where it is not known (embeddings made elsewhere, functions that are no network)."""

    parameters: int | None = None
    gflops: float | None = (
        None  # 10^9 multiply-adds a picture, as papers count; of several sizes of picture the largest
    )
    dims: int | None = None
    pictures_a_second: float | None = None  # on the machine that embedded: beside no result, and in no file
    network: str = ""  # its kind, as the manifest says: where it came from and which network it is


def read_costs(out: Path) -> dict[str, Cost]:
    """By encoder, of the stores in use under `out`.

    >>> read_costs(Path("/nowhere"))
    {}
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for store in find_stores(out):
        found.setdefault(store.encoder, []).append(read_manifest(store.path))
    speeds = _speeds(out)
    return {name: replace(cost, pictures_a_second=speeds.get(name)) for name, cost in costs_of(found).items()}


def costs_of(manifests: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Cost]:
    """By encoder, of the manifests of its stores.

    >>> costs_of({"a": [{"dims": 8, "encoder": {"kind": "pixels"}}]})["a"].dims
    8
    """
    return {
        name: Cost(
            _largest(m["encoder"].get("parameters") for m in its),
            _largest(m["encoder"].get("gflops") for m in its),
            _largest(m["dims"] for m in its),
            network=str(its[0]["encoder"]["kind"]),
        )
        for name, its in manifests.items()
    }


def _largest(numbers: Iterable[Any]) -> Any:
    return max((n for n in numbers if n is not None), default=None)


def _speeds(out: Path) -> dict[str, float]:
    pictures: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for note in read_times(out):
        name, count = note.get("encoder"), note.get("pictures")
        if isinstance(name, str) and isinstance(count, int) and count > 0 and note["seconds"] > 0:
            pictures[name] = pictures.get(name, 0) + count
            seconds[name] = seconds.get(name, 0.0) + note["seconds"]
    return {name: count / seconds[name] for name, count in pictures.items()}
