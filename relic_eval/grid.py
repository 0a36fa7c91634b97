"""The transfer grid: encoders x data sets x protocols. Each pair is embedded once and measured; what is there is left."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from relic_eval import progress
from relic_eval.cells import failure_path, write_failure
from relic_eval.commands import Grid, grid_words, note_command, write_grid
from relic_eval.data.corruptions import asked_for
from relic_eval.data.duplicates import find_leaks
from relic_eval.data.own import OwnTask
from relic_eval.data.registry import expand
from relic_eval.data.sources import dataset_name, dataset_splits, has_masks, refuse_inside, said_of
from relic_eval.devices import device as find_device
from relic_eval.encode import check_on_error, embed, find_encoders, warn_of_other_weights
from relic_eval.encoders.load import Encoder
from relic_eval.errors import ArgumentError, DataError, RelicError, look_up, told
from relic_eval.evaluators.table import PROTOCOLS
from relic_eval.outcome import Outcome, failed
from relic_eval.progress import say, warn
from relic_eval.run import evaluate
from relic_eval.sharding import parse_shard
from relic_eval.sharding import shard as part_of
from relic_eval.tuned import tuned
from relic_eval.tuning.table import PROTOCOLS as TUNED

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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
    own: Sequence[OwnTask] = (),
    shard: str = "",
    workers: int = 1,
) -> Outcome:
    """Make every cell of the grid that is not there; a pair that fails is noted and the others go on.

    `encoders` are those of the grid where they have no name to find them by, `own` are tasks beside its data sets; then there
    is one process. Names and data sets are looked at before the first picture is: unknown ones are errors, and nothing is done.
    """
    texts = tuple(dict.fromkeys(grid.encoders))
    found = find_encoders(texts) if encoders is None else list(encoders)
    named = encoders is None and not own
    if not named and workers > 1:
        hint = "Name encoders python:MODULE:NAME, and tasks by a TOML file."
        raise ArgumentError("workers", "1 for encoders and tasks that have no name", str(workers), hint)
    for name in grid.protocols:
        look_up("protocol", name, {**PROTOCOLS, **TUNED})
    sets: list[str | OwnTask] = [*expand(grid.data), *own]
    _check_data(sets, out)
    check_on_error(grid.on_error)
    if grid.device not in ("auto", "cpu"):  # which are there, and need no torch to be said so
        find_device(grid.device)
    read_lists(grid.lists)
    asked_for(None if grid.corruptions < 0 else grid.corruptions, grid.kinds)
    # what is tested on another set's head comes after that set
    pairs = sorted(((n, data) for n in range(len(found)) for data in sets), key=lambda p: (p[0], bool(_head(p[1]))))
    if shard:  # which both are worked on by one job
        keys = [(found[number].name, _head(data) or dataset_name(data)) for number, data in pairs]
        mine = set(part_of(keys, *parse_shard(shard)))
        pairs = [pair for pair, key in zip(pairs, keys, strict=True) if key in mine]
    write_grid(out, dataclasses.replace(grid, named=named))
    if named:
        note_command(out, grid_words(grid), [e.name for e in found], [dataset_name(data) for data in sets])
    names = [(found[number].name, dataset_name(data)) for number, data in pairs]
    total, seconds = Outcome(), dict[tuple[str, str], float]()
    if workers > 1:
        digests = {text: encoder.digest for text, encoder in zip(texts, found, strict=True)}
        jobs = _pooled(
            grid, [(texts[number], str(data), bool(_head(data))) for number, data in pairs], digests, out, workers
        )
    else:
        jobs = ((place, _timed(found[number], data, grid, out)) for place, (number, data) in enumerate(pairs))
    finished: set[int] = set()
    worked: set[int] = set()
    for place, (outcome, took) in jobs:
        total += outcome
        finished.add(place)
        if outcome.made or outcome.failed:
            worked.add(pairs[place][0])
        if outcome.made:
            seconds[names[place]] = took / workers
        _tell(names, finished, seconds)
    for number in sorted(worked):
        warn_of_other_weights(found[number], out)
    if pairs and total == Outcome():
        why = "nothing was made: no protocol of the grid judges these data sets, or none as they were embedded"
        if grid.protocols and not shard:
            raise DataError(f"transfer: {why}. What is missing is said above.")
        say(f"transfer: {why}")
    return total


def _head(data: str | OwnTask) -> str:
    """The set whose training rows a set is tested with; empty where those are its own."""
    return str(said_of(data).get("trains_on") or "")


def _check_data(data: Sequence[str | OwnTask], out: Path) -> None:
    called: dict[str, str | OwnTask] = {}
    for text in data:
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


def _timed(encoder: Encoder, data: str | OwnTask, grid: Grid, out: Path) -> tuple[Outcome, float]:
    began = time.perf_counter()
    return pair(encoder, data, grid, out), time.perf_counter() - began


def pair(encoder: Encoder, data: str | OwnTask, grid: Grid, out: Path) -> Outcome:
    """One encoder on one data set: embedded where it is not, then measured; why it could not be is noted.

    >>> from relic_eval.encoders.load import find_encoder; import tempfile
    >>> pair(find_encoder("pixels"), "digits", Grid(("pixels",), ("digits",), ("knn",)), Path(tempfile.mkdtemp())).made
    1
    """
    on_rows = tuple(name for name in grid.protocols if name in PROTOCOLS)
    on_pictures = [name for name in grid.protocols if name in TUNED]
    done, masks = Outcome(), has_masks(data)
    failure_path(out, encoder.name, dataset_name(data), "leaks").unlink(missing_ok=True)  # it is searched again
    if grid.drop_leaks:
        try:
            find_leaks(data, out)
        except (RelicError, ValueError) as error:
            return _failed(out, encoder.name, dataset_name(data), "leaks", error)
    if masks and (on_rows or not grid.protocols):
        name = dataset_name(data)
        say(f"transfer {encoder.name} {name}: it has masks and no labels: name a protocol such as segment-linear")
    elif on_rows or not grid.protocols:
        done += _measured(encoder, data, on_rows, grid, out)
    settings: dict[str, Any] = {"device": grid.device, "lists": read_lists(grid.lists), "on_error": grid.on_error}
    return done + tuned(encoder, data, on_pictures, out, without_leaks=grid.drop_leaks, **settings)


def _measured(encoder: Encoder, data: str | OwnTask, protocols: tuple[str, ...], grid: Grid, out: Path) -> Outcome:
    """What is measured of embeddings; a set that cannot be embedded is noted under the name of that work."""
    name, dataset = encoder.name, dataset_name(data)
    note = failure_path(out, name, dataset, "embed")
    asked = asked_for(None if grid.corruptions < 0 else grid.corruptions, grid.kinds)
    try:
        settings: dict[str, Any] = {"device": grid.device, "batch": grid.batch, "on_error": grid.on_error}
        embed(encoder, data, out, **settings, corruptions=asked, views=grid.views, alone=False)
    except Exception as error:  # an encoder of somebody's own may raise anything, and costs its own row alone
        return _failed(out, name, dataset, "embed", error)
    note.unlink(missing_ok=True)
    return evaluate(out, [name], protocols=protocols, datasets=[dataset], without_leaks=grid.drop_leaks)


def _failed(out: Path, encoder: str, dataset: str, work: str, error: Exception) -> Outcome:
    message = " ".join((str(error) if isinstance(error, RelicError) else told(error)).split())
    write_failure(out, encoder, dataset, work, message)
    warn(f"{work} {encoder} {dataset}: failed: {message}")
    return failed(encoder, dataset, work, message)


def _pooled(
    grid: Grid, texts: Sequence[tuple[str, str, bool]], digests: Mapping[str, str], out: Path, workers: int
) -> Iterator[tuple[int, tuple[Outcome, float]]]:
    """The same by several processes, each with its share of the threads; in the order in which they end.

    `texts` are encoder, data set, and whether that is tested on another's head: such sets wait for all others. `digests` say what
    an encoder is in this process: one that is made with other weights elsewhere is refused.
    """
    from multiprocessing import get_context

    threads = max(1, (os.cpu_count() or 1) // workers)
    with _threads(threads), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        try:
            for later in (False, True):
                jobs = {
                    pool.submit(_work, encoder, data, digests[encoder], grid, out, progress.quiet): place
                    for place, (encoder, data, waits) in enumerate(texts)
                    if waits == later
                }
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


def _work(text: str, data: str, digest: str, grid: Grid, out: Path, quiet: bool) -> tuple[Outcome, float]:
    progress.quiet = quiet
    encoder = _encoder(text)
    if encoder.digest != digest:
        error = DataError(
            f"{text}: expected the same weights in every process, received others in each: nothing seeds them where it is made. "
            "Seed it there, save it and use file:, or use --workers 1."
        )
        return _failed(out, encoder.name, dataset_name(data), "embed", error), 0.0
    return _timed(encoder, data, grid, out)
