"""Write the page, the figures as PNG and SVG, and the tables as CSV; nothing where they are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relic_eval.files import digest_file, digest_json, read_json, whole_folder, write_bytes, write_json
from relic_eval.progress import say
from relic_eval.store import find_stores, read_manifest, read_thumbnails


def write_report(out: Path, *, baseline: str | None = None) -> Path:
    """Make `out`/report/index.html with figures/ and tables/ beside it from the cells and stores; returns the page."""
    place, key = out / "report", report_key(out, baseline)
    if (
        (place / "report.json").exists()
        and (place / "index.html").exists()
        and read_json(place / "report.json")["key"] == key
    ):
        say("report: already there")
        return place / "index.html"
    from relic_eval.board import make_board
    from relic_eval.results import read_failures, read_results
    from reports.figures.style import save
    from reports.page import to_html
    from reports.tables import board_csv, rows_csv

    results = read_results(out)
    board = make_board(results, baseline=baseline)
    stores, thumbnails = _stores(out, {r.encoder for r in results})
    page = to_html(results, board, stores=stores, thumbnails=thumbnails, failures=read_failures(out))
    with whole_folder(place) as new:
        write_bytes(new / "index.html", page.encode())
        write_bytes(new / "tables" / "board.csv", board_csv(board).encode())
        write_bytes(new / "tables" / "measurements.csv", rows_csv(results).encode())
        for name, figure in figures(results, board, {n: found[0] for n, found in stores.items()}).items():
            save(figure, new / "figures" / name)
        write_json(new / "report.json", {"key": key})
    return place / "index.html"


def report_key(out: Path, baseline: str | None) -> str:
    """Digest of what the report is made of, reading no table: cells' and stores' keys, failures, and this package."""
    cells = sorted(out.glob("cells/*/*/*/cell.json")) + sorted(out.glob("failures/*/*/*.json"))
    here = Path(__file__).parent
    sources = sorted(p for p in here.rglob("*") if p.suffix in (".py", ".html", ".css", ".js"))
    return digest_json(
        [
            baseline,
            [(str(p.relative_to(out)), digest_file(p)) for p in cells],
            [(s.encoder, s.dataset, s.split, read_manifest(s.path)["content"]) for s in find_stores(out)],
            [(str(p.relative_to(here)), digest_file(p)) for p in sources],
        ]
    )


def _stores(out: Path, encoders: set[str]) -> tuple[dict[str, list[Any]], dict[str, bytes]]:
    stores: dict[str, list[Any]] = {}
    thumbnails: dict[str, bytes] = {}
    for store in find_stores(out):
        if store.encoder in encoders:
            stores.setdefault(store.encoder, []).append(read_manifest(store.path))
            if store.split in ("test", "all"):
                thumbnails.update({k: v for k, v in read_thumbnails(store.path).items() if k not in thumbnails})
    return stores, thumbnails


def figures(results: list, board: Any, manifests: dict[str, Any]) -> dict[str, Any]:
    """Every figure that the results allow, by name; `manifests` holds one of each encoder's stores."""
    from reports.figures.discriminability import discriminability_figure
    from reports.figures.leaderboard import leaderboard_figure
    from reports.figures.losses import losses_figure
    from reports.figures.neighbour_blocks import neighbour_blocks_figure
    from reports.sections.blocks import read_blocks
    from reports.sections.choose import shown, with_ratio
    from reports.sections.training import training_records

    made, order = {"leaderboard": leaderboard_figure(board)}, [row.encoder for row in board.rows]
    blocks = read_blocks(shown(results, "blocks", order), order)
    if blocks:
        made["neighbour_blocks"] = neighbour_blocks_figure(blocks)
    ratios = with_ratio(results, order)
    if ratios:
        made["discriminability"] = discriminability_figure(ratios, board.baseline)
    training = training_records(manifests)
    if training:
        made["losses"] = losses_figure(training)
    return made
