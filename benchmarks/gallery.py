"""python -m benchmarks.gallery [--quick RUN] [--mini RUN]: docs/gallery, a real page and every figure, from runs that are there.

The page is of the quickstart's run, and its pictures are of the bundled sets alone: a run with others is refused. Figures hold no
picture; they are of the run named by --mini where it allows them (`python -m benchmarks.mini_board` makes one), else of the
quickstart's. Nothing is measured, and the same runs give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from relic_eval.data.bundled import SPLITS, bundled
from relic_eval.errors import DataError, RelicError
from relic_eval.files import write_bytes
from reports.sections.section import Material

GALLERY = Path(__file__).parents[1] / "docs" / "gallery"
PAGE_BYTES, FIGURE_BYTES = 1_000_000, 150_000  # so that a clone stays small
WIDTH = 6.75  # inches


def only_bundled(material: Material) -> None:
    """Raise DataError unless every store of the material is of a bundled set, by name and by the digest of its pictures."""
    known = {(name, bundled(name, split).digest) for name, splits in SPLITS.items() for split in splits}
    for encoder, manifests in material.stores.items():
        for manifest in manifests:
            name, digest = manifest["data"]["name"], manifest["data"]["digest"]
            if (name, digest) not in known:
                received = f"{name} of {encoder}, whose pictures may not be passed on"
                raise DataError(f"gallery: expected stores of the bundled {' and '.join(SPLITS)}, received {received}.")


def make_gallery(quick: Path, mini: Path | None, folder: Path = GALLERY) -> list[Path]:
    """Write index.html and a file a figure into the folder; returns them. What is too large is refused."""
    from reports.figures.files import figure_bytes
    from reports.material import read_material
    from reports.page import to_html

    material = read_material(quick)
    only_bundled(material)
    made = {"index.html": to_html(material).encode()}
    shown = [material, *([read_material(mini)] if mini else [])]
    made |= {f"{name}.svg": figure_bytes(figure, ".svg") for name, figure in _figures(shown).items()}
    for name, content in made.items():
        most = PAGE_BYTES if name == "index.html" else FIGURE_BYTES
        if len(content) > most:
            raise DataError(f"gallery: expected at most {most:,} bytes of {name}, received {len(content):,}.")
    for name, content in made.items():
        write_bytes(folder / name, content)
    return [folder / name for name in made]


def _figures(shown: Sequence[Material]):
    """Every figure by name, of the last material that allows it; published numbers too."""
    from reports.figures.table import FIGURES, figures

    found = {"scaling": FIGURES["scaling"].make(shown[0], WIDTH)}
    for material in shown:
        found |= figures(material, WIDTH)
    return found


def main() -> None:
    """Make the gallery, and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery", description=__doc__)
    parser.add_argument(
        "--quick", type=Path, default=Path("runs/quickstart"), help="the run of 'relic-eval quickstart'"
    )
    parser.add_argument("--mini", type=Path, help="a run that more figures are of")
    options = parser.parse_args()
    try:
        for place in make_gallery(options.quick, options.mini):
            print(f"{place.stat().st_size:>9,}  {place}")
    except RelicError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
