"""The command line: parses and calls; decides nothing."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from relic_eval.errors import ArgumentError, RelicError, UnknownNameError

app = typer.Typer(
    name="relic-eval",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which representation is better, and why?\n\nExample: relic-eval quickstart",
)
OUT = Path("runs/quickstart")
Out = Annotated[Path, typer.Option("--out", help="Folder for everything that is made.")]
Data = Annotated[str, typer.Option("--data", help="fashion, digits, or a folder of class folders.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    from relic_eval import progress

    progress.quiet = quiet


@app.command(epilog="Example: relic-eval quickstart --out runs/quickstart")
def quickstart(
    out: Out = OUT,
    steps: Annotated[Optional[int], typer.Option(help="Steps of each pretraining; default: each method's own.")] = None,  # noqa: UP045
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
    if code:
        raise typer.Exit(code)


@app.command(epilog="Example: relic-eval pretrain relicv2 --data fashion --set steps=100")
def pretrain(
    method: Annotated[str, typer.Argument(help="supervised, byol or relicv2.")],
    data: Data = "fashion",
    out: Out = OUT,
    name: Annotated[Optional[str], typer.Option(help="Name of the run; default: the method.")] = None,  # noqa: UP045
    steps: Annotated[Optional[int], typer.Option(help="The same as --set steps=N.")] = None,  # noqa: UP045
    set_: Annotated[Optional[list[str]], typer.Option("--set", help="SETTING=VALUE; see 'list settings'.")] = None,  # noqa: UP045
    device: Annotated[str, typer.Option(help="auto (cuda where there is one), cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Train an encoder; a run that was stopped goes on, a finished one is left."""
    from pretrain import checkpoint
    from pretrain.config import override, preset
    from relic_eval.data.sources import dataset_name, dataset_splits, split_digest
    from relic_eval.progress import say

    changes = dict(_pair(text) for text in set_ or [])
    config = override(preset(method), {**changes, **({} if steps is None else {"steps": str(steps)})})
    split = "train" if "train" in dataset_splits(data) else "all"
    about = {"name": dataset_name(data), "split": split, "digest": split_digest(data, split, out / "data")}
    if name is not None and (name in ("pixels", "random", "", ".", "..") or "/" in name):
        raise ArgumentError(
            "--name",
            "a name of its own without a slash",
            repr(name),
            "pixels and random have rows on the board already.",
        )
    run = out / "pretrain" / (name or method)
    if checkpoint.finished(run, config, about):
        say(f"pretrain {name or method}: already there")
    else:
        _train(config, data, split, run, about, device)
    print(run)


def _train(config, data: str, split: str, run: Path, about: dict[str, str], device: str) -> None:
    import time

    from pretrain.train import pretrain as train
    from relic_eval.data.sources import pictures
    from relic_eval.data.tasks import pretraining_rows
    from relic_eval.devices import device as find_device
    from relic_eval.errors import DataError
    from relic_eval.run import note_time

    source, began = pictures(data, split, run.parent.parent / "data"), time.perf_counter()
    rows = pretraining_rows(split, source.y_N, source.classes)
    images, problems = source.read(rows, max(source.side, config.side))
    if problems:
        raise DataError(
            f"expected readable pictures, received {len(problems)} that are not: {next(iter(problems.values()))}. Mend or remove them."
        )
    train(config, images, source.y_N[rows], run, data=about, device=find_device(device))
    note_time(run.parent.parent, f"pretrain {run.name}", time.perf_counter() - began)


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
        list[str], typer.Argument(help="pixels, random:thin-resnet, a pretraining run, or a .npy file.")
    ],
    data: Data = "fashion",
    out: Out = OUT,
    labels: Annotated[Optional[str], typer.Option(help="For .npy files: FILE.csv:COLUMN or FILE.npy.")] = None,  # noqa: UP045
    name: Annotated[str | None, typer.Option(help="For a .npy file: the encoder's name; default: the file's.")] = None,
    device: Annotated[str, typer.Option(help="auto (cuda where there is one), cpu, cuda or cuda:N.")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="Pictures in one forward pass.")] = 256,
    on_error: Annotated[str, typer.Option(help="An unreadable picture: fail or skip.")] = "fail",
) -> None:
    """Turn pictures into embeddings, once; or take in embeddings made elsewhere."""
    from relic_eval.data.sources import dataset_name
    from relic_eval.encoders.load import find_encoder

    if any(text.endswith(".npy") for text in encoders):
        if name is not None and len(encoders) > 1:
            raise ArgumentError("--name", "one .npy file", f"{len(encoders)} encoders")
        for text in encoders:
            print(_take_in(text, labels, name, out, data))
        return
    found = [find_encoder(text) for text in encoders]
    dataset_name(data)
    from relic_eval.encode import embed as encode

    for encoder in found:
        for path in encode(encoder, data, out, device=device, batch=batch, on_error=on_error):
            print(path)


def _take_in(text: str, labels: str | None, name: str | None, out: Path, data: str) -> Path:
    from relic_eval.store import import_arrays

    if labels is None:
        raise ArgumentError("--labels", "FILE.csv:COLUMN or FILE.npy beside a .npy file", "nothing")
    return import_arrays(
        out, name or Path(text).stem, "mine" if data == "fashion" else data, _read_npy(text), _read_labels(labels)
    )


def _read_npy(text: str):
    import numpy as np

    from relic_eval.errors import DataError

    try:
        return np.load(text, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"expected a file {text}, received nothing there. Check the path.") from None
    except (ValueError, EOFError):  # numpy's own words would advise to load a pickle
        raise DataError(
            f"{text}: expected an array of numbers as numpy.save writes it, received a damaged file or one of objects."
        ) from None


def _read_labels(text: str):
    from relic_eval.errors import DataError

    if text.endswith(".npy"):
        return _read_npy(text)
    file, _, column = text.rpartition(":") if ":" in text else (text, "", "label")
    import pandas as pd

    try:
        table = pd.read_csv(file, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"expected a file {file}, received nothing there. Check the path.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        raise DataError(
            f"{file}: expected comma-separated UTF-8 text with a header line, received something else ({message})."
        ) from None
    if column not in table:
        raise UnknownNameError(f"column of {file}", column, [str(c) for c in table.columns])
    return table[column]


@app.command(epilog="Example: relic-eval evaluate --task fashion --protocol knn")
def evaluate(
    out: Out = OUT,
    encoder: Annotated[Optional[list[str]], typer.Option(help="Only these.")] = None,  # noqa: UP045
    task: Annotated[Optional[list[str]], typer.Option(help="Only these.")] = None,  # noqa: UP045
    protocol: Annotated[Optional[list[str]], typer.Option(help="Only these.")] = None,  # noqa: UP045
) -> None:
    """Measure every embedding store under every protocol that applies; one cell each, failures named and gone past."""
    from relic_eval.run import evaluate as run

    done = run(out, encoder or (), task or (), protocol or ())
    print(f"{done.made} cells made, {done.skipped} already there, {done.failed} failed")
    if done.failed:
        raise typer.Exit(3)


@app.command(epilog="Example: relic-eval report --out runs/quickstart --baseline pixels")
def report(
    out: Out = OUT,
    baseline: Annotated[Optional[str], typer.Option(help="Encoder that changes are measured against.")] = None,  # noqa: UP045
) -> None:
    """Write the page, its figures and its tables."""
    from relic_eval.errors import DataError

    if not out.is_dir():
        raise DataError(
            f"expected a folder {out}, received nothing there. 'relic-eval quickstart --out {out}' makes one."
        )
    from reports.write import write_report

    print(write_report(out, baseline=baseline))


@app.command(epilog="Example: relic-eval leaderboard --csv > board.csv")
def leaderboard(
    out: Out = OUT,
    protocol: Annotated[Optional[list[str]], typer.Option(help="Default: linear-byol and fewshot-5.")] = None,  # noqa: UP045
    baseline: Annotated[Optional[str], typer.Option(help="Encoder that changes are measured against.")] = None,  # noqa: UP045
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """The board: accuracies with intervals, mean change against the baseline, ranks and ties."""
    from relic_eval.board import PROTOCOLS, make_board
    from relic_eval.results import read_results

    board = make_board(read_results(out), baseline=baseline, protocols=tuple(protocol or PROTOCOLS))
    from reports.tables import board_csv, board_text

    print(board_csv(board) if csv else board_text(board), end="")


@app.command("list", epilog="Example: relic-eval list protocols")
def list_(
    what: Annotated[
        str, typer.Argument(help="protocols, tasks, datasets, methods, encoders, settings or stores.")
    ] = "protocols",
    out: Out = OUT,
) -> None:
    """What there is to choose from."""
    from relic_eval import listing

    print("\n".join(listing.lines(what, out)))


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
    words = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(words) < len(sys.argv) - 1
    try:
        code = app(words, standalone_mode=False)
    except RelicError as error:
        code = _say(error, debug, 2 if isinstance(error, ArgumentError) else 1)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except OSError as error:
        code = _say(error, debug, 1, _os_error(error))
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
    print(f"relic-eval: {text or error}", file=sys.stderr)
    return code


def _usage(error) -> int:
    """Typer's own errors and exits: their message in one line."""
    text = error.format_message() if hasattr(error, "format_message") else ""
    if text:
        print(f"relic-eval: {text} 'relic-eval --help' shows what there is.", file=sys.stderr)
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
