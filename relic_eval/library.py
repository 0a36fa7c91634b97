"""The command line's work from Python: arrays, tensors or DataFrames in, DataFrames, dataclasses and paths out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relic_eval.arrays import class_numbers, matrix, several, whole
from relic_eval.errors import ArgumentError, DataError
from relic_eval.progress import warn
from relic_eval.records import Cell, Embeddings

if TYPE_CHECKING:
    import pandas as pd

    from relic_eval.data.own import OwnTask
    from relic_eval.encoders.load import Encoder
    from relic_eval.metrics.blocks import Blocks
    from relic_eval.metrics.discriminability import Discriminability


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

    found = _encoder(encoder, name, version=version, side=side, channels=channels, device=device)
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


def _encoder(
    encoder: Any, name: str | None, *, version: str, side: int | None, channels: int | None, device: str | None
) -> Encoder:
    """The encoder that somebody hands over: a name, a module (which runs where it is), or a function (on the CPU)."""
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


def transfer(
    encoders: Mapping[str, Any] | Sequence[Any],
    data: str | OwnTask | Sequence[str | OwnTask],
    out: str | Path,
    *,
    protocols: Sequence[str] = (),
    version: str = "1",
    side: int | None = None,
    channels: int | None = None,
    device: str | None = None,
    batch: int = 256,
    on_error: str = "fail",
    views: int = 0,
    corruptions: int | None = None,
    kinds: Sequence[str] = (),
    drop_leaks: bool = False,
    lists: Mapping[str, str | Path] | None = None,
    shard: str = "",
    workers: int = 1,
) -> pd.DataFrame:
    """Every encoder on every data set under every protocol; returns the board as a DataFrame (see `leaderboard`).

    `encoders` maps names on the board to encoders: names ("timm:resnet50"), modules or functions, as `embed` takes them (of
    functions and modules, `version`, `side` and `channels` say the same as there); a sequence of names will do. `data` are sets,
    suites (`mini`, `transfer`) or folders. What is there is left; a pair that fails is noted under `out`/failures and tried
    again by the next call. A task of your own (`task`) is a data set too. `views`, `corruptions` (so many
    test pictures, 0: all; of these `kinds`), `drop_leaks` and `lists` (protocol to file) are those of the command line. `shard="2/8"` works on the second of eight parts; `workers` processes share the work, where every
    encoder has a name to find it by.

    >>> import tempfile
    >>> board = transfer({"mean": lambda x: x.mean((2, 3)), "raw": "pixels"}, "digits", tempfile.mkdtemp(), protocols=["knn"])
    >>> board["encoder"].tolist(), bool(board["value"].iloc[0] > board["value"].iloc[1])
    (['raw', 'mean'], True)
    """
    import contextlib

    from relic_eval.data.own import OwnTask
    from relic_eval.encoders.modes import evaluating
    from relic_eval.files import folder_name
    from relic_eval.grid import Grid
    from relic_eval.grid import transfer as run
    from relic_eval.results import read_failures

    named = dict(encoders) if isinstance(encoders, Mapping) else {_called(e): e for e in _listed(encoders)}
    words = all(isinstance(e, str) for e in named.values())
    found = [
        _encoder(e, None if name == e else name, version=version, side=side, channels=channels, device=device)
        for name, e in named.items()
    ]
    texts = [(e if name == e else f"{e},name={name}") if isinstance(e, str) else name for name, e in named.items()]
    chosen = several("protocols", protocols)
    sets = [data] if isinstance(data, str | Path | OwnTask) else list(data)
    grid = Grid(
        tuple(texts),
        tuple(str(d) for d in sets if not isinstance(d, OwnTask)),
        tuple(chosen),
        device=device or "auto",
        batch=whole("batch", batch, 1),
        on_error=on_error,
        corruptions=-1 if corruptions is None else whole("corruptions", corruptions, 0),
        kinds=tuple(several("kinds", kinds)),
        drop_leaks=drop_leaks,
        lists=tuple(f"{name}={file}" for name, file in (lists or {}).items()),
        views=whole("views", views, 0),
    )
    own = [d for d in sets if isinstance(d, OwnTask)]
    with contextlib.ExitStack() as modes:
        for encoder in named.values():
            modes.enter_context(evaluating(encoder))
        done = run(grid, Path(out), encoders=None if words else found, own=own, shard=shard, workers=workers)
    names = [e.name for e in found]
    there = [name for name in names if (Path(out) / "cells" / folder_name(name)).is_dir()]
    if not there:
        failed = [f for f in read_failures(Path(out)) if f["encoder"] in names]
        first = f": {failed[0]['encoder']} on {failed[0]['task']}: {failed[0]['error']}" if failed else ""
        raise DataError(f"{out}: expected a cell of {', '.join(names)}, received none{first}")
    return _board_of(out, done, chosen, there, ())


def _listed(encoders: Any) -> list[Any]:
    return [encoders] if isinstance(encoders, str) or callable(encoders) else list(encoders)


def _called(encoder: Any) -> str:
    return encoder if isinstance(encoder, str) else "mine"


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


def evaluate(
    out: str | Path,
    *,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    protocols: Sequence[str] = (),
    drop_leaks: bool = False,
) -> pd.DataFrame:
    """Make every missing cell from the stores under `out`; returns the board as a DataFrame (see `leaderboard`).

    Protocols that are no accuracies (blocks, spectrum, retrieval) are made and stand on no board: a table without rows then.
    `report` shows them, and 'relic-eval list results' prints every number.

    >>> import numpy as np, tempfile
    >>> out, x = tempfile.mkdtemp(), np.repeat(np.eye(2), 30, 0)
    >>> _ = save_embeddings(x, ["a"] * 30 + ["b"] * 30, out, name="mine")
    >>> float(evaluate(out, protocols=["linear-byol"])["value"].iloc[0])
    1.0
    """
    from relic_eval.run import evaluate as run

    encoders, tasks, chosen = (
        several(*p) for p in (("encoders", encoders), ("tasks", tasks), ("protocols", protocols))
    )
    done = run(Path(out), encoders, tasks, chosen, without_leaks=drop_leaks)
    return _board_of(out, done, chosen, encoders, tasks)


def _board_of(
    out: str | Path, done: Any, chosen: Sequence[str], encoders: Sequence[str], tasks: Sequence[str]
) -> pd.DataFrame:
    """The board of what was just measured; a table without rows where that is no accuracy."""
    import pandas as pd

    from relic_eval.board import PROTOCOLS
    from relic_eval.evaluators.table import PROTOCOLS as TABLE
    from relic_eval.tuning.table import PROTOCOLS as TUNED

    if done.failed:
        warn(f"{done.failed} cells failed; the reasons stand above and in {Path(out) / 'failures'}")
    on_board = [p for p in chosen if p in TUNED or TABLE[p].kind == "probe"] if chosen else PROTOCOLS
    return leaderboard(out, protocols=on_board, encoders=encoders, tasks=tasks) if on_board else pd.DataFrame()


def leaderboard(
    out: str | Path,
    *,
    protocols: Sequence[str] = ("linear-byol", "fewshot-5"),
    baseline: str | None = None,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
) -> pd.DataFrame:
    """One row an encoder and column: value by the metric of the task, interval, change against the baseline, rank.

    >>> leaderboard("/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    import pandas as pd

    from relic_eval.board import board_table, read_board, read_costs

    board, _, _ = read_board(
        Path(out),
        protocols=several("protocols", protocols),
        baseline=baseline,
        encoders=several("encoders", encoders),
        tasks=several("tasks", tasks),
    )
    return pd.DataFrame(board_table(board, read_costs(Path(out))))


def report(
    out: str | Path, *, baseline: str | None = None, encoders: Sequence[str] = (), tasks: Sequence[str] = ()
) -> Path:
    """Write the page with its figures and tables; returns the page.

    >>> report("/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    from reports.write import write_report

    return write_report(
        Path(out), baseline=baseline, encoders=several("encoders", encoders), tasks=several("tasks", tasks)
    )


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


def linear_probe(x: Any, labels: Any, *, seed: int = 0) -> Cell:
    """The linear-byol protocol on rows divided 60 / 20 / 20; `cell.rows[0]` is top-1 with its interval.

    >>> import numpy as np
    >>> linear_probe(np.repeat(np.eye(2), 10, 0), [0] * 10 + [1] * 10).rows[0].value
    1.0
    """
    return _probe("linear-byol", x, labels, seed)


def knn(x: Any, labels: Any, *, seed: int = 0) -> Cell:
    """The knn protocol on rows divided 60 / 20 / 20.

    >>> import numpy as np
    >>> knn(np.repeat(np.eye(2), 10, 0), [0] * 10 + [1] * 10).rows[0].value
    1.0
    """
    return _probe("knn", x, labels, seed)


def _probe(protocol: str, x: Any, labels: Any, seed: int) -> Cell:
    from relic_eval.data.tasks import Task, split_task
    from relic_eval.evaluators.table import PROTOCOLS

    x_ND = matrix("x", x)
    y_N, classes = class_numbers("labels", labels, len(x_ND))
    rows = Embeddings(x_ND, y_N, classes)
    return PROTOCOLS[protocol](
        *split_task(Task("mine", "mine", "mine", "all", "all", seed=whole("seed", seed, 0)), rows, rows)
    )


def blocks(x: Any, labels: Any, *, k: int = 5) -> Blocks:
    """Nearest neighbours of all rows among themselves, purity and confusion.

    >>> float(blocks([[0.0], [1.0], [5.0], [6.0]], ["a", "a", "b", "b"], k=1).purity_N.mean())
    1.0
    """
    from relic_eval.metrics.blocks import neighbour_blocks

    x_ND = matrix("x", x)
    y_N, classes = class_numbers("labels", labels, len(x_ND))
    return neighbour_blocks(x_ND, y_N, k=whole("k", k, 1), classes=len(classes))


def distances(x: Any, labels: Any, *, reading: str = "mean", metric: str | None = None) -> Discriminability:
    """Ratio of inter- to intra-class distance per image, per class and over all; readings and metrics: docs/measures.md.

    >>> distances([[0.0], [2.0], [10.0], [12.0]], ["a", "a", "b", "b"]).ratio
    5.0
    """
    from relic_eval.metrics.discriminability import discriminability

    x_ND = matrix("x", x)
    y_N = class_numbers("labels", labels, len(x_ND))[0]
    return discriminability(x_ND, y_N, reading=reading, metric=metric)
