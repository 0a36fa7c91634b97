"""The command itself, and the options that several of its verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
Baseline = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        help="Encoder that changes are measured against.  [default: supervised where there is one, else the first by name]",
    ),
]
Encoders = Annotated[list[str] | None, typer.Option("--encoder", help="Only this one; may be repeated.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="Only this one; may be repeated.")]
Data = Annotated[str, typer.Option("--data", help="fashion, digits, or a folder of class folders.")]


Device = Annotated[str, typer.Option("--device", help="auto (cuda where there is one), cpu, cuda or cuda:N.")]
Protocols = Annotated[
    list[str] | None,
    typer.Option("--protocol", help="Only this one; may be repeated. 'list protocols' says which there are."),
]


Batch = Annotated[int, typer.Option(min=1, help="Pictures in one forward pass.")]
OnError = Annotated[str, typer.Option(help="An unreadable picture: fail or skip.")]
Corrupted = Annotated[
    int | None,
    typer.Option(
        "--corruptions", min=0, help="Corrupted copies of so many test pictures (0: of all), for the protocol robust."
    ),
]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only this corruption; may be repeated.")]
DropLeaks = Annotated[
    bool, typer.Option("--drop-leaks", help="Without training pictures that are tested too; see 'relic-eval leaks'.")
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
