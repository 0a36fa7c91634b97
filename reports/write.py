"""Write the page, the tables as CSV and LaTeX, and the figures as SVG; nothing where they are there already."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relic_eval import board as code
from relic_eval.errors import DataError
from relic_eval.files import differing, digest_file, digest_json, read_record, whole_folder, write_bytes, write_json
from relic_eval.progress import say
from relic_eval.store import find_stores, read_manifest

if TYPE_CHECKING:
    from reports.sections.section import Material


def write_report(
    out: Path,
    *,
    baseline: str | None = None,
    encoders: Sequence[str] = (),
    tasks: Sequence[str] = (),
    measure: Callable[[Path, Sequence[str], Sequence[str]], None] | None = None,
) -> Path:
    """Make `out`/report/index.html with tables/ and figures/ beside it from the cells and stores; returns the page.

    Of these encoders and tasks, or of all. `measure(out, encoders, tasks)` may first leave under `out` what only a page asks for
    and no cell holds. Files that are not the report's own are carried over into the new folder.
    Page and tables are there first, as a whole; the figures follow, and a report without them is made again.
    """
    place, key = out / "report", report_key(out, [baseline, sorted(encoders), sorted(tasks)])
    if _whole(place, key):
        say("report: already there")
        return place / "index.html"
    if measure is not None:
        measure(out, encoders, tasks)
        key = report_key(out, [baseline, sorted(encoders), sorted(tasks)])
    from reports.material import read_material
    from reports.page import to_html

    material = read_material(out, baseline=baseline, encoders=encoders, tasks=tasks)
    page = to_html(material)
    with whole_folder(place) as new:
        write_bytes(new / "index.html", page.encode())
        for name, text in report_tables(material).items():
            write_bytes(new / "tables" / name, text.encode())
        _note(new, "", sorted(f for f in new.rglob("*") if f.is_file()))
        _carry_over(place, new)
    own = [place / name for name in read_record(place / "report.json", {"files": dict})["files"]]
    for figure in _write_figures(material, place / "figures"):
        own.append(figure)
        _note(place, "", own)
    _note(place, key, sorted(own))
    return place / "index.html"


def report_tables(material: Material) -> dict[str, str]:
    """The content of each file in tables/, by name."""
    from relic_eval.board import costs_of
    from reports.copies import board_files
    from reports.latex_measures import discriminability_latex, purity_latex
    from reports.sections.origin.provenance import embeddings_csv
    from reports.tables import rows_csv

    found = {
        **board_files(material.board, costs_of(material.stores)),
        "measurements.csv": rows_csv(material.results),
        "embeddings.csv": embeddings_csv(material.stores),
    }
    latex = {
        "discriminability.tex": discriminability_latex(material.results, material.order),
        "purity.tex": purity_latex(material.results, material.order),
    }
    return found | {name: text for name, text in latex.items() if text}


def _write_figures(material: Material, folder: Path) -> Iterator[Path]:
    """Every figure that the cells allow as SVG, one after another; `relic-eval figure` makes PDF and PNG of any width."""
    from reports.figures.files import write_figure
    from reports.figures.table import figures

    for name, figure in figures(material).items():
        yield write_figure(figure, folder / f"{name}.svg")


def _note(folder: Path, key: str, files: Sequence[Path]) -> None:
    digests = {str(f.relative_to(folder)): digest_file(f) for f in files}
    write_json(folder / "report.json", {"key": key, "files": digests})


def _whole(place: Path, key: str) -> bool:
    """Whether the report of that key is there with every file as it was written."""
    try:
        note = read_record(place / "report.json", {"key": str, "files": dict})
    except DataError:
        return False
    return note["key"] == key and not differing(place, note["files"])


def _carry_over(place: Path, new: Path) -> None:
    """Copy what somebody else has put into the folder of the report that is there."""
    try:
        own = {*read_record(place / "report.json", {"files": dict})["files"], "report.json"}
    except DataError:
        own = {"report.json"}
    for file in sorted(f for f in place.rglob("*") if not f.is_dir()):
        name = str(file.relative_to(place))
        if name not in own and not (new / name).exists():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, new / name, follow_symlinks=False)


def report_key(out: Path, asked: Sequence[Any]) -> str:
    """Digest of what the report is made of, reading no table: what was asked for, cells, stores, failures, and the code."""
    cells = sorted(out.glob("cells/*/*/*/cell.json")) + sorted(out.glob("failures/*/*/*.json"))
    stores = find_stores(out)
    manifests = [(s, read_manifest(s.path)) for s in stores]
    pictures = [f for s in stores if (f := s.path / "thumbnails.parquet").exists()]
    notes = [f for f in (out / "commands.json",) if f.exists()]
    notes += sorted(f for kind in ("alike", "leaks") for f in out.glob(f"{kind}/**/{kind}.json"))
    # which views and corruptions are in use says which of their cells stand
    notes += sorted(f for name in ("views", "corruptions") for f in out.glob(f"embeddings/*/*/{name}.json"))
    here = Path(__file__).parent
    sources = [p for p in here.rglob("*") if p.suffix in (".py", ".html", ".css", ".js")]
    relic_eval = Path(code.__file__).parents[1]
    parts = ("*.py", "board/*.py", "metrics/*.py", "data/*.py", "published/*.py", "published/*.csv")
    sources += [f for part in parts for f in relic_eval.glob(part)]
    return digest_json(
        [
            asked,
            [(str(p.relative_to(out)), digest_file(p)) for p in (*cells, *pictures, *notes)],
            # a table that is cut off or gone is left out of the page, and on it again once it is whole
            [(str(p.relative_to(out)), p.stat().st_size) for p in sorted(out.glob("cells/*/*/*/*.parquet"))],
            [
                (s.encoder, s.dataset, s.split, m["content"], m["encoder"].get("training"), m["data"].get("sizes"))
                for s, m in manifests
            ],
            [(p.name, digest_file(p)) for p in sorted(sources)],
        ]
    )
