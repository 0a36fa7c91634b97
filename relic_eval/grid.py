"""The transfer grid: encoders x data sets x protocols. Each pair is embedded once and measured; what is there is left."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from relic_eval import progress
from relic_eval.data.corruptions import asked_for
from relic_eval.data.duplicates import find_leaks
from relic_eval.data.registry import expand
from relic_eval.data.scenes import SCENES
from relic_eval.data.sources import dataset_name, dataset_splits, refuse_inside
from relic_eval.encode import embed, find_encoders
from relic_eval.encoders.load import Encoder
from relic_eval.errors import ArgumentError, RelicError, look_up
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.files import write_json
from relic_eval.progress import say, warn
from relic_eval.records import FORMAT, read_versioned
from relic_eval.results import failure_path, write_failure
from relic_eval.run import Outcome, evaluate
from relic_eval.sharding import parse_shard
from relic_eval.sharding import shard as part_of
from relic_eval.tuned import tuned
from relic_eval.tuning.table import PROTOCOLS as TUNED

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Grid:
    """What was asked for, in the words of the command line; it lies in `grid.json`, from which a run is taken up."""

    encoders: tuple[str, ...]
    data: tuple[str, ...]
    protocols: tuple[str, ...] = ()
    device: str = "auto"
    batch: int = 256
    on_error: str = "fail"
    corruptions: int = -1  # of so many test pictures of a set (0: of all) corrupted ones are embedded too; -1: none
    kinds: tuple[str, ...] = ()  # of corruptions; empty: all
    drop_leaks: bool = False
    lists: tuple[str, ...] = ()  # PROTOCOL=FILE: the published names of labelled pictures


def write_grid(out: Path, grid: Grid) -> None:
    """Note what is asked for under `out`."""
    write_json(out / "grid.json", {"format": FORMAT, **dataclasses.asdict(grid)})


def read_grid(out: Path) -> Grid:
    """What was asked for last under `out`; a DataError where nothing was.

    >>> import tempfile; out = Path(tempfile.mkdtemp())
    >>> write_grid(out, Grid(("pixels",), ("digits",))); read_grid(out).data
    ('digits',)
    """
    shape: dict[str, type] = {"encoders": list, "data": list, "protocols": list, "device": str, "batch": int}
    shape |= {"on_error": str, "corruptions": int, "kinds": list, "drop_leaks": bool, "lists": list}
    found = read_versioned(out / "grid.json", shape)
    words: dict[str, Any] = {name: tuple(v) if isinstance(v := found[name], list) else v for name in shape}
    return Grid(**words)


def read_lists(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The published names of labelled pictures by protocol, from texts PROTOCOL=FILE.

    >>> read_lists(["knn=names.txt"])
    Traceback (most recent call last):
    ...
    relic_eval.errors.ArgumentError: --list: expected semi-1pct=FILE or semi-10pct=FILE, received 'knn=names.txt'.
    """
    from relic_eval.tuning.lists import read_list

    found = {}
    for text in texts:
        name, _, file = text.partition("=")
        share = getattr(TUNED.get(name), "share", 0.0)
        if not share or not file:
            raise ArgumentError("--list", "semi-1pct=FILE or semi-10pct=FILE", repr(text))
        found[name] = read_list(Path(file), share)
    return found


def transfer(
    grid: Grid,
    out: Path,
    *,
    encoders: Sequence[Encoder] | None = None,
    shard: str = "",
    workers: int = 1,
) -> Outcome:
    """Make every cell of the grid that is not there; a pair that fails is noted and the others go on.

    `encoders` are those of the grid where they have no name to find them by; then there is one process. Names and data
    sets are looked at before the first picture is: unknown ones are errors, and nothing is done.
    """
    found = find_encoders(grid.encoders) if encoders is None else list(encoders)
    if encoders is not None and workers > 1:
        raise ArgumentError(
            "workers", "1 for encoders that have no name", str(workers), "Name them python:MODULE:NAME."
        )
    for name in grid.protocols:
        look_up("protocol", name, {**PROTOCOLS, **TUNED})
    sets = expand(grid.data)
    _check_data(sets, out)
    read_lists(grid.lists)
    asked_for(None if grid.corruptions < 0 else grid.corruptions, grid.kinds)
    pairs = [(number, data) for number in range(len(found)) for data in sets]
    mine = pairs
    if shard:
        named = {(found[number].name, data): (number, data) for number, data in pairs}
        mine = [named[pair] for pair in part_of(named, *parse_shard(shard))]
    write_grid(out, grid)
    names = [(found[number].name, data) for number, data in mine]
    total, seconds = Outcome(), dict[tuple[str, str], float]()
    if workers > 1:
        jobs = _pooled(grid, [(grid.encoders[number], data) for number, data in mine], out, workers)
    else:
        jobs = ((place, _timed(found[number], data, grid, out)) for place, (number, data) in enumerate(mine))
    finished: set[int] = set()
    for place, (outcome, took) in jobs:
        total += outcome
        finished.add(place)
        if outcome.made:
            seconds[names[place]] = took / workers
        _tell(names, finished, seconds)
    return total


def _check_data(data: Sequence[str], out: Path) -> None:
    called: dict[str, str] = {}
    for text in data:
        if text in SCENES:
            continue
        dataset_splits(text)
        refuse_inside(out, text)
        other = called.setdefault(dataset_name(text), text)
        if other != text:
            twins = f"{other} and {text}, both called {dataset_name(text)!r}"
            raise ArgumentError("--data", "sets of different names", twins, "Rename one.")


def _tell(names: Sequence[tuple[str, str]], finished: set[int], seconds: Mapping[tuple[str, str], float]) -> None:
    left = time_left(seconds, [pair for place, pair in enumerate(names) if place not in finished])
    if seconds and len(names) > 1:
        soon = f", about {progress.remaining(left)} left" if left else ""
        say(f"transfer: {len(finished)} of {len(names)} pairs of encoder and data set{soon}")


def time_left(seconds: Mapping[tuple[str, str], float], todo: Sequence[tuple[str, str]]) -> float:
    """Seconds that pairs of (encoder, data set) will take, guessed from those that are done: speed of the one, size of the other.

    >>> round(time_left({("slow", "a"): 10.0, ("fast", "a"): 1.0, ("fast", "b"): 2.0}, [("slow", "b")]))
    20
    """
    speed: dict[str, float] = {}
    size: dict[str, float] = {}
    for _ in range(50):  # seconds = speed x size, each in turn while the other stands
        size = {d: _mean(s / speed.get(e, 1.0) for (e, its), s in seconds.items() if its == d) for _, d in seconds}
        speed = {e: _mean(s / size[d] for (its, d), s in seconds.items() if its == e) for e, _ in seconds}
    usual = _mean(speed.values()), _mean(size.values())
    return sum(speed.get(e, usual[0]) * size.get(d, usual[1]) for e, d in todo)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def _timed(encoder: Encoder, data: str, grid: Grid, out: Path) -> tuple[Outcome, float]:
    began = time.perf_counter()
    return pair(encoder, data, grid, out), time.perf_counter() - began


def pair(encoder: Encoder, data: str, grid: Grid, out: Path) -> Outcome:
    """One encoder on one data set: embedded where it is not, then measured; why it could not be is noted.

    >>> from relic_eval.encoders.load import find_encoder; import tempfile
    >>> pair(find_encoder("pixels"), "digits", Grid(("pixels",), ("digits",), ("knn",)), Path(tempfile.mkdtemp())).made
    1
    """
    on_rows = tuple(name for name in grid.protocols if name in PROTOCOLS)
    on_pictures = [name for name in grid.protocols if name in TUNED]
    done = Outcome()
    if data not in SCENES and (on_rows or not grid.protocols):
        done += _measured(encoder, data, on_rows, grid, out)
    return done + tuned(encoder, data, on_pictures, out, device=grid.device, lists=read_lists(grid.lists))


def _measured(encoder: Encoder, data: str, protocols: tuple[str, ...], grid: Grid, out: Path) -> Outcome:
    """What is measured of embeddings; a set that cannot be embedded is noted under the name of that work."""
    name, dataset = encoder.name, dataset_name(data)
    note = failure_path(out, name, dataset, "embed")
    asked = asked_for(None if grid.corruptions < 0 else grid.corruptions, grid.kinds)
    try:
        if grid.drop_leaks:
            find_leaks(data, out)
        embed(encoder, data, out, device=grid.device, batch=grid.batch, on_error=grid.on_error, corruptions=asked)
    except (RelicError, ArithmeticError, ValueError, RuntimeError) as error:
        message = " ".join(str(error).split())
        write_failure(out, name, dataset, "embed", message)
        warn(f"embed {name} {dataset}: failed: {message}")
        return Outcome(failed=1)
    note.unlink(missing_ok=True)
    return evaluate(out, [name], protocols=protocols, datasets=[dataset], without_leaks=grid.drop_leaks)


def _pooled(
    grid: Grid, texts: Sequence[tuple[str, str]], out: Path, workers: int
) -> Iterator[tuple[int, tuple[Outcome, float]]]:
    """The same by several processes, each with its share of the threads; in the order in which they end."""
    from multiprocessing import get_context

    threads = max(1, (os.cpu_count() or 1) // workers)
    with _threads(threads), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        jobs = {pool.submit(_work, *text, grid, out, progress.quiet): place for place, text in enumerate(texts)}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes begun in here have so many threads each; libraries read it when they are loaded."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update({name: str(count) for name in THREADS})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@cache
def _encoder(text: str) -> Encoder:
    return find_encoders([text])[0]


def _work(text: str, data: str, grid: Grid, out: Path, quiet: bool) -> tuple[Outcome, float]:
    progress.quiet = quiet
    return _timed(_encoder(text), data, grid, out)
