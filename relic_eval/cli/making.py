"""Verbs that make something to be judged: encoders, masks, embeddings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from relic_eval.cli.app import OUT, Batch, Corrupted, Data, Device, Kinds, OnError, Out, app
from relic_eval.errors import ArgumentError


@app.command(epilog="Example: relic-eval quickstart --out runs/quickstart")
def quickstart(
    out: Out = OUT,
    steps: Annotated[int | None, typer.Option(help="Steps of each pretraining; default: each method's own.")] = None,
) -> None:
    """From pictures to a report: calls the other commands in turn, and prints them."""
    extra = [] if steps is None else ["--steps", str(steps)]
    methods = ("supervised", "byol", "relicv2")
    runs = [str(out / "pretrain" / name) for name in methods]
    commands = [
        *(["pretrain", name, "--data", "fashion", "--out", str(out), *extra] for name in methods),
        *(
            ["embed", "pixels", "random:thin-resnet", *runs, "--data", data, "--out", str(out)]
            for data in ("fashion", "digits")
        ),
        ["evaluate", "--out", str(out)],
        ["report", "--out", str(out)],
    ]
    from relic_eval import progress

    quiet, code = ["--quiet"] if progress.quiet else [], 0
    for words in commands:
        print(f"$ relic-eval {shlex.join(words)}", flush=True)
        code = max(code, app([*quiet, *words], standalone_mode=False) or 0)
        if code not in (0, 3):  # failed cells are shown on the page; anything else, Ctrl-C too, ends it here
            break
    if code:
        raise typer.Exit(code)


@app.command(epilog="Example: relic-eval pretrain relicv2 --data fashion --set steps=100")
def pretrain(
    method: Annotated[str, typer.Argument(help="A method or preset; 'list methods' says which there are.")],
    data: Data = "fashion",
    out: Out = OUT,
    name: Annotated[str | None, typer.Option(help="Name of the run; default: the method.")] = None,
    steps: Annotated[int | None, typer.Option(help="The same as --set steps=N.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="SETTING=VALUE; see 'list settings'.")] = None,
    device: Device = "auto",
    nproc: Annotated[int, typer.Option(min=1, help="Processes that share each batch; torchrun works as well.")] = 1,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show every setting and its source, and train nothing.")
    ] = False,
) -> None:
    """Train an encoder; a run that was stopped goes on, a finished one is left."""
    from relic_eval.training import explained, train, train_together

    pairs = [_pair(text) for text in set_ or []] + ([] if steps is None else [("steps", str(steps))])
    changes = dict(pairs)
    if len(changes) < len(pairs):
        twice = next(n for i, (n, _) in enumerate(pairs) if n in dict(pairs[:i]))
        raise ArgumentError("--set", "each setting once", f"{twice} twice", "Remove one of them.")
    if explain:
        print("\n".join(explained(method, changes)))
        return
    if nproc > 1:
        raise typer.Exit(train_together(nproc, method, data, out, name=name or method, changes=changes, device=device))
    done = train(method, data, out, name=name or method, changes=changes, device=device)
    if done is not None:  # said by the first of several ranks
        print(done)


@app.command(
    epilog="Example: relic-eval saliency --data folder/of/class/folders --maker rbd --truth folder/of/masks\n\n"
    "'list masks' says which makers there are; 'pretrain relicv2 --set masks=rbd' uses their masks."
)
def saliency(
    data: Data = "fashion",
    maker: Annotated[str, typer.Option(help="A maker of 'list masks', or a folder of PNG masks of your own.")] = "rbd",
    out: Out = OUT,
    truth: Annotated[
        str | None, typer.Option(help="A folder of true masks (PNG, 0: background), to measure against.")
    ] = None,
    side: Annotated[
        int | None, typer.Option(help="Of a large crop, as pretrain --set side=N has it.  [default: 28]")
    ] = None,
) -> None:
    """Make foreground masks without labels, once; draw a sheet of them, and say how they agree with true ones."""
    from relic_eval.saliency import show

    print("\n".join(show(data, maker, out, truth=truth, side=side)))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ArgumentError("--set", "SETTING=VALUE", repr(text), "For example --set steps=100.")
    return name, value


@app.command(
    epilog="Example: relic-eval embed pixels runs/quickstart/pretrain/byol --data folder/of/class/folders\n\n"
    "Example: relic-eval embed mine.npy --labels labels.csv:label --name mine --data birds"
)
def embed(
    encoders: Annotated[
        list[str], typer.Argument(help="Encoders by name ('list encoders'), a pretraining run, or .npy files.")
    ],
    data: Data = "fashion",
    out: Out = OUT,
    labels: Annotated[str | None, typer.Option(help="For .npy files: FILE.csv:COLUMN or FILE.npy.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What the board calls it; default: the run's or the file's name.")
    ] = None,
    device: Device = "auto",
    batch: Batch = 256,
    on_error: OnError = "fail",
    views: Annotated[
        int, typer.Option(min=0, help="Augmented views of each test picture, for the protocol multiview.")
    ] = 0,
    corruptions: Corrupted = None,
    kind: Kinds = None,
) -> None:
    """Turn pictures into embeddings, once; or take in embeddings made elsewhere."""
    if name is not None and len(encoders) > 1:
        raise ArgumentError("--name", "one encoder", f"{len(encoders)}", "Embed one at a time to name them.")
    files = [text for text in encoders if text.lower().endswith(".npy")]
    if files and len(files) < len(encoders):
        other = next(text for text in encoders if text not in files)
        raise ArgumentError("encoders", "all .npy files or none", f"{files[0]} and {other}", "Give two commands.")
    if files:
        from relic_eval.intake import import_files

        for option, asked in (("--views", views), ("--corruptions", corruptions is not None)):
            if asked:
                raise ArgumentError(option, "encoders of pictures", "a .npy file", "They are made of pictures.")
        if labels is None:
            raise ArgumentError("--labels", "FILE.csv:COLUMN or FILE.npy beside a .npy file", "nothing")
        dataset = "mine" if data == "fashion" else Path(data).name
        print("\n".join(map(str, import_files(out, files, labels, name=name, dataset=dataset))))
        return
    if labels is not None:
        raise ArgumentError(
            "encoders",
            "a .npy file beside --labels",
            repr(encoders[0]),
            "Save embeddings with numpy.save; for encoders of pictures the folders are the labels.",
        )
    from relic_eval.data.corruptions import asked_for
    from relic_eval.encode import embed as encode
    from relic_eval.encode import find_encoders

    worse = asked_for(corruptions, kind)
    for encoder in find_encoders(encoders, name):
        for path in encode(
            encoder, data, out, device=device, batch=batch, on_error=on_error, views=views, corruptions=worse
        ):
            print(path)


@app.command(epilog="Example: relic-eval convert pretrain_res50x1.pkl --out byol.safetensors")
def convert(
    checkpoint: Annotated[Path, typer.Argument(help="An official RELICv2 or BYOL checkpoint (.pkl).")],
    out: Annotated[Path | None, typer.Option("--out", help="Default: beside it, as .safetensors.")] = None,
) -> None:
    """An official Haiku checkpoint as a .safetensors file, which 'file:' takes; nothing in it is run."""
    from relic_eval.encoders.convert import convert as made

    print("\n".join(made(checkpoint.expanduser(), out).lines()))
