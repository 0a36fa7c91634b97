"""Pages of unusual runs: names that hurt, one class and a thousand, one encoder and sixty, cells and pictures that are missing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from relic_eval.cells import cell_path
from relic_eval.intake import import_arrays
from relic_eval.run import evaluate
from reports.write import write_report

EVIL = '</script><img src=x onerror="window.marker=1">'
HARD = (
    EVIL,
    "long " * 2000,
    "\u202eשלום עולם",
    "👩\u200d🔬 emoji 🏳️\u200d🌈",
    "\"quotes\" & 'apostrophes' `ticks` ${a}",
    "=1+1",
)
PROTOCOLS = ("linear-byol", "knn", "blocks", "discriminability", "spectrum")


def run(out, encoders, classes, per_class=12, protocols=PROTOCOLS, superclasses=None):
    """Embeddings of made-up classes under each of these encoders, measured."""
    names = np.array(classes, object)
    for number, encoder in enumerate(encoders):
        rng = np.random.default_rng(number)
        for split in ("train", "test"):
            y = np.repeat(np.arange(len(names)), per_class)
            x = np.random.default_rng(0).normal(0, 1, (len(names), 8))[y] + rng.normal(0, 0.6, (len(y), 8))
            import_arrays(out, encoder, "made up", x, names[y].astype(str), split=split, superclasses=superclasses)
    return evaluate(out, protocols=protocols)


@pytest.fixture(scope="session")
def hard_run(tmp_path_factory):
    out = tmp_path_factory.mktemp("hard")
    assert run(out, ["byol", EVIL, "supervised"], HARD, superclasses=dict.fromkeys(HARD, EVIL)).failed == 0
    return out


@pytest.fixture
def looked_at(visit, violations):
    """Open a page, unfold all, and see that it is inert and laid out."""

    def look(file, width, scheme="light"):
        page, faults = visit(file, width, scheme)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("window.marker") is None
        assert violations(page) == []
        assert faults == []
        return page

    return look


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_names_that_hurt_are_inert_and_laid_out(hard_run, looked_at, width, scheme):
    page = looked_at(write_report(hard_run), width, scheme)
    names = page.locator("#board-table tbody th").all_inner_texts()
    assert any("<img" in name for name in names)
    assert page.locator("img").count() == 0
    heights = page.locator("main table tr, main .labels span").evaluate_all("all => all.map((e) => e.offsetHeight)")
    assert max(heights) < 900  # a class name of 10 kB fills no page


@pytest.mark.parametrize("width", [1280, 400])
def test_a_thousand_classes(tmp_path_factory, looked_at, width):
    out = tmp_path_factory.mktemp("thousand")
    classes = [f"class {number:04}" for number in range(1000)]
    done = run(out, ["byol", "supervised"], classes, 3, ("knn", "blocks", "discriminability"))
    assert done.failed == 0
    file = write_report(out)
    assert file.stat().st_size < 1_500_000
    looked_at(file, width)


def test_one_class(tmp_path, looked_at):
    run(tmp_path, ["byol", "supervised"], ["only"])
    page = looked_at(write_report(tmp_path), 1280)
    assert "missing" in page.locator("header").inner_text()
    assert "No accuracy was measured" in page.locator("#words").inner_text()
    assert page.locator("#blocks svg.blocks").count() == 2  # what needs no other class is shown


@pytest.mark.parametrize("width", [1280, 400])
def test_one_encoder(tmp_path, looked_at, width):
    assert run(tmp_path, ["mine"], ["a", "b", "c"]).failed == 0
    page = looked_at(write_report(tmp_path), width)
    assert page.locator("#board-table tbody tr[data-row]").count() == 1


@pytest.fixture(scope="session")
def sixty(tmp_path_factory):
    out = tmp_path_factory.mktemp("sixty")
    protocols = ("linear-byol", "knn", "blocks", "discriminability", "spectrum")
    assert run(out, [f"encoder-{number:02}" for number in range(60)], ["a", "b", "c"], protocols=protocols).failed == 0
    return out


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (400, "light")])
def test_sixty_encoders(sixty, looked_at, width, scheme):
    page = looked_at(write_report(sixty), width, scheme)
    assert page.locator("#board-table tbody tr[data-row]").count() == 60


def test_cells_that_are_missing(hard_run, tmp_path, looked_at):
    out = tmp_path / "run"
    shutil.copytree(hard_run, out)
    shutil.rmtree(cell_path(out, "byol", "made up", "blocks"))
    shutil.rmtree(cell_path(out, "supervised", "made up", "linear-byol"))
    page = looked_at(write_report(out), 1280)
    assert page.locator("#board-table tbody tr[data-row]").count() == 2
    assert page.locator("#blocks svg.blocks").count() == 2
    assert "BYOL" in page.locator("#blocks").inner_text()  # who is left out is named
