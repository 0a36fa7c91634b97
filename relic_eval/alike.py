"""How alike the encoders of a folder are on one task: measured once from their stores, and kept beside the cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from relic_eval.cells import CELL, read_cell
from relic_eval.errors import DataError
from relic_eval.files import digest_json, folder_name, write_json
from relic_eval.pairing import first_task, places_of, test_items
from relic_eval.progress import say, warn
from relic_eval.records import FORMAT, read_versioned
from relic_eval.store import find_stores, read_manifest, read_store

VERSION = 1  # raise it when the same stores give other numbers
K = 10  # nearest neighbours
MOST = 1_000  # test images, drawn with a fixed seed, the same for all encoders: both measures take the square of them
PROTOCOLS = ("linear-byol", "knn")  # whose cells say which task is shown, and its test images
ABOUT = {
    "key": str,
    "task": str,
    "title": str,
    "encoders": list,
    "cka": list,
    "overlap": list,
    "n": int,
    "k": int,
    "left_out": list,
}


@dataclass(frozen=True)
class Alike:
    """Each two encoders on the same test images: unbiased linear CKA, and the share of nearest neighbours in both. NaN: not known."""

    task: str
    title: str
    encoders: tuple[str, ...]
    cka_MM: np.ndarray
    overlap_MM: np.ndarray
    n: int  # test images
    k: int  # neighbours of each
    left_out: tuple[tuple[str, str], ...]  # encoder, and why
    contents: Mapping[str, str] = field(default_factory=dict)  # of the embeddings that were measured, by encoder


def alike_path(out: Path, task: str) -> Path:
    """Where the record of a task lies, whole or absent.

    >>> alike_path(Path("o"), "a/b").as_posix()
    'o/alike/a%2Fb/alike.json'
    """
    return out / "alike" / folder_name(task) / "alike.json"


def make_alike(out: Path, encoders: Sequence[str] = (), tasks: Sequence[str] = ()) -> None:
    """Measure how alike the encoders are on the task that a report of these shows first; nothing where that is there already.

    All encoders with embeddings of its test images are measured, whichever are asked for. What cannot be read is warned of
    and left out.
    """
    found = [about for p in PROTOCOLS for about in _abouts(out, p) if not tasks or about["task"] in tasks]
    wanted = [a for a in found if not encoders or a["encoder"] in encoders]
    protocol = next((a["protocol"] for a in wanted), None)
    task = first_task([(a["task"], a["counts"]["test"]) for a in wanted if a["protocol"] == protocol])
    here = [a for a in found if (a["task"], a["protocol"]) == (task, protocol)]
    if task is None or len(here) < 2:
        return
    stores = {(s.encoder, s.dataset, s.split): s.path for s in find_stores(out)}
    names = [(a["encoder"], a["task_settings"]["dataset"], a["task_settings"]["test"]) for a in here]
    there = {a["encoder"]: stores[n] for a, n in zip(here, names, strict=True) if n in stores}
    contents = {name: read_manifest(path)["content"] for name, path in there.items()}
    said = [(a["encoder"], a["data"]["test"], a["stores"].get("test"), contents.get(a["encoder"])) for a in here]
    key = digest_json([VERSION, K, MOST, task, sorted(map(list, said), key=str)])
    if _key_of(alike_path(out, task)) == key or len(there) < 2:
        return
    say(f"report: how alike {len(there)} encoders are on {task}")
    try:
        write_json(alike_path(out, task), {"format": FORMAT, "key": key, **measured(out, here, there, contents)})
    except DataError as error:
        warn(f"{error} How alike the encoders are is left out.")


def measured(
    out: Path, here: Sequence[Mapping[str, Any]], there: Mapping[str, Path], contents: Mapping[str, str]
) -> dict[str, Any]:
    """The content of the record: of cells of one task and protocol (`cell.json`), and stores of its test images by encoder."""
    from relic_eval.metrics.likeness import likeness

    data = Counter(a["data"]["test"] for a in here if a["encoder"] in there).most_common(1)[0][0]
    item_N: np.ndarray | None = None
    rows, left_out = {}, {}
    for about in here:
        name = about["encoder"]
        if name not in there:
            left_out[name] = "its embeddings are gone"
        elif about["data"]["test"] != data:
            left_out[name] = "it was tested on other images"
        elif about["stores"].get("test") != contents[name]:
            left_out[name] = "its embeddings are others than those that were measured"
        else:
            item_N = _drawn(out, about) if item_N is None else item_N
            x_ND = _rows_of(there[name], item_N)
            if x_ND is None:
                left_out[name] = "it lacks some of the images"
            else:
                rows[name] = x_ND
    if len(rows) < 2 or item_N is None or len(item_N) < 4:
        made: dict[str, Any] = {"cka": [], "overlap": [], "encoders": [], "k": 0}
    else:
        k = min(K, len(item_N) - 1)
        both = likeness([*rows.values()], k=k)
        made = {**{n: _json(m) for n, m in zip(("cka", "overlap"), both, strict=True)}, "encoders": [*rows], "k": k}
    n = 0 if item_N is None else len(item_N)
    made["contents"] = {name: contents[name] for name in made["encoders"]}
    return {**made, "task": here[0]["task"], "title": here[0]["title"], "n": n, "left_out": sorted(left_out.items())}


def read_alike(out: Path) -> list[Alike]:
    """Every record under `out`; a damaged one is warned of and passed over.

    >>> read_alike(Path("/nowhere"))
    []
    """
    found = []
    for file in sorted(out.glob("alike/*/alike.json")):
        try:
            its = read_versioned(file, ABOUT)
        except DataError as error:
            warn(f"{error} It is passed over.")
            continue
        cka_MM, overlap_MM = (np.array(its[n], float).reshape((len(its["encoders"]),) * 2) for n in ("cka", "overlap"))
        left_out = tuple((str(name), str(why)) for name, why in its["left_out"])
        about = (its["task"], its["title"], tuple(its["encoders"]))
        found.append(Alike(*about, cka_MM, overlap_MM, its["n"], its["k"], left_out, its.get("contents", {})))
    return found


def _abouts(out: Path, protocol: str) -> list[dict[str, Any]]:
    """What the cells of a protocol are about, without their tables; damaged ones are warned of where cells are read."""
    found = []
    for file in sorted(out.glob(f"cells/*/*/{protocol}/cell.json")):
        try:
            found.append(read_versioned(file, CELL))
        except DataError:
            continue
    return found


def _key_of(file: Path) -> str:
    try:
        return str(read_versioned(file, ABOUT)["key"])
    except DataError:
        return ""


def _drawn(out: Path, about: Mapping[str, Any]) -> np.ndarray:
    """Ids of the test images of a cell, at most MOST of them, drawn with a fixed seed from the sorted ids."""
    from relic_eval.cells import cell_path

    item_N = np.sort(test_items(read_cell(cell_path(out, about["encoder"], about["task"], about["protocol"]))))
    return item_N[np.sort(np.random.default_rng(0).permutation(len(item_N))[:MOST])]


def _rows_of(store: Path, item_N: np.ndarray) -> np.ndarray | None:
    """The rows of these images; None where one is missing."""
    its = read_store(store)
    ids = its.ids if its.ids is not None else np.arange(len(its)).astype(str)
    place_N = places_of(item_N, ids)
    return None if place_N is None else its.x_ND[place_N]


def _json(value_MM: np.ndarray) -> list[list[float | None]]:
    return [[round(v, 6) if np.isfinite(v) else None for v in row] for row in value_MM.tolist()]
