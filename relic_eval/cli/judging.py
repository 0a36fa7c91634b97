"""Verbs that judge: cells, grids of them, leaks, two encoders side by side, published figures rerun."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relic_eval.cli.app import (
    OUT,
    Batch,
    Corrupted,
    Device,
    DropLeaks,
    Encoders,
    Kinds,
    OnError,
    Out,
    Protocols,
    Tasks,
    app,
)
from relic_eval.errors import ArgumentError

if TYPE_CHECKING:
    from relic_eval.outcome import Outcome


@app.command(
    epilog="Example: relic-eval evaluate --task fashion --protocol knn\n\n"
    "'leaderboard' and 'report' show what was measured, and 'list results' every number."
)
def evaluate(
    out: Out = OUT,
    encoder: Encoders = None,
    task: Tasks = None,
    protocol: Protocols = None,
    drop_leaks: DropLeaks = False,
) -> None:
    """Measure every embedding store under every protocol that applies; one cell each, failures named and gone past."""
    from relic_eval.run import evaluate as run

    done = run(out, encoder or (), task or (), protocol or (), without_leaks=drop_leaks)
    _end(done, out)


@app.command(
    epilog="Example: relic-eval transfer pixels random:resnet18 timm:resnet50 --data mini --protocol linear-byol --out runs/mini\n\n"
    "The same command goes on where it stopped, and so does 'relic-eval transfer --resume --out runs/mini'."
)
def transfer(
    encoders: Annotated[list[str] | None, typer.Argument(help="Encoders by name; see 'list encoders'.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="A set, a suite (mini, transfer) or a folder; may be repeated.  [default: mini]"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for everything that is made.")] = Path("runs/transfer"),
    protocol: Protocols = None,
    device: Device = "auto",
    batch: Batch = 256,
    on_error: OnError = "fail",
    corruptions: Corrupted = None,
    kind: Kinds = None,
    views: Annotated[
        int, typer.Option(min=0, help="Augmented views of each test picture, for the protocol multiview.")
    ] = 0,
    drop_leaks: DropLeaks = False,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--list", help="semi-1pct=FILE: ImageNet's published names of labelled pictures; may be repeated."
        ),
    ] = None,
    shard: Annotated[str, typer.Option(help="i/n: only the i-th of n parts, for the jobs of a cluster.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the work.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what was asked for last under --out.")] = False,
) -> None:
    """Every encoder on every data set under every protocol: each picture encoded once, failures named and gone past."""
    from relic_eval.commands import Grid, read_grid
    from relic_eval.grid import transfer as run
    from relic_eval.outcome import next_command

    chosen = encoders or data or protocol or kind or drop_leaks or lists or views or corruptions is not None
    if resume and (chosen or (device, batch, on_error) != ("auto", 256, "fail")):
        raise ArgumentError(
            "--resume", "no encoders, data, protocols or settings beside it", "some", "They are those of the last time."
        )
    if not encoders and not resume:
        raise ArgumentError("encoders", "at least one, or --resume", "none", "'relic-eval list encoders' names them.")
    asked = Grid(
        tuple(encoders or ()),
        tuple(data or ("mini",)),
        tuple(protocol or ()),
        device=device,
        batch=batch,
        on_error=on_error,
        corruptions=-1 if corruptions is None else corruptions,
        kinds=tuple(kind or ()),
        drop_leaks=drop_leaks,
        lists=tuple(lists or ()),
        views=views,
    )
    asked = read_grid(out) if resume else asked
    done = run(asked, out, shard=shard, workers=workers)
    _end(done, out, next_command(asked.protocols, out) if done.made + done.skipped else "")


def _end(done: Outcome, out: Path, then: str = "") -> None:
    """Say what a run came to; 3 is the exit code where some of it failed."""
    from relic_eval.outcome import counts_text, failures_text

    text = [counts_text(done), failures_text(done, out), f"next: {then}" if then else ""]
    print("\n".join(filter(None, text)))
    if done.failed:
        raise typer.Exit(3)


@app.command(epilog="Example: relic-eval leaks path/to/class/folders --out runs/mine")
def leaks(
    data: Annotated[str, typer.Argument(help="A data set by name or path.")],
    out: Out = OUT,
    against: Annotated[
        str | None, typer.Option(help="The set that an encoder was pretrained on, in place of the training pictures.")
    ] = None,
    encoder: Annotated[
        list[str] | None, typer.Option("--encoder", help="Near pictures in its embeddings too; may be repeated.")
    ] = None,
) -> None:
    """Pictures that are tested and trained on: the same ones, re-encoded ones, and ones that an encoder puts beside each other."""
    from relic_eval.data.duplicates import find_leaks, near_leaks
    from relic_eval.data.leaks import leaks_text
    from relic_eval.data.sources import dataset_name

    found = find_leaks(data, out, against=against)
    if encoder:
        found += near_leaks(out, dataset_name(data), encoder)
    print("\n\n".join(map(leaks_text, found)))


@app.command(epilog="Example: relic-eval compare byol relicv2 --task fashion --protocol linear-byol")
def compare(
    a: Annotated[str, typer.Argument(help="An encoder that was evaluated under --out.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    task: Annotated[str, typer.Option("--task", help="What both were tested on.")],
    out: Out = OUT,
    protocol: Annotated[str, typer.Option("--protocol", help="A protocol of accuracy.")] = "linear-byol",
) -> None:
    """Two encoders, picture by picture: who is right where the other is wrong, by class, and how alike they see."""
    from relic_eval.duel import disagreements, duel_text

    print(duel_text(disagreements(out, a, b, task=task, protocol=protocol)))


@app.command(epilog="Example: relic-eval anchor dino-r50 --out runs/anchor\n\n'list anchors' names them.")
def anchor(
    name: Annotated[str, typer.Argument(help="A published figure; see 'list anchors'.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for everything that is made.")] = Path("runs/anchor"),
    encoder: Annotated[str | None, typer.Option(help="In place of the anchor's own, such as hub:FOLDER/ENTRY.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="In place of the anchor's own, such as a folder.")] = None,
    device: Device = "auto",
    batch: Batch = 256,
) -> None:
    """Rerun a published figure in one command, and say how far ours is from it."""
    from relic_eval.anchor import rerun, rerun_text

    print(rerun_text(rerun(name, out, encoder=encoder, data=data, device=device, batch=batch)))
