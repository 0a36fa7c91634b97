"""The command line: parses and calls; decides nothing."""

from __future__ import annotations

import errno
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from relic_eval.errors import ArgumentError, RelicError

app = typer.Typer(
    name="relic-eval",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which representation is better, and why?\n\nExample: relic-eval quickstart",
)
OUT = Path("runs/quickstart")
Out = Annotated[Path, typer.Option("--out", help="Folder for everything that is made.")]
Baseline = Annotated[str | None, typer.Option("--baseline", help="Encoder that changes are measured against.")]
Encoders = Annotated[list[str] | None, typer.Option("--encoder", help="Only this one; may be repeated.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Only this one; may be repeated.")]
Data = Annotated[str, typer.Option("--data", help="fashion, digits, or a folder of class folders.")]


Device = Annotated[str, typer.Option("--device", help="auto (cuda where there is one), cpu, cuda or cuda:N.")]
Protocols = Annotated[
    list[str] | None,
    typer.Option("--protocol", help="Only this one; may be repeated. 'list protocols' says which there are."),
]


def _version(asked: bool) -> None:
    if asked:
        import relic_eval

        print(f"relic-eval {relic_eval.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, only warnings and errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    from relic_eval import progress

    progress.quiet = quiet


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
    encoders: Annotated[list[str], typer.Argument(help="pixels, random:NETWORK, a pretraining run, or a .npy file.")],
    data: Data = "fashion",
    out: Out = OUT,
    labels: Annotated[str | None, typer.Option(help="For .npy files: FILE.csv:COLUMN or FILE.npy.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What the board calls it; default: the run's or the file's name.")
    ] = None,
    device: Device = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Pictures in one forward pass.")] = 256,
    on_error: Annotated[str, typer.Option(help="An unreadable picture: fail or skip.")] = "fail",
    views: Annotated[
        int, typer.Option(min=0, help="Augmented views of each test picture, for the protocol multiview.")
    ] = 0,
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

        if views:
            raise ArgumentError("--views", "encoders of pictures", "a .npy file", "Views are made of pictures.")
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
    from relic_eval.encode import embed as encode
    from relic_eval.encode import find_encoders

    for encoder in find_encoders(encoders, name):
        for path in encode(encoder, data, out, device=device, batch=batch, on_error=on_error, views=views):
            print(path)


@app.command(
    epilog="Example: relic-eval evaluate --task fashion --protocol knn\n\n"
    "'leaderboard' and 'report' show what was measured, and 'list results' every number."
)
def evaluate(
    out: Out = OUT,
    encoder: Encoders = None,
    task: Tasks = None,
    protocol: Protocols = None,
) -> None:
    """Measure every embedding store under every protocol that applies; one cell each, failures named and gone past."""
    from relic_eval.run import evaluate as run

    done = run(out, encoder or (), task or (), protocol or ())
    print(f"{done.made} cells made, {done.skipped} already there, {done.failed} failed")
    if done.failed:
        raise typer.Exit(3)


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
    batch: Annotated[int, typer.Option(min=1, help="Pictures in one forward pass.")] = 256,
    on_error: Annotated[str, typer.Option(help="An unreadable picture: fail or skip.")] = "fail",
    shard: Annotated[str, typer.Option(help="i/n: only the i-th of n parts, for the jobs of a cluster.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the work.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what was asked for last under --out.")] = False,
) -> None:
    """Every encoder on every data set under every protocol: each picture encoded once, failures named and gone past."""
    from relic_eval.grid import Grid, read_grid
    from relic_eval.grid import transfer as run

    if resume and (encoders or data or protocol):
        raise ArgumentError(
            "--resume", "no encoders, data or protocols beside it", "some", "They are those of the last time."
        )
    if not encoders and not resume:
        raise ArgumentError("encoders", "at least one, or --resume", "none", "'relic-eval list encoders' names them.")
    asked = (tuple(encoders or ()), tuple(data or ("mini",)), tuple(protocol or ()))
    done = run(read_grid(out) if resume else Grid(*asked, device, batch, on_error), out, shard=shard, workers=workers)
    print(f"{done.made} cells made, {done.skipped} already there, {done.failed} failed")
    if done.failed:
        raise typer.Exit(3)


@app.command(epilog="Example: relic-eval report --out runs/quickstart --baseline pixels")
def report(
    out: Out = OUT,
    baseline: Baseline = None,
    encoder: Encoders = None,
    task: Tasks = None,
) -> None:
    """Write the page, its figures and its tables."""
    from relic_eval.errors import DataError

    if not out.is_dir():
        raise DataError(
            f"expected a folder {out}, received {'a file' if out.exists() else 'nothing there'}. "
            f"'relic-eval quickstart --out {out}' makes one."
        )
    from reports.write import write_report

    print(write_report(out, baseline=baseline, encoders=encoder or (), tasks=task or ()))


@app.command(epilog="Example: relic-eval leaderboard --csv > board.csv")
def leaderboard(
    out: Out = OUT,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="A protocol of accuracy; may be repeated.  [default: linear-byol and fewshot-5]"),
    ] = None,
    baseline: Baseline = None,
    encoder: Encoders = None,
    task: Tasks = None,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """The board: accuracies with intervals, mean change against the baseline, ranks and ties."""
    from relic_eval.board import PROTOCOLS, read_board

    board, _, _ = read_board(
        out, encoders=encoder or (), tasks=task or (), protocols=protocol or PROTOCOLS, baseline=baseline
    )
    from reports.tables import board_csv, board_text

    print(board_csv(board) if csv else board_text(board), end="")


@app.command("list", epilog="Example: relic-eval list protocols")
def list_(
    what: Annotated[
        str, typer.Argument(help="protocols, tasks, datasets, methods, encoders, settings, masks, stores or results.")
    ] = "protocols",
    out: Out = OUT,
) -> None:
    """What there is to choose from."""
    from relic_eval import listing

    for line in listing.lines(what, out):
        print(line)


@app.command(epilog="Example: relic-eval doctor")
def doctor() -> None:
    """What is installed, and which search is in use."""
    from relic_eval.listing import diagnosis

    lines, healthy = diagnosis()
    print("\n".join(lines))
    if not healthy:
        raise typer.Exit(1)


def main() -> None:
    """Run a command. Exit codes: 0, 1 failure, 2 usage, 3 finished with failed cells, 130 interrupted."""
    debug, quiet = "--debug" in sys.argv[1:], ["--quiet"] * ("--quiet" in sys.argv[1:])
    words = [*quiet, *(word for word in sys.argv[1:] if word not in ("--debug", "--quiet"))]  # at any place in the line
    try:
        code = app(words, standalone_mode=False)
    except RelicError as error:
        code = _say(error, debug, 2 if isinstance(error, ArgumentError) else 1)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except OSError as error:
        code = _say(error, debug, 1, _os_error(error))
    except MemoryError as error:
        code = _say(error, debug, 1, f"expected enough memory, received too little ({error}). Ask for less at a time.")
    except Exception as error:
        if not hasattr(error, "exit_code"):  # a fault of ours, shown whole
            raise
        code = _usage(error)
    if code == 130:  # typer turns Ctrl-C into this code without a word
        print("relic-eval: interrupted; the same command goes on where it stopped.", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(code if isinstance(code, int) else 0)


def _say(error: Exception, debug: bool, code: int, text: str | None = None) -> int:
    if debug:
        raise error
    if os.environ.get("RANK", "0") != "0":
        time.sleep(5)  # what all ranks find the first one says, and ends the others
    print(f"relic-eval: {text or error}", file=sys.stderr)
    return code


def _usage(error) -> int:
    """Typer's own errors and exits: their message in one line."""
    text = error.format_message() if hasattr(error, "format_message") else ""
    if text:
        where = error.ctx.command_path.replace("root", "relic-eval") if getattr(error, "ctx", None) else "relic-eval"
        print(f"relic-eval: {text.rstrip('.')}. '{where} --help' shows what there is.", file=sys.stderr)
    return error.exit_code


def _os_error(error: OSError) -> str:
    where = f" at {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"expected room on the disk, received none{where}. Free some and run the command again; what was there is as it was."
    return (
        f"expected to read and write{where}, received '{os.strerror(error.errno or 0)}'. What was there is as it was."
    )


if __name__ == "__main__":
    main()
