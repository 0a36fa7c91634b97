"""Verbs that show what was measured, and what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relic_eval.cli.app import OUT, Baseline, Encoders, Out, Tasks, app


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
    from relic_eval.alike import make_alike
    from reports.write import write_report

    print(write_report(out, baseline=baseline, encoders=encoder or (), tasks=task or (), measure=make_alike))


@app.command(
    epilog="Example: relic-eval leaderboard --csv > board.csv\n\n"
    "Example: relic-eval leaderboard --out runs/mini --baseline supervised --to board.tex"
)
def leaderboard(
    out: Out = OUT,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="A protocol of accuracy or of segmentation; may be repeated.  [default: linear-byol and fewshot-5; "
            "knn where there is neither]"
        ),
    ] = None,
    baseline: Baseline = None,
    encoder: Encoders = None,
    task: Tasks = None,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, numbers with six digits.")] = False,
    to: Annotated[
        Path | None, typer.Option("--to", help="Into a file (.csv, .parquet, .tex) or a folder of JSON instead.")
    ] = None,
    speed: Annotated[bool, typer.Option("--speed", help="Images a second as well; of this machine.")] = False,
    published: Annotated[bool, typer.Option("--published", help="Published numbers beside ours.")] = False,
    scaling: Annotated[
        Path | None, typer.Option("--scaling", help="Draw accuracy over parameters to NAME.png and NAME.svg.")
    ] = None,
) -> None:
    """The board: values with intervals, changes against the baseline, ranks and ties, and what each encoder costs."""
    from relic_eval.board import PROTOCOLS, read_board, read_costs
    from relic_eval.progress import say
    from relic_eval.published import own_models

    board, results, _ = read_board(
        out, encoders=encoder or (), tasks=task or (), protocols=protocol or PROTOCOLS, baseline=baseline
    )
    costs = read_costs(out)
    if to:
        from reports.exports import save_board

        print("\n".join(map(str, save_board(board, results, costs, to))))
    elif csv:
        from reports.tables import board_csv

        print(board_csv(board, costs), end="")
    else:
        from reports.terminal import show_board

        show_board(board, costs=costs, speed=speed)
    own = own_models(board, costs)
    if (published or scaling) and not own:
        say(
            "none of these encoders is among the larger networks: that takes the task imagenet with --protocol linear-imagenet, "
            "and a known number of parameters."
        )
    if published:
        from reports.published import beside_text, larger_text, networks_of

        print(f"\n{beside_text(board, networks_of(costs))}\n{larger_text(own)}", end="")
    if scaling:
        from reports.figures.files import save
        from reports.figures.scaling import scaling_figure

        print("\n".join(map(str, save(scaling_figure(own), scaling))))


@app.command(
    epilog="Example: relic-eval export byol --data fashion --out runs/quickstart --to fashion.parquet\n\n"
    "Then: embedding-atlas fashion.parquet --image image --vector vector"
)
def export(
    encoder: Annotated[
        str | None, typer.Argument(help="An encoder that was embedded under --out, or the folder of a store.")
    ] = None,
    to: Annotated[Path, typer.Option("--to", help="The file, ending in .parquet.")] = Path("embeddings.parquet"),
    data: Annotated[str | None, typer.Option("--data", help="A data set by name, where several are embedded.")] = None,
    split: Annotated[str, typer.Option("--split", help="train, test, ...")] = "test",
    out: Out = OUT,
) -> None:
    """Embeddings with their pictures and labels as one Parquet file, which embedding-atlas and other viewers open."""
    from relic_eval.atlas import export as exported

    if encoder is not None and (Path(encoder) / "manifest.json").exists():
        print(exported(encoder, to))
    else:
        print(exported(out, to, encoder=encoder, dataset=data, split=split))


@app.command(epilog="Example: relic-eval figure neighbour-blocks --out runs/quickstart -o f.pdf")
def figure(
    name: Annotated[
        str, typer.Argument(help="'list figures' says which there are; all: every one that the cells allow.")
    ],
    out: Out = OUT,
    to: Annotated[
        Path | None,
        typer.Option(
            "-o", "--to", help="Into this file (.pdf, .svg or .png); of all, a folder.  [default: NAME.pdf; figures]"
        ),
    ] = None,
    width: Annotated[
        str, typer.Option("--width", help="A venue (neurips, iclr, icml, cvpr, eccv, aaai, jmlr, ...) or inches.")
    ] = "neurips",
    columns: Annotated[
        int | None,
        typer.Option("--columns", help="Over 1 column or 2, where a venue's text has two.  [default: 1]"),
    ] = None,
    baseline: Baseline = None,
    encoder: Encoders = None,
    task: Tasks = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="Only this one; may be repeated. For leaderboard and change those of the board."),
    ] = None,
) -> None:
    """Draw one figure for a paper: at its printed size, with its fonts in it."""
    from relic_eval.library.showing import write_figures

    chosen = {"baseline": baseline, "encoders": encoder or (), "tasks": task or (), "protocols": protocol or ()}
    for place in write_figures(name, out, to, width=width, columns=columns, **chosen):
        print(place)


@app.command(epilog="Example: relic-eval merge mine theirs --out both")
def merge(
    sources: Annotated[list[Path], typer.Argument(help="Folders of results, of several people or machines.")],
    out: Annotated[Path, typer.Option("--out", help="Folder that holds all of them afterwards.")],
) -> None:
    """Put results of several people or machines together; what is there is left, and contradictions are refused."""
    from relic_eval.merging import merge as together

    done = together(sources, out)
    print(f"{done.cells} cells copied, {done.there} already there, of {done.stores} stores")


@app.command("list", epilog="Example: relic-eval list protocols")
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="protocols, tasks, datasets, methods, encoders, settings, masks, figures, anchors, stores or results."
        ),
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
