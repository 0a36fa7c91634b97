"""Verbs that compare results: of two times, and of one run's checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relic_eval.cli.app import OUT, Encoders, Out, Protocols, Tasks, app


@app.command(
    epilog="Example: relic-eval changes runs/monday runs/friday --page changes.html\n\n"
    "Example: relic-eval changes runs/mine runs/mine --before byol-500 --after byol-1000"
)
def changes(
    old: Annotated[Path, typer.Argument(help="A folder of results.")],
    new: Annotated[Path, typer.Argument(help="Another, or the same with --before and --after.")],
    before: Annotated[
        str | None, typer.Option("--before", help="An encoder of OLD that is called otherwise in NEW.")
    ] = None,
    after: Annotated[str | None, typer.Option("--after", help="The encoder of NEW that it is compared with.")] = None,
    encoder: Encoders = None,
    task: Tasks = None,
    protocol: Protocols = None,
    to: Annotated[Path | None, typer.Option("--to", help="Into a file (.csv or .json) instead.")] = None,
    page: Annotated[Path | None, typer.Option("--page", help="A page (.html) as well.")] = None,
) -> None:
    """What changed between two results, cell by cell: by how much, and whether it is certain."""
    from relic_eval.errors import ArgumentError
    from relic_eval.revisions import changes as compared

    for option, place, endings in (("--to", to, (".csv", ".json")), ("--page", page, (".html",))):
        if place and place.suffix.lower() not in endings:  # known before anything is computed
            raise ArgumentError(option, f"a file ending in {' or '.join(endings)}", str(place))
    found = compared(
        *(old, new), before=before, after=after, encoders=encoder or (), tasks=task or (), protocols=protocol or ()
    )
    if not to:
        print(found, end="")
    for place in filter(None, (to, page)):
        print(found.save(place))


@app.command(
    epilog="Example: relic-eval history --out runs/mine --to history.svg\n\n"
    "A checkpoint has a name of its own: relic-eval embed file:runs/mine/pretrain/byol/step-00000500,name=byol-500"
)
def history(
    out: Out = OUT,
    protocol: Protocols = None,
    task: Tasks = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Into a file instead: .csv, or a figure (.png, .svg).")
    ] = None,
) -> None:
    """What checkpoints of one pretraining run reached, step by step, and which changes are certain."""
    from relic_eval.errors import ArgumentError

    if to and to.suffix.lower() not in (".csv", ".png", ".svg"):
        raise ArgumentError("--to", "a file ending in .csv, .png or .svg", str(to))
    from relic_eval.library.comparing import histories_of
    from reports.histories import histories_text, save_history

    board, runs = histories_of(out, protocols=protocol or (), tasks=task or ())
    if to:
        print("\n".join(map(str, save_history(board, runs, to))))
    else:
        print(histories_text(board, runs), end="")
