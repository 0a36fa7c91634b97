"""What compares checkpoints of one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from relic_eval.arrays import several
from relic_eval.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from relic_eval.board import Board
    from relic_eval.board.steps import History


def history(out: str | Path, *, protocols: Sequence[str] = (), tasks: Sequence[str] = ()) -> pd.DataFrame:
    """What checkpoints of one pretraining run reached: one row a run, step and column, with the change since the step before.

    >>> history("/nowhere")
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    import pandas as pd

    from relic_eval.board.steps import history_table

    return pd.DataFrame(history_table(*histories_of(Path(out), protocols=protocols, tasks=tasks)))


def histories_of(
    out: Path, *, protocols: Sequence[str] = (), tasks: Sequence[str] = ()
) -> tuple[Board, tuple[History, ...]]:
    """The board under `out` and the runs of which it has two checkpoints or more; a DataError where there is none.

    >>> histories_of(Path("/nowhere"))
    Traceback (most recent call last):
    ...
    relic_eval.errors.DataError: /nowhere: expected cells, received none. ...
    """
    from relic_eval.board import PROTOCOLS, read_board
    from relic_eval.board.steps import histories
    from relic_eval.store import find_stores, read_manifest

    board, _, _ = read_board(out, protocols=several("protocols", protocols) or PROTOCOLS, tasks=several("tasks", tasks))
    manifests: dict[str, list] = {}
    for store in find_stores(out):
        manifests.setdefault(store.encoder, []).append(read_manifest(store.path))
    found = histories(board, manifests)
    if not found:
        raise DataError(
            f"{out}: expected two checkpoints of one pretraining run on the board, received none. 'relic-eval pretrain --set "
            f"keep_every=N' keeps them; 'relic-eval embed file:RUN/step-00000500,name=NAME-500 --out {out}' and 'relic-eval "
            "evaluate' measure one."
        )
    return board, found
