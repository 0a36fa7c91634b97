"""What judges: cells and grids of them, leaks, results put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relic_eval.arrays import several, whole
from relic_eval.errors import DataError
from relic_eval.library.making import encoder_of
from relic_eval.library.showing import leaderboard
from relic_eval.progress import say, warn

if TYPE_CHECKING:
    import pandas as pd

    from relic_eval.data.leaks import Leaks
    from relic_eval.data.own import OwnTask
    from relic_eval.merging import Merged


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
    >>> from relic_eval import save_embeddings
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

    from relic_eval.cells import read_failures
    from relic_eval.commands import Grid
    from relic_eval.data.own import OwnTask
    from relic_eval.encoders.modes import evaluating
    from relic_eval.files import folder_name
    from relic_eval.grid import transfer as run

    named = dict(encoders) if isinstance(encoders, Mapping) else {_called(e): e for e in _listed(encoders)}
    words = all(isinstance(e, str) for e in named.values())
    found = [
        encoder_of(e, None if name == e else name, version=version, side=side, channels=channels, device=device)
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


def _board_of(
    out: str | Path, done: Any, chosen: Sequence[str], encoders: Sequence[str], tasks: Sequence[str]
) -> pd.DataFrame:
    """The board of what was just measured; a table without rows where that is no accuracy."""
    import pandas as pd

    from relic_eval.outcome import counts_text, next_command, on_board

    if done.failed:
        warn(f"{counts_text(done)}; the reasons stand above and in {Path(out) / 'failures'}")
    shown = on_board(chosen)
    if shown:
        return leaderboard(out, protocols=shown, encoders=encoders, tasks=tasks)
    say(
        f"{' and '.join(chosen)} {'is no accuracy and stands' if len(chosen) == 1 else 'are no accuracies and stand'} on no board, "
        f"so the table is empty: '{next_command(chosen, Path(out))}' prints the numbers."
    )
    return pd.DataFrame()


def leaks(
    data: str | Path | OwnTask, out: str | Path, *, against: str | Path | None = None, encoders: Sequence[str] = ()
) -> list[Leaks]:
    """Test pictures that are trained on too (or in the set `against`): the same ones, re-encoded ones, and of encoders near ones.

    One record a task, with its pairs and `share()`; of each of `encoders`, whose embeddings are under `out`, one more. What was
    sought before is read. `evaluate(..., drop_leaks=True)` leaves the training rows out.

    >>> import tempfile
    >>> found = leaks("digits", tempfile.mkdtemp())[0]
    >>> found.task, found.counts["test"], found.tested("exact")
    ('digits', 359, 0)
    """
    from relic_eval.data.duplicates import find_leaks, near_leaks
    from relic_eval.data.sources import dataset_name

    named = str(data) if isinstance(data, Path) else data
    names = several("encoders", encoders)
    found = find_leaks(named, Path(out), against=None if against is None else str(against))
    return [*found, *(near_leaks(Path(out), dataset_name(named), names) if names else [])]


def merge(sources: Sequence[str | Path], out: str | Path) -> Merged:
    """Put results of several people or machines together in `out`; what is there is left, and contradictions are refused.

    >>> merge(["/nowhere"], "/tmp/out")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected a folder of results with cells/, received none.
    """
    from relic_eval.merging import merge as together

    listed = [sources] if isinstance(sources, str | Path) else sources
    return together([Path(source) for source in listed], Path(out))
